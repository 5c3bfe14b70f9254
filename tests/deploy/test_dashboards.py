"""The dashboards: a real Prometheus has an answer to every query of theirs, from what is really told.

A controller of its own process looks after a rollout in mid-canary on the real API server; its metrics and those of
four processes of the demo service, two of each revision, are scraped into a real Prometheus, which the rollout's
analysis asks, too.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import create_namespace, define, undefine

from controller.kubernetes.api import connect
from controller.kubernetes.api.resources import ANALYSIS_TEMPLATES, ROLLOUTS
from controller.kubernetes.crds import custom_resources
from experiments.testbeds.cluster.control_plane import ControlPlane
from experiments.testbeds.cluster.kubelet import InstantKubelet
from experiments.testbeds.local.children import Child, free_port, start_child
from experiments.testbeds.local.clock import PolicyClock
from experiments.testbeds.local.metrics_servers import RealServer
from experiments.testbeds.local.places import LOOPBACK, Place
from experiments.testbeds.local.pods import Birth
from experiments.testbeds.local.programs import DemoProgram
from experiments.testbeds.local.scraper import Scraper, Target
from loadgen.openloop.clock import Origin
from promql.storage.exposition import read_exposition
from promql.syntax import parse
from sim.releases import Release

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster, pytest.mark.needs_prometheus]

Json = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "dashboards"
NAMESPACE, NAME = "dashboards", "shop"
SETTLES_S = 12.0  # of scrapes, one a second, before the first question: `rate` over ten seconds needs some
VARIABLES = {
    "namespace": NAMESPACE,
    "rollout": NAME,
    "requests": "http_requests_total",
    "duration": "http_request_duration_seconds_bucket",
    "status": "status",
    "hash": "rollouts_pod_template_hash",
    "__rate_interval": "10s",
    "__range": "60s",
}


def filled(query: str) -> str:
    """Return a query with Grafana's variables replaced; `$1` is no variable but label_replace's."""
    return re.sub(r"\$(?:\{(\w+)\}|([a-z_]\w*))", lambda found: VARIABLES[found[1] or found[2]], query)


def queries() -> list[tuple[str, str, str]]:
    """Return (panel, legend, query) for every target of every dashboard."""
    boards = [json.loads(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.json"))]
    return [
        (panel["title"], target["legendFormat"], target["expr"])
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A real Prometheus in the middle of a canary."""

    address: str
    now_s: float

    def ask(self, query: str) -> list[Json]:
        form = {"query": query, "time": repr(self.now_s)}
        with httpx.Client(trust_env=False) as client:
            body = client.get(f"http://{self.address}/api/v1/query", params=form).json()
        assert body["status"] == "success", body
        found: list[Json] = body["data"]["result"]
        return found


def _samples(text: str) -> list[tuple[Mapping[str, str], float]]:
    return [(dict(sample.labels), sample.value) for sample in read_exposition(text).samples]


class Scene:
    """A rollout in mid-canary, its pods, users, a controller and a Prometheus."""

    def __init__(self, plane: ControlPlane, prometheus: Path, folder: Path) -> None:
        self._plane, self._folder = plane, folder
        self._connection, _ = connect(kubeconfig=plane.kubeconfig)
        self._server = RealServer(prometheus, folder / "prometheus")
        self._clock = PolicyClock(Origin(monotonic_s=time.monotonic(), policy_s=time.time(), speed=1.0))
        self._targets: list[Target] = []
        self._children: list[Child] = []
        self._stopping = threading.Event()
        self._users = threading.Thread(target=self._use, daemon=True)
        self._controller: subprocess.Popen[bytes] | None = None
        self._scraper = Scraper(
            targets=lambda: tuple(self._targets),
            sink=self._server,
            clock=self._clock,
            parse=_samples,
            interval_s=1.0,
        )

    def play(self) -> Answers:
        """Return once there is a canary that was measured, and a while of scrapes."""
        self._start_controller()
        create_namespace(self._connection, NAMESPACE)
        for resource, item in ((ANALYSIS_TEMPLATES, self._template()), (ROLLOUTS, _ROLLOUT)):
            self._connection.create(resource, NAMESPACE, item)
        self._await(lambda status: status.get("phase") == "Healthy")
        change = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
        self._connection.patch(ROLLOUTS, NAMESPACE, NAME, change)
        status = self._await(lambda status: status.get("currentPodHash") != status.get("stableRS"))
        for role, errors in (("stableRS", 0.0), ("currentPodHash", 0.2)):
            self._start_pods(status[role], Release(errors=errors))
        self._scraper.start()
        self._users.start()
        self._await(lambda status: status.get("currentStepIndex") == 2)
        time.sleep(SETTLES_S)
        return Answers(address=self._server.place, now_s=self._clock.now_s())

    def stop(self) -> None:
        self._stopping.set()
        if self._users.is_alive():
            self._users.join()
        self._scraper.stop()
        for child in self._children:
            child.stop(within_s=3.0)
        self._server.stop()
        if self._controller is not None:
            self._controller.send_signal(signal.SIGTERM)
            self._controller.wait(20.0)

    def _start_controller(self) -> None:
        port = free_port()
        command = [sys.executable, "-P", "-m", "gamebird.cli.main", "controller", "run", "--namespace", NAMESPACE]
        command += ["--listen", f"{LOOPBACK}:{port}", "--address", f"prometheus.monitoring:9090={self._server.place}"]
        environment = {**os.environ, "KUBECONFIG": str(self._plane.kubeconfig)}
        with (self._folder / "controller.log").open("wb") as out:
            self._controller = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        labels = {"job": "gamebird", "instance": f"{LOOPBACK}:{port}"}
        self._targets.append(Target(name="controller", place=Place(LOOPBACK, port), labels=labels))

    def _start_pods(self, pod_hash: str, release: Release) -> None:
        program = DemoProgram(service=NAME, release=release, speed=1.0, routes=(("GET", "/"),))
        for number in range(2):
            name, port = f"{NAME}-{pod_hash}-{number}", free_port()
            birth = Birth(name=name, pod_hash=pod_hash, port=port, first=number == 0, seed=number)
            log, environment = self._folder / f"{name}.log", program.environment(birth)
            self._children.append(start_child(program.command(birth), log=log, name=name, environment=environment))
            # What a scrape configuration's labelmap makes of a pod's labels.
            labels = {"job": "pods", "instance": f"{LOOPBACK}:{port}", "rollouts_pod_template_hash": pod_hash}
            self._targets.append(Target(name=name, place=Place(LOOPBACK, port), labels=labels))

    def _use(self) -> None:
        """Be users: each pod in turn, forty requests a second."""
        pods = [target.place for target in self._targets if target.name != "controller"]
        with httpx.Client(trust_env=False) as client:
            for place in itertools.cycle(pods):
                if self._stopping.wait(0.025):
                    return
                try:
                    client.get(f"http://{place}/")
                except httpx.TransportError:
                    continue  # it has not begun to listen

    def _await(self, holds: Callable[[Json], bool]) -> Json:
        deadline_s = time.monotonic() + 90.0
        while True:
            status: Json = self._connection.get(ROLLOUTS, NAMESPACE, NAME).get("status") or {}
            if holds(status):
                return status
            log = (self._folder / "controller.log").read_text("utf-8")[-3000:]
            assert time.monotonic() < deadline_s, f"{status}\n{log}"
            time.sleep(0.1)

    def _template(self) -> Json:
        ratio = f'sum(rate(http_requests_total{{service="{NAME}",status=~"5.."}}[10s]))'
        query = f'{ratio} / sum(rate(http_requests_total{{service="{NAME}"}}[10s]))'
        asked = {"address": "http://prometheus.monitoring:9090", "query": query}
        metric = {"name": "error-rate", "interval": "1s", "count": 4, "successCondition": "result[0] < 0.5"}
        metric |= {"consecutiveErrorLimit": 60, "provider": {"prometheus": asked}}
        meta = {"name": "slo"}
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": meta}
        return {**kind, "spec": {"metrics": [metric]}}


_POD = {"metadata": {"labels": {"app": NAME}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
_STEPS = [{"setWeight": 50}, {"analysis": {"templates": [{"templateName": "slo"}]}}, {"pause": {}}]
_ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": NAME},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": NAME}},
        "template": _POD,
        "strategy": {"canary": {"steps": _STEPS}},
    },
}


@pytest.fixture(scope="module")
def answers(
    control_plane: ControlPlane,
    kubelet: InstantKubelet,
    prometheus_binary: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Answers]:
    """The scene, played once."""
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    define(connection, custom_resources())
    scene = Scene(control_plane, prometheus_binary, tmp_path_factory.mktemp("scene"))
    try:
        yield scene.play()
    finally:
        scene.stop()
        undefine(connection, custom_resources())


@pytest.mark.parametrize(
    ("panel", "legend", "query"), queries(), ids=[f"{panel}: {legend}" for panel, legend, _ in queries()]
)
def test_every_query_has_an_answer_of_numbers_with_the_labels_that_its_legend_names(
    answers: Answers, panel: str, legend: str, query: str
) -> None:
    found = answers.ask(filled(query))
    assert found, f"{panel} has no answer: {filled(query)}"
    assert all(not math.isnan(float(each["value"][1])) for each in found)
    for label in re.findall(r"\{\{(\w+)\}\}", legend):
        if label != "status":  # no request has failed, and the zero in its place has no label
            assert all(label in each["metric"] for each in found), found


def test_the_two_revisions_are_told_apart_and_the_bad_one_is_seen(answers: Answers) -> None:
    by_panel = {panel: query for panel, _, query in queries()}
    ratios = {each["metric"]["role"]: float(each["value"][1]) for each in answers.ask(filled(by_panel["Error ratio"]))}
    assert ratios["stable"] == 0.0
    # 0.2 of some 200 requests in ten seconds; four standard deviations are 0.11
    assert ratios["canary"] == pytest.approx(0.2, abs=0.12)
    assert answers.ask(filled(by_panel["Requests behind them"]))[0]["metric"]["metric"] == "error-rate"


def test_the_variables_that_are_asked_for_are_found(answers: Answers) -> None:
    for file in FOLDER.glob("*.json"):
        for variable in json.loads(file.read_text("utf-8"))["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
                assert found is not None
                labels = {each["metric"][found[2]] for each in answers.ask(filled(found[1]))}
                assert VARIABLES[variable["name"]] in labels


def test_every_query_parses_and_every_panel_says_what_it_reads() -> None:
    for _, _, query in queries():
        parse(filled(query))
    assert len(queries()) >= 20
