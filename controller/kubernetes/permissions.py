"""What the controller asks of a cluster before it begins: the kinds that it needs, and the right to every verb.

A right that is missing is named at once, with its resource, where it would otherwise be met in the middle of a canary.
Essential is what an abort, a weight or a verdict needs; without the rest the controller works and says what it lacks.
The chart grants exactly these; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.kubernetes.api import ApiError, Connection, ForbiddenError, NotFoundError, Resource, UnavailableError
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    DEPLOYMENTS,
    DESTINATION_RULES,
    EVENTS,
    HTTP_ROUTES,
    INGRESSES,
    LEASES,
    POD_TEMPLATES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICES,
    VIRTUAL_SERVICES,
)

Json = dict[str, Any]

ACCESS_REVIEWS = Resource(
    group="authorization.k8s.io",
    version="v1",
    plural="selfsubjectaccessreviews",
    kind="SelfSubjectAccessReview",
    namespaced=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One verb on one resource, or on a part of it.

    Attributes:
        essential: without it the controller does not begin.
        name: of the one object that is meant; "": any.
    """

    verb: str
    resource: Resource
    part: str = ""
    essential: bool = True
    name: str = ""

    def __str__(self) -> str:
        whole = f"{self.resource.plural}/{self.part}" if self.part else self.resource.plural
        return f"{self.verb} {whole}{f'.{self.resource.group}' if self.resource.group else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a cluster does not have or allow."""

    kinds: tuple[Resource, ...] = ()
    essential: tuple[Need, ...] = ()
    others: tuple[Need, ...] = ()


class MissingError(ApiError):
    """The controller cannot work here; the message names everything that is missing."""


def _needs(resource: Resource, verbs: str, *, essential: bool = True, part: str = "") -> Iterator[Need]:
    for verb in verbs.split():
        yield Need(verb=verb, resource=resource, essential=essential, part=part)


NEEDS: tuple[Need, ...] = (
    *_needs(ROLLOUTS, "list watch patch"),
    *_needs(ROLLOUTS, "update", part="status"),
    *_needs(ANALYSIS_TEMPLATES, "list watch"),
    *_needs(CLUSTER_ANALYSIS_TEMPLATES, "list watch"),
    *_needs(ANALYSIS_RUNS, "list watch create update patch"),
    *_needs(REPLICA_SETS, "list watch create update patch"),
    *_needs(SERVICES, "list watch patch"),
    *_needs(INGRESSES, "list watch"),
    *_needs(ANALYSIS_RUNS, "delete", essential=False),
    *_needs(REPLICA_SETS, "delete", essential=False),
    *_needs(PODS, "list patch delete", essential=False),
    *_needs(EVENTS, "create patch", essential=False),
    *_needs(INGRESSES, "create patch", essential=False),  # each cluster has some of the routers
    *_needs(HTTP_ROUTES, "get list watch update", essential=False),
    *_needs(VIRTUAL_SERVICES, "get list watch update", essential=False),
    *_needs(DESTINATION_RULES, "get list watch update", essential=False),
    *_needs(DEPLOYMENTS, "get list watch patch", essential=False),  # of rollouts with a workloadRef
    *_needs(POD_TEMPLATES, "get list watch", essential=False),
)


def lease_needs(name: str) -> tuple[Need, ...]:
    """Return what a lease of this name needs."""
    create = Need(verb="create", resource=LEASES)  # an object that is not there yet has no name to be allowed by
    return (create, *(Need(verb=verb, resource=LEASES, name=name) for verb in ("get", "update")))


def require(connection: Connection, namespace: str | None, *, lease: tuple[str, str] | None = None) -> Missing:
    """Return what is missing and can be done without.

    Args:
        namespace: the one that is looked after; None for all.
        lease: namespace and name of the lease, where there is one.

    Raises:
        MissingError: something essential is missing; all of it is named.
    """
    try:
        missing = _missing(connection, namespace, lease)
    except (UnavailableError, ForbiddenError):
        return Missing()  # nobody to ask, or asking is not allowed: what is missing shows when it is needed
    where = f"namespace {namespace}" if namespace else "the whole cluster"
    faults = []
    if missing.kinds:
        named = ", ".join(resource.text for resource in missing.kinds)
        faults.append(f"the cluster does not know {named}: gamebird controller crds | kubectl apply -f -")
    if missing.essential:
        named = ", ".join(str(need) for need in missing.essential)
        faults.append(f"the credentials do not allow, in {where}: {named}; deploy/ has roles that do")
    if faults:
        raise MissingError("; ".join(faults))
    return missing


def _missing(connection: Connection, namespace: str | None, lease: tuple[str, str] | None) -> Missing:
    asked = [(need, namespace) for need in NEEDS]
    if lease is not None:
        asked += [(need, lease[0]) for need in lease_needs(lease[1])]
    refused = [need for need, where in asked if not _allowed(connection, need, where)]
    unread = {need.resource for need in refused if need.verb == "list"}
    kinds = (each for each in (ROLLOUTS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, ANALYSIS_RUNS))
    return Missing(
        kinds=tuple(each for each in kinds if each not in unread and not _served(connection, each, namespace)),
        essential=tuple(need for need in refused if need.essential),
        others=tuple(need for need in refused if not need.essential),
    )


def _allowed(connection: Connection, need: Need, namespace: str | None) -> bool:
    attributes: Json = {"verb": need.verb, "group": need.resource.group, "resource": need.resource.plural}
    attributes |= {"subresource": need.part, "name": need.name}
    if namespace is not None and need.resource.namespaced:
        attributes["namespace"] = namespace
    body = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": {name: text for name, text in attributes.items() if text}},
    }
    return bool(connection.create(ACCESS_REVIEWS, None, body)["status"]["allowed"])


def _served(connection: Connection, resource: Resource, namespace: str | None) -> bool:
    try:
        connection.call("GET", resource.path(namespace), query={"limit": "1"}, resource=resource)
    except NotFoundError:
        return False
    return True
