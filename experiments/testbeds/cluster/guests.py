"""The objects that a game day brings into a namespace, and how every one of them leaves again.

They are the policy's own manifests; how a release behaves is an annotation of the pods, which the demo service follows,
or an image of the team's own. All of them belong to
one ConfigMap, `gamebird-game-day`: the mark that a game day is on. Whoever deletes it deletes everything, also what a
killed game day has left. Nothing that was there before is ever changed or taken away.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.kubernetes.api import AlreadyExistsError, ApiError, Connection, ForbiddenError, NotFoundError, Resource
from controller.kubernetes.api.resources import (
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    DESTINATION_RULES,
    HTTP_ROUTES,
    INGRESSES,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
)
from controller.manifests.documents import read_documents
from experiments.testbeds.cluster.notes import CONFIG_MAPS, FAULTS
from experiments.testbeds.cluster.pod_specs import ANNOTATION, annotation_of
from experiments.testbeds.local.children import WorldError
from sim.releases import Release

Json = dict[str, Any]

MARK = "gamebird-game-day"
REVISION = "gamebird.dev/revision"
GONE_WITHIN_S = 120.0  # a garbage collector takes up new kinds within half a minute, and then has its work to do
_LOOK_S = 0.2
# What the Rollout refers to comes first, so that no controller ever has to tell that something is missing.
_KINDS: tuple[Resource, ...] = (
    SERVICES,
    INGRESSES,
    HTTP_ROUTES,
    VIRTUAL_SERVICES,
    DESTINATION_RULES,
    ANALYSIS_TEMPLATES,
    ROLLOUTS,
)


class GuestError(WorldError):
    """The namespace cannot take the game day's objects in, or does not let them go."""


def read_guests(files: Iterable[Path]) -> tuple[Json, ...]:
    """Return the objects of a policy's files that a game day brings along, in the order in which they are created.

    Raises:
        ManifestError: a file cannot be read.
        GuestError: a cluster-wide template, which a game day must not bring.
    """
    found: list[Json] = []
    for file in files:
        for document in read_documents(file):
            value = document.value
            if not isinstance(value, dict):
                continue
            found += value.get("items") or [] if value.get("kind") == "List" else [value]
    if any(item.get("kind") == CLUSTER_ANALYSIS_TEMPLATES.kind for item in found):
        raise GuestError(
            "the policy has a ClusterAnalysisTemplate; a game day stays in its namespace. Apply it first, and leave it "
            "out of the game day's files"
        )
    kinds = [resource.kind for resource in _KINDS]
    return tuple(
        sorted((item for item in found if item.get("kind") in kinds), key=lambda item: kinds.index(item["kind"]))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What is different from one revision to the next.

    Attributes:
        release: how it behaves, for the demo service.
        images: the image of each container that has another one than the manifest says.
    """

    release: Release
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Guests:
    """The objects of one game day in one namespace. Used by one owner.

    Args:
        rollout: which of the Rollouts is rehearsed; others stay at home.
        routes: the requests whose series the demo service has from the start.
    """

    connection: Connection
    namespace: str
    rollout: str
    objects: tuple[Json, ...]
    routes: tuple[tuple[str, str], ...]
    _mark: Json | None = None
    _made: list[tuple[Resource, str]] = field(default_factory=list)

    def enter(self, stable: Revision) -> None:
        """Create every object, the Rollout with the stable revision.

        Raises:
            GuestError: another game day is on here, or an object of that name is there.
            ApiError: the API server refused one; `leave` takes the others away.
        """
        self._claim()
        for resource in _KINDS:
            for item in self.objects:
                if item["kind"] == resource.kind and self._is_mine(item):
                    self._create(resource, self._dressed(item, stable))

    def deploy(self, revision: Revision) -> None:
        """Let the Rollout's pods be those of the release under test."""
        manifest = next(item for item in self.objects if item["kind"] == ROLLOUTS.kind and self._is_mine(item))
        template = self._template(manifest, revision, "under-test")
        # The list of containers is replaced as a whole, as a merge patch does; it is the manifest's own.
        patch = {"metadata": template["metadata"], "spec": {"containers": template["spec"]["containers"]}}
        self.connection.patch(ROLLOUTS, self.namespace, self.rollout, {"spec": {"template": patch}})

    def leave(self) -> None:
        """Take everything away that was created, and wait until it is gone. Safe to repeat.

        Raises:
            GuestError: something stayed; the message says how to remove it.
        """
        if self._mark is None:
            return
        try:
            for resource, name in reversed(self._made):
                _delete(self.connection, resource, self.namespace, name)
            _delete(self.connection, CONFIG_MAPS, self.namespace, FAULTS)
            self._await_gone()
            _delete(self.connection, CONFIG_MAPS, self.namespace, MARK)
        except ApiError as error:
            raise GuestError(f"{error}; what stayed goes with {self._remedy}") from error
        self._mark, self._made = None, []

    @property
    def _remedy(self) -> str:
        return f"kubectl -n {self.namespace} delete configmap {MARK}"

    def _claim(self) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MARK, "namespace": self.namespace},
            "data": {"rollout": self.rollout},
        }
        try:
            self._mark = self.connection.create(CONFIG_MAPS, self.namespace, body)
        except AlreadyExistsError as error:
            raise GuestError(
                f"a game day is on in the namespace {self.namespace}, or one was killed there; {self._remedy} removes "
                "what it left"
            ) from error
        except NotFoundError as error:
            raise GuestError(
                f"there is no namespace {self.namespace}; kubectl create namespace {self.namespace}"
            ) from error

    def _is_mine(self, item: Json) -> bool:
        return bool(item["kind"] != ROLLOUTS.kind or item["metadata"].get("name") == self.rollout)

    def _template(self, rollout: Json, revision: Revision, role: str) -> Json:
        """Return the pod template of a revision: the manifest's own, marked and with its images.

        Raises:
            GuestError: an image is named for a container that the manifest does not have.
        """
        template: Json = copy.deepcopy(rollout["spec"]["template"])
        metadata = template.setdefault("metadata", {})
        orders = {ANNOTATION: annotation_of(revision.release, self.routes), REVISION: role}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **orders}
        containers = {each["name"]: each for each in template["spec"]["containers"]}
        for name, image in revision.images.items():
            if name not in containers:
                raise GuestError(f"images names the container {name}; the Rollout has {', '.join(containers)}")
            containers[name]["image"] = image
        return template

    def _dressed(self, item: Json, stable: Revision) -> Json:
        """Return an object as it is created: in the namespace, owned by the mark, with the release on its pods."""
        assert self._mark is not None
        found = copy.deepcopy(item)
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": MARK, "uid": self._mark["metadata"]["uid"]}
        found["metadata"] = {**found["metadata"], "namespace": self.namespace, "ownerReferences": [owner]}
        found.pop("status", None)
        if found["kind"] == ROLLOUTS.kind:
            found["spec"]["template"] = self._template(item, stable, "before")
        return found

    def _create(self, resource: Resource, body: Json) -> None:
        name = body["metadata"]["name"]
        try:
            self.connection.create(resource, self.namespace, body)
        except AlreadyExistsError as error:
            raise GuestError(
                f"{resource.kind} {name} is in the namespace {self.namespace} already; a game day brings its own and "
                "changes nobody's: name an empty namespace with -n"
            ) from error
        except NotFoundError as error:
            raise GuestError(_not_served(resource)) from error
        except ForbiddenError as error:
            raise GuestError(f"{error}; a game day may create, patch and delete what its policy consists of") from error
        self._made.append((resource, name))

    def _await_gone(self) -> None:
        """Wait until the Rollout has gone, and with it all that it owned: the next rehearsal has the same names."""
        ends = time.monotonic() + GONE_WITHIN_S
        for resource, name in self._made:
            while _is_there(self.connection, resource, self.namespace, name):
                if time.monotonic() > ends:
                    raise GuestError(
                        f"{resource.kind} {name} was deleted and is still there after {GONE_WITHIN_S:g} s; "
                        f"{self._remedy} removes the rest"
                    )
                time.sleep(_LOOK_S)


def _not_served(resource: Resource) -> str:
    if resource.group == ROLLOUTS.group:
        return f"the cluster does not know {resource.text}; gamebird controller crds | kubectl apply -f -"
    return f"the cluster does not know {resource.text}, which the policy's routing needs"


def _delete(connection: Connection, resource: Resource, namespace: str, name: str) -> None:
    try:
        # In the foreground: the object is gone when what it owns is gone.
        connection.delete(resource, namespace, name, body={"propagationPolicy": "Foreground"})
    except NotFoundError:
        return


def _is_there(connection: Connection, resource: Resource, namespace: str, name: str) -> bool:
    try:
        connection.get(resource, namespace, name)
    except NotFoundError:
        return False
    return True
