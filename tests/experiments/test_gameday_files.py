"""Game day files: what may stand in them, and what a reader of a wrong one is told."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from controller.manifests.documents import ManifestError
from experiments.gameday_files import load_game_day
from experiments.method import AwaitVerdict, DeployRelease, PrometheusGone, When
from experiments.refusals import refuse_pauses, refuse_traffic
from experiments.runner import check_releases

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


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "func: serving_pods",
            "func: serving_podz",
            r"\d+:\d+: .*probes\[0\].provider.func is 'serving_podz'; it needs to",
        ),
        ("chaos.probes", "chaos.probs", r"provider.module is 'experiments.chaos.probs'; it needs to be spelled"),
        (
            "{over_s: 30}",
            "{over: 30}",
            r"probes\[1\].provider.arguments.over is unknown; it needs to be spelled over_s",
        ),
        ("{over_s: 30}", "{over_s: -3}", r"arguments.over_s is -3; it needs a number of seconds above 0"),
        ("      tolerance: 6\n", "", r"probes\[0\].tolerance is missing; it needs what the probe should return"),
        ("tolerance: 6", "tolerance: {type: nonsense}", r"probes\[0\].tolerance is a mapping \(.*unsupported"),
        ("func: restore_everything", "func: restore_all", r"rollbacks\[0\].provider.func is 'restore_all'; it needs"),
        (
            "    name: wait",
            "    pauses: {after: -5}\n    name: wait",
            r"method\[2\].pauses.after is -5; it needs a number",
        ),
        (
            "      arguments: {at_s: 90}\n",
            "",
            r"method\[0\].provider.arguments is missing; it needs what deploy_release",
        ),
        ("{rps: 20}", "{rps: 20, shape: {kind: zigzag}}", r"traffic.shape is a mapping; it needs kind to be one of"),
        ("    traffic:", "    command: ./service\n    traffic:", r"command is './service'; it needs a list$"),
        ("arguments: {at_s: 90}", "arguments: [90]", r"provider.arguments is a list of 1; it needs a mapping$"),
    ],
)
def test_what_chaos_toolkit_would_find_only_with_the_world_up_is_found_before(
    tmp_path: Path, good: str, old: str, new: str, expected: str
) -> None:
    assert old in good
    found = problems(tmp_path, good.replace(old, new, 1))
    assert any(re.search(expected, line) for line in found), found


def test_a_second_entry_gamebird_is_a_problem_and_never_ignored(tmp_path: Path, good: str) -> None:
    again = good[good.index("  - name: gamebird\n    policies") :]
    assert problems(tmp_path, good + again) == [
        f"{good.count(chr(10)) + 1}:5: extensions[1] is gamebird a second time; it needs one entry of that name"
    ]


def test_our_control_stands_once_because_it_starts_the_world(tmp_path: Path, good: str) -> None:
    control = "  - name: gamebird\n    provider: {type: python, module: experiments.chaos.control}\n"
    [found] = problems(tmp_path, good.replace(control, control + control))
    assert "controls is a list of 2; it needs a control with module experiments.chaos.control, once" in found


def test_a_list_whose_entries_are_wrong_is_not_called_too_short_as_well(tmp_path: Path, good: str) -> None:
    found = problems(tmp_path, good[: good.index("extensions:")] + "extensions: [gamebird]\n")
    assert not any("at least" in line for line in found), found
    assert any("extensions[0] is 'gamebird'; it needs a mapping" in line for line in found)


@pytest.mark.parametrize(("new", "why"), [("result <<", "unexpected token"), ("resutl", "unknown name resutl")])
def test_a_condition_that_the_decision_core_refuses_is_told_with_its_place(
    tmp_path: Path, good: str, root: Path, new: str, why: str
) -> None:
    broken = tmp_path / "template.yaml"
    text = (root / EXAMPLE / "analysis-template.yaml").read_text(encoding="utf-8")
    broken.write_text(text.replace("successCondition: result", f"successCondition: {new}", 1), encoding="utf-8")
    found = problems(tmp_path, good.replace(f"{root / EXAMPLE}/analysis-template.yaml", str(broken)))
    assert len(found) == 1
    assert re.search(rf"template.yaml:14:7: spec.metrics\[0\].successCondition is '{new}\[0\] < 0.01'", found[0])
    assert why in found[0]


@pytest.mark.parametrize("name", ["all pods", "end every"])
def test_pauses_are_refused_wherever_they_stand(tmp_path: Path, good: str, name: str) -> None:
    file = tmp_path / "drill.yaml"
    file.write_text(re.sub(rf"( +)name: {name}", r"\1pauses: {after: 5}\n\g<0>", good), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"pauses is there at speed 20"):
        refuse_pauses(load_game_day(file), 20.0)


def test_more_than_a_machine_sends_is_told_at_the_rate_that_asks_for_it(tmp_path: Path, good: str) -> None:
    file = tmp_path / "drill.yaml"
    spike = "func: change_traffic\n      arguments: {at_s: 95, rps: 30, for_s: 60}"
    file.write_text(
        re.sub(r"func: prometheus_gone\n +arguments: .*", spike, good).replace("rps: 20", "rps: 26"), encoding="utf-8"
    )
    game_day = load_game_day(file)
    refuse_traffic(game_day, 30.0, rps_max=1000.0)  # 26 x 30 = 780 and 30 x 30 = 900
    with pytest.raises(ManifestError) as caught:
        refuse_traffic(game_day, 40.0, rps_max=1000.0)  # 1040 and 1200
    assert [problem.path for problem in caught.value.problems] == [
        "method[1].provider.arguments.rps",
        "extensions[0].traffic.rps",
    ]
    assert "1200 real requests/s; it needs 1000 at most, so a speed of 33.3333 or less" in str(caught.value)


def test_a_variable_that_the_environment_does_not_have_is_a_problem_unless_there_is_a_default(
    tmp_path: Path, good: str
) -> None:
    configuration = "configuration:\n  token: {type: env, key: GAMEBIRD_NO_SUCH_VARIABLE}\n"
    [found] = problems(tmp_path, configuration + good)
    assert found.startswith("2:22: configuration.token.key is GAMEBIRD_NO_SUCH_VARIABLE, which the environment does")
    file = tmp_path / "drill.yaml"
    file.write_text(configuration.replace("VARIABLE", "VARIABLE, default: x") + good, encoding="utf-8")
    load_game_day(file)


def test_a_release_that_no_rehearsal_can_show_is_refused_at_its_fields(tmp_path: Path, good: str) -> None:
    file = tmp_path / "drill.yaml"
    release = "release: {wrong: 0.1, leak: {memory_bytes_per_minute: 1000000}}"
    file.write_text(good.replace("release: {}", release, 1), encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        check_releases(load_game_day(file))
    assert {problem.path for problem in caught.value.problems} == {
        "extensions[0].release.wrong",
        "extensions[0].release.leak.memory_bytes_per_minute",
    }
    assert "no metric and no status shows a wrong answer" in str(caught.value)
