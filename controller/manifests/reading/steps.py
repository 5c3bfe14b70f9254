"""Canary steps, with the rules that Argo Rollouts has for what may stand together in one."""

from __future__ import annotations

import re

from controller.manifests.problems import shown
from controller.manifests.reading.analyses import read_rollout_analysis
from controller.manifests.reading.reader import INT32_MAX, Reader
from controller.manifests.values import (
    DurationError,
    FrozenMap,
    HeaderMatch,
    Pause,
    RouteMatch,
    SetCanaryScale,
    SetHeaderRoute,
    SetMirrorRoute,
    Step,
    StringMatch,
    TrafficRouting,
    duration_s,
)

_ONE_OF = ("setWeight", "pause", "experiment", "analysis")
_ALL = (*_ONE_OF, "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin")


def read_step(reader: Reader, routing: TrafficRouting | None) -> Step:
    """Return one step; several fields may stand in it, but only one of those that take time."""
    given = [name for name in _ALL if reader.has(name)]
    if not given:
        reader.fail("empty", "one of: " + ", ".join(name for name in _ALL if name not in ("experiment", "plugin")))
    timed = [name for name in given if name in _ONE_OF]
    if len(timed) > 1:
        reader.fail(f"{' and '.join(timed)} in one step", f"a step of its own for each, {len(timed)} in all")
    analysis = reader.child("analysis", "rolloutAnalysis")
    return Step(
        set_weight=_weight(reader, 100 if routing is None else routing.total_weight),
        pause=_pause(reader),
        analysis=None if analysis is None else read_rollout_analysis(analysis),
        set_canary_scale=_canary_scale(reader, routing),
        set_header_route=_header_route(reader, routing),
        set_mirror_route=_mirror_route(reader, routing),
    )


def _weight(reader: Reader, total_weight: int) -> int | None:
    value = reader.value.get("setWeight")
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= total_weight:
        need = "a whole percentage from 0 to 100"
        if total_weight != 100:
            need = f"a whole weight from 0 to {total_weight}, the routing's maxTrafficWeight"
        reader.fail(shown(value), need, "setWeight")
        return None
    return value


def _pause(step: Reader) -> Pause | None:
    reader = step.child("pause", "pause")
    if reader is None:
        return None
    value = reader.value.get("duration")
    if value is None:
        return Pause()
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value) if abs(value) <= INT32_MAX and value == int(value) else None
    elif isinstance(value, str):
        try:
            seconds = float(value) if re.fullmatch(r"[+-]?[0-9]{1,10}", value) else duration_s(value)
        except DurationError:
            seconds = None
    if seconds is None or not 0 <= seconds <= INT32_MAX:
        reader.fail(shown(value), "whole seconds, 0 or more, or a duration such as 30s, 5m or 1h", "duration")
        return Pause()
    whole_s = float(int(seconds))
    if whole_s != seconds:
        reader.warn(f"Argo Rollouts drops the fraction of a second: {whole_s:g} s", "duration")
    return Pause(duration_s=whole_s)


def _canary_scale(step: Reader, routing: TrafficRouting | None) -> SetCanaryScale | None:
    reader = step.child("setCanaryScale", "setCanaryScale")
    if reader is None:
        return None
    if routing is None:
        reader.fail("set without a router", "spec.strategy.canary.trafficRouting")
    return SetCanaryScale(
        replicas=reader.maybe_integer("replicas"),
        weight_percent=reader.maybe_integer("weight"),
        match_traffic_weight=reader.flag("matchTrafficWeight"),
    )


def _header_route(step: Reader, routing: TrafficRouting | None) -> SetHeaderRoute | None:
    reader = step.child("setHeaderRoute", "setHeaderRoute")
    if reader is None:
        return None
    able = routing is not None and (routing.istio or routing.alb or routing.apisix or routing.plugins)
    if not able:
        reader.fail("set without a router that can", "istio, alb, apisix or a plugin as trafficRouting")
    matches = []
    for match in reader.children("match", "headerMatch"):
        value = _string_match(match, "headerValue", exact_only=routing is not None and routing.alb is not None)
        matches.append(HeaderMatch(header=match.text("headerName", required=True), value=value or StringMatch()))
    name = reader.text("name", required=True)
    _check_managed(reader, name, routing)
    return SetHeaderRoute(name=name, matches=tuple(matches))


def _mirror_route(step: Reader, routing: TrafficRouting | None) -> SetMirrorRoute | None:
    reader = step.child("setMirrorRoute", "setMirrorRoute")
    if reader is None:
        return None
    if routing is None or not (routing.istio or routing.plugins):
        reader.fail("set without a router that can", "istio or a plugin as trafficRouting")
    matches = []
    for match in reader.children("match", "routeMatch"):
        headers = match.child("headers", "")
        by_header = {}
        for name in () if headers is None else headers.value:
            assert headers is not None
            value = _string_match(headers, name)
            if value is not None:
                by_header[name] = value
        matches.append(
            RouteMatch(
                method=_string_match(match, "method") if match.has("method") else None,
                path=_string_match(match, "path") if match.has("path") else None,
                headers=FrozenMap(by_header),
            )
        )
    name = reader.text("name", required=True)
    _check_managed(reader, name, routing)
    return SetMirrorRoute(name=name, matches=tuple(matches), percentage=reader.maybe_integer("percentage", maximum=100))


def _string_match(reader: Reader, name: str, *, exact_only: bool = False) -> StringMatch | None:
    inner = reader.child(name, "stringMatch", required=True)
    if inner is None:
        return None
    kinds = ("exact", "prefix", "regex")
    texts = {kind: inner.text(kind) for kind in kinds}
    given = [kind for kind in kinds if texts[kind]]
    if exact_only and given != ["exact"]:
        inner.fail(", ".join(given) or "empty", "exact only, the one that ALB has")
    elif len(given) != 1:
        inner.fail(" and ".join(given) or "empty", "exactly one of: exact, prefix, regex")
    return StringMatch(**texts)


def _check_managed(reader: Reader, name: str, routing: TrafficRouting | None) -> None:
    if routing is not None and name and name not in routing.managed_routes:
        listed = ", ".join(routing.managed_routes) or "none"
        reader.fail(
            f"{name!r}, which is no managed route",
            f"{name} among spec.strategy.canary.trafficRouting.managedRoutes (now: {listed})",
            "name",
        )
