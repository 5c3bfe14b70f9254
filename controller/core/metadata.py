"""Labels and annotations that pods carry while they play a role: canary or stable.

A set of pods that is neither loses what it was given. Nothing is asked for when neither role has any, and
nothing when a set carries already what its role says.
"""

from __future__ import annotations

from controller.core.actions import SetPodMetadata
from controller.core.look import Look
from controller.core.snapshot import NO_METADATA, ReplicaSetSeen
from controller.manifests.values import PodMetadata


def reconcile_metadata(look: Look) -> None:
    """Give each revision's pods what its role says."""
    canary = look.plan.canary
    if canary.canary_metadata is None and canary.stable_metadata is None:
        return
    new, stable = look.new, look.stable
    if new is None:
        return
    rolled_out = look.status.stable_hash in ("", new.pod_hash)
    _give(look, new, canary.stable_metadata if rolled_out else canary.canary_metadata)
    if not rolled_out and stable is not None:
        _give(look, stable, canary.stable_metadata)
    for other in look.others:
        _give(look, other, None)


def metadata_at_birth(look: Look, pod_hash: str) -> None:
    """Give a revision that is about to be made what its first role says, before it has pods."""
    canary = look.plan.canary
    wanted = canary.stable_metadata if look.stable is None else canary.canary_metadata
    if wanted is not None:
        look.actions.append(SetPodMetadata(pod_hash=pod_hash, metadata=wanted))


def _give(look: Look, replica_set: ReplicaSetSeen, wanted: PodMetadata | None) -> None:
    metadata = wanted or NO_METADATA
    if replica_set.metadata != metadata:
        look.actions.append(SetPodMetadata(pod_hash=replica_set.pod_hash, metadata=metadata))
