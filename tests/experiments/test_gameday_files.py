"""Game day files: what may stand in them, and what a reader of a wrong one is told."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from controller.manifests.documents import ManifestError
from experiments.gameday_files import load_game_day, refuse_pauses
from experiments.method import AwaitVerdict, DeployRelease, PrometheusGone, When

EXAMPLE = Path("examples/orders-api")
NAMES = {
    "errors-5pct",
    "good",
    "guard-below-floor",
    "guard-total-failure",
    "guard-unlucky-error",
    "never-ready",
    "no-5xx-yet",
    "no-traffic",
    "p95-doubled",
    "prometheus-gone",
    "slow-leak",
}


@pytest.fixture
def good(root: Path) -> str:
    """A game day that is right, with absolute paths so that it may stand anywhere."""
    text = (root / EXAMPLE / "gamedays" / "prometheus-gone.yaml").read_text(encoding="utf-8")
    return text.replace("../", f"{root / EXAMPLE}/")


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "drill.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        load_game_day(file)
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


def test_the_example_has_the_eleven_drills_and_each_expects_something_of_both_policies(root: Path) -> None:
    found = {file.stem: load_game_day(file) for file in (root / EXAMPLE / "gamedays").glob("*.yaml")}
    assert set(found) == NAMES
    for game_day in found.values():
        assert list(game_day.policies) == ["as-written", "corrected"]
        assert set(game_day.setup.expect) == {"as-written", "corrected"}


def test_drills_that_chance_decides_get_twenty_requests_a_second_and_guard_drills_two(root: Path) -> None:
    for file in (root / EXAMPLE / "gamedays").glob("*.yaml"):
        traffic = load_game_day(file).setup.traffic
        wanted = 0 if file.stem == "no-traffic" else 2 if file.stem.startswith("guard") else 20
        assert traffic.rps == wanted, file


def test_the_method_is_data_that_can_be_read_without_chaos_toolkit(tmp_path: Path, good: str) -> None:
    file = tmp_path / "drill.yaml"
    file.write_text(good, encoding="utf-8")
    assert [entry.action for entry in load_game_day(file).method] == [
        DeployRelease(at_s=90.0),
        PrometheusGone(when=When(weight_at_least=30), for_s=1200.0),
        AwaitVerdict(within_s=2400.0),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rps: 20", "rps: -2", r"\d+:\d+: extensions\[0\].traffic.rps is -2; it needs a number greater than"),
        ("rps: 20", "rsp: 20", r"extensions\[0\].traffic.rsp is unknown; it needs to be spelled rps"),
        ("rps: 20", "rps: many", r"extensions\[0\].traffic.rps is 'many'; it needs a valid number"),
        ("release: {}", "release: {errors: 5}", r"extensions\[0\].release.errors is 5; it needs a number less than"),
        ("release: {}", "releas: {}", r"extensions\[0\].releas is unknown; it needs to be spelled release"),
        ("func: prometheus_gone", "func: prometheus_gon", r"func is 'prometheus_gon'; it needs to be spelled"),
        ("for_s: 1200", "for_s: 0", r"arguments.for_s is 0; it needs a number greater than 0"),
        ("{weight_at_least: 30}", "{}", r"arguments.when is an empty mapping; it needs exactly one of"),
        ("at_s: 90", "at_s: -1", r"arguments.at_s is -1; it needs a number greater than or equal to 0"),
        ("at_s: 90", "at_s: 90, when: {phase: Paused}", r"arguments is a mapping; it needs an instant: either at_s"),
        ("verdict: aborted", "verdict: caught", r"verdict is 'caught'; it needs 'promoted', 'aborted'"),
        ("title: Prom", "tittle: Prom", r"1:1: tittle is unknown; it needs to be spelled title"),
        ("module: experiments.chaos.control", "module: other", r"controls is a list of 1; it needs a control with"),
        ("rollout.yaml", "rolout.yaml", r"rolout.yaml"),
    ],
)
def test_a_wrong_field_is_named_with_its_line_and_what_would_do(
    tmp_path: Path, good: str, old: str, new: str, expected: str
) -> None:
    found = problems(tmp_path, good.replace(old, new, 1))
    assert any(re.search(expected, line) for line in found), found


def test_every_problem_is_told_at_once_also_those_of_the_manifests(tmp_path: Path, good: str, root: Path) -> None:
    broken = tmp_path / "rollout.yaml"
    text = (root / EXAMPLE / "rollout.yaml").read_text(encoding="utf-8").replace("setWeight: 10\n", "setWeight: 140\n")
    broken.write_text(text, encoding="utf-8")
    wrong = good.replace(f"{root / EXAMPLE}/rollout.yaml", str(broken)).replace("rps: 20", "rps: -2")
    found = problems(tmp_path, wrong.replace("for_s: 1200", "for_s: never"))
    for part in ("traffic.rps", "arguments.for_s", "steps[0].setWeight is 140"):
        assert any(part in line for line in found), found


def test_an_entry_cannot_lie_before_the_one_above_it(tmp_path: Path, good: str) -> None:
    found = problems(tmp_path, good.replace("when: {weight_at_least: 30}", "at_s: 30"))
    assert any("at_s is 30, before the 90 of an entry above" in line for line in found)


def test_an_expectation_for_each_policy_is_needed(tmp_path: Path, good: str) -> None:
    found = problems(tmp_path, good.replace("      corrected: {verdict", "      other: {verdict"))
    assert any("an expectation for each policy: as-written, corrected" in line for line in found)


def test_chaos_toolkits_pauses_are_refused_unless_policy_time_is_the_walls(tmp_path: Path, good: str) -> None:
    file = tmp_path / "drill.yaml"
    file.write_text(good.replace("    name: wait", "    pauses: {before: 5}\n    name: wait"), encoding="utf-8")
    game_day = load_game_day(file)
    refuse_pauses(game_day, 1.0)
    with pytest.raises(ManifestError, match=r"method\[2\].pauses is there at speed 20; it needs to be given as at_s"):
        refuse_pauses(game_day, 20.0)


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n- 2\n", "a: 1\n---\nb: 2\n", "title: x\n", "extensions: 3\n"])
def test_what_is_no_game_day_at_all_is_refused_and_not_a_crash(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_a_game_day_that_is_a_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    began = time.monotonic()
    assert problems(tmp_path, "\n".join(lines))
    assert time.monotonic() - began < 2.0
