"""The objects that the controller works with: copies to read from, and writes that the copies learn of at once.

A write that was answered is in the copy before its event comes, so that the next look does not act on what it has
just changed. A write that meets somebody else's change raises and is decided anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, ConflictError, Connection, NotFoundError, Resource
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    DEPLOYMENTS,
    DESTINATION_RULES,
    HTTP_ROUTES,
    INGRESSES,
    POD_TEMPLATES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SECRETS,
    SERVICES,
    VIRTUAL_SERVICES,
)
from controller.kubernetes.api.watching import Changed, Key, Reflector, key_of

Json = dict[str, Any]

log = logging.getLogger(__name__)

WATCHED = (
    ROLLOUTS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    ANALYSIS_RUNS,
    REPLICA_SETS,
    SERVICES,
    INGRESSES,
)
"""Kinds that every cluster with Argo's CRDs has. Pods and Secrets are asked for when they are needed."""

ON_DEMAND = (DEPLOYMENTS, POD_TEMPLATES, HTTP_ROUTES, VIRTUAL_SERVICES, DESTINATION_RULES)
"""Kinds that are watched once a rollout names one. Until the first list is in, and without the right to watch, or
without the kind, each question goes to the API server."""

_BY_KIND: dict[str, Resource] = {each.kind: each for each in (*WATCHED, *ON_DEMAND, PODS, SECRETS)}

_STATUS_WITH_OBJECT = frozenset({"AnalysisRun"})  # Argo's definition of it has no /status, so ours has none either


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
        self._namespace, self._changed = namespace, changed
        self.copies: dict[str, Reflector] = {resource.kind: self._make(resource) for resource in watched}
        self._asked_for: dict[str, Reflector] = {}
        self._told: dict[str, str] = {}  # by kind: why it is not watched
        self._begins = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Begin to keep the copies."""
        self._started = True
        for copy in self.copies.values():
            copy.start()

    def stop(self) -> None:
        """End all watches."""
        self._started = False
        with self._begins:
            asked_for = list(self._asked_for.values())
        for copy in (*self.copies.values(), *asked_for):
            copy.stop()

    @property
    def failure(self) -> BaseException | None:
        """The bug that ended the thread of a copy; None while all are being kept."""
        with self._begins:
            kept = [*self.copies.values(), *self._asked_for.values()]
        return next((copy.failure for copy in kept if copy.failure is not None), None)

    def _make(self, resource: Resource) -> Reflector:
        return Reflector(
            self.connection,
            resource,
            namespace=self._namespace if resource.namespaced else None,
            changed=None if self._changed is None else self._changed(resource),
            with_managers=resource is REPLICA_SETS,  # they tell which controller made a set
        )

    def get(self, kind: str, key: Key) -> Json | None:
        """Return an object, from the copy where there is one. Nobody may change it."""
        copy = self.copies.get(kind)
        if copy is not None:
            return copy.get(key)
        copy = self._on_demand(kind)
        if copy is not None and copy.synced and copy.problem is None and copy.failure is None:
            return copy.get(key)
        if copy is not None and copy.problem is not None:
            self._tell_problem(kind, str(copy.problem))
        try:
            return self.connection.get(_BY_KIND[kind], key.namespace or None, key.name)
        except NotFoundError:
            return None

    def all(self, kind: str) -> list[Json]:
        """Return all objects of a kind that is watched. Nobody may change them."""
        return self.copies[kind].all()

    def create(self, kind: str, body: Json) -> Json:
        """Create an object of a kind that is watched; one of this name that is there already is returned as it is.

        Raises:
            ConflictError: it is there already and has not reached the copy yet.
        """
        metadata = body["metadata"]
        try:
            return self._learn(kind, self.connection.create(_BY_KIND[kind], metadata.get("namespace"), body))
        except AlreadyExistsError as error:
            # The copy, and no request: what is watched needs no right to be read one by one.
            found = self.copies[kind].get(Key(metadata.get("namespace", ""), metadata["name"]))
            if found is None:
                raise ConflictError(error.message, status=error.status, reason=error.reason) from error
            return found

    def patch(self, kind: str, key: Key, body: Json, *, subresource: str | None = None) -> Json:
        """Merge a patch into an object."""
        resource, namespace = _BY_KIND[kind], key.namespace or None
        return self._learn(kind, self.connection.patch(resource, namespace, key.name, body, subresource=subresource))

    def annotate(self, kind: str, item: Json, annotations: dict[str, str]) -> Json:
        """Put annotations on an object, if nobody has changed it since it was read.

        Whoever goes on to store a status with the answer's version would else write over a word that came in between.
        """
        metadata = item["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": annotations}}
        return self.patch(kind, key_of(item), body)

    def replace(self, kind: str, body: Json) -> Json:
        """Replace an object, if nobody has changed it since it was read."""
        return self._learn(kind, self.connection.replace(_BY_KIND[kind], body["metadata"].get("namespace"), body))

    def replace_status(self, kind: str, item: Json, status: Json) -> Json:
        """Store a status, if nobody has changed the object since it was read."""
        body = {**item, "status": status}
        namespace = item["metadata"].get("namespace")
        part = None if kind in _STATUS_WITH_OBJECT else "status"
        return self._learn(kind, self.connection.replace(_BY_KIND[kind], namespace, body, subresource=part))

    def delete(self, kind: str, key: Key) -> None:
        """Delete an object; one that is gone already is no mistake."""
        try:
            self.connection.delete(_BY_KIND[kind], key.namespace or None, key.name)
        except NotFoundError:
            return

    def _on_demand(self, kind: str) -> Reflector | None:
        """Return the copy of a kind that few clusters need, begun at the first question."""
        resource = next((each for each in ON_DEMAND if each.kind == kind), None)
        if resource is None or not self._started:
            return None
        with self._begins:
            copy = self._asked_for.get(kind)
            if copy is None:
                copy = self._asked_for[kind] = self._make(resource)
                copy.start()
            return copy

    def _tell_problem(self, kind: str, problem: str) -> None:
        """Log once why objects of a kind are asked for one by one."""
        if self._told.get(kind) != problem:
            self._told[kind] = problem
            log.warning("a kind is not watched", extra={"kind": kind, "why": problem})

    def _learn(self, kind: str, item: Json) -> Json:
        copy = self.copies.get(kind) or self._asked_for.get(kind)
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
