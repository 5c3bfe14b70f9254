"""How a rollout moves traffic: the routers that Argo Rollouts knows, as values.

Pure. Gamebird drives nginx Ingresses, the Gateway API and Istio, and plain replicas without any
router; the other routers are read whole so that a policy that names them can still be simulated.
Relied on by controller.core (is there a router, what is the largest weight) and controller.traffic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.manifests.values.amounts import FrozenMap


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxRouting:
    """Weights in the annotations of a canary Ingress that the controller derives from the stable one."""

    stable_ingresses: tuple[str, ...]
    annotation_prefix: str = "nginx.ingress.kubernetes.io"
    additional_annotations: FrozenMap[str] = field(default_factory=FrozenMap)
    canary_annotations: FrozenMap[str] = field(default_factory=FrozenMap)


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioVirtualService:
    name: str
    routes: tuple[str, ...] = ()
    tls_routes: tuple[tuple[int, tuple[str, ...]], ...] = ()  # (port, SNI hosts)
    tcp_routes: tuple[int, ...] = ()  # ports


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioDestinationRule:
    name: str
    canary_subset: str
    stable_subset: str
    additional_subsets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IstioRouting:
    virtual_services: tuple[IstioVirtualService, ...]
    destination_rule: IstioDestinationRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbRouting:
    ingresses: tuple[str, ...]
    service_port: int
    root_service: str = ""
    annotation_prefix: str = "alb.ingress.kubernetes.io"
    stickiness_s: float | None = None  # None: not sticky


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiRouting:
    root_service: str = ""
    traffic_split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbassadorRouting:
    mappings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraefikRouting:
    weighted_service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApisixRouting:
    route: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AppMeshRouting:
    virtual_service: str
    routes: tuple[str, ...] = ()
    canary_virtual_node: str = ""
    stable_virtual_node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayApiRouting:
    """The Gateway API plugin (`argoproj-labs/gatewayAPI`): weights of an HTTPRoute's backends."""

    http_routes: tuple[str, ...] = ()
    grpc_routes: tuple[str, ...] = ()
    tcp_routes: tuple[str, ...] = ()
    tls_routes: tuple[str, ...] = ()
    namespace: str = ""


GATEWAY_API_PLUGIN = "argoproj-labs/gatewayAPI"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRouting:
    """`trafficRouting`: any number of routers at once, as Argo allows."""

    nginx: NginxRouting | None = None
    istio: IstioRouting | None = None
    alb: AlbRouting | None = None
    smi: SmiRouting | None = None
    ambassador: AmbassadorRouting | None = None
    app_mesh: AppMeshRouting | None = None
    traefik: TraefikRouting | None = None
    apisix: ApisixRouting | None = None
    gateway_api: GatewayApiRouting | None = None
    plugins: FrozenMap[str] = field(default_factory=FrozenMap)  # plugin name -> its settings as JSON
    managed_routes: tuple[str, ...] = ()  # in order of precedence
    max_traffic_weight: int | None = None

    @property
    def total_weight(self) -> int:
        """The weight that means all traffic."""
        return 100 if self.max_traffic_weight is None else self.max_traffic_weight

    @property
    def routers(self) -> tuple[str, ...]:
        """The names of the routers that the manifest gives, as it spells them."""
        named = (
            ("nginx", self.nginx),
            ("istio", self.istio),
            ("alb", self.alb),
            ("smi", self.smi),
            ("ambassador", self.ambassador),
            ("appMesh", self.app_mesh),
            ("traefik", self.traefik),
            ("apisix", self.apisix),
        )
        return tuple(name for name, router in named if router is not None) + tuple(self.plugins)
