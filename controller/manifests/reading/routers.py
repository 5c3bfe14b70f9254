"""The `trafficRouting` block: each router that Argo Rollouts knows, read whole."""

from __future__ import annotations

from typing import Any

from controller.manifests.problems import shown
from controller.manifests.reading.reader import Reader
from controller.manifests.values import (
    GATEWAY_API_PLUGIN,
    AlbRouting,
    AmbassadorRouting,
    ApisixRouting,
    AppMeshRouting,
    FrozenMap,
    GatewayApiRouting,
    IstioDestinationRule,
    IstioRouting,
    IstioVirtualService,
    NginxRouting,
    SmiRouting,
    TraefikRouting,
    TrafficRouting,
    canonical_json,
)


def read_traffic_routing(reader: Reader) -> TrafficRouting:
    """Return all routers that the block names; Argo allows several at once."""
    routing = TrafficRouting(
        nginx=_nginx(reader),
        istio=_istio(reader),
        alb=_alb(reader),
        smi=_smi(reader),
        ambassador=_ambassador(reader),
        app_mesh=_app_mesh(reader),
        traefik=_traefik(reader),
        apisix=_apisix(reader),
        gateway_api=_gateway_api(reader),
        plugins=_plugins(reader),
        managed_routes=tuple(
            route.text("name", required=True) for route in reader.children("managedRoutes", "managedRoute")
        ),
        max_traffic_weight=reader.maybe_integer("maxTrafficWeight", minimum=1),
    )
    supported = routing.nginx is not None or routing.plugins
    if routing.max_traffic_weight is not None and not supported:
        reader.fail(str(routing.max_traffic_weight), "nginx or a plugin; no other router has it", "maxTrafficWeight")
    return routing


def _one_or_many(reader: Reader, one: str, many: str) -> tuple[str, ...]:
    """Return the names of ingresses, of which either a single one or a list is given."""
    single, several = reader.text(one), reader.texts(many)
    if single and several:
        reader.fail("given beside " + one, f"either {one} or {many}", many)
    elif not single and not several and not reader.has(many):
        reader.fail("missing", f"the name of an Ingress (or {many})", one)
    return several or ((single,) if single else ())


def _nginx(routing: Reader) -> NginxRouting | None:
    reader = routing.child("nginx", "nginx")
    if reader is None:
        return None
    return NginxRouting(
        stable_ingresses=_one_or_many(reader, "stableIngress", "stableIngresses"),
        annotation_prefix=reader.text("annotationPrefix", "nginx.ingress.kubernetes.io"),
        additional_annotations=reader.text_map("additionalIngressAnnotations"),
        canary_annotations=reader.text_map("canaryIngressAnnotations"),
    )


def _alb(routing: Reader) -> AlbRouting | None:
    reader = routing.child("alb", "alb")
    if reader is None:
        return None
    if not reader.has("servicePort"):
        reader.fail("missing", "a port number", "servicePort")
    sticky = reader.child("stickinessConfig", "stickiness")
    sticky_s = None if sticky is None or not sticky.flag("enabled") else sticky.integer("durationSeconds", 0, minimum=1)
    return AlbRouting(
        ingresses=_one_or_many(reader, "ingress", "ingresses"),
        service_port=reader.integer("servicePort", 0, maximum=65535),
        root_service=reader.text("rootService"),
        annotation_prefix=reader.text("annotationPrefix", "alb.ingress.kubernetes.io"),
        stickiness_s=None if sticky_s is None else float(sticky_s),
    )


def _istio(routing: Reader) -> IstioRouting | None:
    reader = routing.child("istio", "istio")
    if reader is None:
        return None
    single = reader.child("virtualService", "istioVirtualService")
    several = reader.children("virtualServices", "istioVirtualService")
    if single is not None and several:
        reader.fail("given beside virtualService", "either virtualService or virtualServices", "virtualServices")
    if single is None and not several:
        reader.fail("missing", "the name of a VirtualService (or virtualServices)", "virtualService")
    rule = reader.child("destinationRule", "istioDestinationRule")
    return IstioRouting(
        virtual_services=tuple(map(_virtual_service, several or ([single] if single is not None else []))),
        destination_rule=None
        if rule is None
        else IstioDestinationRule(
            name=rule.text("name", required=True),
            canary_subset=rule.text("canarySubsetName", required=True),
            stable_subset=rule.text("stableSubsetName", required=True),
            additional_subsets=rule.texts("additionalSubsetNames"),
        ),
    )


def _virtual_service(reader: Reader) -> IstioVirtualService:
    return IstioVirtualService(
        name=reader.text("name", required=True),
        routes=reader.texts("routes"),
        tls_routes=tuple(
            (route.integer("port", 0, maximum=65535), route.texts("sniHosts"))
            for route in reader.children("tlsRoutes", "istioTlsRoute")
        ),
        tcp_routes=tuple(
            route.integer("port", 0, maximum=65535) for route in reader.children("tcpRoutes", "istioTcpRoute")
        ),
    )


def _smi(routing: Reader) -> SmiRouting | None:
    reader = routing.child("smi", "smi")
    if reader is None:
        return None
    return SmiRouting(root_service=reader.text("rootService"), traffic_split=reader.text("trafficSplitName"))


def _ambassador(routing: Reader) -> AmbassadorRouting | None:
    reader = routing.child("ambassador", "ambassador")
    return None if reader is None else AmbassadorRouting(mappings=reader.texts("mappings", required=True))


def _traefik(routing: Reader) -> TraefikRouting | None:
    reader = routing.child("traefik", "traefik")
    if reader is None:
        return None
    return TraefikRouting(weighted_service=reader.text("weightedTraefikServiceName", required=True))


def _apisix(routing: Reader) -> ApisixRouting | None:
    reader = routing.child("apisix", "apisix")
    if reader is None:
        return None
    route = reader.child("route", "apisixRoute", required=True)
    if route is None:
        return ApisixRouting(route="")
    return ApisixRouting(route=route.text("name", required=True), rules=route.texts("rules"))


def _app_mesh(routing: Reader) -> AppMeshRouting | None:
    reader = routing.child("appMesh", "appMesh")
    if reader is None:
        return None
    service = reader.child("virtualService", "appMeshService")
    group = reader.child("virtualNodeGroup", "appMeshGroup")
    nodes = {}
    for role in ("canary", "stable"):
        node = None if group is None else group.child(f"{role}VirtualNodeRef", "appMeshNode", required=True)
        nodes[role] = "" if node is None else node.text("name", required=True)
    return AppMeshRouting(
        virtual_service="" if service is None else service.text("name", required=True),
        routes=() if service is None else service.texts("routes"),
        canary_virtual_node=nodes["canary"],
        stable_virtual_node=nodes["stable"],
    )


def _plugins(routing: Reader) -> FrozenMap[str]:
    reader = routing.child("plugins", "")
    if reader is None:
        return FrozenMap()
    for name in reader.value:
        if name != GATEWAY_API_PLUGIN:
            reader.warn(
                "ignored: Gamebird moves no traffic by this plugin; the policy can be simulated and rehearsed "
                "all the same",
                name,
            )
    return FrozenMap({name: canonical_json(settings) for name, settings in reader.value.items()})


def _gateway_api(routing: Reader) -> GatewayApiRouting | None:
    """Return the Gateway API plugin's settings; a single httpRoute and a list of them mean the same."""
    plugins = routing.child("plugins", "")
    reader = None if plugins is None else plugins.child(GATEWAY_API_PLUGIN, "")
    if reader is None:
        return None

    def routes(kind: str) -> tuple[str, ...]:
        single = reader.text(kind)
        several = reader.value.get(kind + "s") or []
        if not isinstance(several, list):
            reader.fail(shown(several), "a list of routes", kind + "s")
            several = []
        names = [_route_name(item) for item in several]
        return ((single,) if single else ()) + tuple(name for name in names if name)

    settings = GatewayApiRouting(
        http_routes=routes("httpRoute"),
        grpc_routes=routes("grpcRoute"),
        tcp_routes=routes("tcpRoute"),
        tls_routes=routes("tlsRoute"),
        namespace=reader.text("namespace"),
    )
    named = settings.http_routes + settings.grpc_routes + settings.tcp_routes + settings.tls_routes
    if not named and not any(key.endswith("Selector") for key in reader.value):
        reader.fail("without a route", "httpRoute, or httpRoutes with the name of each")
    return settings


def _route_name(item: Any) -> str:
    name = item.get("name") if isinstance(item, dict) else item
    return name if isinstance(name, str) else ""
