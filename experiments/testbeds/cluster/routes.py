"""What the API's objects say of a namespace's traffic: which Service gets which share, and where its pods are.

Pure, and read as the original routers read it: ingress-nginx's canary annotations over an Ingress, or the weights of an
HTTPRoute's backends. One route for each namespace, as one rehearsal needs; more than one is told, not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.kubernetes import labels
from experiments.testbeds.cluster.pod_addresses import AddressError, place_of
from experiments.testbeds.local.places import Place

Json = dict[str, Any]

NGINX = "nginx.ingress.kubernetes.io"
SERVICE_NAME = "kubernetes.io/service-name"


class RouteError(ValueError):
    """The objects do not make one route; the message names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A Service that gets `weight` parts of the requests; its port by number or by name."""

    service: str
    port: int | str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the users' requests are split: stable's backend first, then the canary's where there is one."""

    name: str  # the object: "Ingress short"
    backends: tuple[Backend, ...]

    @property
    def total(self) -> int:
        """The sum of the weights."""
        return sum(backend.weight for backend in self.backends)

    def weight_of(self, service: str) -> int:
        """Return a Service's parts of the total; 0 for one that gets none."""
        return sum(backend.weight for backend in self.backends if backend.service == service)


def find_route(ingresses: Iterable[Json], http_routes: Iterable[Json]) -> Route | None:
    """Return the route of a namespace; None where there is none yet.

    Raises:
        RouteError: there are several, or one that is not followed here.
    """
    ingresses = [item for item in ingresses if "deletionTimestamp" not in item["metadata"]]
    canaries = [item for item in ingresses if _annotation(item, "canary") == "true"]
    stables = [item for item in ingresses if item not in canaries]
    found = [_ingress_route(item, canaries) for item in stables]
    found += [_http_route(item) for item in http_routes if "deletionTimestamp" not in item["metadata"]]
    if len(found) > 1:
        raise RouteError(f"{' and '.join(route.name for route in found)}: a namespace has one route here")
    return found[0] if found else None


def endpoints_of(backend: Backend, service: Json, slices: Iterable[Json]) -> tuple[Place, ...]:
    """Return where the ready pods of a backend are, by its EndpointSlices.

    Raises:
        RouteError: a pod has an address that no process of this machine has.
    """
    name = _port_name(backend, service)
    found = []
    for item in slices:
        ports = {str(each.get("name") or ""): each.get("port") for each in item.get("ports") or ()}
        port = ports.get(name)
        if (item["metadata"].get("labels") or {}).get(SERVICE_NAME) != backend.service or port is None:
            continue
        for endpoint in item.get("endpoints") or ():
            conditions: Mapping[str, Any] = endpoint.get("conditions") or {}
            if conditions.get("ready", True):
                found += [_place(address, int(port)) for address in endpoint["addresses"]]
    return tuple(sorted(set(found)))


def selected_hash(service: Json | None) -> str:
    """Return the pod-template hash that a Service selects; "" where it selects none."""
    return str((((service or {}).get("spec") or {}).get("selector") or {}).get(labels.POD_HASH, ""))


def _ingress_route(stable: Json, canaries: Sequence[Json]) -> Route:
    name = f"Ingress {stable['metadata']['name']}"
    places = _paths(stable)
    services = {backend["name"] for backend in places.values()}
    if len(services) != 1:
        raise RouteError(f"{name} sends to {len(services)} Services; here it needs one")
    place, backend = next(iter(places.items()))
    mine = [item for item in canaries if place in _paths(item)]
    if len(mine) > 1:
        names = " and ".join(item["metadata"]["name"] for item in mine)
        raise RouteError(f"{name} has several canary Ingresses, {names}; ingress-nginx takes one")
    if not mine:
        return Route(name=name, backends=(Backend(service=backend["name"], port=_port(backend), weight=100),))
    total, weight = (_number(mine[0], key, rest) for key, rest in _WEIGHTS)
    canary = _paths(mine[0])[place]
    return Route(
        name=name,
        backends=(
            Backend(service=backend["name"], port=_port(backend), weight=max(0, total - weight)),
            Backend(service=canary["name"], port=_port(canary), weight=min(weight, total)),
        ),
    )


_WEIGHTS = (("canary-weight-total", 100), ("canary-weight", 0))


def _paths(ingress: Json) -> dict[tuple[str, str], Json]:
    """Return the Service of each (host, path)."""
    return {
        (str(rule.get("host", "")), str(path.get("path", "/"))): path["backend"]["service"]
        for rule in ingress["spec"].get("rules") or ()
        for path in (rule.get("http") or {}).get("paths") or ()
        if "service" in path["backend"]
    }


def _port(service: Json) -> int | str:
    port = service.get("port") or {}
    found: int | str = port.get("number") or port.get("name") or 80
    return found


def _http_route(item: Json) -> Route:
    name = f"HTTPRoute {item['metadata']['name']}"
    rules = [rule for rule in item["spec"].get("rules") or () if rule.get("backendRefs")]
    if len(rules) != 1:
        raise RouteError(f"{name} has {len(rules)} rules with backendRefs; here it needs one")
    backends = tuple(
        Backend(service=ref["name"], port=int(ref.get("port") or 80), weight=int(ref.get("weight", 1)))
        for ref in rules[0]["backendRefs"]
    )
    if len(backends) > 2:
        raise RouteError(f"{name} has {len(backends)} backendRefs; here it needs one or two")
    return Route(name=name, backends=backends)


def _port_name(backend: Backend, service: Json) -> str:
    """Return the name of the Service's port that a backend means; ports of one that has a single port have none."""
    for port in service["spec"].get("ports") or ():
        if backend.port in (port.get("port"), port.get("name")):
            return str(port.get("name") or "")
    return str(backend.port)


def _place(address: str, port: int) -> Place:
    try:
        return place_of(address, port)
    except AddressError as error:
        raise RouteError(str(error)) from error


def _number(item: Json, name: str, otherwise: int) -> int:
    text = _annotation(item, name)
    if text and not text.isdecimal():
        raise RouteError(f"Ingress {item['metadata']['name']} has {name} {text!r}; it needs a whole number")
    return int(text or otherwise)


def _annotation(item: Json, name: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(f"{NGINX}/{name}", ""))
