"""Every field that Argo Rollouts knows, and what Gamebird does with it. Data; nothing is read here.

Three things are made from this table: which fields are unknown (and what was meant), which are
refused or warned about and why, and the section on fields in the documentation. A field that could
change a decision and is not carried out is REFUSED; one that cannot is WARNED or, where nobody
could expect an effect, QUIET.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Treatment(Enum):
    """What happens to a field."""

    DONE = "done"  # read, and it has the effect that it has in Argo Rollouts
    QUIET = "no effect on decisions"  # read or skipped without a word
    WARNED = "ignored with a warning"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field.

    Attributes:
        or_empty: an empty mapping asks for nothing, so it is no mistake. Argo's own objects hold such ones.
    """

    treatment: Treatment = Treatment.DONE
    why: str = ""
    or_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One mapping of a manifest: where it stands, and its fields."""

    home: str  # the path as a person writes it
    kind: str
    fields: Mapping[str, Field]

    def named(self, treatment: Treatment) -> tuple[str, ...]:
        return tuple(name for name, field in self.fields.items() if field.treatment is treatment)


BLOCKS: dict[str, Block] = {}


def _block(
    key: str,
    kind: str,
    home: str,
    done: str,
    *,
    quiet: str = "",
    warned: Mapping[str, str] | None = None,
    refused: Mapping[str, str] | None = None,
    refused_if_filled: Mapping[str, str] | None = None,
) -> None:
    fields = {name: Field() for name in done.split()}
    fields |= {name: Field(treatment=Treatment.QUIET) for name in quiet.split()}
    fields |= {n: Field(treatment=Treatment.WARNED, why=why) for n, why in (warned or {}).items()}
    fields |= {n: Field(treatment=Treatment.REFUSED, why=why) for n, why in (refused or {}).items()}
    fields |= {
        n: Field(treatment=Treatment.REFUSED, why=why, or_empty=True) for n, why in (refused_if_filled or {}).items()
    }
    BLOCKS[key] = Block(home=home, kind=kind, fields=fields)


# ---- what all objects share

_block("object", "every kind", "", "apiVersion kind metadata spec", quiet="status")
_block(
    "metadata",
    "every kind",
    "metadata",
    "name namespace labels annotations generateName",
    quiet="creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generation managedFields "
    "ownerReferences resourceVersion selfLink uid",
)
_block(
    "podMetadata", "Rollout", "spec.template.metadata", "labels annotations", quiet="creationTimestamp name namespace"
)
_block("selector", "Rollout", "spec.selector", "matchLabels matchExpressions")
_block("matchExpression", "Rollout", "spec.selector.matchExpressions[]", "key operator values")

# ---- Rollout

_block(
    "rollout",
    "Rollout",
    "spec",
    "replicas selector template workloadRef minReadySeconds rollbackWindow strategy revisionHistoryLimit paused "
    "progressDeadlineSeconds progressDeadlineAbort restartAt analysis",
)
_block(
    "workloadRef",
    "Rollout",
    "spec.workloadRef",
    "apiVersion kind name",
    warned={"scaleDown": "a simulation leaves the workload's own pods as they are; they meet none of the traffic"},
)
_block("rollbackWindow", "Rollout", "spec.rollbackWindow", "revisions")
_block("runHistory", "Rollout", "spec.analysis", "successfulRunHistoryLimit unsuccessfulRunHistoryLimit")
_block("template", "Rollout", "spec.template", "metadata spec")
_block(
    "podSpec",
    "Rollout",
    "spec.template.spec",
    "containers initContainers terminationGracePeriodSeconds",
    quiet="activeDeadlineSeconds affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks "
    "ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname hostnameOverride "
    "imagePullSecrets nodeName nodeSelector os overhead preemptionPolicy priority priorityClassName "
    "readinessGates resourceClaims resources restartPolicy runtimeClassName schedulerName schedulingGates "
    "securityContext serviceAccount serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain "
    "tolerations topologySpreadConstraints volumes",
)
_block(
    "container",
    "Rollout",
    "spec.template.spec.containers[]",
    "name image env ports readinessProbe livenessProbe startupProbe resources lifecycle",
    quiet="args command envFrom imagePullPolicy resizePolicy restartPolicy restartPolicyRules securityContext "
    "stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir",
)
_block(
    "probe",
    "Rollout",
    "spec.template.spec.containers[].readinessProbe",
    "exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds successThreshold tcpSocket "
    "terminationGracePeriodSeconds timeoutSeconds",
)
_block("resources", "Rollout", "spec.template.spec.containers[].resources", "limits requests", quiet="claims")
_block(
    "strategy",
    "Rollout",
    "spec.strategy",
    "canary",
    refused={"blueGreen": "Gamebird decides canaries; a blueGreen rollout has no steps to judge"},
)
_block(
    "canary",
    "Rollout",
    "spec.strategy.canary",
    "canaryService stableService steps trafficRouting maxUnavailable maxSurge analysis canaryMetadata "
    "stableMetadata scaleDownDelaySeconds scaleDownDelayRevisionLimit abortScaleDownDelaySeconds "
    "dynamicStableScale pingPong minPodsPerReplicaSet replicaProgressThreshold",
    warned={"antiAffinity": "pods are not kept apart by node; where they run changes no decision"},
)
_block("roleMetadata", "Rollout", "spec.strategy.canary.canaryMetadata", "labels annotations")
_block("pingPong", "Rollout", "spec.strategy.canary.pingPong", "pingService pongService")
_block(
    "antiAffinity",
    "Rollout",
    "spec.strategy.canary.antiAffinity",
    "preferredDuringSchedulingIgnoredDuringExecution requiredDuringSchedulingIgnoredDuringExecution",
)
_block(
    "preferredAffinity",
    "Rollout",
    "spec.strategy.canary.antiAffinity.preferredDuringSchedulingIgnoredDuringExecution",
    "weight",
)
_block(
    "requiredAffinity",
    "Rollout",
    "spec.strategy.canary.antiAffinity.requiredDuringSchedulingIgnoredDuringExecution",
    "",
)
_block("replicaProgressThreshold", "Rollout", "spec.strategy.canary.replicaProgressThreshold", "type value")
_block(
    "step",
    "Rollout",
    "spec.strategy.canary.steps[]",
    "setWeight pause analysis setCanaryScale setHeaderRoute setMirrorRoute",
    refused={
        "experiment": "Gamebird starts no Experiment; leaving it out would skip what it decides",
        "plugin": "Gamebird runs no step plugin; leaving it out would skip what it decides",
    },
)
_block("pause", "Rollout", "spec.strategy.canary.steps[].pause", "duration")
_block("setCanaryScale", "Rollout", "spec.strategy.canary.steps[].setCanaryScale", "weight replicas matchTrafficWeight")
_block("setHeaderRoute", "Rollout", "spec.strategy.canary.steps[].setHeaderRoute", "name match")
_block("headerMatch", "Rollout", "spec.strategy.canary.steps[].setHeaderRoute.match[]", "headerName headerValue")
_block("setMirrorRoute", "Rollout", "spec.strategy.canary.steps[].setMirrorRoute", "name match percentage")
_block("routeMatch", "Rollout", "spec.strategy.canary.steps[].setMirrorRoute.match[]", "method path headers")
_block(
    "stringMatch", "Rollout", "spec.strategy.canary.steps[].setHeaderRoute.match[].headerValue", "exact prefix regex"
)
_block(
    "rolloutAnalysis",
    "Rollout",
    "spec.strategy.canary.steps[].analysis",
    "templates args dryRun measurementRetention analysisRunMetadata",
)
_block(
    "backgroundAnalysis",
    "Rollout",
    "spec.strategy.canary.analysis",
    "templates args dryRun measurementRetention analysisRunMetadata startingStep",
)
_block("templateRef", "Rollout", "spec.strategy.canary.analysis.templates[]", "templateName clusterScope")
_block("rolloutArg", "Rollout", "spec.strategy.canary.analysis.args[]", "name value valueFrom")
_block("rolloutArgSource", "Rollout", "spec.strategy.canary.analysis.args[].valueFrom", "podTemplateHashValue fieldRef")
_block("fieldRef", "Rollout", "spec.strategy.canary.analysis.args[].valueFrom.fieldRef", "fieldPath")

# ---- traffic routing

_NO_DRIVER = "Gamebird moves no traffic by this router; the policy can be simulated and rehearsed all the same"
_block(
    "trafficRouting",
    "Rollout",
    "spec.strategy.canary.trafficRouting",
    "nginx istio plugins managedRoutes maxTrafficWeight",
    warned=dict.fromkeys(("alb", "smi", "ambassador", "appMesh", "traefik", "apisix"), _NO_DRIVER),
)
_ROUTING = "spec.strategy.canary.trafficRouting"
_block("managedRoute", "Rollout", f"{_ROUTING}.managedRoutes[]", "name")
_block(
    "nginx",
    "Rollout",
    f"{_ROUTING}.nginx",
    "annotationPrefix stableIngress stableIngresses additionalIngressAnnotations canaryIngressAnnotations",
)
_block("istio", "Rollout", f"{_ROUTING}.istio", "virtualService virtualServices destinationRule")
_block("istioVirtualService", "Rollout", f"{_ROUTING}.istio.virtualService", "name routes tlsRoutes tcpRoutes")
_block("istioTlsRoute", "Rollout", f"{_ROUTING}.istio.virtualService.tlsRoutes[]", "port sniHosts")
_block("istioTcpRoute", "Rollout", f"{_ROUTING}.istio.virtualService.tcpRoutes[]", "port")
_block(
    "istioDestinationRule",
    "Rollout",
    f"{_ROUTING}.istio.destinationRule",
    "name canarySubsetName stableSubsetName additionalSubsetNames",
)
_block(
    "alb", "Rollout", f"{_ROUTING}.alb", "ingress ingresses servicePort rootService annotationPrefix stickinessConfig"
)
_block("stickiness", "Rollout", f"{_ROUTING}.alb.stickinessConfig", "enabled durationSeconds")
_block("smi", "Rollout", f"{_ROUTING}.smi", "rootService trafficSplitName")
_block("ambassador", "Rollout", f"{_ROUTING}.ambassador", "mappings")
_block("traefik", "Rollout", f"{_ROUTING}.traefik", "weightedTraefikServiceName")
_block("apisix", "Rollout", f"{_ROUTING}.apisix", "route")
_block("apisixRoute", "Rollout", f"{_ROUTING}.apisix.route", "name rules")
_block("appMesh", "Rollout", f"{_ROUTING}.appMesh", "virtualService virtualNodeGroup")
_block("appMeshService", "Rollout", f"{_ROUTING}.appMesh.virtualService", "name routes")
_block("appMeshGroup", "Rollout", f"{_ROUTING}.appMesh.virtualNodeGroup", "canaryVirtualNodeRef stableVirtualNodeRef")
_block("appMeshNode", "Rollout", f"{_ROUTING}.appMesh.virtualNodeGroup.canaryVirtualNodeRef", "name")

# ---- AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun

_block("analysisTemplate", "AnalysisTemplate", "spec", "metrics args dryRun measurementRetention templates")
_block(
    "analysisRun",
    "AnalysisRun",
    "spec",
    "metrics args dryRun measurementRetention terminate",
    quiet="ttlStrategy",
)
_block("templateArg", "AnalysisTemplate", "spec.args[]", "name value valueFrom")
_block("templateArgSource", "AnalysisTemplate", "spec.args[].valueFrom", "secretKeyRef fieldRef")
_block("secretKeyRef", "AnalysisTemplate", "spec.args[].valueFrom.secretKeyRef", "name key")
_block("dryRun", "AnalysisTemplate", "spec.dryRun[]", "metricName")
_block("measurementRetention", "AnalysisTemplate", "spec.measurementRetention[]", "metricName limit")
_block("runMetadata", "Rollout", "spec.strategy.canary.analysis.analysisRunMetadata", "labels annotations")
_block(
    "metric",
    "AnalysisTemplate",
    "spec.metrics[]",
    "name interval initialDelay count successCondition failureCondition failureLimit inconclusiveLimit "
    "consecutiveErrorLimit consecutiveSuccessLimit provider",
)
_NOT_ASKED = "Gamebird does not ask this provider; a world answers for it, or each measurement is an error"
OTHER_PROVIDERS = [
    "job",
    "kayenta",
    "datadog",
    "wavefront",
    "newRelic",
    "cloudWatch",
    "graphite",
    "influxdb",
    "skywalking",
    "plugin",
]
_block(
    "provider",
    "AnalysisTemplate",
    "spec.metrics[].provider",
    "prometheus web",
    warned=dict.fromkeys(OTHER_PROVIDERS, _NOT_ASKED),
)
_PROVIDER = "spec.metrics[].provider"
_block(
    "prometheus",
    "AnalysisTemplate",
    f"{_PROVIDER}.prometheus",
    "address query timeout insecure headers authentication rangeQuery",
)
_block("rangeQuery", "AnalysisTemplate", f"{_PROVIDER}.prometheus.rangeQuery", "start end step")
_block(
    "authentication",
    "AnalysisTemplate",
    f"{_PROVIDER}.prometheus.authentication",
    "basicAuth oauth2",
    refused_if_filled={"sigv4": "Gamebird signs no request for AWS, so every measurement would be an error"},
)
_block(
    "oauth2",
    "AnalysisTemplate",
    f"{_PROVIDER}.prometheus.authentication.oauth2",
    "tokenUrl clientId clientSecret scopes",
)
_block("basicAuth", "AnalysisTemplate", f"{_PROVIDER}.prometheus.authentication.basicAuth", "username password")
_block("header", "AnalysisTemplate", f"{_PROVIDER}.prometheus.headers[]", "key value")
_block(
    "web",
    "AnalysisTemplate",
    f"{_PROVIDER}.web",
    "method url headers body jsonBody timeoutSeconds jsonPath insecure authentication",
)

# ---- fields that people put in the wrong place: (block, field) -> what would do

MISPLACED: dict[tuple[str, str], str] = {
    ("strategy", "type"): "to be removed: a Deployment has it, a Rollout has spec.strategy.canary",
    ("strategy", "rollingUpdate"): "maxSurge and maxUnavailable directly under spec.strategy.canary",
    ("strategy", "steps"): "to stand under spec.strategy.canary",
    ("rollout", "steps"): "to stand under spec.strategy.canary",
    ("rollout", "canary"): "to stand under spec.strategy",
    ("rollout", "metrics"): "to stand in an AnalysisTemplate, under spec",
    (
        "canary",
        "autoPromotionEnabled",
    ): "to be removed: only a blueGreen strategy has it; a canary pauses by a pause step",
    (
        "canary",
        "autoPromotionSeconds",
    ): "to be removed: only a blueGreen strategy has it; a canary has pause: {duration: …}",
    ("canary", "experiment"): "to be removed: an experiment is a step, and Gamebird refuses those",
    ("canary", "experiments"): "to be removed: an experiment is a step, and Gamebird refuses those",
    ("canary", "setWeight"): "to stand in a step, under spec.strategy.canary.steps",
    ("canary", "pause"): "to stand in a step, under spec.strategy.canary.steps",
    ("canary", "nginx"): "to stand under spec.strategy.canary.trafficRouting",
    ("canary", "istio"): "to stand under spec.strategy.canary.trafficRouting",
    ("canary", "alb"): "to stand under spec.strategy.canary.trafficRouting",
    (
        "backgroundAnalysis",
        "templateName",
    ): "to stand in a list: spec.strategy.canary.analysis.templates[0].templateName",
    ("rolloutAnalysis", "templateName"): "to stand in a list: analysis.templates[0].templateName",
    ("backgroundAnalysis", "name"): "to be removed; the template is named by analysis.templates[].templateName",
    ("rolloutAnalysis", "name"): "to be removed; the template is named by analysis.templates[].templateName",
    ("step", "duration"): "to stand under pause: {duration: …}",
    ("step", "templates"): "to stand under analysis",
    ("step", "weight"): "to be spelled setWeight",
    ("prometheus", "args"): "to stand in the template's spec.args (and, with a value, in the Rollout's analysis.args)",
    ("metric", "args"): "to stand in the template's spec.args",
    ("metric", "query"): "to stand under provider.prometheus",
    ("metric", "prometheus"): "to stand under provider",
    ("metric", "web"): "to stand under provider",
    ("metric", "job"): "to stand under provider",
    ("analysisRun", "analysisSpec"): "its metrics directly under spec; analysisSpec is of a version before 1.0",
    ("podSpec", "readinessProbe"): "to stand in a container, under spec.template.spec.containers[]",
    ("podSpec", "livenessProbe"): "to stand in a container, under spec.template.spec.containers[]",
}
_NOT_TELLING = frozenset(
    [
        "name",
        "value",
        "templates",
        "args",
        "type",
        "weight",
        "key",
        "labels",
        "annotations",
        "match",
        "path",
        "route",
        "rules",
    ]
)


def home_of(field: str, kind: str) -> str | None:
    """Return where a field that stands in the wrong place belongs, if its name tells."""
    if field in _NOT_TELLING:
        return None
    homes = [block for block in BLOCKS.values() if field in block.fields]
    own = [block for block in homes if block.kind in (kind, "every kind")]
    found = own or homes
    if len({block.home for block in found}) != 1:
        return None
    block = found[0]
    owner = "" if block.kind in (kind, "every kind") else f" of an {block.kind}"
    return f"{block.home}.{field}{owner}" if block.home else f"{field}, at the top of the document"
