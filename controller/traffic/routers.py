"""What a router is asked to do, whatever kind it is.

A weight counts as acknowledged once the router's object holds it: whether the data plane follows is verified with
requests, where that is asked for. Every call may be repeated, and writes nothing where nothing is to be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from controller.core.actions import SetWeight
from controller.manifests.values import Rollout, SetHeaderRoute, SetMirrorRoute

Json = dict[str, Any]
T = TypeVar("T")


class RouterError(Exception):
    """The router's object is missing or is not as the rollout needs it; the message names it."""


class Objects(Protocol):
    """The objects of one namespace, as far as routers need them. Reads come from a copy that is kept up to date."""

    def get(self, kind: str, name: str) -> Json | None: ...
    def create(self, kind: str, body: Json) -> Json: ...
    def patch(self, kind: str, name: str, body: Json) -> Json: ...
    def replace(self, kind: str, body: Json) -> Json: ...
    def delete(self, kind: str, name: str) -> None: ...


class Router(Protocol):
    """One way to split traffic."""

    def set_weight(self, weight: SetWeight) -> None:
        """Let the canary get its share.

        Raises:
            RouterError: an object that the rollout names is not there, or has no place for the weight.
        """
        ...

    def weight(self) -> int | None:
        """Return the canary's weight that the router's object holds; None where it cannot be told."""
        ...

    def set_route(self, route: SetHeaderRoute | SetMirrorRoute) -> None:
        """Let a step's route hold beside the split."""
        ...

    def remove_routes(self) -> None:
        """Remove every route that steps have set."""
        ...


def with_each(things: Iterable[T], act: Callable[[T], None]) -> None:
    """Do something with each of them, also after one that stands in the way: an abort must reach the others.

    Raises:
        RouterError: what stood in the way, of all of them.
    """
    faults = []
    for each in things:
        try:
            act(each)
        except RouterError as error:
            faults.append(str(error))
    if faults:
        raise RouterError("; ".join(faults))


def whole_split(stable: int, canary: int, rollout: Rollout) -> int | None:
    """Return the canary's weight, if stable has the rest of the rollout's whole; else it is no split of ours."""
    return canary if stable == rollout.total_weight - canary else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Several routers of one rollout, as Argo Rollouts allows; each gets every weight, in the order of the fields."""

    routers: tuple[Router, ...]

    def set_weight(self, weight: SetWeight) -> None:
        """Let each router carry the weight."""
        with_each(self.routers, lambda router: router.set_weight(weight))

    def weight(self) -> int | None:
        """Return the weight that all of them carry; None where one cannot tell or they differ."""
        found = {router.weight() for router in self.routers}
        return found.pop() if len(found) == 1 else None

    def set_route(self, route: SetHeaderRoute | SetMirrorRoute) -> None:
        """Let each router have the route."""
        for router in self.routers:
            router.set_route(route)

    def remove_routes(self) -> None:
        """Remove the steps' routes from each router."""
        with_each(self.routers, lambda router: router.remove_routes())
