"""Every drill of the example, under both policies, with real processes, and its scorecard against the load's own count.

Each rehearsal is run once in a session and looked at from several sides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.events import Deployed, PodsChanged, StatusChanged, WeightSet
from experiments.gameday_files import load_game_day
from experiments.report.writing import Rehearsed
from experiments.runner import Options, rehearse
from experiments.scorecard import Scorecard
from experiments.users import UNDER_TEST

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

DRILLS = (
    "good",
    "errors-5pct",
    "p95-doubled",
    "slow-leak",
    "never-ready",
    "no-traffic",
    "prometheus-gone",
    "no-5xx-yet",
    "guard-unlucky-error",
    "guard-below-floor",
    "guard-total-failure",
)
both = pytest.mark.parametrize(
    ("drill", "policy"), [(drill, policy) for drill in DRILLS for policy in ("as-written", "corrected")]
)
Rehearse = Callable[[str, str], Rehearsed]


@both
def test_a_drill_comes_out_as_its_file_expects(rehearsed: Rehearse, drill: str, policy: str) -> None:
    card = rehearsed(drill, policy).card
    # Whether the load may be believed depends on what else the machine does; that it is said is tested elsewhere.
    failed = [check for check in card.checks if not check.held and check.what != "load"]
    assert [f"{check.what}: expected {check.expected}, was {check.actual}" for check in failed] == []


@both
def test_the_scorecard_counts_what_the_load_generator_counted(rehearsed: Rehearse, drill: str, policy: str) -> None:
    seen = rehearsed(drill, policy)
    counted = {one["name"]: one for one in seen.load["revisions"]}
    for one in seen.card.revisions:
        figures = counted[one.pod_hash]
        if one.role == UNDER_TEST:  # only ever met after its deployment, so both count the same requests
            assert (one.requests, one.bad) == (figures["requests"], figures["bad"])
        else:
            assert one.requests <= figures["requests"]
            assert one.bad <= figures["bad"]


@both
def test_the_weight_never_exceeds_the_step_and_never_rises_after_an_abort(
    rehearsed: Rehearse, drill: str, policy: str
) -> None:
    allowed, aborted = 0.0, False
    for event in rehearsed(drill, policy).events:
        if isinstance(event, StatusChanged):
            aborted |= event.aborted
            if event.step.startswith("setWeight"):
                allowed = max(allowed, float(event.step.rsplit(" ", 1)[-1]))
        elif isinstance(event, WeightSet) and event.canary_hash != event.stable_hash:
            # The last step is at 100 when the steps are done and the status has no step any more.
            assert event.percent <= max(allowed, 0.0) or event.percent == 100.0
            assert not (aborted and event.percent > 0)


@both
def test_stable_has_its_full_size_whenever_it_takes_all_traffic(rehearsed: Rehearse, drill: str, policy: str) -> None:
    events = rehearsed(drill, policy).events
    stable = next(event.pod_hash for event in events if isinstance(event, Deployed))
    under_test = next(event.t_s for event in events if isinstance(event, Deployed) and event.role == UNDER_TEST)
    available, takes_all = 0, True
    for event in events:
        if isinstance(event, PodsChanged):
            available = next((one.available for one in event.revisions if one.pod_hash == stable), 0)
        elif isinstance(event, WeightSet):
            takes_all = event.percent == 0 and event.stable_hash == stable
        if event.t_s > under_test and takes_all:
            assert available >= 6


def test_a_policy_that_sees_the_canary_catches_5_percent_at_the_first_gate_and_the_other_one_later(
    rehearsed: Rehearse,
) -> None:
    blind, seeing = (rehearsed("errors-5pct", policy).card for policy in ("as-written", "corrected"))
    assert blind.detection_s is not None
    assert seeing.detection_s is not None
    assert (blind.weight_max, seeing.weight_max) == (30.0, 10.0)
    # The second gate is six minutes and more behind the first: two minutes of looks, then three of pause at 30 %.
    assert blind.detection_s > seeing.detection_s + 240
    assert blind.bad > 3 * seeing.bad


def test_every_measurement_tells_the_requests_behind_it(rehearsed: Rehearse) -> None:
    lines = rehearsed("errors-5pct", "corrected").card.measurements
    assert lines
    assert all(line.requests is not None for line in lines)
    # A tenth of 20 requests/s for at least the three minutes of the pause: some 360 behind the first look.
    assert lines[0].requests == pytest.approx(360, rel=0.25)


def test_the_record_of_an_abort_names_query_value_condition_limit_and_what_would_have_flipped_it(
    rehearsed: Rehearse,
) -> None:
    card = rehearsed("errors-5pct", "corrected").card
    [decision] = [line for line in card.decisions if line.limit]
    assert "failureLimit (0)" in decision.limit
    [measured] = [line for line in decision.measurements if line.metric == "error-rate"]
    assert "http_requests_total" in measured.query
    assert measured.number == pytest.approx(0.05, abs=0.035)
    assert measured.condition == "result[0] < 0.01"
    assert measured.flip


def test_nothing_meets_the_canary_soon_after_the_decision(rehearsed: Rehearse) -> None:
    card = rehearsed("errors-5pct", "corrected").card
    assert card.recovery_wall_s is not None
    assert card.recovery_wall_s < 1.0


def test_good_releases_and_slow_ones_lose_no_request_when_weights_change(rehearsed: Rehearse) -> None:
    for drill, policy in (("good", "as-written"), ("good", "corrected"), ("p95-doubled", "corrected")):
        seen = rehearsed(drill, policy)
        assert [one["failed"] for one in seen.load["revisions"]] == [{}] * len(seen.load["revisions"])


def test_chaos_toolkit_kept_its_journal_of_the_whole_experiment(rehearsed: Rehearse) -> None:
    journal = rehearsed("prometheus-gone", "corrected").journal
    assert journal["status"] == "completed"
    assert [run["status"] for run in journal["run"]] == ["succeeded"] * 3
    assert journal["steady_states"]["before"]["steady_state_met"]
    assert journal["rollbacks"][0]["status"] == "succeeded"


@pytest.mark.needs_prometheus
@pytest.mark.parametrize("drill", ["errors-5pct", "guard-total-failure", "no-traffic"])
def test_a_real_prometheus_gives_the_verdict_that_the_embedded_server_gives(
    rehearsed: Rehearse, game_days: Path, prometheus_binary: Path, speed: float, drill: str
) -> None:
    embedded = rehearsed(drill, "corrected").card
    game_day = load_game_day(game_days / f"{drill}.yaml")
    real = rehearse(game_day, "corrected", Options(speed=speed, prometheus=prometheus_binary)).card
    assert real.verdict is embedded.verdict
    assert real.weight_max == embedded.weight_max
    assert real.provenance.metrics_server.startswith("Prometheus 3")

    def phases(card: Scorecard) -> list[tuple[str, str]]:
        return sorted((line.metric, line.phase) for line in card.measurements)

    assert phases(real) == phases(embedded)
