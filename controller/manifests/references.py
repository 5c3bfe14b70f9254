"""What a rollout refers to beside templates: Services, Ingresses, HTTPRoutes, its autoscaler.

Only what is among the files can be checked. A named object of a kind of which there is nothing is
a warning, since a team keeps its Services elsewhere often enough; a name that is missing while
others of its kind are there is a mistake in one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from controller.manifests.objects import Loaded
from controller.manifests.problems import nearest
from controller.manifests.reading.reader import Place, Report
from controller.manifests.values import (
    POD_HASH_LABEL,
    CanaryStrategy,
    HorizontalPodAutoscaler,
    HttpRoute,
    Ingress,
    Rollout,
    Service,
)

T = TypeVar("T", Service, Ingress, HttpRoute)
_CANARY = ("spec", "strategy", "canary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What was found of a rollout's surroundings."""

    services: tuple[Service, ...]
    ingresses: tuple[Ingress, ...]
    http_routes: tuple[HttpRoute, ...]
    autoscaler: HorizontalPodAutoscaler | None


def check_platform(loaded: Loaded, rollout: Rollout, here: Sequence[Loaded], report: Report) -> Platform:
    """Return the objects that a rollout names, after checking that they fit it.

    Args:
        here: what was loaded and is in the rollout's namespace.
    """
    canary = loaded.place.below(*_CANARY)
    return Platform(
        services=_services(rollout, canary, here, report),
        ingresses=_ingresses(rollout.strategy, canary, here, report),
        http_routes=_http_routes(rollout.strategy, canary, here, report),
        autoscaler=_autoscaler(rollout, here, report),
    )


def _find(kind: type[T], name: str, place: Place, here: Sequence[Loaded], report: Report) -> T | None:
    candidates = {item.name: item.value for item in here if isinstance(item.value, kind)}
    found = candidates.get(name)
    if isinstance(found, kind):
        return found
    what = kind.__name__.replace("Http", "HTTP")
    if not candidates:
        report.notices.append(place.notice(f"the {what} {name} is not among the files, so it was not checked"))
        return None
    meant = nearest(name, list(candidates))
    listed = ", ".join(sorted(candidates))
    hint = f"; was {meant} meant?" if meant else ""
    article = "an" if what[0] in "AEIOH" else "a"
    need = f"{article} {what} of that name (there are: {listed}){hint}"
    report.problems.append(place.problem(f"{name!r}, {article} {what} that is not there", need))
    return None


def _services(rollout: Rollout, canary: Place, here: Sequence[Loaded], report: Report) -> tuple[Service, ...]:
    strategy = rollout.strategy
    named = [
        (strategy.stable_service, canary.below("stableService")),
        (strategy.canary_service, canary.below("canaryService")),
    ]
    if strategy.ping_pong is not None:
        named.append((strategy.ping_pong.ping_service, canary.below("pingPong", "pingService")))
        named.append((strategy.ping_pong.pong_service, canary.below("pingPong", "pongService")))
    found = []
    for name, place in named:
        service = _find(Service, name, place, here, report) if name else None
        if service is not None:
            _check_selector(service, rollout, place, report)
            found.append(service)
    return tuple(found)


def _check_selector(service: Service, rollout: Rollout, place: Place, report: Report) -> None:
    """Check that a Service selects the rollout's pods; the controller adds the revision's label itself."""
    if rollout.template is None:
        return
    for key, value in service.selector.items():
        if key != POD_HASH_LABEL and rollout.template.labels.get(key) != value:
            has = rollout.template.labels.get(key)
            pods = f"have {key}={has}" if has is not None else f"have no label {key}"
            report.problems.append(
                place.problem(
                    f"{service.name!r}, whose selector {key}={value} fits none of the rollout's pods (they {pods})",
                    "a Service that selects the pods of spec.template",
                )
            )


def _ingresses(strategy: CanaryStrategy, canary: Place, here: Sequence[Loaded], report: Report) -> tuple[Ingress, ...]:
    routing = strategy.traffic_routing
    if routing is None:
        return ()
    wanted: list[tuple[str, Place, str]] = []  # (ingress, where it is named, the service it must send to)
    if routing.nginx is not None:
        place = canary.below("trafficRouting", "nginx", "stableIngress")
        wanted += [(name, place, strategy.stable_service) for name in routing.nginx.stable_ingresses]
    if routing.alb is not None:
        place = canary.below("trafficRouting", "alb", "ingress")
        root = routing.alb.root_service or strategy.stable_service
        wanted += [(name, place, root) for name in routing.alb.ingresses]
    found = []
    for name, place, service in wanted:
        ingress = _find(Ingress, name, place, here, report)
        if ingress is None:
            continue
        found.append(ingress)
        if service and all(backend.service != service for backend in ingress.backends):
            targets = ", ".join(sorted({backend.service for backend in ingress.backends})) or "nothing"
            report.problems.append(
                place.problem(f"{name!r}, an Ingress that sends to {targets}", f"a rule that sends to {service}")
            )
    return tuple(found)


def _http_routes(
    strategy: CanaryStrategy, canary: Place, here: Sequence[Loaded], report: Report
) -> tuple[HttpRoute, ...]:
    routing = strategy.traffic_routing
    if routing is None or routing.gateway_api is None:
        return ()
    place = canary.below("trafficRouting", "plugins")
    routes = (_find(HttpRoute, name, place, here, report) for name in routing.gateway_api.http_routes)
    found = tuple(route for route in routes if route is not None)
    services = {strategy.canary_service, strategy.stable_service} - {""}
    for route in found:
        for service in sorted(services - {backend.service for backend in route.backends}):
            report.problems.append(
                place.problem(
                    f"{route.name!r}, an HTTPRoute without the backend {service}", "both Services in one rule"
                )
            )
    return found


def _autoscaler(rollout: Rollout, here: Sequence[Loaded], report: Report) -> HorizontalPodAutoscaler | None:
    """Return the autoscaler of this rollout; with several, the first, and a warning."""
    found = [
        item
        for item in here
        if isinstance(item.value, HorizontalPodAutoscaler)
        and (item.value.target_kind, item.value.target_name) == ("Rollout", rollout.name)
    ]
    for extra in found[1:]:
        report.notices.append(extra.place.notice("a second autoscaler of this rollout; they will fight"))
    value = found[0].value if found else None
    return value if isinstance(value, HorizontalPodAutoscaler) else None
