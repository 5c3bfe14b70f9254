"""The names that labels can hold: of the rollout, its services and its two revisions."""

from __future__ import annotations

from dataclasses import dataclass

from controller.manifests.values import Rollout

HASH_LABELS = ("pod_template_hash", "rollouts_pod_template_hash", "label_rollouts_pod_template_hash")


_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_SPREAD = 5_915_587  # a prime, so that no two of the first millions of pods share a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What the platform calls things. Services are "" where the rollout names none.

    Attributes:
        stable_hash, release_hash: pod-template hashes of the revision before, and of the release under test.
        app: the value of the pods' `app` label.
    """

    rollout: str
    namespace: str = "default"
    app: str = ""
    stable_hash: str
    release_hash: str
    canary_service: str = ""
    stable_service: str = ""
    ingress: str = ""

    def hash_of(self, is_release: bool) -> str:
        return self.release_hash if is_release else self.stable_hash

    def pod(self, ordinal: int, *, is_release: bool) -> str:
        """Return a pod's name as a ReplicaSet would make it, the same for the same pod in every run."""
        left, letters = (ordinal + 1) * _SPREAD % len(_SAFE) ** 5, ""
        for _ in range(5):
            left, letter = divmod(left, len(_SAFE))
            letters += _SAFE[letter]
        return f"{self.rollout}-{self.hash_of(is_release)}-{letters}"


def naming_of(rollout: Rollout, *, stable_hash: str, release_hash: str) -> Naming:
    """Return the names of one rollout whose two revisions have these hashes."""
    labels = {} if rollout.template is None else dict(rollout.template.labels)
    routing = rollout.strategy.traffic_routing
    nginx = None if routing is None else routing.nginx
    return Naming(
        rollout=rollout.name,
        namespace=rollout.namespace or "default",
        app=labels.get("app", labels.get("app.kubernetes.io/name", rollout.name)),
        stable_hash=stable_hash,
        release_hash=release_hash,
        canary_service=rollout.strategy.canary_service,
        stable_service=rollout.strategy.stable_service,
        ingress="" if nginx is None else nginx.stable_ingresses[0],
    )
