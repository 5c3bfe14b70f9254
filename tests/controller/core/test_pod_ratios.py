"""Which whole pods stand for a weight where there is no router."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.look import Look
from controller.core.plan import plan_of
from controller.core.replicas import approximate_counts, basic_counts, counts_within, pods_for, routed_counts
from controller.core.snapshot import ReplicaSetSeen, Snapshot
from controller.core.status import RolloutStatus, Weights
from controller.manifests import values as v


@given(replicas=st.integers(0, 40), weight=st.integers(0, 100), surge=st.integers(0, 3))
def test_without_parity_whole_pods_never_give_the_canary_more_than_its_weight(replicas, weight, surge):
    canary, stable = counts_within(replicas, weight, 100, surge)
    assert canary * 100 <= weight * (canary + stable)
    assert replicas <= canary + stable <= replicas + min(surge, 1)
    # As close as whole pods come: one pod more would be too many.
    assert (canary + 1) * 100 > weight * (canary + stable) or weight == 100


@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "counts"),
    [
        (2, 10, 1, (0, 2)),  # 0.2 of 2 and 0.3 of 3: none
        (5, 40, 1, (2, 3)),  # exactly; 2 of 6 would be less
        (3, 25, 1, (1, 3)),  # 1 of 4 is 25 %, none of 3 is 0 %
        (3, 25, 0, (0, 3)),
        (10, 99, 1, (10, 1)),  # 9 of 10 are 90 %, 10 of 11 are 90.9 %
    ],
)
def test_shares_without_parity_worked_out_by_hand(replicas, weight, surge, counts):
    assert counts_within(replicas, weight, 100, surge) == counts


# ---- as in Argo Rollouts


def shares_that_argo_may_choose(replicas, weight, surge):
    """Yield (distance from the weight, canary, stable) for every pair that Argo's rules leave, its first choice first.

    The canary is the weight's share of the replicas, rounded up or down, of the replicas or, with a surge, of one pod
    more. From 1 to 99 % neither side is left without a pod where two can be had. Where rounding up and down are
    equally far from the weight, down is no choice; if up would leave stable without a pod, no choice is left.
    """
    edge = weight in (0, 100) or (replicas == 1 and not surge)
    share = Fraction(replicas * weight, 100)
    up, down = -(-share.numerator // share.denominator), share.numerator // share.denominator
    for pods in (replicas, replicas + 1) if surge else (replicas,):
        half = Fraction(pods * weight, 100) % 1 == Fraction(1, 2)
        if pods > replicas or up < replicas or edge:
            yield abs(Fraction(up * 100, pods) - weight), up, pods - up
        if not half and (down or edge):
            yield abs(Fraction(down * 100, pods) - weight), down, pods - down


@pytest.mark.parametrize("surge", [0, 1, 3])
@pytest.mark.parametrize("replicas", range(1, 11))
def test_in_parity_the_canary_gets_the_pair_of_pods_nearest_to_its_weight(replicas, surge):
    for weight in range(101):
        choices = list(shares_that_argo_may_choose(replicas, weight, surge))
        _, canary, stable = min(choices, key=lambda choice: choice[0], default=(0, 0, replicas))
        assert approximate_counts(replicas, weight, 100, surge) == (canary, stable), weight


# 1.5 of 2, 4.5 of 5 and 9.5 of 10 pods: without a surge Argo takes such a canary back to no pods at all.
@pytest.mark.parametrize(("replicas", "weight"), [(2, 75), (5, 90), (10, 95)])
def test_a_half_pod_below_all_of_them_leaves_argos_canary_without_any(replicas, weight):
    assert approximate_counts(replicas, weight, 100, 0) == (0, replicas)
    assert counts_within(replicas, weight, 100, 0) == (replicas - 1, 1)  # without parity


# Worked out by hand; the comments give the shares that were to choose from.
@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "counts"),
    [
        (1, 50, 0, (1, 0)),  # one pod alone: the half is rounded up, and stable has none
        (1, 50, 1, (1, 1)),  # 1 of 2 is 50 %
        (1, 5, 1, (1, 1)),  # neither is without a pod
        (3, 50, 0, (2, 1)),  # 33 % and 66 % are equally far: up
        (3, 50, 1, (2, 2)),
        (10, 5, 0, (1, 9)),  # 0.5 of 10 is rounded up to 1
        (10, 96, 0, (9, 1)),  # 9.6 would be 10 and leave stable none; 9 is what is left
        (4, 30, 1, (1, 3)),  # 25 % is nearer than 1 of 5 = 20 %, 2 of 4 = 50 % and 2 of 5 = 40 %
        (4, 36, 1, (2, 3)),  # 2 of 5 = 40 % is nearer than 25 %
        (8, 100, 1, (8, 0)),
        (8, 0, 1, (0, 8)),
        (0, 50, 1, (0, 0)),
    ],
)
def test_shares_in_parity_worked_out_by_hand(replicas, weight, surge, counts):
    assert approximate_counts(replicas, weight, 100, surge) == counts


def revision(pod_hash, wanted, available=None):
    there = wanted if available is None else available
    return ReplicaSetSeen(
        pod_hash=pod_hash, revision=1, created_s=0.0, wanted=wanted, created=wanted, ready=there, available=there
    )


def look_at(rollout, *sets, **status):
    stored = RolloutStatus(**{"stable_hash": "s", "current_hash": "n", "step_index": 0, **status})
    snapshot = Snapshot(rollout=rollout, template_hash="n", generation=1, status=stored, replica_sets=sets)
    return Look(snapshot, 0.0)


def amount(text):
    return v.Amount(number=int(text.rstrip("%")), percent=text.endswith("%"))


def basic(replicas, weight, surge, unavailable, *sets):
    canary = v.CanaryStrategy(
        max_surge=amount(surge), max_unavailable=amount(unavailable), steps=(v.Step(set_weight=weight),)
    )
    return basic_counts(look_at(v.Rollout(name="r", replicas=replicas, strategy=canary), *sets))


# canary and stable as they stand: (wanted, available). "25%" of 10 is a surge of 3 and 2 unavailable.
@pytest.mark.parametrize(
    ("replicas", "weight", "surge", "unavailable", "new", "stable", "then"),
    [
        (10, 30, "3", "0", (0, 0), (10, 10), (3, 10)),  # all of the surge; no pod of stable can be spared
        (10, 30, "0", "5", (0, 0), (10, 10), (0, 7)),  # room comes from stable first
        (10, 30, "0", "1", (0, 0), (10, 10), (0, 9)),  # one at a time
        (10, 10, "1", "1", (0, 0), (10, 10), (1, 9)),  # both in one step
        (10, 30, "25%", "25%", (3, 3), (10, 10), (3, 7)),  # 13 available, 8 are enough: stable loses its 3
        (10, 30, "25%", "25%", (3, 0), (10, 10), (3, 8)),  # 10 available, 8 are enough: 2 may go
        (10, 0, "25%", "25%", (3, 3), (7, 7), (1, 10)),  # back: stable first, and 2 of the canary may go
        (1, 50, "25%", "0", (0, 0), (1, 1), (1, 1)),  # a surge of 0.25 pods is one
    ],
)
def test_pods_move_in_steps_within_surge_and_availability(replicas, weight, surge, unavailable, new, stable, then):
    assert basic(replicas, weight, surge, unavailable, revision("n", *new), revision("s", *stable)) == then


def test_older_pods_go_before_stable_or_the_canary_lose_any():
    # 12 pods with 2 old ones: the surge is used up, and nothing of the two is taken away either.
    sets = (revision("n", 3), revision("s", 7), revision("o", 2))
    assert basic(10, 30, "2", "0", *sets) == (3, 7)


# surge is rounded up and unavailable down; where both come to nothing, one pod may be unavailable.
@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "fenceposts"),
    [
        (5, "25%", "25%", (2, 1)),
        (1, "25%", "25%", (1, 0)),
        (4, "0", "10%", (0, 1)),  # 0.4 pods are none
        (3, "0", "9", (0, 3)),  # no more than there are
        (0, "1", "1", (1, 0)),
    ],
)
def test_the_fenceposts_worked_out_by_hand(replicas, surge, unavailable, fenceposts):
    canary = v.CanaryStrategy(max_surge=amount(surge), max_unavailable=amount(unavailable))
    plan = plan_of(v.Rollout(name="r", replicas=replicas, strategy=canary))
    assert (plan.surge, plan.unavailable) == fenceposts


# ---- with a router

NGINX = v.TrafficRouting(nginx=v.NginxRouting(stable_ingresses=("web",)))


def routed(replicas, *steps, weights=None, abort=False, new=None, stable=None, index=0, **canary):
    routing = canary.pop("traffic_routing", NGINX)
    strategy = v.CanaryStrategy(steps=steps, traffic_routing=routing, **canary)
    rollout = v.Rollout(name="r", replicas=replicas, strategy=strategy)
    sets = (new or revision("n", 0), stable or revision("s", replicas))
    sent = (
        weights if weights is None else Weights(canary=weights, canary_hash="n", stable=100 - weights, stable_hash="s")
    )
    return routed_counts(look_at(rollout, *sets, abort=abort, step_index=index), sent)


def weigh(percent):
    return v.Step(set_weight=percent)


@pytest.mark.parametrize("replicas", range(1, 11))
def test_a_routed_canary_has_the_pods_of_its_weight_rounded_up_beside_a_whole_stable(replicas):
    for weight in range(101):
        canary = next(pods for pods in range(replicas + 1) if pods * 100 >= weight * replicas)
        assert routed(replicas, weigh(weight)) == (canary, replicas)
        assert pods_for(replicas, weight, 100) == canary


def test_weights_may_be_parts_of_another_whole():
    assert pods_for(8, 125, 1000) == 1
    assert pods_for(8, 126, 1000) == 2
    thousand = v.TrafficRouting(nginx=v.NginxRouting(stable_ingresses=("web",)), max_traffic_weight=1000)
    assert routed(8, weigh(126), traffic_routing=thousand) == (2, 8)


# Of 10 pods: 5 % is one, at least 3 are wanted, never more than there are replicas, and none stays none.
@pytest.mark.parametrize(
    ("replicas", "weight", "least", "counts"),
    [(10, 5, 3, (3, 10)), (10, 40, 3, (4, 10)), (2, 5, 3, (2, 2)), (10, 0, 3, (0, 10)), (10, 5, None, (1, 10))],
)
def test_a_least_number_of_pods_holds_for_a_set_that_has_any(replicas, weight, least, counts):
    assert routed(replicas, weigh(weight), min_pods_per_replica_set=least) == counts


@pytest.mark.parametrize(
    ("scale", "counts"),
    [
        ({"replicas": 3}, (3, 10)),
        ({"replicas": 12}, (12, 10)),  # more than the rollout has are accepted
        ({"replicas": 0}, (0, 10)),
        ({"weight_percent": 25}, (3, 10)),
        ({"weight_percent": 0}, (0, 10)),
        ({"match_traffic_weight": True}, (5, 10)),
        ({}, (5, 10)),  # an empty one says nothing
    ],
)
def test_set_canary_scale_parts_pods_from_weight(scale, counts):
    assert routed(10, weigh(50), v.Step(set_canary_scale=v.SetCanaryScale(**scale)), index=1) == counts


def test_a_fixed_number_of_pods_is_not_raised_to_the_least_one_unless_stable_shrinks():
    step = v.Step(set_canary_scale=v.SetCanaryScale(replicas=1))
    assert routed(10, step, min_pods_per_replica_set=3) == (1, 10)
    # With a stable that shrinks Argo counts the canary's weight as 0 beside a fixed number.
    assert routed(10, step, min_pods_per_replica_set=3, dynamic_stable_scale=True) == (3, 10)


# dynamicStableScale at weight 80: stable needs 2 of 10, and as many as the traffic that it still gets.
@pytest.mark.parametrize(("sent", "counts"), [(None, (8, 2)), (80, (8, 2)), (40, (8, 6)), (0, (8, 10)), (100, (8, 2))])
def test_a_shrinking_stable_keeps_the_pods_of_the_traffic_that_it_still_gets(sent, counts):
    assert routed(10, weigh(80), weights=sent, dynamic_stable_scale=True) == counts


def test_an_abort_with_a_shrunken_stable_goes_back_by_the_steps():
    # Weights 20, 50, 80; at 80 stable has 2 of 10 available and the canary 8. The next lower step that needs fewer
    # than the 8 pods that stable lacks is 50: stable grows to 5, and the canary keeps the 8 of its traffic.
    steps = (weigh(20), weigh(50), weigh(80))
    back = {"abort": True, "index": 2, "weights": 80, "dynamic_stable_scale": True}
    assert routed(10, *steps, new=revision("n", 8), stable=revision("s", 2), **back) == (8, 5)
    # With 9 of stable available only one pod is lacking; no step needs fewer than that but none at all.
    assert routed(10, *steps, new=revision("n", 1), stable=revision("s", 9), **{**back, "weights": 10}) == (1, 10)
