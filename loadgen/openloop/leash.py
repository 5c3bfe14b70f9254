"""A generator process on its leash: it obeys whoever started it, and ends when there is nobody left to obey.

Only processes that live in gevent's world use this.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import gevent
import gevent.os

Stop = Callable[[str], None]


def watch_parent(parent_pid: int, stop: Stop) -> None:
    """Return, and stop the run, when `parent_pid` is no longer the parent."""
    # Not the kernel's parent-death signal: it also comes when only the thread ended that started this process.
    while os.getppid() == parent_pid:
        gevent.sleep(0.2)
    stop("whoever started it is gone")


def read_commands(obey: Callable[[str], None], stop: Stop) -> None:
    """Pass each line of standard input on; stop the run when there can be no more."""
    gevent.os.make_nonblocking(0)
    waiting = b""
    while data := gevent.os.nb_read(0, 65_536):
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            obey(line.decode("utf-8", "replace"))
    stop("whoever started it hung up")
