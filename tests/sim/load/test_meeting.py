"""When users first meet the release: instants by hand, and the exponential wait that they follow from."""

from __future__ import annotations

import numpy as np
import pytest

from loadgen.traffic import Traffic
from sim.load.demand import Demand
from sim.load.meeting import met_s
from sim.platform.pods import NEVER, Stretch


def stretch(from_s: float, until_s: float, share: float) -> Stretch:
    return Stretch(from_s=from_s, until_s=until_s, shares=(), release_share=share)


def test_the_instant_at_which_so_many_requests_have_been_sent_to_the_release() -> None:
    """At 10/s: 1/s from 100 to 102 s, nothing until 110 s, then 5/s. So 0.5 at 100.5, 3 = 2 + 1 at 110.2."""
    demand = Demand(Traffic(rps=10.0))
    path = [stretch(0, 100, 0.0), stretch(100, 102, 0.1), stretch(102, 110, 0.0), stretch(110, 120, 0.5)]
    found = met_s(demand, path, np.array([0.5, 3.0, 52.0, 52.1]))
    assert found[:3] == pytest.approx([100.5, 110.2, 120.0])
    assert found[3] == NEVER


def test_a_release_that_no_user_is_sent_to_is_never_met() -> None:
    assert met_s(Demand(Traffic(rps=10.0)), [stretch(0, 100, 0.0)], np.array([0.1]))[0] == NEVER


def test_without_traffic_nobody_meets_it() -> None:
    assert met_s(Demand(Traffic(rps=0.0)), [stretch(0, 100, 0.5)], np.array([0.1]))[0] == NEVER
