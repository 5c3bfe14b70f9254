"""The JSON and the page: the shape that docs/simulate.md promises, and no text of a user that a browser would run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.manifests.loading import load
from loadgen.traffic import Traffic
from sim.outcomes.documents import row_of
from sim.outcomes.page import page
from sim.outcomes.result import NotRecorded, SimulatedRelease, SimulationResult
from sim.outcomes.table import Outcome, RunTable
from sim.releases import Release
from sim.scenarios import Scenario
from sim.suite.scoring import score_of

MakeTable = Callable[..., RunTable]


@pytest.fixture(scope="module")
def result(root: Path, make_table: MakeTable) -> SimulationResult:
    folder = root / "examples" / "orders-api"
    policy = load([folder / "rollout.yaml", folder / "analysis-template.yaml"]).policy()
    releases = []
    for name, kind, errors, aborted in (("good", "good", 0.0, 1), ("small", "bad", 0.01, 5), ("total", "bad", 1.0, 40)):
        outcome = np.where(np.arange(40) < aborted, Outcome.ABORTED, Outcome.PROMOTED)
        scenario = Scenario(name=name, kind=kind, release=Release(errors=errors), traffic=Traffic(rps=100))
        releases.append(SimulatedRelease(scenario=scenario, table=make_table(outcome, cohort=np.arange(40) % 10)))
    return SimulationResult(
        policy=policy, releases=tuple(releases), runs=40, wanted=3, seed=7, engine="law", versions={"gamebird": "1"}
    )


def _shape(value: Any, where: str = "") -> Iterator[str]:
    """Return every field of plain data as a path; names of steps and metrics, and positions, are left out."""
    if isinstance(value, dict):
        for name, inner in value.items():
            named = where.endswith(("by_step", "by_metric"))
            yield from _shape(inner, f"{where}.{'*' if named else name}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from _shape(value[0], where)
    else:
        yield where


def test_the_json_has_the_fields_of_the_example_in_the_documentation(result: SimulationResult, root: Path) -> None:
    text = (root / "docs" / "simulate.md").read_text(encoding="utf-8")
    block = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert block is not None
    made = json.loads(result.to_json())
    made["releases"] = made["releases"][1:2]  # the example's release is a bad one that is promoted now and then
    assert sorted(_shape(made)) == sorted({*_shape(json.loads(block[1])), ".versions.gamebird"} - {".versions.numpy"})


def test_what_every_program_may_rely_on_is_where_it_was_promised(result: SimulationResult) -> None:
    first = result.to_dict()["releases"][0]
    assert {"name", "kind", "runs", "cohorts", "caught", "outcomes", "detection_s", "bad_requests"} <= first.keys()
    assert first["caught"].keys() == {"share", "low", "high"}
    assert first["outcomes"].keys() == {"promoted", "aborted", "paused", "stuck"}
    assert {"median", "p95"} <= first["detection_s"].keys()
    assert {"mean", "p95"} <= first["bad_requests"].keys()


def test_what_did_not_happen_is_null(result: SimulationResult) -> None:
    total = result.to_dict()["releases"][2]
    assert total["to_promote_s"] is None  # all were aborted
    assert total["caught"]["share"] == 1.0


def test_the_same_runs_give_the_same_bytes(result: SimulationResult) -> None:
    again = SimulationResult(
        policy=result.policy,
        releases=tuple(SimulatedRelease(scenario=one.scenario, table=one.table) for one in result.releases),
        runs=40,
        wanted=3,
        seed=7,
        engine="law",
        versions={"gamebird": "1"},
    )
    assert again.to_json() == result.to_json()


def test_numbers_have_at_most_nine_significant_digits(result: SimulationResult) -> None:
    for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", result.to_json()):
        digits = re.sub(r"e.*$|\D", "", number).lstrip("0")
        assert len(digits) <= 9, number


def test_a_row_has_each_figure_with_both_ends(result: SimulationResult) -> None:
    row = row_of(result.figures[2])
    for name in ("caught", "promoted", "detection_s_median", "bad_requests_mean", "users_hurt_mean"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert (row["step"], row["metric"]) == (2, "error-rate")


def test_summary_has_one_row_a_release_and_numbers_only_where_numbers_are(result: SimulationResult) -> None:
    frame = result.summary()
    assert frame.index.tolist() == ["good", "small", "total"]
    texts = {"kind", "release", "metric"}
    assert all(frame[name].dtype.kind in "fi" for name in frame.columns if name not in texts)


def test_an_unfinished_simulation_says_so(result: SimulationResult) -> None:
    assert result.complete
    fewer = SimulationResult(
        policy=result.policy, releases=result.releases[:1], runs=40, wanted=3, seed=7, engine="law"
    )
    assert not fewer.complete
    assert fewer.to_dict()["complete"] is False
    assert "Interrupted" in page(fewer)


def test_measurements_that_were_not_kept_are_not_made_up(result: SimulationResult) -> None:
    with pytest.raises(NotRecorded, match="measurements=True"):
        _ = result.measurements
    with pytest.raises(NotRecorded):
        result.rejudge(metric="error-rate", requests_min=1)


def test_the_page_escapes_what_users_write_and_needs_nothing_from_elsewhere(
    result: SimulationResult, make_table: MakeTable
) -> None:
    nasty = Scenario(name="x", about="<script>alert(1)</script>", release=Release(errors=0.5), traffic=Traffic(rps=1))
    table = make_table(np.repeat([Outcome.ABORTED, Outcome.STUCK, Outcome.PAUSED], 10))
    one = SimulatedRelease(scenario=nasty, table=table)
    shown = SimulationResult(policy=result.policy, releases=(one,), runs=30, wanted=1, seed=1, engine="law")
    html = page(shown, score=score_of(shown.figures), command="gamebird simulate '<b>'")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"(?:src|href)=\"(?!#)", html)
    assert html.count("<svg") == 3


def test_every_picture_can_be_drawn_of_one_release_as_of_many(result: SimulationResult) -> None:
    single = SimulationResult(
        policy=result.policy, releases=result.releases[:1], runs=40, wanted=1, seed=7, engine="law"
    )
    for one in (result, single):
        for figure in (one.plot_detection(), one.plot_timeline(), one.plot_bad_requests()):
            assert figure.axes


def test_a_notebook_shows_a_picture_by_itself(result: SimulationResult) -> None:
    shown = result.plot_detection()._repr_svg_()  # type: ignore[attr-defined]
    assert shown.startswith("<svg")
    assert shown == result.plot_detection()._repr_svg_()  # type: ignore[attr-defined]
