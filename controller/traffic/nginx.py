"""nginx Ingress: the canary's weight is an annotation of a second Ingress, made from the stable one.

Everything that the stable Ingress sends to the stable Service, the canary Ingress sends to the canary Service; the
ingress controller splits by `canary-weight`. As in Argo Rollouts, annotations that others have put on the canary
Ingress stay, and one that another object controls is never touched. Steps' header and mirror routes are left out, as
Argo Rollouts does; a canary that is chosen by a header is `additionalIngressAnnotations` with `canary-by-header`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from controller.core.actions import SetWeight
from controller.manifests.values import NginxRouting, Rollout, SetHeaderRoute, SetMirrorRoute
from controller.traffic.routers import Objects, RouterError, with_each

Json = dict[str, Any]

INGRESS = "Ingress"
NAME_MAX = 253
_CLASS = "kubernetes.io/ingress.class"


def canary_name(rollout: str, ingress: str) -> str:
    """Return the canary Ingress's name, cut where Kubernetes would refuse it."""
    suffix = "-canary"
    return f"{rollout}-{ingress}"[: NAME_MAX - len(suffix)] + suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxRouter:
    """The Ingresses of one rollout.

    Args:
        owner: the reference that makes a canary Ingress the rollout's own.
    """

    rollout: Rollout
    routing: NginxRouting
    objects: Objects
    owner: Json

    def set_weight(self, weight: SetWeight) -> None:
        """Let every canary Ingress carry the weight."""
        with_each(self.routing.stable_ingresses, lambda name: self._set(name, weight))

    def weight(self) -> int | None:
        """Return the weight that all canary Ingresses carry, which is 0 for one that is not there.

        None where a stable Ingress is missing, or they differ.
        """
        key = f"{self.routing.annotation_prefix}/canary-weight"
        found: set[int | None] = set()
        for name in self.routing.stable_ingresses:
            if self.objects.get(INGRESS, name) is None:
                return None
            canary = self.objects.get(INGRESS, canary_name(self.rollout.name, name))
            text = "0" if canary is None else (canary["metadata"].get("annotations") or {}).get(key, "")
            found.add(int(text) if text.isdecimal() else None)
        return found.pop() if len(found) == 1 else None

    def set_route(self, route: SetHeaderRoute | SetMirrorRoute) -> None:
        """Leave header and mirror routes out, as Argo Rollouts does with this router."""

    def remove_routes(self) -> None:
        """There are none."""

    def _set(self, name: str, weight: SetWeight) -> None:
        stable = self.objects.get(INGRESS, name)
        if stable is None:
            raise RouterError(f"the Ingress {name} that spec.strategy.canary.trafficRouting.nginx names is not there")
        wanted = self._wanted(stable, weight)
        known = self.objects.get(INGRESS, wanted["metadata"]["name"])
        if known is None:
            self.objects.create(INGRESS, wanted)
            return
        references = known["metadata"].get("ownerReferences") or ()
        if not any(each.get("controller") and each.get("uid") == self.owner["uid"] for each in references):
            raise RouterError(f"the Ingress {known['metadata']['name']} is there and is controlled by another object")
        patch = _difference(known, wanted)
        if patch:
            self.objects.patch(INGRESS, known["metadata"]["name"], patch)

    def _wanted(self, stable: Json, weight: SetWeight) -> Json:
        strategy = self.rollout.strategy
        spec: Json = {}
        for part in ("ingressClassName", "tls"):
            if stable["spec"].get(part):
                spec[part] = copy.deepcopy(stable["spec"][part])
        spec["rules"] = _rules(stable, strategy.stable_service, strategy.canary_service)
        if not spec["rules"]:
            name = stable["metadata"]["name"]
            raise RouterError(f"the Ingress {name} has no rule that sends to the Service {strategy.stable_service}")
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": INGRESS,
            "metadata": {
                "name": canary_name(self.rollout.name, stable["metadata"]["name"]),
                "namespace": stable["metadata"]["namespace"],
                "annotations": self._annotations(stable, weight),
                "ownerReferences": [self.owner],
            },
            "spec": spec,
        }

    def _annotations(self, stable: Json, weight: SetWeight) -> dict[str, str]:
        prefix = self.routing.annotation_prefix
        found: dict[str, str] = {}
        kind = (stable["metadata"].get("annotations") or {}).get(_CLASS)
        if kind is not None:
            found[_CLASS] = kind
        for name, text in self.routing.additional_annotations.items():
            found[name if name.startswith(prefix) else f"{prefix}/{name}"] = text
        found |= dict(self.routing.canary_annotations)
        found |= {f"{prefix}/canary": "true", f"{prefix}/canary-weight": str(weight.canary)}
        if weight.total != 100:
            found[f"{prefix}/canary-weight-total"] = str(weight.total)
        return found


def _rules(stable: Json, stable_service: str, canary_service: str) -> list[Json]:
    """Return the rules that have a path to the stable Service, with the canary Service in its place."""
    found = []
    for rule in stable["spec"].get("rules") or ():
        rule = copy.deepcopy(rule)
        backends = [
            path["backend"]["service"]
            for path in (rule.get("http") or {}).get("paths") or ()
            if (path["backend"].get("service") or {}).get("name") == stable_service
        ]
        for backend in backends:
            backend["name"] = canary_service
        if backends:
            found.append(rule)
    return found


def _difference(known: Json, wanted: Json) -> Json:
    """Return the merge patch that brings annotations and spec where they are wanted; empty where they are."""
    patch: Json = {}
    annotations = known["metadata"].get("annotations") or {}
    changed = {name: text for name, text in wanted["metadata"]["annotations"].items() if annotations.get(name) != text}
    if changed:
        patch["metadata"] = {"annotations": changed}
    differs = {part: value for part, value in wanted["spec"].items() if known["spec"].get(part) != value}
    gone = {part: None for part in ("ingressClassName", "tls") if part in known["spec"] and part not in wanted["spec"]}
    if differs or gone:
        patch["spec"] = {**differs, **gone}
    return patch
