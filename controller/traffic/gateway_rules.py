"""Rules that steps put into an HTTPRoute: header routes as the Gateway API plugin of Argo Rollouts makes them, mirrors.

A rule has no name that every version of the Gateway API keeps. So an annotation of the route remembers, by the names of
the rollout and of its step's route, how the rule looks: what it matches and where it sends. A rule that somebody has
changed since is theirs, and stays.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from typing import Any

from controller.manifests.values import RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch

Json = dict[str, Any]

MANAGED = "gamebird.dev/managed-routes"
_ANY_PATH = {"type": "PathPrefix", "value": "/"}


def header_rule(route: SetHeaderRoute, base: Json, canary: Json) -> Json:
    """Return a rule that sends what carries all of the headers to the canary, for the paths of the rule it is made of.

    All of them: so the plugin has it. (Of Istio's matches one is enough, in Argo as here.)
    """
    headers = [_header(match.header, match.value) for match in route.matches]
    matches = []
    for match in base.get("matches") or [{}]:
        kept = {name: copy.deepcopy(match[name]) for name in ("queryParams", "method") if name in match}
        matches.append({"path": copy.deepcopy(match.get("path") or _ANY_PATH), "headers": headers, **kept})
    backend = {**copy.deepcopy(canary), "weight": 1}
    return {**_filters(base), "matches": matches, "backendRefs": [backend]}


def mirror_rule(route: SetMirrorRoute, base: Json, stable: Json, canary: Json) -> Json:
    """Return a rule that splits what matches as before, and copies it to the canary."""
    mirror: Json = {"backendRef": {name: value for name, value in canary.items() if name not in ("weight", "filters")}}
    if route.percentage is not None:
        mirror["percent"] = route.percentage
    filters = [*_filters(base).get("filters", ()), {"type": "RequestMirror", "requestMirror": mirror}]
    matches = [_match(match) for match in route.matches]
    return {"filters": filters, "matches": matches, "backendRefs": [copy.deepcopy(stable), copy.deepcopy(canary)]}


def put_in(route: Json, name: str, rule: Json) -> None:
    """Put a rule before all others, instead of another of this name; where it is already, it stays. Changes `route`."""
    rules = route["spec"].get("rules") or ()
    if _remembered(route).get(name) == _look(rule) and any(_look(each) == _look(rule) for each in rules):
        return
    take_out(route, [name])
    route["spec"]["rules"] = [rule, *(route["spec"].get("rules") or ())]
    _remember(route, {**_remembered(route), name: _look(rule)})


def take_out(route: Json, names: Iterable[str]) -> None:
    """Remove the rules of these names, as far as they are still as they were made. Changes `route`."""
    remembered = _remembered(route)
    looks = {remembered.pop(name) for name in tuple(names) if name in remembered}
    if looks:
        route["spec"]["rules"] = [rule for rule in route["spec"].get("rules") or () if _look(rule) not in looks]
        _remember(route, remembered)


def names_of(route: Json) -> tuple[str, ...]:
    """Return the names of the steps' routes that an HTTPRoute has rules for."""
    return tuple(_remembered(route))


def _remembered(route: Json) -> dict[str, str]:
    text = (route["metadata"].get("annotations") or {}).get(MANAGED, "{}")
    try:
        found = json.loads(text)
    except ValueError:
        return {}  # somebody else's text
    return {str(name): str(look) for name, look in found.items()} if isinstance(found, dict) else {}


def _remember(route: Json, looks: dict[str, str]) -> None:
    annotations = dict(route["metadata"].get("annotations") or {})
    annotations.pop(MANAGED, None)
    if looks:
        annotations[MANAGED] = json.dumps(looks, sort_keys=True)
    route["metadata"]["annotations"] = annotations
    if not annotations:
        del route["metadata"]["annotations"]


def _look(rule: Json) -> str:
    """Return what tells a rule from others, with the server's defaults filled in; weights change and do not count."""
    matches = []
    for match in rule.get("matches") or [{}]:
        path = {**_ANY_PATH, **(match.get("path") or {})}
        headers = sorted(f"{h.get('type', 'Exact')} {h['name']}={h['value']}" for h in match.get("headers") or ())
        matches.append(" ".join([path["type"], path["value"], match.get("method", ""), *headers]))
    backends = sorted(str(ref.get("name")) for ref in rule.get("backendRefs") or ())
    mirrors = sum(each.get("type") == "RequestMirror" for each in rule.get("filters") or ())
    return " | ".join([*matches, f"to {', '.join(backends)}", *(["mirrored"] * mirrors)])


def _filters(base: Json) -> Json:
    return {"filters": copy.deepcopy(base["filters"])} if base.get("filters") else {}


def _header(name: str, value: StringMatch) -> Json:
    if value.exact:
        return {"type": "Exact", "name": name, "value": value.exact}
    pattern = value.regex or f"{re.escape(value.prefix)}.*"
    return {"type": "RegularExpression", "name": name, "value": pattern}


def _match(match: RouteMatch) -> Json:
    found: Json = {"path": dict(_ANY_PATH)}
    if match.path is not None:
        kinds = {"Exact": match.path.exact, "PathPrefix": match.path.prefix, "RegularExpression": match.path.regex}
        found["path"] = next({"type": kind, "value": text} for kind, text in kinds.items() if text)
    if match.method is not None:
        found["method"] = match.method.exact or match.method.prefix or match.method.regex
    if match.headers:
        found["headers"] = [_header(name, value) for name, value in sorted(match.headers.items())]
    return found
