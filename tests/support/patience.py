"""Wait for something to be seen in the real world, with a deadline, for tests of the real thing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WITHIN_S = 60.0


def eventually(seen: Callable[[], Any], what: str, *, within_s: float = WITHIN_S) -> None:
    """Return once `seen` says something true; fail the test where it does not in time."""
    deadline_s = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
