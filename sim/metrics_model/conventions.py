"""What a metric's name says it counts, by the habits of exporters, proxies and meshes.

`recognise` is the one place that knows names. A metric that it does not know is not made: a policy is told so, with
the metrics that it could mean and the way to map its own name to one of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from promql.syntax.metric_names import Holds, counts_failures, counts_requests, what_it_holds


class Counts(Enum):
    """What a series of the metric counts or shows."""

    REQUESTS = auto()
    BUCKET = auto()  # of latencies, cumulative
    LATENCY_SUM = auto()
    CPU = auto()  # seconds, a counter
    MEMORY = auto()  # bytes, a gauge
    RESTARTS = auto()
    UP = auto()


class Seen(Enum):
    """Who counts: decides the target that is scraped, and whether series are of one pod or of a revision."""

    POD = auto()  # the application itself
    SIDECAR = auto()  # a proxy beside each pod, scraped with it
    PROXY = auto()  # one proxy in front of all pods


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one metric behaves.

    Attributes:
        unit_s: seconds in one unit of its latencies.
        bounds: of its buckets, in its own unit; None: the service's own.
        labels: that it has although no query names them.
        only: which endings it counts: "5xx" or "503" by status, "failed" for all of 400 and above, "ok" for the
            others; "" for all.
        fixed: labels with their values, on all series.
        status: (label, word for a good end, word for a failure), where a map says so.
        first_event: its series are born with the first event, whatever the release says.
    """

    metric: str
    counts: Counts
    seen: Seen = Seen.POD
    unit_s: float = 1.0
    bounds: tuple[float, ...] | None = None
    labels: tuple[str, ...] = ()
    only: str = ""
    first_event: bool = False
    fixed: tuple[tuple[str, str], ...] = ()
    status: tuple[str, str, str] | None = None


ISTIO_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6)
NGINX_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TRAEFIK_S = (0.1, 0.3, 1.2, 5.0)
ENVOY_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6)
LINKERD_MS = tuple(float(digit * 10**power) for power in range(5) for digit in (1, 2, 3, 4, 5))

_PART = re.compile(r"^(?P<base>.+)_(?P<part>bucket|count|sum)$")
_LATENCY = re.compile(
    r"(?:^|_)(?:duration|latency|latencies|response_time|request_time|handling|requests?)"
    r"(?:_(?P<unit>seconds|milliseconds|ms|s|millis))?(?:_by_\w+)?$"
)
_MILLIS = ("milliseconds", "ms", "millis")
_NOT_SERVED = re.compile(
    r"(?:^|_)(?:client|outgoing|outbound|db|database|sql|postgres|mysql|redis|cache|kafka|queue|job|cron)_"
)
_CONTAINER = ("namespace", "pod", "container")


def recognise(metric: str) -> Family | None:
    """Return how the metric behaves, or None where its name says nothing that the model can make."""
    for known in (_infrastructure, _proxy, _application):
        family = known(metric)
        if family is not None:
            return family
    return None


def known_metrics() -> tuple[str, ...]:
    """Return examples of every kind of metric that is made without a map, for messages."""
    return (
        "http_requests_total",
        "http_request_duration_seconds_bucket, _count, _sum",
        "http_server_requests_seconds_*",
        "*_requests_total and *_request_duration_seconds_* of an application",
        "istio_requests_total",
        "istio_request_duration_milliseconds_*",
        "nginx_ingress_controller_requests",
        "nginx_ingress_controller_request_duration_seconds_*",
        "envoy_cluster_upstream_rq*",
        "envoy_http_downstream_rq*",
        "traefik_service_requests_total",
        "haproxy_backend_http_responses_total",
        "response_total and response_latency_ms_* of Linkerd",
        "container_cpu_usage_seconds_total",
        "container_memory_working_set_bytes",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "kube_pod_container_status_restarts_total",
        "up",
    )


def _infrastructure(metric: str) -> Family | None:
    match metric:
        case "up":
            return Family(metric=metric, counts=Counts.UP)
        case "container_cpu_usage_seconds_total":
            return Family(metric=metric, counts=Counts.CPU, labels=_CONTAINER)
        case "process_cpu_seconds_total":
            return Family(metric=metric, counts=Counts.CPU)
        case "container_memory_working_set_bytes" | "container_memory_usage_bytes" | "container_memory_rss":
            return Family(metric=metric, counts=Counts.MEMORY, labels=_CONTAINER)
        case "process_resident_memory_bytes":
            return Family(metric=metric, counts=Counts.MEMORY)
        case "kube_pod_container_status_restarts_total":
            return Family(metric=metric, counts=Counts.RESTARTS, labels=_CONTAINER)
        case _:
            return None


def _proxy(metric: str) -> Family | None:
    base, part = _split(metric)
    labels: tuple[str, ...]
    match base:
        case "istio_requests_total":
            labels = ("reporter", "destination_service", "response_code")
            return Family(metric=metric, counts=Counts.REQUESTS, seen=Seen.SIDECAR, labels=labels, first_event=True)
        case "istio_request_duration_milliseconds":
            labels = ("reporter", "destination_service", "response_code")
            return _timed(metric, part, Seen.SIDECAR, 0.001, ISTIO_MS, labels)
        case "nginx_ingress_controller_requests":
            labels = ("ingress", "service", "status")
            return Family(metric=metric, counts=Counts.REQUESTS, seen=Seen.PROXY, labels=labels, first_event=True)
        case "nginx_ingress_controller_request_duration_seconds" | "nginx_ingress_controller_response_duration_seconds":
            return _timed(metric, part, Seen.PROXY, 1.0, NGINX_S, ("ingress", "service", "status"))
        case "traefik_service_requests_total":
            labels = ("service", "code")
            return Family(metric=metric, counts=Counts.REQUESTS, seen=Seen.PROXY, labels=labels, first_event=True)
        case "traefik_service_request_duration_seconds":
            return _timed(metric, part, Seen.PROXY, 1.0, TRAEFIK_S, ("service", "code"))
        case "haproxy_backend_http_responses_total":
            labels = ("proxy", "code")
            return Family(metric=metric, counts=Counts.REQUESTS, seen=Seen.PROXY, labels=labels, first_event=True)
        case "response_total":
            labels = ("classification", "status_code")
            return Family(metric=metric, counts=Counts.REQUESTS, seen=Seen.SIDECAR, labels=labels, first_event=True)
        case "request_total":
            return Family(metric=metric, counts=Counts.REQUESTS, seen=Seen.SIDECAR, first_event=True)
        case "response_latency_ms":
            return _timed(metric, part, Seen.SIDECAR, 0.001, LINKERD_MS, ("status_code",))
        case _:
            return _envoy(metric, base, part)


def _envoy(metric: str, base: str, part: str) -> Family | None:
    cluster = ("envoy_cluster_name",)
    found = re.fullmatch(r"envoy_cluster_(?:external_)?upstream_rq(?:_(total|completed|xx|[1-5]xx|[1-5]\d\d))?", base)
    if found is not None:
        return _envoy_count(metric, found[1] or "", cluster)
    found = re.fullmatch(r"envoy_http_downstream_rq(?:_(total|completed|xx|[1-5]xx))?", base)
    if found is not None:
        return _envoy_count(metric, found[1] or "", ("envoy_http_conn_manager_prefix",))
    if base in ("envoy_cluster_upstream_rq_time", "envoy_cluster_external_upstream_rq_time"):
        return _timed(metric, part, Seen.PROXY, 0.001, ENVOY_MS, cluster)
    if base == "envoy_http_downstream_rq_time":
        return _timed(metric, part, Seen.PROXY, 0.001, ENVOY_MS, ("envoy_http_conn_manager_prefix",))
    return None


def _envoy_count(metric: str, what: str, labels: tuple[str, ...]) -> Family:
    only = what if re.fullmatch(r"[1-5](xx|\d\d)", what) else ""
    if what == "xx":
        labels = (*labels, "envoy_response_code_class")
    elif what == "":
        labels = (*labels, "envoy_response_code")
    return Family(
        metric=metric, counts=Counts.REQUESTS, seen=Seen.PROXY, labels=labels, only=only, first_event=bool(only or what)
    )


def _timed(
    metric: str, part: str, seen: Seen, unit_s: float, bounds: tuple[float, ...] | None, labels: tuple[str, ...]
) -> Family | None:
    counts = {"bucket": Counts.BUCKET, "count": Counts.REQUESTS, "sum": Counts.LATENCY_SUM}.get(part)
    if counts is None:
        return None
    first_event = seen is not Seen.POD
    return Family(
        metric=metric, counts=counts, seen=seen, unit_s=unit_s, bounds=bounds, labels=labels, first_event=first_event
    )


APPLICATION_LABELS = ("method", "route", "service")


def _application(metric: str) -> Family | None:
    if _NOT_SERVED.search(metric):
        return None
    base, part = _split(metric)
    timed = _LATENCY.search(base)
    if part and timed is not None:
        unit_s = 0.001 if timed["unit"] in _MILLIS else 1.0
        return _timed(metric, part, Seen.POD, unit_s, None, APPLICATION_LABELS)
    if counts_requests(metric):
        return Family(metric=metric, counts=Counts.REQUESTS, labels=(*APPLICATION_LABELS, "status"))
    if counts_failures(metric) and what_it_holds(metric) is Holds.EVENTS and _served(metric):
        return Family(metric=metric, counts=Counts.REQUESTS, labels=APPLICATION_LABELS, only="failed")
    return None


def _served(metric: str) -> bool:
    return bool(re.search(r"(?:^|_)(?:https?|requests?|responses?|flask|grpc|server|api)(?:_|$)", metric)) or bool(
        re.fullmatch(r"(?:\w+_)?(?:exceptions|errors)_total", metric)
    )


def _split(metric: str) -> tuple[str, str]:
    found = _PART.match(metric)
    return (metric, "") if found is None else (found["base"], found["part"])
