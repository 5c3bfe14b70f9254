"""Which whole pods stand for a weight where there is no router."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.replicas import counts_within


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
