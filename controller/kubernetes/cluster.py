"""The objects that the controller works with: copies to read from, and writes that the copies learn of at once.

A write that was answered is in the copy before its event comes, so that the next look does not act on what it has
just changed. A write that meets somebody else's change raises and is decided anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, Connection, NotFoundError, Resource
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    DESTINATION_RULES,
    HTTP_ROUTES,
    INGRESSES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SECRETS,
    SERVICES,
    VIRTUAL_SERVICES,
)
from controller.kubernetes.api.watching import Changed, Key, Reflector

Json = dict[str, Any]

WATCHED = (
    ROLLOUTS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    ANALYSIS_RUNS,
    REPLICA_SETS,
    SERVICES,
    INGRESSES,
)
"""Kinds that every cluster with Argo's CRDs has. Pods, routes and Secrets are asked for when they are needed."""

_BY_KIND: dict[str, Resource] = {
    each.kind: each for each in (*WATCHED, PODS, SECRETS, HTTP_ROUTES, VIRTUAL_SERVICES, DESTINATION_RULES)
}


class Cluster:
    """One API server's objects, in one namespace or all."""

    def __init__(
        self,
        connection: Connection,
        *,
        namespace: str | None = None,
        changed: Callable[[Resource], Changed] | None = None,
        watched: Iterable[Resource] = WATCHED,
    ) -> None:
        self.connection = connection
        self.copies: dict[str, Reflector] = {
            resource.kind: Reflector(
                connection,
                resource,
                namespace=namespace if resource.namespaced else None,
                changed=None if changed is None else changed(resource),
            )
            for resource in watched
        }

    def start(self) -> None:
        """Begin to keep the copies."""
        for copy in self.copies.values():
            copy.start()

    def stop(self) -> None:
        """End all watches."""
        for copy in self.copies.values():
            copy.stop()

    def get(self, kind: str, key: Key) -> Json | None:
        """Return an object, from the copy where there is one. Nobody may change it."""
        copy = self.copies.get(kind)
        if copy is not None:
            return copy.get(key)
        try:
            return self.connection.get(_BY_KIND[kind], key.namespace or None, key.name)
        except NotFoundError:
            return None

    def all(self, kind: str) -> list[Json]:
        """Return all objects of a kind that is watched. Nobody may change them."""
        return self.copies[kind].all()

    def create(self, kind: str, body: Json) -> Json:
        """Create an object; one of this name that is there already is returned as it is."""
        resource, namespace = _BY_KIND[kind], body["metadata"].get("namespace")
        try:
            found = self.connection.create(resource, namespace, body)
        except AlreadyExistsError:
            found = self.connection.get(resource, namespace, body["metadata"]["name"])
        return self._learn(kind, found)

    def patch(self, kind: str, key: Key, body: Json) -> Json:
        """Merge a patch into an object."""
        return self._learn(kind, self.connection.patch(_BY_KIND[kind], key.namespace or None, key.name, body))

    def replace(self, kind: str, body: Json) -> Json:
        """Replace an object, if nobody has changed it since it was read."""
        return self._learn(kind, self.connection.replace(_BY_KIND[kind], body["metadata"].get("namespace"), body))

    def replace_status(self, kind: str, item: Json, status: Json) -> Json:
        """Store a status, if nobody has changed the object since it was read."""
        body = {**item, "status": status}
        namespace = item["metadata"].get("namespace")
        return self._learn(kind, self.connection.replace(_BY_KIND[kind], namespace, body, subresource="status"))

    def delete(self, kind: str, key: Key) -> None:
        """Delete an object; one that is gone already is no mistake."""
        try:
            self.connection.delete(_BY_KIND[kind], key.namespace or None, key.name)
        except NotFoundError:
            return

    def _learn(self, kind: str, item: Json) -> Json:
        copy = self.copies.get(kind)
        if copy is not None:
            copy.learn(item)
        return item


class NamespaceObjects:
    """The objects of one namespace, as routers see them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace

    def get(self, kind: str, name: str) -> Json | None:
        """Return an object, or None."""
        return self._cluster.get(kind, Key(self._namespace, name))

    def create(self, kind: str, body: Json) -> Json:
        """Create an object."""
        return self._cluster.create(kind, body)

    def patch(self, kind: str, name: str, body: Json) -> Json:
        """Merge a patch into an object."""
        return self._cluster.patch(kind, Key(self._namespace, name), body)

    def replace(self, kind: str, body: Json) -> Json:
        """Replace an object, if nobody has changed it since it was read."""
        return self._cluster.replace(kind, body)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self._cluster.delete(kind, Key(self._namespace, name))
