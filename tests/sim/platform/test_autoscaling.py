"""The autoscaler's arithmetic against tables that were worked out by hand from Kubernetes' rules."""

from __future__ import annotations

import pytest

from sim.platform.autoscaling import PodUse, ScalerState, Standing, recommended, synced
from sim.scenarios import Autoscaler

RULES = Autoscaler(min_replicas=2, max_replicas=30, target_utilisation=0.8)


def pods(*cpus: float, unready: int = 0, missing: int = 0) -> list[PodUse]:
    found = [PodUse(Standing.COUNTED, cpu) for cpu in cpus]
    return found + [PodUse(Standing.UNREADY)] * unready + [PodUse(Standing.MISSING)] * missing


# Every pod requests one core; the target is 80 %.
TABLE = [
    # 4 x 80 %: exactly on target
    ("on target", pods(0.8, 0.8, 0.8, 0.8), 4),
    # 120 / 80 = 1.5; 1.5 x 4 = 6
    ("too much", pods(1.2, 1.2, 1.2, 1.2), 6),
    # 88 / 80 = 1.1, within the tolerance of 0.1; 89 / 80 = 1.1125, x 4 = 4.45, rounded up
    ("within the tolerance", pods(0.88, 0.88, 0.88, 0.88), 4),
    ("beyond the tolerance", pods(0.89, 0.89, 0.89, 0.89), 5),
    # utilisation is whole percent: 88.9 counts as 88
    ("whole percents", pods(0.889, 0.889, 0.889, 0.889), 4),
    # 40 / 80 = 0.5; 0.5 x 4 = 2
    ("too little", pods(0.4, 0.4, 0.4, 0.4), 2),
    # 120 % on three, and one that is not ready counts as idle: 3.6 / 4 = 90 %, 1.125 x 4 = 4.5
    ("up with one not ready", pods(1.2, 1.2, 1.2, unready=1), 5),
    # 100 % on two asks for more; with the idle one it is 66 %, which asks for less: nothing
    ("up turned by one not ready", pods(1.0, 1.0, unready=1), 3),
    # scaling down, the one that is not ready is left out: 0.5 x 3 = 1.5
    ("down with one not ready", pods(0.4, 0.4, 0.4, unready=1), 2),
    # scaling down, the one without metrics counts as using its request: (1.2 + 1) / 4 = 55 %, 0.6875 x 4 = 2.75
    ("down with one missing", pods(0.4, 0.4, 0.4, missing=1), 3),
    # scaling up, those without metrics count as idle: 3.2 / 4 = 80 %, on target
    ("up with two missing", pods(1.6, 1.6, missing=2), 4),
    # 2.4 / 3 = 80 % of nothing new: one missing, one not ready: (1.6 + 1.6) / 4 = 80 %
    ("up with one of each", pods(1.6, 1.6, unready=1, missing=1), 4),
]


@pytest.mark.parametrize(("found", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_recommendation_is_the_one_worked_out_by_hand(found, expected):
    assert recommended(RULES, 1.0, len(found), found) == expected


def test_without_any_metric_there_is_no_recommendation():
    assert recommended(RULES, 1.0, 4, pods(unready=2, missing=2)) is None


def test_a_missing_pod_counts_as_the_target_where_that_is_above_the_request():
    # Target 150 %: scaling down, the missing one counts 1.5 cores: (3 x 0.75 + 1.5) / 4 = 93 %, 93/150 x 4 = 2.48.
    rules = Autoscaler(target_utilisation=1.5)
    assert recommended(rules, 1.0, 4, pods(0.75, 0.75, 0.75, missing=1)) == 3


def sizes(rules: Autoscaler, current: int, *steps: tuple[float, int | None]) -> list[int]:
    state, found = ScalerState(recommendations=((0.0, current),)), []
    for now_s, recommendation in steps:
        current, state = synced(rules, state, current, recommendation, now_s)
        found.append(current)
    return found


def test_upwards_the_larger_of_four_pods_and_doubling_each_period():
    # 3 -> max(3 + 4, 6) = 7; 10 s later the period of 15 s is still the same one; at 15 s it is over:
    # 7 -> max(11, 14) = 14; 14 -> 28; then the maximum, 30.
    steps = [(0.0, 90), (10.0, 90), (15.0, 90), (30.0, 90), (45.0, 90), (60.0, 90)]
    assert sizes(RULES, 3, *steps) == [7, 7, 14, 28, 30, 30]


def test_downwards_the_highest_recommendation_of_five_minutes_counts():
    # 10 pods are wanted until 60 s; the 10 recommended then is forgotten 300 s later, not before.
    steps = [(60.0, 10), (75.0, 4), (345.0, 4), (359.0, 5), (360.0, 4), (375.0, 3)]
    assert sizes(RULES, 10, *steps) == [10, 10, 10, 10, 5, 5]


def test_downwards_not_more_percent_than_the_policy_allows_in_a_period():
    rules = Autoscaler(min_replicas=1, max_replicas=30, scale_down_window_s=0.0, scale_down_percent=50)
    # 10 -> 5; 5 s later the period began with 10, so 5 is the least; then 5 -> 2 (2.5 cut), 2 -> 1.
    assert sizes(rules, 10, (0.0, 1), (5.0, 1), (15.0, 1), (30.0, 1)) == [5, 5, 2, 1]


def test_upwards_the_lowest_recommendation_of_the_window_counts():
    rules = Autoscaler(max_replicas=30, scale_up_window_s=60.0)
    # At 60 s the 3 that stood at 0 s are forgotten and the lowest is 5; at 75 s the lowest since 15 s is 6.
    assert sizes(rules, 3, (15.0, 5), (30.0, 6), (59.0, 8), (60.0, 8), (75.0, 8)) == [3, 3, 3, 5, 6]


def test_without_metrics_the_size_stays_and_nothing_is_remembered():
    assert sizes(RULES, 6, (15.0, None), (30.0, None), (45.0, 12)) == [6, 6, 12]


def test_a_size_out_of_bounds_is_brought_within_them_first():
    assert sizes(RULES, 50, (15.0, 50)) == [30]
    assert sizes(RULES, 1, (15.0, None)) == [2]
