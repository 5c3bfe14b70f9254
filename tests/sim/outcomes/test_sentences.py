"""The sentences on top: what they say of figures that are known, word for word where a user's eye falls first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.outcomes.figures import figures_of
from sim.outcomes.sentences import Pair, errors_by_size, latencies_by_size, seconds, sentences, share
from sim.outcomes.table import Outcome, RunTable
from sim.releases import Latency, Release
from sim.scenarios import Incident, Scenario

MakeTable = Callable[..., RunTable]


@pytest.fixture(scope="module")
def as_written(root: Path) -> Policy:
    folder = root / "examples" / "orders-api"
    return load([folder / "rollout.yaml", folder / "analysis-template.yaml"]).policy()


@pytest.fixture
def pair(make_table: MakeTable) -> Callable[..., Pair]:
    def make(release: Release, aborted: int, *, of: int = 100, **more: object) -> Pair:
        scenario = Scenario(
            name=f"r{release.errors}-{release.latency.factor}",
            kind="good" if release == Release() else "bad",
            release=release,
            traffic=Traffic(rps=100),
            **more,  # type: ignore[arg-type]
        )
        outcome = np.where(np.arange(of) < aborted, Outcome.ABORTED, Outcome.PROMOTED)
        figures = figures_of(make_table(outcome), name=scenario.name, kind=scenario.kind, about="", release="")
        return scenario, figures

    return make


def test_the_largest_error_that_is_never_caught_comes_first_with_its_reason(
    as_written: Policy, pair: Callable[..., Pair]
) -> None:
    found = sentences(
        as_written,
        [pair(Release(errors=0.005), 0), pair(Release(errors=0.01), 0), pair(Release(errors=0.2), 100)],
    )
    assert found[0] == (
        "A canary that fails 1 % of requests is never caught at 100 requests/s: your query mixes it with stable."
    )
    # 100 of 100 runs, each its own cohort; z² = 3.937: from 1 - 3.937/103.937 = 96.2 % on.
    assert found[1] == (
        "One that fails 20 % is caught in 100 % (96 % to 100 %) of the runs, after 5 min 00 s (median) "
        "and 50 bad requests on average."
    )


def test_a_total_failure_is_said_in_words(as_written: Policy, pair: Callable[..., Pair]) -> None:
    found = sentences(as_written, [pair(Release(errors=0.5), 0), pair(Release(errors=1.0), 0)])
    assert found[0] == "A canary that fails every request is never caught at 100 requests/s."


def test_a_good_release_that_is_aborted_is_told_with_its_interval(
    as_written: Policy, pair: Callable[..., Pair]
) -> None:
    found = sentences(as_written, [pair(Release(), 10), pair(Release(errors=0.5), 100)])
    assert found[-1].startswith("A good release is aborted in 10 % (")


def test_of_many_good_releases_those_that_are_aborted_are_counted(
    as_written: Policy, pair: Callable[..., Pair]
) -> None:
    def named(name: str, aborted: int) -> Pair:
        scenario, figures = pair(Release(), aborted)
        return scenario.model_copy(update={"name": name}), figures

    bad = pair(Release(errors=0.5), 100)
    many = sentences(as_written, [named("a", 10), named("b", 100), named("c", 0), bad])
    assert many[-1].startswith("2 of 3 good releases are aborted in more than 5 % of the runs, b in 100 % (")
    few = sentences(as_written, [named("a", 3), named("b", 0), bad])
    assert few[-1].startswith("Of 2 good releases a is aborted most, in 3 % (")


def test_never_is_not_said_without_a_bound(as_written: Policy, pair: Callable[..., Pair]) -> None:
    found = sentences(as_written, [pair(Release(), 0), pair(Release(errors=0.5), 100)])
    assert found[-1] == "A good release is never aborted (in at most 3.8 % of such rollouts)."


def test_a_release_that_waits_for_a_person_is_not_called_missed(as_written: Policy, make_table: MakeTable) -> None:
    scenario = Scenario(release=Release(errors=0.5), traffic=Traffic(rps=100))
    figures = figures_of(make_table([Outcome.PAUSED] * 50), name="a", kind="bad", about="", release="")
    good = Scenario(name="good", kind="good", traffic=Traffic(rps=100))
    found = sentences(as_written, [(scenario, figures), (good, figures)])
    assert found[0] == (
        "A canary that fails 50 % of requests is never caught at 100 requests/s, "
        "but waits for a person or does not finish in 100 % of the runs."
    )


def test_one_release_alone_is_told_as_it_is(as_written: Policy, pair: Callable[..., Pair]) -> None:
    found = sentences(as_written, [pair(Release(errors=0.05), 80)])
    assert len(found) == 1
    assert found[0].startswith("The release r0.05-1.0 (5 % errors) is aborted in 80 % (")


def test_a_release_that_is_bad_in_two_ways_is_told_by_its_name(as_written: Policy, pair: Callable[..., Pair]) -> None:
    both = pair(Release(errors=0.05, latency=Latency(factor=2.0)), 80)
    found = sentences(as_written, [both, pair(Release(), 0)])
    assert found[0].startswith("The release r0.05-2.0 (5 % errors, latency x2) is aborted in 80 % (")
    assert found[1].startswith("A good release is never aborted")


def test_only_releases_that_differ_in_their_errors_alone_are_put_in_order_of_size(pair: Callable[..., Pair]) -> None:
    pairs = [
        pair(Release(errors=0.5), 1),
        pair(Release(errors=0.1), 1),
        pair(Release(errors=0.2, routes=("/pay",)), 1),
        pair(Release(errors=0.3), 1, incidents=(Incident(from_s=0, for_s=60, errors=0.1),)),
        pair(Release(latency=Latency(factor=2.0)), 1),
        pair(Release(errors=0.4, latency=Latency(factor=2.0)), 1),
    ]
    assert [one.size for one in errors_by_size(pairs)] == [0.1, 0.5]
    assert [one.size for one in latencies_by_size(pairs)] == [2.0]


def test_sizes_are_compared_in_one_world_only(pair: Callable[..., Pair]) -> None:
    world = pair(Release(errors=0.3), 1)
    elsewhere = world[0].model_copy(update={"traffic": Traffic(rps=2)}), world[1]
    pairs = [pair(Release(errors=0.1), 1), pair(Release(errors=0.2), 1), elsewhere]
    assert [one.size for one in errors_by_size(pairs)] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.9996, "99.96 %"),
        (0.994, "99.4 %"),
        (0.5, "50 %"),
        (0.032, "3.2 %"),
        (0.0004, "0.04 %"),
    ],
)
def test_shares_are_as_exact_as_they_are_of_use(value: float, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (4.2, "4.2 s"), (119.4, "119 s"), (260.0, "4 min 20 s")])
def test_durations_are_told_as_people_tell_them(value: float | None, text: str) -> None:
    assert seconds(value) == text
