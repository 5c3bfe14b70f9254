"""Give a rollout another pod template: that of an earlier revision, or the same with another image.

As Argo Rollouts' command line does it: in the rollout, or in the workload that it refers to. Whichever controller runs
there takes it from there. Who did it and why is kept as for every word of an operator.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.kubernetes.api import ConflictError, Connection, Resource
from controller.kubernetes.api.resources import POD_TEMPLATES, REPLICA_SETS, ROLLOUTS
from controller.kubernetes.api.watching import Key
from controller.kubernetes.operating import ATTEMPTS, OVERRIDE, OperatorError, note, tell
from controller.kubernetes.replica_sets import is_owned, revision_of
from controller.kubernetes.templates_known import template_of
from controller.kubernetes.wire.stamps import to_millis
from controller.kubernetes.workloads import KINDS

Json = dict[str, Any]

_CONTAINERS = ("initContainers", "containers")
ALL_CONTAINERS = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """What became of the pod template: where it was changed, and what was done, in words."""

    where: str
    effect: str


def undo(
    connection: Connection, key: Key, *, to_revision: int | None = None, user: str = "", reason: str = ""
) -> Revised:
    """Give the rollout the pod template of an earlier revision: the one before the newest, unless one is named.

    Raises:
        OperatorError: there is no such revision, or it is the newest already.
        ApiError: the API server did not take it.
    """
    item = connection.get(ROLLOUTS, key.namespace, key.name)
    listed = connection.list_all(REPLICA_SETS, key.namespace)["items"]
    by_revision = {revision_of(each): each for each in listed if is_owned(each, item["metadata"]["uid"])}
    numbers = sorted(by_revision)
    if to_revision is None and len(numbers) < 2:
        raise OperatorError(f"Rollout {key} has no earlier revision")
    wanted = numbers[-2] if to_revision is None else to_revision
    if wanted not in by_revision:
        known = ", ".join(map(str, numbers)) or "none"
        raise OperatorError(f"--to-revision {wanted}: Rollout {key} keeps the revisions {known}")
    if wanted == numbers[-1]:
        raise OperatorError(f"--to-revision {wanted}: it is the newest revision of Rollout {key} already")
    template = template_of(by_revision[wanted])

    def change(holder: Json) -> None:
        holder["template"] = copy.deepcopy(template)

    return _revise(connection, key, change, said=f"undo to revision {wanted}", user=user, reason=reason)


def set_images(
    connection: Connection, key: Key, images: Mapping[str, str], *, user: str = "", reason: str = ""
) -> Revised:
    """Give containers of the rollout's pods other images.

    Args:
        images: image by container; "*" for all of them.
    Raises:
        OperatorError: there is no such container.
        ApiError: the API server did not take it.
    """

    def change(holder: Json) -> None:
        spec = holder["template"]["spec"]
        containers = [each for part in _CONTAINERS for each in spec.get(part) or ()]
        names = [each["name"] for each in containers]
        for name, image in images.items():
            if name != ALL_CONTAINERS and name not in names:
                raise OperatorError(f"Rollout {key} has no container {name}; it has {', '.join(names)}")
            for each in containers:
                if name in (ALL_CONTAINERS, each["name"]):
                    each["image"] = image

    said = "set-image " + " ".join(f"{name}={image}" for name, image in images.items())
    return _revise(connection, key, change, said=said, user=user, reason=reason)


def _revise(
    connection: Connection, key: Key, change: Callable[[Json], None], *, said: str, user: str, reason: str
) -> Revised:
    """Change the template where it stands, only if nobody has changed the object since it was read."""
    for _ in range(ATTEMPTS):
        item = connection.get(ROLLOUTS, key.namespace, key.name)
        resource, name = _where(item)
        now_s = to_millis(time.time())
        kept = {OVERRIDE: note(said, now_s, user, reason)}
        try:
            if resource is ROLLOUTS:
                change(item["spec"])
                item["metadata"]["annotations"] = {**(item["metadata"].get("annotations") or {}), **kept}
                connection.replace(ROLLOUTS, key.namespace, item)
            else:
                holder = connection.get(resource, key.namespace, name)
                change(holder if resource is POD_TEMPLATES else holder["spec"])
                connection.replace(resource, key.namespace, holder)
                connection.patch(ROLLOUTS, key.namespace, key.name, {"metadata": {"annotations": kept}})
        except ConflictError:
            continue  # somebody was faster: read again, and change what is there now
        tell(connection, item, said, user, reason, now_s)
        return Revised(where=f"{resource.kind} {key.namespace}/{name}", effect=said)
    raise OperatorError(f"Rollout {key} changed {ATTEMPTS} times while it was to be changed; try again")


def _where(item: Json) -> tuple[Resource, str]:
    """Return the kind and name of the object that has the pod template."""
    reference = item["spec"].get("workloadRef")
    if reference is None:
        return ROLLOUTS, str(item["metadata"]["name"])
    resource = KINDS.get(reference.get("kind", ""))
    if resource is None:
        raise OperatorError(f"spec.workloadRef.kind is {reference.get('kind')}; Gamebird knows {', '.join(KINDS)}")
    return resource, str(reference["name"])
