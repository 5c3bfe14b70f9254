"""A Rollout: its spec, its canary block, and the rules by which Argo Rollouts accepts it.

What Argo refuses is refused here, in one pass and with positions; a base or a patch for kustomize
is recognised first, so that its reader is told to render it and not that half of it is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, cast

from controller.manifests.problems import shown
from controller.manifests.reading.analyses import read_background_analysis
from controller.manifests.reading.metadata import read_extensions, read_metadata
from controller.manifests.reading.pods import read_pod_template, read_selector
from controller.manifests.reading.reader import INT32_MAX, RENDER, Reader
from controller.manifests.reading.routers import read_traffic_routing
from controller.manifests.reading.steps import read_step
from controller.manifests.values import (
    DEFAULT_QUARTER,
    AntiAffinity,
    CanaryStrategy,
    PingPong,
    PodMetadata,
    ReplicaProgressThreshold,
    Rollout,
    TrafficRouting,
    WorkloadRef,
    canonical_json,
)

_SCALE_DOWN = ("never", "onsuccess", "progressively")


def read_rollout(reader: Reader) -> Rollout | None:
    """Return the Rollout that `reader` looks at, or None where no strategy can be made of it."""
    metadata = read_metadata(reader)
    spec = reader.child("spec", "rollout", required=True)
    if spec is None:
        return None
    _check_one_strategy(spec)
    missing = [name for name in ("selector", "template", "strategy") if not spec.has(name)]
    if not spec.has("workloadRef") and _is_fragment(spec, missing):
        reader.fail(f"a kustomize patch or base (it has no {' and no '.join(missing)})", RENDER)
        return None
    workload_ref = _workload_ref(spec)
    selector = read_selector(spec, required=workload_ref is None)
    own_template = workload_ref is None
    if workload_ref is not None and spec.has("template"):
        spec.fail("given beside workloadRef", "to be taken out; the workload has the template", "template")
    strategy = _strategy(spec)
    rollback_window = spec.child("rollbackWindow", "rollbackWindow")
    history = spec.child("analysis", "runHistory")
    min_ready = spec.integer("minReadySeconds", 0)
    deadline = spec.integer("progressDeadlineSeconds", 600)
    if deadline <= min_ready:
        spec.fail(str(deadline), f"more than minReadySeconds ({min_ready})", "progressDeadlineSeconds")
    revision_limit = spec.integer("revisionHistoryLimit", 10)
    template = read_pod_template(spec, selector) if own_template else None
    if strategy is None:
        return None
    return Rollout(
        name=metadata.name,
        namespace=metadata.namespace or "default",
        labels=metadata.labels,
        annotations=metadata.annotations,
        replicas=spec.integer("replicas", 1),
        selector=selector,
        template=template,
        workload_ref=workload_ref,
        min_ready_s=float(min_ready),
        revision_history_limit=revision_limit,
        progress_deadline_s=float(deadline),
        progress_deadline_abort=spec.flag("progressDeadlineAbort"),
        paused=spec.flag("paused"),
        restart_at_s=_restart_at(spec),
        rollback_window_revisions=None if rollback_window is None else rollback_window.integer("revisions", 0),
        successful_run_history_limit=5 if history is None else history.integer("successfulRunHistoryLimit", 5),
        unsuccessful_run_history_limit=5 if history is None else history.integer("unsuccessfulRunHistoryLimit", 5),
        strategy=strategy,
        extensions=read_extensions(reader, metadata),
        document=canonical_json(reader.value),
    )


def _is_fragment(spec: Reader, missing: list[str]) -> bool:
    """Tell a patch from a Rollout with a mistake: a patch lacks what no one forgets."""
    if len(missing) >= 2:
        return True
    template = spec.value.get("template")
    inner = template.get("metadata") if isinstance(template, dict) else None
    return missing == ["selector"] and not inner


def _check_one_strategy(spec: Reader) -> None:
    strategy = spec.value.get("strategy")
    if isinstance(strategy, dict) and strategy.get("canary") is not None and strategy.get("blueGreen") is not None:
        spec.fail("canary and blueGreen together", "one strategy", "strategy")


def _workload_ref(spec: Reader) -> WorkloadRef | None:
    reader = spec.child("workloadRef", "workloadRef")
    if reader is None:
        return None
    scale_down = reader.choice("scaleDown", _SCALE_DOWN)
    return WorkloadRef(
        api_version=reader.text("apiVersion", "apps/v1"),
        kind=reader.choice("kind", ("Deployment", "ReplicaSet", "PodTemplate"), "Deployment"),
        name=reader.text("name", required=True),
        scale_down=cast(Literal["", "never", "onsuccess", "progressively"], scale_down),
    )


def _restart_at(spec: Reader) -> float | None:
    text = spec.text("restartAt")
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or (when.tzinfo is None and "T" not in text):
        spec.fail(shown(text), "a time such as 2026-11-24T12:00:00Z", "restartAt")
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _strategy(spec: Reader) -> CanaryStrategy | None:
    reader = spec.child("strategy", "strategy")
    if reader is None:
        if not spec.has("strategy"):
            spec.fail("missing", "a canary block (if this is a kustomize base, render it first)", "strategy")
        return None
    if reader.has("blueGreen"):
        return None
    if not isinstance(reader.value.get("canary"), dict):
        if not reader.value.keys() - {"canary", "blueGreen"}:
            reader.fail("without canary", "a canary block, which may be empty: canary: {}")
        elif reader.has("canary"):
            reader.child("canary", "canary")
        return None
    canary = reader.child("canary", "canary")
    return None if canary is None else _canary(canary, spec)


def _canary(reader: Reader, spec: Reader) -> CanaryStrategy:
    routing_reader = reader.child("trafficRouting", "trafficRouting")
    routing = None if routing_reader is None else read_traffic_routing(routing_reader)
    step_readers = reader.children("steps", "step")
    background = reader.child("analysis", "backgroundAnalysis")
    scale_down = reader.maybe_integer("scaleDownDelaySeconds")
    abort_scale_down = reader.maybe_integer("abortScaleDownDelaySeconds")
    strategy = CanaryStrategy(
        steps=tuple(read_step(step, routing) for step in step_readers),
        canary_service=reader.text("canaryService"),
        stable_service=reader.text("stableService"),
        traffic_routing=routing,
        max_surge=reader.amount("maxSurge", DEFAULT_QUARTER),
        max_unavailable=reader.amount("maxUnavailable", DEFAULT_QUARTER),
        analysis=None if background is None else read_background_analysis(background, steps=len(step_readers)),
        anti_affinity=_anti_affinity(reader),
        canary_metadata=_role_metadata(reader, "canaryMetadata"),
        stable_metadata=_role_metadata(reader, "stableMetadata"),
        scale_down_delay_s=None if scale_down is None else float(scale_down),
        scale_down_delay_revision_limit=reader.maybe_integer("scaleDownDelayRevisionLimit"),
        abort_scale_down_delay_s=None if abort_scale_down is None else float(abort_scale_down),
        dynamic_stable_scale=reader.flag("dynamicStableScale"),
        ping_pong=_ping_pong(reader),
        min_pods_per_replica_set=reader.maybe_integer("minPodsPerReplicaSet"),
        replica_progress_threshold=_progress_threshold(reader),
    )
    _check_amounts(reader, strategy)
    _check_services(reader, strategy)
    _check_scaling(reader, strategy)
    return strategy


def _role_metadata(reader: Reader, name: str) -> PodMetadata | None:
    inner = reader.child(name, "roleMetadata")
    if inner is None:
        return None
    return PodMetadata(labels=inner.text_map("labels"), annotations=inner.text_map("annotations"))


def _ping_pong(reader: Reader) -> PingPong | None:
    inner = reader.child("pingPong", "pingPong")
    if inner is None:
        return None
    ping, pong = inner.text("pingService", required=True), inner.text("pongService", required=True)
    if ping and ping == pong:
        inner.fail(f"{ping!r} twice", "two different Services", "pongService")
    return PingPong(ping_service=ping, pong_service=pong)


def _anti_affinity(reader: Reader) -> AntiAffinity | None:
    inner = reader.child("antiAffinity", "antiAffinity")
    if inner is None:
        return None
    preferred = inner.child("preferredDuringSchedulingIgnoredDuringExecution", "preferredAffinity")
    required = inner.child("requiredDuringSchedulingIgnoredDuringExecution", "requiredAffinity")
    if (preferred is None) == (required is None):
        inner.fail("both kinds" if preferred else "empty", "exactly one of the preferred and the required kind")
    if preferred is None:
        return AntiAffinity()
    if not preferred.has("weight"):
        preferred.fail("missing", "a whole number from 1 to 100", "weight")
    return AntiAffinity(preferred_weight=preferred.integer("weight", 1, minimum=1, maximum=100))


def _progress_threshold(reader: Reader) -> ReplicaProgressThreshold | None:
    inner = reader.child("replicaProgressThreshold", "replicaProgressThreshold")
    if inner is None:
        return None
    kind = inner.choice("type", ("Percent", "Pods"), "Percent")
    if not inner.has("value"):
        inner.fail("missing", "a whole number", "value")
    maximum = 100 if kind == "Percent" else INT32_MAX
    return ReplicaProgressThreshold(
        kind=cast(Literal["Percent", "Pods"], kind), value=inner.integer("value", 100, maximum=maximum)
    )


# ---- rules over several fields


def _check_amounts(reader: Reader, strategy: CanaryStrategy) -> None:
    if strategy.max_surge.number == 0 and strategy.max_unavailable.number == 0:
        reader.fail(str(strategy.max_surge), "more than 0 while maxUnavailable is 0", "maxSurge")


def _check_services(reader: Reader, strategy: CanaryStrategy) -> None:
    canary, stable, routing = strategy.canary_service, strategy.stable_service, strategy.traffic_routing
    if canary and canary == stable:
        reader.fail(f"{stable!r}, the canary's Service", "a Service of its own", "stableService")
    if routing is not None and _needs_services(strategy, routing):
        for name, service in (("stableService", stable), ("canaryService", canary)):
            if not service:
                reader.fail("missing", f"the name of a Service; {routing.routers[0]} sends to it", name)
    if strategy.ping_pong is None or routing is None:
        return
    if not (routing.alb or routing.istio or routing.plugins):
        reader.fail(
            f"used with {', '.join(routing.routers) or 'no router'}", "alb, istio or a plugin as the router", "pingPong"
        )
    if routing.alb and not routing.alb.root_service:
        reader.fail("missing", "a root Service, because pingPong is used", "trafficRouting", "alb", "rootService")


def _needs_services(strategy: CanaryStrategy, routing: TrafficRouting) -> bool:
    alone = strategy.ping_pong is None
    istio_hosts = routing.istio is not None and routing.istio.destination_rule is None
    always = (routing.smi, routing.apisix, routing.ambassador, routing.nginx, routing.app_mesh, routing.traefik)
    return any(always) or (alone and (istio_hosts or routing.alb is not None))


def _check_scaling(reader: Reader, strategy: CanaryStrategy) -> None:
    if strategy.traffic_routing is None:
        if strategy.scale_down_delay_s is not None:
            reader.fail(f"{strategy.scale_down_delay_s:g}", "trafficRouting beside it", "scaleDownDelaySeconds")
        if strategy.dynamic_stable_scale:
            reader.fail("true", "trafficRouting beside it", "dynamicStableScale")
    elif strategy.scale_down_delay_s is not None and strategy.dynamic_stable_scale:
        reader.fail("true beside scaleDownDelaySeconds", "one of the two", "dynamicStableScale")
