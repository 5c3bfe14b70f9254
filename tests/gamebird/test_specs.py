"""Quick specs: what they mean, and what a wrong one is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.manifests.problems import ManifestError
from gamebird.api.specs import SpecError, default_scenarios, scenario_of, scenarios_from, traffic_from
from loadgen.traffic import Diurnal, Traffic
from sim.releases import Latency, Leak, Release
from sim.scenarios import Scenario

TRAFFIC = Traffic(rps=50)


def _one(spec: str, base_errors: float = 0.0) -> Scenario:
    (found,) = scenarios_from([spec], traffic=TRAFFIC, base_errors=base_errors)
    return found


@pytest.mark.parametrize(
    ("spec", "release"),
    [
        ("good", Release()),
        ("errors=5%", Release(errors=0.05)),
        ("errors=0.05", Release(errors=0.05)),
        ("latency=x2", Release(latency=Latency(factor=2))),
        ("latency.factor=2", Release(latency=Latency(factor=2))),
        ("errors=1%,latency=x1.5", Release(errors=0.01, latency=Latency(factor=1.5))),
        ("leak.errors_per_minute=0.5%", Release(leak=Leak(errors_per_minute=0.005))),
        ("errors=0.2,routes=/pay+/cart", Release(errors=0.2, routes=("/pay", "/cart"))),
        ("never_ready=true", Release(never_ready=True)),
        ("series_5xx=first-error", Release(series_5xx="first-error")),
    ],
)
def test_a_spec_is_a_release(spec: str, release: Release) -> None:
    assert _one(spec).release == release


def test_a_release_is_bad_if_it_does_to_its_users_what_stable_does_not() -> None:
    assert _one("errors=0.1%").kind == "bad"
    assert _one("latency=x1.1").kind == "bad"
    assert _one("latency=x0.8").kind == "good"
    assert _one("start_s=60").kind == "good"
    assert _one("base_errors=1%").kind == "good"
    assert _one("good", base_errors=0.01).kind == "good"


def test_base_errors_are_those_of_both_revisions() -> None:
    scenario = _one("errors=5%", base_errors=0.001)
    assert (scenario.release.base_errors, scenario.stable.base_errors) == (0.001, 0.001)


def test_a_total_failure_leaves_base_errors_nothing_to_fail() -> None:
    scenario = _one("errors=100%", base_errors=0.001)
    assert (scenario.release.errors, scenario.release.base_errors) == (1.0, 0.0)


def test_names_say_what_the_release_does() -> None:
    names = [_one(spec).name for spec in ("errors=0.1%", "errors=100%", "latency=x2", "good", "never_ready=true")]
    assert names == ["errors-0.1pct", "errors-100pct", "latency-x2", "good", "pods-never-become-ready"]


def test_the_default_is_a_good_release_errors_of_every_size_and_two_of_latency() -> None:
    found = default_scenarios(traffic=TRAFFIC)
    assert sum(one.kind == "good" for one in found) == 1
    sizes = [one.release.errors for one in found if one.release.errors]
    assert (min(sizes), max(sizes)) == (0.001, 1.0)
    assert [one.release.latency.factor for one in found if one.release.latency.factor > 1] == [1.5, 2.0]
    assert len({one.name for one in found}) == len(found)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("errors=150%", "errors is 1.5; it needs a number less than or equal to 1"),
        ("errors=-1", "errors is -1; it needs a number greater than or equal to 0"),
        ("erors=5%", "did you mean errors?"),
        ("rubbish", "is no field and value"),
        ("errors=lots", "errors is 'lots'"),
        ("leak=3", "fields inside it"),
        ("leak=3,leak.errors_per_minute=1", "one of the two"),
        ("errors=60%,wrong=50%", "add up to at most 1"),
    ],
)
def test_a_wrong_spec_is_answered_with_what_would_do(spec: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        _one(spec)
    assert said in str(refused.value)


def test_a_file_holds_releases_and_scenarios(tmp_path: Path) -> None:
    file = tmp_path / "releases.yaml"
    file.write_text(
        "- {errors: 0.05}\n- {name: mine, kind: good, incidents: [{from_s: 400, for_s: 60, errors: 0.1}]}\n"
        "- {traffic: {rps: 3}, release: {errors: 0.5}}\n",
        encoding="utf-8",
    )
    one, two, three = scenarios_from([str(file)], traffic=TRAFFIC)
    assert (one.name, one.traffic.rps) == ("errors-5pct", 50)
    assert (two.name, two.kind, two.traffic.rps) == ("mine", "good", 50)
    assert (three.name, three.traffic.rps) == ("errors-50pct", 3)


def test_a_wrong_file_is_answered_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "releases.yaml"
    file.write_text("- {errors: 0.05}\n- {errors: 7}\n- {eror: 1}\n", encoding="utf-8")
    with pytest.raises(ManifestError) as refused:
        scenarios_from([str(file)], traffic=TRAFFIC)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"{file}:2:")
    assert lines[1].startswith(f"{file}:3:")


def test_a_traffic_is_a_number_or_fields() -> None:
    assert traffic_from("20") == Traffic(rps=20)
    shaped = traffic_from("rps=20,shape.kind=diurnal,shape.swing=50%")
    assert shaped == Traffic(rps=20, shape=Diurnal(swing=0.5))
    with pytest.raises(SpecError, match="--traffic"):
        traffic_from("rps=-3")


def test_a_scenario_takes_its_name_from_whoever_gives_one() -> None:
    assert scenario_of(Release(errors=0.5), traffic=TRAFFIC, name="half").name == "half"
