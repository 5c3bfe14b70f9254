"""Sleep until an instant, to a tenth of a millisecond, without spinning.

gevent's own sleep rounds up to the millisecond of epoll, which would be most of the lag of an idle generator.
On Linux a timer that is a file descriptor has no such grain; elsewhere gevent's sleep must do.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

import gevent
from gevent.hub import get_hub

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1
_READABLE = 1


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


class Alarm:
    """Wakes one greenlet at an instant of the monotonic clock."""

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd >= 0:
            self._spec = _Itimerspec()
            self._watcher = get_hub().loop.io(self._fd, _READABLE)

    def sleep_until(self, monotonic_s: float) -> None:
        """Let others run until `time.monotonic()` reads `monotonic_s`; an instant in the past returns at once."""
        wait_s = monotonic_s - time.monotonic()
        if wait_s <= 0:
            return
        if self._fd < 0:
            gevent.sleep(wait_s)
            return
        seconds = int(monotonic_s)
        self._spec.value.seconds = seconds
        self._spec.value.nanoseconds = int((monotonic_s - seconds) * 1e9)
        # Setting a timer also clears that it went off, so nothing needs to be read from it.
        if self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        get_hub().wait(self._watcher)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1
