"""The controller's clock: unix seconds to the millisecond, that never jump while the process lives.

Set once from the wall clock and carried on by the monotonic one, so that a clock that is stepped under a running
controller ends no pause early and makes none last for hours.
"""

from __future__ import annotations

import time

from controller.kubernetes.wire.stamps import to_millis


class Clock:
    """Unix seconds, as stamps keep them."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now_s(self) -> float:
        """Return the time."""
        return to_millis(time.monotonic() + self._offset_s)
