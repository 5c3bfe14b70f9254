"""Services, routes and autoscalers, as far as a rollout refers to them.

Pure values. They are what the other half of a team's folder holds: which pods a Service selects,
which Service an Ingress or HTTPRoute sends to, which autoscaler changes the replicas in mid-rollout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.manifests.values.amounts import FrozenMap
from controller.manifests.values.rollout import LabelSelector, PodTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    port: int
    name: str = ""
    target_port: int | str | None = None  # None: the same as `port`


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    name: str
    namespace: str = "default"
    selector: FrozenMap[str] = field(default_factory=FrozenMap)
    ports: tuple[ServicePort, ...] = ()
    annotations: FrozenMap[str] = field(default_factory=FrozenMap)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressBackend:
    """One rule of an Ingress; an empty host is the default backend or a rule for all hosts."""

    host: str
    path: str
    service: str
    port: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    name: str
    namespace: str = "default"
    ingress_class: str = ""
    annotations: FrozenMap[str] = field(default_factory=FrozenMap)
    backends: tuple[IngressBackend, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteBackend:
    """One backend of an HTTPRoute's rule; weights are relative within the rule."""

    rule: int
    service: str
    port: int | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    name: str
    namespace: str = "default"
    hostnames: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    backends: tuple[RouteBackend, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """At most `value` pods (or percent of them) per `period_s`."""

    percent: bool
    value: int
    period_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRules:
    """How fast one direction may go; None and () are the defaults of Kubernetes."""

    stabilization_s: float | None = None
    select_policy: str = "Max"
    policies: tuple[ScalingPolicy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTarget:
    """A resource metric: mean utilization in percent of the request, or a mean quantity as written."""

    resource: str
    utilization_percent: int | None = None
    average_value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizontalPodAutoscaler:
    name: str
    namespace: str = "default"
    target_kind: str
    target_name: str
    replicas_min: int = 1
    replicas_max: int
    resources: tuple[ResourceTarget, ...] = ()
    scale_up: ScalingRules = field(default_factory=ScalingRules)
    scale_down: ScalingRules = field(default_factory=ScalingRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment, ReplicaSet or PodTemplate that a rollout's workloadRef names."""

    kind: str
    name: str
    namespace: str = "default"
    selector: LabelSelector | None = None
    template: PodTemplate | None = None
