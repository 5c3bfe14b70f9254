"""Whether a rollout's pod template is that of a ReplicaSet that is there already, whoever made it.

Hashes are the usual answer. They differ although the templates do not where the server has filled in defaults: an
older revision that was taken back from its ReplicaSet has them all, and so have sets of versions of Argo Rollouts that
hashed differently. Then the templates themselves are compared, as Argo does.
"""

from __future__ import annotations

import copy
from typing import Any

from controller.core.snapshot import NO_METADATA
from controller.kubernetes import labels
from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import REPLICA_SETS
from controller.kubernetes.replica_sets import put_metadata

Json = dict[str, Any]


def hash_of_same_template(connection: Connection, item: Json, sets: dict[str, Json]) -> str | None:
    """Return the pod hash of the set that has the rollout's template, or None.

    Asks the server for its defaults where another controller has made sets, without writing anything.

    Args:
        sets: the rollout's ReplicaSets by pod hash.
    """
    template = item["spec"]["template"]
    found = _same(template, sets)
    foreign = {pod_hash: each for pod_hash, each in sets.items() if not _is_ours(each)}
    if found is not None or not foreign:
        return found
    probe = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"generateName": "gamebird-probe-", "namespace": item["metadata"]["namespace"]},
        "spec": {"replicas": 0, "selector": item["spec"]["selector"], "template": template},
    }
    path = REPLICA_SETS.path(item["metadata"]["namespace"])
    filled = connection.call("POST", path, query={"dryRun": "All"}, body=probe, resource=REPLICA_SETS)
    return _same(filled["spec"]["template"], foreign)


def template_of(replica_set: Json) -> Json:
    """Return a set's pod template as its rollout had it: without its hash, and without what a role gave the pods."""
    plain = copy.deepcopy(replica_set)
    put_metadata(plain, NO_METADATA)
    template: Json = plain["spec"]["template"]
    template["metadata"].get("labels", {}).pop(labels.POD_HASH, None)
    return template


def _same(template: Json, sets: dict[str, Json]) -> str | None:
    wanted = _comparable(template)
    return next((pod_hash for pod_hash, each in sets.items() if _comparable(template_of(each)) == wanted), None)


def _is_ours(replica_set: Json) -> bool:
    fields = replica_set["metadata"].get("managedFields") or ()
    return any(each.get("manager") == "gamebird" and not each.get("subresource") for each in fields)


def _comparable(template: Json) -> Json:
    """Return a template without what differs although nothing does."""
    own = template.get("metadata") or {}
    names = {name: text for name, text in (own.get("labels") or {}).items() if name != labels.POD_HASH}
    spec = dict(template["spec"])
    spec.pop("serviceAccount", None)  # the old spelling of serviceAccountName, filled in by the server
    return {"metadata": {"labels": names, "annotations": own.get("annotations") or {}}, "spec": spec}
