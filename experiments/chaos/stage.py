"""Which rehearsal Chaos Toolkit's functions act on: the one of this process.

Chaos Toolkit calls plain functions with the arguments of the file, so they have to find the world somewhere. Only
`control` and the runner put a rehearsal here; actions and probes only look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.rehearsal import Rehearsal

_current: list[Rehearsal] = []


class NoRehearsalError(RuntimeError):
    """An action or probe was called outside a game day."""


def current() -> Rehearsal:
    """Return the rehearsal that is on.

    Raises:
        NoRehearsalError: there is none; the experiment lacks our control.
    """
    if not _current:
        raise NoRehearsalError(
            "no rehearsal is on: the experiment needs a control with module experiments.chaos.control"
        )
    return _current[-1]


def is_on() -> bool:
    """Whether a rehearsal is on."""
    return bool(_current)


def enter(rehearsal: Rehearsal) -> None:
    """Make this the rehearsal that actions and probes act on."""
    if _current:
        raise RuntimeError("a process rehearses one game day at a time")
    _current.append(rehearsal)


def leave() -> None:
    """Let no rehearsal be on. Safe to repeat."""
    _current.clear()
