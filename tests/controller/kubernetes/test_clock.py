"""The controller's clock while somebody steps the machine's."""

from __future__ import annotations

import time

import pytest

from controller.kubernetes.clock import Clock


@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_is_stepped_ends_no_pause_early_and_makes_none_last(
    monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    clock = Clock()
    before_s, wall = clock.now_s(), time.time
    monkeypatch.setattr(time, "time", lambda: wall() + step_s)
    assert 0.0 <= clock.now_s() - before_s < 5.0
