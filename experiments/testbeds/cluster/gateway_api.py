"""The HTTPRoute of the Gateway API, as far as a test cluster needs it: served, stored, and open in its fields.

A cluster with a gateway has the real definition, which says much more of what a route may hold.
"""

from __future__ import annotations

from typing import Any

from controller.kubernetes.api.resources import HTTP_ROUTES

Json = dict[str, Any]


def http_route_definition() -> Json:
    """Return the custom resource, ready to be applied."""
    open_object: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": open_object, "status": open_object}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": HTTP_ROUTES.text,
            # Kubernetes keeps this group for definitions that its people have looked at; a cut-down one has to say so.
            "annotations": {"api-approved.kubernetes.io": "unapproved, a cut-down definition of a test cluster"},
        },
        "spec": {
            "group": HTTP_ROUTES.group,
            "names": {"plural": HTTP_ROUTES.plural, "singular": "httproute", "kind": HTTP_ROUTES.kind},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": HTTP_ROUTES.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
