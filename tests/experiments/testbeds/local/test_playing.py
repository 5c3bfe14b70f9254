"""Which releases the demo service plays, and how it refuses the others."""

from __future__ import annotations

import pytest

from experiments.testbeds.local.demo.playing import UnplayableError, check_playable
from sim.releases import Latency, Leak, Release


@pytest.mark.parametrize(
    "release",
    [
        Release(),
        Release(errors=0.05, every_nth=10, error_status=503, segments={"region": ("ap",)}),
        Release(latency=Latency(factor=3), warm_up_s=60, warm_up_factor=4),
        Release(crash_share=0.001, unready_after_s=60),
        Release(error_status=404),  # of nothing that fails
    ],
)
def test_what_a_request_can_show_is_played(release: Release) -> None:
    check_playable(release)


@pytest.mark.parametrize(
    ("release", "field"),
    [
        (Release(wrong=0.1), "wrong"),
        (Release(errors=0.1, error_status=404), "error_status"),
        (Release(leak=Leak(memory_bytes_per_minute=1e6)), "leak.memory_bytes_per_minute"),
        (Release(memory_limit_bytes=1e9), "memory_limit_bytes"),
        (Release(cpu_factor=2), "cpu_factor"),
    ],
)
def test_what_a_rehearsal_could_not_show_is_refused_by_name(release: Release, field: str) -> None:
    with pytest.raises(UnplayableError, match=f"{field}: .* A simulation can"):
        check_playable(release)


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(UnplayableError, match=r"wrong: .*; cpu_factor: "):
        check_playable(Release(wrong=0.1, cpu_factor=2))
