"""The routes that a rollout's steps lay over the split, as Envoy reads them: by header to the canary, or mirrored.

Pure. Matches of one route are alternatives; what one match names must all hold. `envoy` puts these before the route
for everybody else, in the order of the rollout's `managedRoutes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.manifests.values import RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch

ManagedRoute = SetHeaderRoute | SetMirrorRoute


def envoy_routes(
    managed: ManagedRoute, *, everybody: Mapping[str, Any], canary: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return one Envoy route for each match.

    Args:
        everybody: the action of the route for everybody: the split.
        canary: the action that sends a request to the canary.
    """
    if isinstance(managed, SetHeaderRoute):
        headers = [_header(match.header, match.value) for match in managed.matches]
        return [{"match": {"prefix": "/", "headers": [header]}, "route": dict(canary)} for header in headers]
    numerator = 100 if managed.percentage is None else managed.percentage
    mirror = {
        "cluster": "canary",
        "runtime_fraction": {"default_value": {"numerator": numerator, "denominator": "HUNDRED"}},
    }
    action = {**everybody, "request_mirror_policies": [mirror]}
    return [{"match": _match(match), "route": action} for match in managed.matches]


def _match(match: RouteMatch) -> dict[str, Any]:
    headers = [_header(name, value) for name, value in match.headers.items()]
    if match.method is not None:
        headers.append(_header(":method", match.method))
    return {**_path(match.path), "headers": headers}


def _path(path: StringMatch | None) -> dict[str, Any]:
    if path is None:
        return {"prefix": "/"}
    if path.exact:
        return {"path": path.exact}
    if path.prefix:
        return {"prefix": path.prefix}
    return {"safe_regex": {"regex": path.regex}}


def _header(name: str, value: StringMatch) -> dict[str, Any]:
    if value.exact:
        match: dict[str, Any] = {"exact": value.exact}
    elif value.prefix:
        match = {"prefix": value.prefix}
    else:
        match = {"safe_regex": {"regex": value.regex}}
    return {"name": name, "string_match": match}
