"""How fast the controller aborts when many rollouts fail at once, and what it costs while nothing happens.

A real API server without a kubelet, `gamebird controller run` as a process of its own, and a metrics server that holds
its answers back until every rollout has a canary and a question that is due: then all of them turn bad together. Times
are from a rollout's own bad answer until a watch shows its canary's weight at 0, and until one shows the abort in its
status. What Argo Rollouts needs for the same, and what is wanted of us, is printed beside it.
"""

from __future__ import annotations

import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from controller.kubernetes.api import Connection, connect
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    INGRESSES,
    NAMESPACES,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from controller.kubernetes.api.watching import Reflector
from controller.kubernetes.crds import custom_resources
from experiments.testbeds.cluster.control_plane import ControlPlane, find_programs
from experiments.testbeds.cluster.kinds import define_kinds
from experiments.testbeds.cluster.kubelet import InstantKubelet
from experiments.testbeds.local.children import free_port

Json = dict[str, Any]

FAILING = {20: (0.50, 0.31), 60: (1.0, 0.49), 100: (1.5, 1.0)}  # so many -> Argo's p99 of weight 0, its abort in status
IDLE = 500
IDLE_S = float(os.environ.get("GAMEBIRD_BENCH_IDLE_S", "60"))
HELD_S = 3.0
CREATED_AT_ONCE = 8
SETTLES_S = 10.0  # what was begun before is written by then, events too
WITHIN_S = 240.0
MEMORY_MIB = 150
WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


class HoldingPrometheus:
    """Says that all is well, or holds its answers back and then says that all is bad. Knows when it told whom."""

    def __init__(self) -> None:
        self.told_s: dict[str, float] = {}  # rollout -> when it was first told something bad, monotonic
        self.bad = False
        self.open = threading.Event()
        self.open.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

            def _answer(self, form: str) -> None:
                asked = re.search(r'rollout="([^"]+)"', parse_qs(form).get("query", [""])[0])
                value = outer.say(asked[1] if asked else "")
                body = (
                    '{"status":"success","data":{"resultType":"vector","result":'
                    f'[{{"metric":{{}},"value":[0,"{value}"]}}]}}}}'
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def say(self, rollout: str) -> float:
        """Return the value that a rollout's metric has now."""
        self.open.wait()
        if self.bad:
            self.told_s.setdefault(rollout, time.monotonic())
        return 0.5 if self.bad else 0.001

    def close(self) -> None:
        """End, and let everybody go who waits."""
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


class Times:
    """When a watch first showed a weight of 0 and an abort, by rollout; and how many are where."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.weight_s: dict[str, float] = {}
        self.abort_s: dict[str, float] = {}
        self.weights: dict[str, str] = {}
        self.statuses: dict[str, Json] = {}
        self._watches = [
            Reflector(connection, INGRESSES, namespace=namespace, changed=self._ingress),
            Reflector(connection, ROLLOUTS, namespace=namespace, changed=self._rollout),
        ]

    def __enter__(self) -> Times:
        for watch in self._watches:
            watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.stop()

    def _ingress(self, before: Json | None, after: Json | None) -> None:
        weight = ((after or {}).get("metadata", {}).get("annotations") or {}).get(WEIGHT)
        if after is not None and weight is not None:
            name = after["metadata"]["ownerReferences"][0]["name"]
            if weight == "0" and self.weights.get(name, "0") != "0":
                self.weight_s[name] = time.monotonic()
            self.weights[name] = weight

    def _rollout(self, before: Json | None, after: Json | None) -> None:
        if after is not None:
            name, status = after["metadata"]["name"], after.get("status") or {}
            self.statuses[name] = status
            if status.get("abort"):
                self.abort_s.setdefault(name, time.monotonic())


def _await(seen: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not seen():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"not within {WITHIN_S:g} s: {what}")
        time.sleep(0.05)


@contextmanager
def _stage() -> Iterator[tuple[ControlPlane, Connection, HoldingPrometheus]]:
    """Yield an API server with our kinds, pods that become ready by themselves, and a metrics server."""
    programs = find_programs()
    if programs is None:
        raise SystemExit("no API server is here; build one with tools/build_cluster.sh")
    with tempfile.TemporaryDirectory(prefix="gamebird-bench-") as name:
        plane = ControlPlane(programs=programs, folder=Path(name)).start()
        prometheus = HoldingPrometheus()
        kubelet: InstantKubelet | None = None
        try:
            connection, _ = connect(kubeconfig=plane.kubeconfig)
            define_kinds(connection, custom_resources(), last=ANALYSIS_RUNS)
            kubelet = InstantKubelet(connection)
            kubelet.start()
            yield plane, connection, prometheus
        finally:
            prometheus.close()
            if kubelet is not None:
                kubelet.stop()
            plane.stop()


class Process:
    """`gamebird controller run`, and what the machine and the process itself tell of it."""

    def __init__(self, plane: ControlPlane) -> None:
        self._port = free_port()
        self._log = (plane.folder / "controller.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gamebird.cli.main", "controller", "run", "--listen", f"127.0.0.1:{self._port}"],
            env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
            stdout=self._log,
            stderr=self._log,
        )

    def await_ready(self) -> None:
        """Return when it says that it is ready."""

        def ready() -> bool:
            if self._process.poll() is not None:
                raise SystemExit(f"the controller ended:\n{Path(self._log.name).read_text()[-2_000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2.0) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        _await(ready, "the controller is ready")

    def cpu_s(self) -> float:
        """Return the CPU time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self, field: str = "VmRSS") -> float:
        """Return its resident memory; VmHWM is the most that it ever was."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"{field}:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")

    def requests(self) -> dict[str, int]:
        """Return how many requests it has sent to the API server, by verb and kind."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10.0) as answer:
            text = answer.read().decode()
        found: dict[str, int] = {}
        for verb, kind, count in re.findall(
            r'gamebird_api_requests_total\{resource="([^"]*)",status="[^"]*",verb="([^"]*)"\} (\S+)', text
        ):
            found[f"{kind} {verb}"] = found.get(f"{kind} {verb}", 0) + int(float(count))
        return found

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30.0)
        self._log.close()


def _objects(number: int, address: str, *, replicas: int) -> Iterator[tuple[Resource, Json]]:
    """Yield the objects of one rollout: two Services, an Ingress, a template, the rollout itself."""
    name = f"app-{number}"
    for side in ("stable", "canary"):
        yield (
            SERVICES,
            {"metadata": {"name": f"{name}-{side}"}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}},
        )
    backend = {"service": {"name": f"{name}-stable", "port": {"number": 80}}}
    rule = {"host": f"{name}.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    yield INGRESSES, {"metadata": {"name": name}, "spec": {"ingressClassName": "nginx", "rules": [rule]}}
    provider = {"prometheus": {"address": address, "query": f'errors{{rollout="{name}"}}'}}
    metric = {
        "name": "errors",
        "interval": "5s",
        "count": 50,
        "successCondition": "result[0] < 0.01",
        "provider": provider,
    }
    yield ANALYSIS_TEMPLATES, {"metadata": {"name": name}, "spec": {"metrics": [metric]}}
    canary = {
        "canaryService": f"{name}-canary",
        "stableService": f"{name}-stable",
        "trafficRouting": {"nginx": {"stableIngress": name}},
        "steps": [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": name}]}}],
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "strategy": {"canary": canary}}
    yield ROLLOUTS, {"metadata": {"name": name}, "spec": {**spec, "template": _template(name, "1")}}


def _template(name: str, version: str) -> Json:
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": f"app:{version}"}]},
    }


def _create(connection: Connection, namespace: str, address: str, count: int, *, replicas: int) -> None:
    connection.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    def create(number: int) -> None:
        for resource, body in _objects(number, address, replicas=replicas):
            full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
            connection.create(resource, namespace, full)

    with ThreadPoolExecutor(CREATED_AT_ONCE) as creators:
        list(creators.map(create, range(count)))


def failing(connection: Connection, prometheus: HoldingPrometheus, count: int) -> tuple[list[float], list[float]]:
    """Let so many rollouts fail at once; return how long each took to a weight of 0, and to its abort, s, sorted."""
    namespace = f"failing-{count}"
    prometheus.bad = False
    prometheus.told_s.clear()
    with Times(connection, namespace) as times:
        _create(connection, namespace, prometheus.address, count, replicas=1)
        _await(lambda: [s.get("phase") for s in times.statuses.values()] == ["Healthy"] * count, "all are healthy")
        for number in range(count):
            body = {"spec": {"template": _template(f"app-{number}", "2")}}
            connection.patch(ROLLOUTS, namespace, f"app-{number}", body)
        _await(lambda: list(times.weights.values()) == ["20"] * count, "all have a canary")
        _await(lambda: _measured(connection, namespace) == count, "all were measured once")
        prometheus.open.clear()
        time.sleep(5.0 + HELD_S)  # every metric is due by now, and waits for its answer or for its turn
        prometheus.bad = True
        prometheus.open.set()
        _await(lambda: len(times.weight_s) == count and len(times.abort_s) == count, "all are aborted")
        told_s = prometheus.told_s
        weight = sorted(at_s - told_s[name] for name, at_s in times.weight_s.items())
        abort = sorted(at_s - told_s[name] for name, at_s in times.abort_s.items())
    for number in range(count):
        connection.delete(ROLLOUTS, namespace, f"app-{number}")
    return weight, abort


def _measured(connection: Connection, namespace: str) -> int:
    runs = connection.list_all(ANALYSIS_RUNS, namespace)["items"]
    return sum(bool((run.get("status") or {}).get("metricResults")) for run in runs)


def idle(connection: Connection, prometheus: HoldingPrometheus, process: Process) -> None:
    """Print what many rollouts cost to which nothing happens."""
    _create(connection, "idle", prometheus.address, IDLE, replicas=1)
    with Times(connection, "idle") as times:
        _await(lambda: sum(s.get("phase") == "Healthy" for s in times.statuses.values()) == IDLE, "healthy")
    time.sleep(SETTLES_S)
    cpu_s, requests = process.cpu_s(), process.requests()
    time.sleep(IDLE_S)
    spent = {kind: n - requests.get(kind, 0) for kind, n in process.requests().items()}
    spent = {kind: n for kind, n in spent.items() if n}
    print(
        f"{IDLE} idle rollouts, {IDLE_S:g} s: {process.cpu_s() - cpu_s:.2f} s of CPU, requests to the API "
        f"server: {spent or 'none'}, memory {process.memory_mib():.0f} MiB (wanted {MEMORY_MIB})"
    )


def main() -> None:
    """Print the figures."""
    with _stage() as (plane, connection, prometheus):
        process = Process(plane)
        try:
            process.await_ready()
            for count, (weight_s, abort_s) in FAILING.items():
                weight, abort = failing(connection, prometheus, count)
                print(
                    f"{count} rollouts fail at once: weight 0 after {_spread(weight)} (wanted p99 {weight_s:.2f} s), "
                    f"abort in status after {_spread(abort)} (wanted {2 * abort_s:.2f} s); "
                    f"load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
            print(f"memory after them: {process.memory_mib():.0f} MiB, at most {process.memory_mib('VmHWM'):.0f}")
            idle(connection, prometheus, process)
        finally:
            process.stop()


def _spread(values_s: list[float]) -> str:
    """Return median and 99th percentile (the nearest rank) of sorted values, as text."""
    rank = max(math.ceil(0.99 * len(values_s)) - 1, 0)
    return f"p50 {statistics.median(values_s):.2f} s, p99 {values_s[rank]:.2f} s"


if __name__ == "__main__":
    main()
