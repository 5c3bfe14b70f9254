"""The pod as the load model sees it: whose it is and when it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Pod(Protocol):
    """One life of one pod. `sim.platform` makes them; a restart is a new life."""

    @property
    def name(self) -> str: ...

    @property
    def pod_hash(self) -> str: ...

    @property
    def is_release(self) -> bool: ...

    @property
    def ordinal(self) -> int: ...

    @property
    def created_s(self) -> float: ...

    @property
    def ready_s(self) -> float: ...

    @property
    def ended_s(self) -> float: ...


class Stretch(Protocol):
    """A span of time in which every pod's share of all traffic is constant."""

    @property
    def from_s(self) -> float: ...

    @property
    def until_s(self) -> float: ...

    @property
    def shares(self) -> Sequence[tuple[int, float]]: ...

    @property
    def unserved(self) -> float: ...
