"""The request guard: what a measurement counts as at the number of requests behind it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.conditions import Threshold, judge
from controller.core.evidence import (
    Floor,
    Outcome,
    QuantileShape,
    RatioShape,
    Shape,
    deadline_s,
    due_phase,
    missing_since,
    outcome_of,
    weigh,
    weigh_runs,
)
from controller.core.runs import AnalysisPhase as Phase
from controller.manifests.values.amounts import FrozenMap
from controller.manifests.values.extensions import EvidenceAction, EvidenceRules, Parity

NAN = math.nan
STRICT = EvidenceRules()
OFF = EvidenceRules(parity=Parity.OFF)
ERRORS = Threshold(index=0, op=">=", constant=0.05)  # fails where result[0] < 0.05 does not hold


def floor(requests_min: float = 300, *, odds: float | None = 0.001, shape: Shape | None = None) -> Floor:
    return Floor(requests_min=requests_min, odds=odds, shape=shape or RatioShape(), fails_when=ERRORS)


# -- kinds of answers


@pytest.mark.parametrize(
    ("result", "reads", "outcome"),
    [
        ((0.1,), None, Outcome.VALUE),
        (0.1, None, Outcome.VALUE),
        (None, None, Outcome.NO_DATA),
        ((), None, Outcome.EMPTY),
        ([], (0,), Outcome.EMPTY),
        ((NAN,), (0,), Outcome.NAN),
        (NAN, None, Outcome.NAN),
        ((0.1, NAN), None, Outcome.NAN),
        ((0.1, NAN), (0,), Outcome.VALUE),  # nobody looks at the second
        ((0.1, NAN), (-1,), Outcome.NAN),
        ((math.inf,), None, Outcome.VALUE),
        ({"errors": 3.0}, None, Outcome.VALUE),
        ("ok", None, Outcome.VALUE),
    ],
)
def test_an_answer_is_a_value_or_one_kind_of_missing_evidence(
    result: object, reads: tuple[int, ...] | None, outcome: Outcome
) -> None:
    assert outcome_of(result, reads) is outcome


# -- the floor


@pytest.mark.parametrize("rules", [STRICT, OFF])
@pytest.mark.parametrize("phase", [Phase.SUCCESSFUL, Phase.INCONCLUSIVE])
def test_too_few_requests_are_never_a_success(rules: EvidenceRules, phase: Phase) -> None:
    weighed = weigh(phase=phase, result=(0.0,), requests=299, floor=floor(), rules=rules)
    assert (weighed.outcome, weighed.phase) == (Outcome.TOO_FEW, Phase.MISSING)
    assert weighed.reason == "too few: 299 requests, floor 300"


@pytest.mark.parametrize("rules", [STRICT, OFF])
def test_a_count_at_the_floor_is_enough(rules: EvidenceRules) -> None:
    weighed = weigh(phase=Phase.SUCCESSFUL, result=(0.0,), requests=300, floor=floor(), rules=rules)
    assert (weighed.outcome, weighed.phase) == (Outcome.VALUE, Phase.SUCCESSFUL)


@pytest.mark.parametrize("requests", [None, NAN])
def test_an_unknown_count_never_meets_a_floor(requests: float | None) -> None:
    weighed = weigh(phase=Phase.SUCCESSFUL, result=(0.0,), requests=requests, floor=floor(0), rules=STRICT)
    assert weighed.phase is Phase.MISSING


def test_without_a_floor_an_unknown_count_changes_nothing() -> None:
    for phase in (Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR):
        assert weigh(phase=phase, result=(0.0,), requests=None, floor=None, rules=STRICT).phase is phase


def test_a_silent_canary_waits_behind_a_floor_and_is_an_error_without_one() -> None:
    # No request at all: 0/0 is NaN, and with no series at all the vector is empty.
    for result in ((NAN,), ()):
        phase = judge("result[0] < 0.05", None, result).phase
        assert weigh(phase=phase, result=result, requests=0, floor=floor(), rules=STRICT).phase is Phase.MISSING
        assert weigh(phase=phase, result=result, requests=0, floor=None, rules=STRICT).phase is phase


def test_a_dead_provider_is_an_error_in_strict_parity_floor_or_not() -> None:
    weighed = weigh(phase=Phase.ERROR, result=None, requests=None, floor=floor(), rules=STRICT, answered=False)
    assert (weighed.outcome, weighed.phase) == (Outcome.ERROR, Phase.ERROR)


# -- proof below the floor


@pytest.mark.parametrize(
    ("value", "requests", "proof"),
    [
        (1.0, 2, False),  # 0.05² = 0.0025, above 0.001
        (1.0, 3, True),  # 0.05³ = 0.000125
        (1.0, 299, True),
        (0.5, 4, False),  # two or more of four: 0.014
        (0.5, 8, True),  # four or more of eight: 0.00037
        (0.06, 299, False),  # 17 of 299 at 5 %: one would expect 15
        (NAN, 3, False),
        (1.0, 0, False),
    ],
)
def test_a_failure_counts_below_the_floor_when_a_release_at_the_threshold_would_hardly_show_it(
    value: float, requests: float, proof: bool
) -> None:
    weighed = weigh(phase=Phase.FAILED, result=(value,), requests=requests, floor=floor(), rules=STRICT)
    assert weighed.conclusive is proof
    assert weighed.phase is (Phase.FAILED if proof else Phase.MISSING)


def test_the_guide_s_canary_that_fails_everything_at_two_requests_a_second_is_caught_at_once() -> None:
    # A one-minute window at 2 requests a second holds 120 requests, far below a floor of 300.
    weighed = weigh(phase=Phase.FAILED, result=(1.0,), requests=120, floor=floor(), rules=STRICT)
    assert weighed.conclusive
    assert weighed.reason == "conclusive below the floor: 120 requests, floor 300, odds 0.001"


def test_a_ratio_of_good_requests_and_a_percentage_are_counted_by_their_bad_ones() -> None:
    good = Floor(requests_min=300, shape=RatioShape(), fails_when=Threshold(index=0, op="<", constant=0.95))
    assert weigh(phase=Phase.FAILED, result=(0.0,), requests=3, floor=good, rules=STRICT).conclusive
    assert not weigh(phase=Phase.FAILED, result=(0.0,), requests=2, floor=good, rules=STRICT).conclusive
    percent = Floor(requests_min=300, shape=RatioShape(scale=100), fails_when=Threshold(index=0, op=">=", constant=5.0))
    assert weigh(phase=Phase.FAILED, result=(100.0,), requests=3, floor=percent, rules=STRICT).conclusive
    assert not weigh(phase=Phase.FAILED, result=(100.0,), requests=2, floor=percent, rules=STRICT).conclusive


def test_a_slow_quantile_is_proof_by_the_slow_requests_that_were_counted() -> None:
    slow = Floor(requests_min=300, shape=QuantileShape(q=0.95), fails_when=Threshold(index=0, op=">=", constant=0.5))
    # Allowed are 5 % slower than 0.5 s. Ten of twenty: P(X >= 10) is 1.1e-8. Three of twenty: 0.075.
    assert weigh(phase=Phase.FAILED, result=(0.8,), requests=20, slow_requests=10, floor=slow, rules=STRICT).conclusive
    assert not weigh(
        phase=Phase.FAILED, result=(0.8,), requests=20, slow_requests=3, floor=slow, rules=STRICT
    ).conclusive
    # Not counted: a p95 above 0.5 s only says that two of twenty are slower. 0.26.
    assert not weigh(phase=Phase.FAILED, result=(0.8,), requests=20, floor=slow, rules=STRICT).conclusive


@pytest.mark.parametrize(
    "guard",
    [
        Floor(requests_min=300, shape=None, fails_when=ERRORS),
        Floor(requests_min=300, shape=RatioShape(), fails_when=None),
        Floor(requests_min=300, shape=RatioShape(), fails_when=ERRORS, odds=None),
        Floor(requests_min=300, shape=RatioShape(), fails_when=Threshold(index=0, op="!=", constant=0.05)),
        Floor(requests_min=300, shape=QuantileShape(q=0.95), fails_when=Threshold(index=0, op="<", constant=1.0)),
    ],
    ids=["unknown shape", "no single constant", "odds off", "not an inequality", "too fast"],
)
def test_nothing_else_is_ever_proof_below_the_floor(guard: Floor) -> None:
    weighed = weigh(phase=Phase.FAILED, result=(1.0,), requests=200, floor=guard, rules=STRICT)
    assert (weighed.phase, weighed.conclusive) == (Phase.MISSING, False)


# -- parity off


@pytest.mark.parametrize(
    ("result", "kind"), [(None, "no-data"), ((), "empty"), ((NAN,), "nan")], ids=["no data", "empty", "nan"]
)
@pytest.mark.parametrize(
    ("action", "phase"),
    [
        (None, Phase.MISSING),
        (EvidenceAction.WAIT, Phase.MISSING),
        (EvidenceAction.PAUSE, Phase.INCONCLUSIVE),
        (EvidenceAction.PASS, Phase.SUCCESSFUL),
        (EvidenceAction.FAIL, Phase.FAILED),
    ],
)
def test_with_parity_off_missing_evidence_does_what_the_policy_names_whatever_the_conditions_say(
    result: object, kind: str, action: EvidenceAction | None, phase: Phase
) -> None:
    named = FrozenMap({kind: action} if action else {})
    rules = EvidenceRules(parity=Parity.OFF, on_missing=named)
    for condition_phase in (Phase.SUCCESSFUL, Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE):
        assert weigh(phase=condition_phase, result=result, requests=None, floor=None, rules=rules).phase is phase


def test_with_parity_off_a_dead_provider_waits_too() -> None:
    weighed = weigh(phase=Phase.ERROR, result=None, requests=None, floor=None, rules=OFF, answered=False)
    assert (weighed.outcome, weighed.phase) == (Outcome.ERROR, Phase.MISSING)


def test_in_strict_parity_no_other_annotation_changes_what_argo_does_without_a_floor() -> None:
    rules = EvidenceRules(on_missing=FrozenMap({"nan": EvidenceAction.PAUSE, "empty": EvidenceAction.PASS}))
    for result, phase in ((NAN,), Phase.SUCCESSFUL), ((), Phase.ERROR):
        assert weigh(phase=phase, result=result, requests=None, floor=None, rules=rules).phase is phase


# -- deadlines


def test_the_deadline_is_twice_the_longest_window_and_at_least_ten_minutes_unless_named() -> None:
    assert deadline_s(STRICT, longest_window_s=60.0) == 600.0
    assert deadline_s(STRICT, longest_window_s=1800.0) == 3600.0
    assert deadline_s(STRICT, longest_window_s=None) == 600.0
    assert deadline_s(EvidenceRules(deadline_s=90.0), longest_window_s=1800.0) == 90.0


def test_the_wait_runs_from_the_first_missing_measurement_and_a_sufficient_one_clears_it() -> None:
    since = missing_since(None, Phase.MISSING, 10.0)
    since = missing_since(since, Phase.MISSING, 40.0)
    assert since == 10.0
    assert missing_since(since, Phase.ERROR, 50.0) == 10.0  # says nothing either way
    assert missing_since(since, Phase.FAILED, 50.0) is None
    assert missing_since(missing_since(since, Phase.SUCCESSFUL, 60.0), Phase.MISSING, 70.0) == 70.0


@pytest.mark.parametrize(
    ("action", "phase"),
    [
        (EvidenceAction.PAUSE, Phase.INCONCLUSIVE),
        (EvidenceAction.FAIL, Phase.FAILED),
        (EvidenceAction.PASS, Phase.SUCCESSFUL),
        (EvidenceAction.WAIT, None),
    ],
)
def test_at_the_deadline_the_metric_gets_the_phase_that_the_policy_names(
    action: EvidenceAction, phase: Phase | None
) -> None:
    assert due_phase(None, 1e9, wait_s=600.0, action=action) is None
    assert due_phase(10.0, 609.9, wait_s=600.0, action=action) is None
    assert due_phase(10.0, 610.0, wait_s=600.0, action=action) is phase


# -- laws

COUNTS = st.integers(0, 400).map(float) | st.floats(0, 400)
RATIOS = st.floats(0, 1)


@settings(deadline=None)
@given(value=RATIOS, requests=COUNTS, low=st.integers(0, 300), more=st.integers(0, 300))
def test_a_higher_floor_never_lets_more_through(value: float, requests: float, low: int, more: int) -> None:
    phase = judge("result[0] < 0.05", None, (value,)).phase
    below = weigh(phase=phase, result=(value,), requests=requests, floor=floor(low), rules=STRICT).phase
    above = weigh(phase=phase, result=(value,), requests=requests, floor=floor(low + more), rules=STRICT).phase
    assert above is below or above is Phase.MISSING or (above is phase is Phase.FAILED)
    assert not (below is Phase.MISSING and above is Phase.SUCCESSFUL)


@settings(deadline=None)
@given(requests=st.integers(1, 299), bad=st.integers(0, 299), more=st.integers(0, 50))
def test_more_bad_requests_of_as_many_are_never_less_of_a_proof(requests: int, bad: int, more: int) -> None:
    def proof(count: int) -> bool:
        value = min(count, requests) / requests
        phase = judge("result[0] < 0.05", None, (value,)).phase
        return weigh(phase=phase, result=(value,), requests=requests, floor=floor(), rules=STRICT).conclusive

    assert proof(bad + more) or not proof(bad)


@settings(deadline=None)
@given(value=RATIOS, requests=COUNTS, loose=st.floats(1e-6, 0.5), times=st.floats(0.001, 1))
def test_stricter_odds_never_prove_more(value: float, requests: float, loose: float, times: float) -> None:
    phase = judge("result[0] < 0.05", None, (value,)).phase

    def proof(odds: float) -> bool:
        guard = floor(odds=odds)
        return weigh(phase=phase, result=(value,), requests=requests, floor=guard, rules=STRICT).conclusive

    assert proof(loose) or not proof(loose * times)


@settings(deadline=None)
@given(rows=st.lists(st.tuples(RATIOS | st.just(NAN), COUNTS | st.just(NAN)), min_size=1, max_size=20))
def test_a_flock_is_weighed_as_its_runs_are_one_by_one(rows: list[tuple[float, float]]) -> None:
    values, requests = np.array(rows).T
    phases = [judge("result[0] < 0.05", None, (value,)).phase for value in values.tolist()]
    together = weigh_runs(
        failed=np.array([phase is Phase.FAILED for phase in phases]), values=values, requests=requests, floor=floor()
    )
    for phase, value, count, too_few, conclusive in zip(
        phases, values.tolist(), requests.tolist(), together.too_few, together.conclusive, strict=True
    ):
        alone = weigh(phase=phase, result=(value,), requests=count, floor=floor(), rules=STRICT)
        assert (alone.outcome is Outcome.TOO_FEW, alone.conclusive) == (bool(too_few), bool(conclusive))


@settings(deadline=None)
@given(slow=COUNTS, requests=COUNTS, value=st.floats(0, 2))
def test_a_flock_of_quantiles_is_weighed_as_its_runs_are_one_by_one(slow: float, requests: float, value: float) -> None:
    guard = Floor(requests_min=300, shape=QuantileShape(q=0.9), fails_when=Threshold(index=0, op=">", constant=0.5))
    phase = Phase.FAILED if value > 0.5 else Phase.SUCCESSFUL
    for counted in (None, min(slow, requests)):
        alone = weigh(phase=phase, result=(value,), requests=requests, slow_requests=counted, floor=guard, rules=STRICT)
        together = weigh_runs(
            failed=np.array([phase is Phase.FAILED]),
            values=np.array([value]),
            requests=np.array([requests]),
            floor=guard,
            slow_requests=None if counted is None else np.array([counted]),
        )
        assert alone.conclusive == bool(together.conclusive[0])


@pytest.mark.parametrize("wrong", [-1.0, NAN])
def test_a_floor_is_a_number_of_requests(wrong: float) -> None:
    with pytest.raises(ValueError, match="it needs 0 or more requests"):
        Floor(requests_min=wrong)
    with pytest.raises(ValueError, match="it needs a probability"):
        Floor(requests_min=1, odds=1.5)


@settings(deadline=None, max_examples=25)
@given(rows=st.lists(st.tuples(RATIOS, st.floats(0, 50_000)), min_size=1, max_size=10))
def test_a_flock_behind_a_floor_of_many_thousands_is_weighed_the_same_way(rows: list[tuple[float, float]]) -> None:
    values, requests = np.array(rows).T
    guard = floor(100_000)
    failed = values >= 0.05
    together = weigh_runs(failed=failed, values=values, requests=requests, floor=guard)
    for value, count, fails, conclusive in zip(
        values.tolist(), requests.tolist(), failed, together.conclusive, strict=True
    ):
        phase = Phase.FAILED if fails else Phase.SUCCESSFUL
        alone = weigh(phase=phase, result=(value,), requests=count, floor=guard, rules=STRICT)
        assert alone.conclusive == bool(conclusive)
