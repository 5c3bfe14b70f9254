"""A rollout's status as JSON, and back.

`selector`, `HPAReplicas` and the weights' service names are there for others to read (the scale subresource, the
command line of Argo Rollouts); the core derives its own and does not read them. Header and mirror routes are not in
Argo's schema: a restarted controller sets them once more, which changes nothing where they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.core.status import (
    Condition,
    ConditionKind,
    PauseCondition,
    PauseReason,
    Phase,
    RolloutStatus,
    RunReference,
    Truth,
    Weights,
)
from controller.kubernetes.wire.stamps import maybe_seconds, stamp

Json = dict[str, Any]


def rollout_status_json(
    status: RolloutStatus, *, selector: str, canary_service: str = "", stable_service: str = ""
) -> Json:
    """Return the status as it is stored. Fields that Argo leaves out when they are empty are left out.

    Args:
        selector: the rollout's label selector as text, for the scale subresource.
    """
    found: Json = {
        "phase": status.phase.value,
        "message": status.message,
        "observedGeneration": str(status.observed_generation) if status.observed_generation else "",
        "currentPodHash": status.current_hash,
        "stableRS": status.stable_hash,
        "currentStepHash": status.step_hash,
        "pauseConditions": [
            {"reason": pause.reason.value, "startTime": stamp(pause.started_s)} for pause in status.pauses
        ],
        "controllerPause": status.controller_pause,
        "abort": status.abort,
        "abortedAt": None if status.aborted_s is None else stamp(status.aborted_s),
        "promoteFull": status.promote_full,
        "restartedAt": None if status.restarted_s is None else stamp(status.restarted_s),
        "canary": _without_nothing(
            {
                "weights": _weights_json(status.weights, canary_service, stable_service),
                "currentStepAnalysisRunStatus": _reference_json(status.step_run),
                "currentBackgroundAnalysisRunStatus": _reference_json(status.background_run),
                "stablePingPong": status.stable_ping_pong,
            }
        ),
        "replicas": status.replicas,
        "HPAReplicas": status.replicas,
        "updatedReplicas": status.updated_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
        "conditions": [_condition_json(condition) for condition in status.conditions],
        "selector": selector,
    }
    kept = _without_nothing(found)
    # Zero is a step; only None is no steps. The other two are there in every status that Argo writes.
    if status.step_index is not None:
        kept["currentStepIndex"] = status.step_index
    return {"blueGreen": {}, "canary": {}, **kept}


def rollout_status_from(stored: Mapping[str, Any], *, revision: int) -> RolloutStatus:
    """Return the stored status; an empty mapping is that of a rollout that was never decided on.

    Args:
        revision: of the current pod template, which is stored in the rollout's annotations.

    Raises:
        ValueError, KeyError: it is not a status that Argo or we have written; the message names the field's content.
    """
    canary: Mapping[str, Any] = stored.get("canary") or {}
    step = stored.get("currentStepIndex")
    return RolloutStatus(
        phase=Phase(stored.get("phase", "")),
        message=stored.get("message", ""),
        observed_generation=int(stored.get("observedGeneration") or 0),
        revision=revision,
        current_hash=stored.get("currentPodHash", ""),
        stable_hash=stored.get("stableRS", ""),
        step_index=None if step is None else int(step),
        step_hash=stored.get("currentStepHash", ""),
        pauses=tuple(
            PauseCondition(reason=PauseReason(each["reason"]), started_s=maybe_seconds(each["startTime"]) or 0.0)
            for each in stored.get("pauseConditions") or ()
        ),
        controller_pause=bool(stored.get("controllerPause")),
        abort=bool(stored.get("abort")),
        aborted_s=maybe_seconds(stored.get("abortedAt")),
        promote_full=bool(stored.get("promoteFull")),
        restarted_s=maybe_seconds(stored.get("restartedAt")),
        weights=_weights_from(canary.get("weights")),
        step_run=_reference_from(canary.get("currentStepAnalysisRunStatus")),
        background_run=_reference_from(canary.get("currentBackgroundAnalysisRunStatus")),
        stable_ping_pong=canary.get("stablePingPong", ""),
        replicas=int(stored.get("replicas") or 0),
        updated_replicas=int(stored.get("updatedReplicas") or 0),
        ready_replicas=int(stored.get("readyReplicas") or 0),
        available_replicas=int(stored.get("availableReplicas") or 0),
        conditions=tuple(_condition_from(each) for each in stored.get("conditions") or ()),
    )


def _weights_json(weights: Weights | None, canary_service: str, stable_service: str) -> Json | None:
    if weights is None:
        return None
    found: Json = {
        "canary": {"weight": weights.canary, **_destination(canary_service, weights.canary_hash)},
        "stable": {"weight": weights.stable, **_destination(stable_service, weights.stable_hash)},
    }
    if weights.verified is not None:
        found["verified"] = weights.verified
    return found


def _destination(service: str, pod_hash: str) -> Json:
    return _without_nothing({"serviceName": service, "podTemplateHash": pod_hash})


def _weights_from(stored: Mapping[str, Any] | None) -> Weights | None:
    if not stored:
        return None
    canary, stable = stored.get("canary") or {}, stored.get("stable") or {}
    return Weights(
        canary=int(canary.get("weight", 0)),
        canary_hash=canary.get("podTemplateHash", ""),
        stable=int(stable.get("weight", 0)),
        stable_hash=stable.get("podTemplateHash", ""),
        verified=stored.get("verified"),
    )


def _reference_json(reference: RunReference | None) -> Json | None:
    if reference is None:
        return None
    found: Json = {"name": reference.name, "status": reference.phase}
    return {**found, "message": reference.message} if reference.message else found


def _reference_from(stored: Mapping[str, Any] | None) -> RunReference | None:
    if not stored:
        return None
    return RunReference(name=stored["name"], phase=stored.get("status", ""), message=stored.get("message", ""))


def _condition_json(condition: Condition) -> Json:
    return {
        "type": condition.kind.value,
        "status": condition.status.value,
        "reason": condition.reason,
        "message": condition.message,
        "lastUpdateTime": stamp(condition.updated_s),
        "lastTransitionTime": stamp(condition.changed_s),
    }


def _condition_from(stored: Mapping[str, Any]) -> Condition:
    return Condition(
        kind=ConditionKind(stored["type"]),
        status=Truth(stored["status"]),
        reason=stored.get("reason", ""),
        message=stored.get("message", ""),
        updated_s=maybe_seconds(stored.get("lastUpdateTime")) or 0.0,
        changed_s=maybe_seconds(stored.get("lastTransitionTime")) or 0.0,
    )


def _without_nothing(values: Json) -> Json:
    return {name: value for name, value in values.items() if value not in (None, "", False, 0, [], {})}
