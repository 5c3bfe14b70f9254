"""Services, Ingresses, HTTPRoutes, autoscalers and workloads, as far as a rollout refers to them.

These are other projects' kinds: only the fields that a rollout depends on are looked at, and a
field that is not known here is no error.
"""

from __future__ import annotations

from typing import Any

from controller.manifests.reading.metadata import read_metadata
from controller.manifests.reading.pods import read_pod_template, read_selector
from controller.manifests.reading.reader import Reader
from controller.manifests.values import (
    HorizontalPodAutoscaler,
    HttpRoute,
    Ingress,
    IngressBackend,
    ResourceTarget,
    RouteBackend,
    ScalingPolicy,
    ScalingRules,
    Service,
    ServicePort,
    Workload,
)


def read_service(reader: Reader) -> Service:
    metadata = read_metadata(reader)
    spec = reader.child("spec", "")
    ports = []
    for port in [] if spec is None else spec.children("ports", ""):
        if not port.has("port"):
            port.fail("missing", "a port number", "port")
        ports.append(
            ServicePort(
                port=port.integer("port", 0, minimum=1, maximum=65535),
                name=port.text("name"),
                target_port=_number_or_name(port.value.get("targetPort")),
            )
        )
    return Service(
        name=metadata.name,
        namespace=metadata.namespace or "default",
        annotations=metadata.annotations,
        ports=tuple(ports),
        **({} if spec is None else {"selector": spec.text_map("selector")}),
    )


def _number_or_name(value: Any) -> int | str | None:
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def read_ingress(reader: Reader) -> Ingress:
    """Return an Ingress with one entry for each path of each rule, and its default backend."""
    metadata = read_metadata(reader)
    spec = reader.child("spec", "")
    backends = []
    if spec is not None:
        default = spec.child("defaultBackend", "") or spec.child("backend", "")
        if default is not None:
            backends.append(_ingress_backend("", "", default.value))
        for rule in spec.children("rules", ""):
            http = rule.child("http", "")
            for path in [] if http is None else http.children("paths", ""):
                backend = path.child("backend", "")
                if backend is not None:
                    backends.append(_ingress_backend(rule.text("host"), path.text("path"), backend.value))
    return Ingress(
        name=metadata.name,
        namespace=metadata.namespace or "default",
        ingress_class="" if spec is None else spec.text("ingressClassName"),
        annotations=metadata.annotations,
        backends=tuple(backends),
    )


def _ingress_backend(host: str, path: str, backend: dict[str, Any]) -> IngressBackend:
    """Return a backend of networking.k8s.io/v1, or of the versions before it."""
    service = backend.get("service")
    if isinstance(service, dict):
        port = service.get("port")
        number = _number_or_name(port.get("number") or port.get("name")) if isinstance(port, dict) else None
        return IngressBackend(host=host, path=path, service=str(service.get("name") or ""), port=number)
    name = backend.get("serviceName")
    port = _number_or_name(backend.get("servicePort"))
    return IngressBackend(host=host, path=path, service=name if isinstance(name, str) else "", port=port)


def read_http_route(reader: Reader) -> HttpRoute:
    metadata = read_metadata(reader)
    spec = reader.child("spec", "", required=True)
    if spec is None:
        return HttpRoute(name=metadata.name)
    backends = []
    for index, rule in enumerate(spec.children("rules", "")):
        for ref in rule.children("backendRefs", ""):
            backends.append(
                RouteBackend(
                    rule=index,
                    service=ref.text("name", required=True),
                    port=ref.maybe_integer("port", minimum=1, maximum=65535),
                    weight=ref.integer("weight", 1, maximum=1_000_000),
                )
            )
    return HttpRoute(
        name=metadata.name,
        namespace=metadata.namespace or "default",
        hostnames=spec.texts("hostnames"),
        gateways=tuple(ref.text("name", required=True) for ref in spec.children("parentRefs", "")),
        backends=tuple(backends),
    )


def read_autoscaler(reader: Reader) -> HorizontalPodAutoscaler:
    metadata = read_metadata(reader)
    spec = reader.child("spec", "", required=True)
    if spec is None:
        return HorizontalPodAutoscaler(name=metadata.name, target_kind="", target_name="", replicas_max=1)
    target = spec.child("scaleTargetRef", "", required=True)
    if not spec.has("maxReplicas"):
        spec.fail("missing", "a whole number, 1 or more", "maxReplicas")
    replicas_min = spec.integer("minReplicas", 1)
    replicas_max = spec.integer("maxReplicas", max(1, replicas_min), minimum=1)
    if replicas_max < replicas_min:
        spec.fail(str(replicas_max), f"at least minReplicas ({replicas_min})", "maxReplicas")
    resources = [_resource_target(metric) for metric in spec.children("metrics", "")]
    percent = spec.maybe_integer("targetCPUUtilizationPercentage", minimum=1)  # autoscaling/v1
    if percent is not None:
        resources.append(ResourceTarget(resource="cpu", utilization_percent=percent))
    behavior = spec.child("behavior", "")
    return HorizontalPodAutoscaler(
        name=metadata.name,
        namespace=metadata.namespace or "default",
        target_kind="" if target is None else target.text("kind", required=True),
        target_name="" if target is None else target.text("name", required=True),
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        resources=tuple(resource for resource in resources if resource is not None),
        scale_up=_scaling_rules(behavior, "scaleUp"),
        scale_down=_scaling_rules(behavior, "scaleDown"),
    )


def _resource_target(metric: Reader) -> ResourceTarget | None:
    inner = metric.child("resource", "") or metric.child("containerResource", "")
    if inner is None:
        metric.warn("only resource metrics of an autoscaler are modelled; this one is ignored", "type")
        return None
    name = inner.text("name", required=True)
    if inner.has("targetAverageUtilization"):  # autoscaling/v2beta1
        return ResourceTarget(
            resource=name, utilization_percent=inner.maybe_integer("targetAverageUtilization", minimum=1)
        )
    target = inner.child("target", "", required=True)
    average = None if target is None else target.value.get("averageValue")
    return ResourceTarget(
        resource=name,
        utilization_percent=None if target is None else target.maybe_integer("averageUtilization", minimum=1),
        average_value="" if average is None else str(average),
    )


def _scaling_rules(behavior: Reader | None, direction: str) -> ScalingRules:
    reader = None if behavior is None else behavior.child(direction, "")
    if reader is None:
        return ScalingRules()
    window = reader.maybe_integer("stabilizationWindowSeconds", maximum=3600)
    policies = []
    for policy in reader.children("policies", ""):
        kind = policy.choice("type", ("Pods", "Percent"), "Pods")
        policies.append(
            ScalingPolicy(
                percent=kind == "Percent",
                value=policy.integer("value", 1, minimum=1),
                period_s=float(policy.integer("periodSeconds", 15, minimum=1, maximum=1800)),
            )
        )
    return ScalingRules(
        stabilization_s=None if window is None else float(window),
        select_policy=reader.choice("selectPolicy", ("Max", "Min", "Disabled"), "Max"),
        policies=tuple(policies),
    )


def read_workload(reader: Reader) -> Workload:
    """Return a Deployment, ReplicaSet or PodTemplate that a workloadRef may name."""
    metadata = read_metadata(reader)
    kind = reader.value["kind"]
    holder = reader if kind == "PodTemplate" else reader.child("spec", "", required=True)
    if holder is None:
        return Workload(kind=kind, name=metadata.name)
    selector = None if kind == "PodTemplate" else read_selector(holder, required=False)
    return Workload(
        kind=kind,
        name=metadata.name,
        namespace=metadata.namespace or "default",
        selector=selector,
        template=read_pod_template(holder, selector),
    )
