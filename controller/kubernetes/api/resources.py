"""The kinds of object that Gamebird reads and writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object in one version of its group."""

    group: str  # "" is the core group
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As an object's `apiVersion` says it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def text(self) -> str:
        """As people and roles say it: rollouts.argoproj.io."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path of a collection, an object, or a part of it.

        Args:
            namespace: None for all namespaces, or for a kind that has none.
        """
        parts = ["apis", self.group] if self.group else ["api"]
        parts.append(self.version)
        if namespace is not None and self.namespaced:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/" + "/".join(quote(part, safe="") for part in parts)


def _argo(plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(group="argoproj.io", version="v1alpha1", plural=plural, kind=kind, namespaced=namespaced)


ROLLOUTS = _argo("rollouts", "Rollout")
ANALYSIS_TEMPLATES = _argo("analysistemplates", "AnalysisTemplate")
CLUSTER_ANALYSIS_TEMPLATES = _argo("clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False)
ANALYSIS_RUNS = _argo("analysisruns", "AnalysisRun")
REPLICA_SETS = Resource(group="apps", version="v1", plural="replicasets", kind="ReplicaSet")
DEPLOYMENTS = Resource(group="apps", version="v1", plural="deployments", kind="Deployment")
PODS = Resource(group="", version="v1", plural="pods", kind="Pod")
POD_TEMPLATES = Resource(group="", version="v1", plural="podtemplates", kind="PodTemplate")
SERVICES = Resource(group="", version="v1", plural="services", kind="Service")
SECRETS = Resource(group="", version="v1", plural="secrets", kind="Secret")
EVENTS = Resource(group="", version="v1", plural="events", kind="Event")
NAMESPACES = Resource(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False)
INGRESSES = Resource(group="networking.k8s.io", version="v1", plural="ingresses", kind="Ingress")
HTTP_ROUTES = Resource(group="gateway.networking.k8s.io", version="v1", plural="httproutes", kind="HTTPRoute")
VIRTUAL_SERVICES = Resource(group="networking.istio.io", version="v1", plural="virtualservices", kind="VirtualService")
DESTINATION_RULES = Resource(
    group="networking.istio.io", version="v1", plural="destinationrules", kind="DestinationRule"
)
LEASES = Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease")
CRDS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
)
