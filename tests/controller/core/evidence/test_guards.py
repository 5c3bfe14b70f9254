"""Every row of docs/guards.md, played: what hand-written guards do in Argo Rollouts, and what happens here.

The rows' queries and answers are data (guards.json). The cells of the table are computed and must stand in the
page as they are, so that the page cannot say what the code does not do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.core.conditions import ConditionError, compile_condition, fails_when, judge, result_from_json
from controller.core.evidence import Floor, QuantileShape, RatioShape, weigh
from controller.core.runs import AnalysisPhase as Phase
from controller.manifests.values.extensions import EvidenceRules, Parity

DATA = json.loads((Path(__file__).parent / "guards.json").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = DATA["rows"]
SHOWN = ("no_series", "no_traffic", "one_of_five", "no_error_ever")
WORDS = {
    Phase.SUCCESSFUL: "passes",
    Phase.FAILED: "fails",
    Phase.ERROR: "error",
    Phase.INCONCLUSIVE: "pauses",
    Phase.MISSING: "waits",
}


def argo(row: dict[str, Any], situation: str) -> Phase:
    return judge(row["success"], row["failure"], result_from_json(row["answers"][situation])).phase


def ours(row: dict[str, Any], situation: str, rules: EvidenceRules, requests_min: float | None) -> Phase:
    success, failure = (compiled(row[name]) for name in ("success", "failure"))
    shape = QuantileShape(q=0.95) if row["id"].startswith("latency") else RatioShape()
    guard = None
    if requests_min is not None:
        guard = Floor(requests_min=requests_min, shape=shape, fails_when=fails_when(success, failure))
    reads = [] if None in (c.reads for c in (success, failure) if c) else [c.reads for c in (success, failure) if c]
    result = result_from_json(row["answers"][situation])
    return weigh(
        phase=argo(row, situation),
        result=result,
        requests=DATA["requests"][situation],
        floor=guard,
        rules=rules,
        reads=sum(reads, ()) if reads else None,
    ).phase


def compiled(text: str) -> Any:
    try:
        return compile_condition(text) if text else None
    except ConditionError:
        return None


def cells(row: dict[str, Any]) -> str:
    """Return the cells of a row: Argo, with a floor of 300, and with parity off, in each situation."""
    shown = []
    for situation in SHOWN:
        phases = (
            argo(row, situation),
            ours(row, situation, EvidenceRules(), 300),
            ours(row, situation, EvidenceRules(parity=Parity.OFF), None),
        )
        shown.append(" / ".join(WORDS[phase] for phase in phases))
    return f"| {row['guard']} | " + " | ".join(shown) + " |"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_every_row_of_the_page_is_what_happens(row: dict[str, Any], root: Path) -> None:
    page = (root / "docs" / "guards.md").read_text(encoding="utf-8").splitlines()
    assert cells(row) in page


def test_the_page_has_no_row_that_is_not_played(root: Path) -> None:
    page = (root / "docs" / "guards.md").read_text(encoding="utf-8").splitlines()
    in_page = [line for line in page if line.startswith("|") and " / " in line and "---" not in line]
    assert sorted(in_page) == sorted(cells(row) for row in ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if row["id"] not in ("volume",)], ids=lambda row: row["id"])
@pytest.mark.parametrize("situation", ["no_series", "no_traffic"])
def test_a_floor_lets_no_silence_pass_whatever_guard_stands_in_the_condition(
    row: dict[str, Any], situation: str
) -> None:
    assert ours(row, situation, EvidenceRules(), 300) is Phase.MISSING


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_floor_leaves_plenty_of_requests_to_argo_s_own_verdict(row: dict[str, Any]) -> None:
    for situation in ("no_error_ever", "one_in_five"):
        assert ours(row, situation, EvidenceRules(), 300) is argo(row, situation)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row["id"].startswith("latency") and row["id"] != "volume"], ids=lambda r: r["id"]
)
def test_one_bad_request_in_five_of_six_hundred_never_passes(row: dict[str, Any]) -> None:
    assert argo(row, "one_in_five") in (Phase.FAILED, Phase.ERROR)


def test_the_trap_of_every_5xx_ratio_is_an_error_and_not_a_zero() -> None:
    row = next(row for row in ROWS if row["id"] == "none")
    assert argo(row, "no_error_ever") is Phase.ERROR
