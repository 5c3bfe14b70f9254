"""Routes of the Gateway API and of Istio for a test's API server: their fields as far as Gamebird meets them.

Written for tests, with the defaults that the real definitions have, because a router must know its own rules again
after the server has filled them in.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from patience import eventually

from controller.kubernetes.api import AlreadyExistsError, Connection, NotFoundError, connect
from controller.kubernetes.api.resources import CRDS, DESTINATION_RULES, HTTP_ROUTES, VIRTUAL_SERVICES, Resource
from experiments.testbeds.cluster.control_plane import ControlPlane

Json = dict[str, Any]
_TEXT: Json = {"type": "string"}
_OPEN: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="session")
def routing_kinds(control_plane: ControlPlane) -> None:
    """The kinds of the Gateway API and of Istio, served."""
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    for definition in routing_definitions():
        with contextlib.suppress(AlreadyExistsError):
            connection.create(CRDS, None, definition)
    for resource in (HTTP_ROUTES, VIRTUAL_SERVICES, DESTINATION_RULES):
        eventually(lambda resource=resource: _is_served(connection, resource), f"{resource.text} is served")


def _is_served(connection: Connection, resource: Resource) -> bool:
    try:
        connection.list_all(resource)
    except NotFoundError:
        return False
    return True


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _with_default(schema: Json, default: Any) -> Json:
    return {**schema, "default": default}


def _http_route() -> Json:
    backend = {
        "group": _with_default(_TEXT, ""),
        "kind": _with_default(_TEXT, "Service"),
        "name": _TEXT,
        "port": {"type": "integer"},
    }
    header = _object(type=_with_default(_TEXT, "Exact"), name=_TEXT, value=_TEXT)
    path = _object(type=_with_default(_TEXT, "PathPrefix"), value=_with_default(_TEXT, "/"))
    path["default"] = {"type": "PathPrefix", "value": "/"}
    match = _object(path=path, headers=_list(header), method=_TEXT)
    mirror = _object(backendRef=_object(**backend), percent={"type": "integer"})
    rule = _object(
        matches=_with_default(_list(match), [{"path": {"type": "PathPrefix", "value": "/"}}]),
        filters=_list(_object(type=_TEXT, requestMirror=mirror)),
        backendRefs=_list(_object(**backend, weight=_with_default({"type": "integer"}, 1))),
    )
    return _object(parentRefs=_list(_OPEN), hostnames=_list(_TEXT), rules=_list(rule))


def _virtual_service() -> Json:
    destination = _object(host=_TEXT, subset=_TEXT, port=_object(number={"type": "integer"}))
    side = _object(destination=destination, weight={"type": "integer"})
    route = _object(
        name=_TEXT,
        match=_list(_OPEN),
        route=_list(side),
        mirror=destination,
        mirrorPercentage=_object(value={"type": "number"}),
    )
    return _object(hosts=_list(_TEXT), gateways=_list(_TEXT), http=_list(route))


def _destination_rule() -> Json:
    labels = {"type": "object", "additionalProperties": _TEXT}
    return _object(host=_TEXT, subsets=_list(_object(name=_TEXT, labels=labels)))


def routing_definitions() -> list[Json]:
    """Return the custom resources, ready to be applied."""
    return [
        _definition(HTTP_ROUTES, "httproute", _http_route()),
        _definition(VIRTUAL_SERVICES, "virtualservice", _virtual_service()),
        _definition(DESTINATION_RULES, "destinationrule", _destination_rule()),
    ]


def _definition(resource: Resource, singular: str, spec: Json) -> Json:
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(spec=spec, status=_OPEN)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": resource.text,
            "annotations": {"api-approved.kubernetes.io": "unapproved, a cut-down definition for tests"},
        },
        "spec": {
            "group": resource.group,
            "names": {"plural": resource.plural, "singular": singular, "kind": resource.kind},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
