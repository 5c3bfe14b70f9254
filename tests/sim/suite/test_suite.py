"""The suite: enough of every kind, each with a sentence; and the score, worked out by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from sim.outcomes.figures import Figures
from sim.suite.loading import SuiteError, pick, suite
from sim.suite.scoring import score_of

MakeFigures = Callable[..., Figures]


def test_there_are_at_least_forty_scenarios_and_plenty_of_both_kinds() -> None:
    kinds = Counter(one.kind for one in suite())
    assert kinds.total() >= 40
    assert min(kinds["good"], kinds["bad"]) >= 20


def test_each_scenario_says_in_a_sentence_what_it_is_about() -> None:
    for one in suite():
        assert one.about.endswith("."), one.name
        assert len(one.about.split()) >= 3, one.name
    assert len({one.about for one in suite()}) == len(suite())


def test_good_ones_come_first_and_their_names_say_so() -> None:
    kinds = [one.kind for one in suite()]
    assert kinds == sorted(kinds, key=lambda kind: kind != "good")
    assert all((one.kind == "good") == one.name.startswith("good") for one in suite())


@pytest.mark.parametrize(
    "kind",
    [
        "errors", "error_status", "wrong", "every_nth", "segments", "latency", "leak", "routes", "above_rps",
        "never_ready", "crash_after_s", "crash_at_request", "crash_share", "hang_after_s", "unready_after_s",
        "memory_limit_bytes", "warm_up_factor", "behind_flag",
    ],
)  # fmt: skip
def test_every_way_in_which_a_release_can_be_bad_is_in_it(kind: str) -> None:
    assert any(kind in one.release.model_fields_set for one in suite() if one.kind == "bad")


@pytest.mark.parametrize(
    "what",
    ["incidents", "pods", "router", "scrapes", "prometheus", "autoscaler", "controller", "service", "deploy_s"],
)
def test_every_part_of_the_world_tempts_a_good_release_to_be_aborted(what: str) -> None:
    assert any(what in one.model_fields_set for one in suite() if one.kind == "good")


def test_a_name_that_is_not_there_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(SuiteError, match="did you mean errors-5pct"):
        pick(["errors-5pc"])


def test_those_that_are_picked_keep_the_order_of_the_suite() -> None:
    assert [one.name for one in pick(["errors-5pct", "good"])] == ["good", "errors-5pct"]


def test_the_score_is_the_mean_of_what_was_right_of_each_kind(make_figures: MakeFigures) -> None:
    # Bad: one all aborted (1), one half promoted and half paused (0 + 0.25): a mean of 0.625.
    # Good: promoted in 9 of 10, aborted in 1: 0.9. The score is 100 · (0.625 + 0.9) / 2 = 76.25.
    figures = [
        make_figures("a", "bad", aborted=10),
        make_figures("b", "bad", promoted=5, paused=5),
        make_figures("c", "good", promoted=9, aborted=1),
    ]
    found = score_of(figures)
    assert found.score == pytest.approx(76.25)
    assert found.missed == ()  # b is promoted in half of the runs, not in more
    assert found.false_aborts == ("c",)


@pytest.mark.parametrize("what", ["promoted", "aborted", "paused", "stuck"])
def test_a_policy_that_always_does_the_same_scores_fifty(make_figures: MakeFigures, what: str) -> None:
    found = score_of([make_figures("a", "bad", **{what: 10}), make_figures("b", "good", **{what: 10})])
    assert found.score == 50.0


def test_without_good_releases_there_is_no_score(make_figures: MakeFigures) -> None:
    assert score_of([make_figures("a", "bad", aborted=10)]).score is None
