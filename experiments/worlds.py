"""What a rehearsal needs of the world it is played in: a local one, a cluster, or another that keeps these words.

Whoever builds a world answers to `World`; what only some can do is a protocol of its own, so that a game day that asks
for it elsewhere is told so. Nothing here knows a kind of world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from controller.core.operator import Word
from experiments.events import Event
from experiments.leases import Effect
from experiments.method import Fault
from loadgen.openloop import Origin
from sim.releases import Release


class RehearsalError(RuntimeError):
    """The world failed: something did not start, died, or did not answer."""


class RehearsalClock(Protocol):
    """Policy time, and where it stands on the machine's monotonic clock."""

    @property
    def origin(self) -> Origin: ...
    def now_s(self) -> float: ...
    def wall_s(self, policy_s: float) -> float: ...


class World(Protocol):
    """A place in which a rollout can run. Every call blocks until it holds and may be repeated."""

    @property
    def clock(self) -> RehearsalClock: ...
    @property
    def target_url(self) -> str: ...
    @property
    def metrics_server(self) -> str: ...
    def subscribe(self, subscriber: Callable[[Event], None]) -> None: ...
    def start(self) -> str:
        """Bring the stable revision up and return its pod-template hash."""
        ...

    def deploy(self, release: Release) -> str:
        """Hand the release to the controller and return its pod-template hash."""
        ...

    def check(self) -> None:
        """Raise RehearsalError when a part of the world has died."""
        ...

    def cut_metrics(self, *, cut: bool) -> None: ...
    def set_proxy_fault(self, side: str, fault: Mapping[str, Any] | None) -> None: ...
    def set_flag(self, flag: str, *, on: bool | None) -> None: ...
    def stop(self) -> None: ...


@runtime_checkable
class Breakable(Protocol):
    """A world in which the machinery itself can be harmed, and not only the way to it."""

    def effect_of(self, fault: Fault) -> Effect: ...


@runtime_checkable
class Operable(Protocol):
    """A world that carries an operator's words to the rollout."""

    def say(self, word: Word) -> None: ...
