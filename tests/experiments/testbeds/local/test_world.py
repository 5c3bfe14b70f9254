"""The whole local world: a good release promoted and a bad one aborted under load, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from controller.core.status import Phase
from controller.manifests.loading import load
from controller.manifests.policies import Policy
from controller.metrics.prometheus import PrometheusClient, ProviderError
from experiments.events import Event, MeasurementTaken, StatusChanged, WeightSet
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.world import LocalWorld
from sim.releases import Latency, Release

pytestmark = pytest.mark.e2e

SPEED = 20.0
FLAG = "recommender-v2-enabled"
QUICK = Latency(median_ms=5.0, sigma=0.2)
GOOD = Release(latency=QUICK)
Wait = Callable[..., None]

# Short enough for a test: half of the traffic for 40 s of policy time (two of the wall), one look, everything.
POLICY = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: app, image: shop:2}]}
  strategy:
    canary:
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting: {nginx: {stableIngress: shop}}
      steps:
        - setWeight: 50
        - pause: {duration: 40}
        - analysis:
            templates: [{templateName: errors}]
            args: [{name: hash, valueFrom: {podTemplateHashValue: Latest}}]
        - setWeight: 100
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors, namespace: default}
spec:
  args: [{name: hash}]
  metrics:
    - name: error-rate
      successCondition: result[0] < 0.1
      provider:
        prometheus:
          address: http://prometheus.monitoring:9090
          query: |
            sum(rate(http_requests_total{pod_template_hash="{{args.hash}}",status=~"5.."}[1m]))
            / sum(rate(http_requests_total{pod_template_hash="{{args.hash}}"}[1m]))
---
apiVersion: v1
kind: Service
metadata: {name: shop-canary, namespace: default}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop-stable, namespace: default}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: default}
spec:
  rules:
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop-stable, port: {number: 80}}}}]}
"""


class Users:
    """A few users who ask one request after the other and note when they asked, who answered and with what."""

    def __init__(self, url: str, count: int = 4) -> None:
        self.seen: list[tuple[float, str, int]] = []
        self._url = url
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=5.0) as client:
            while not self._done.is_set():
                asked = time.monotonic()
                answer = client.get("/")
                self.seen.append((asked, answer.headers.get("x-gamebird-revision", ""), answer.status_code))
                time.sleep(0.02)

    def stop(self) -> list[tuple[float, str, int]]:
        self._done.set()
        for thread in self._threads:
            thread.join()
        return self.seen


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., LocalWorld]]:
    """Makes worlds under the short policy; the tests start them, every one is stopped at the end."""
    made: list[LocalWorld] = []
    manifests = tmp_path / "policy.yaml"
    manifests.write_text(POLICY, encoding="utf-8")

    def make(stable: Release = GOOD, policy: Policy | None = None, **options: object) -> LocalWorld:
        folder = tmp_path / f"world-{len(made)}"
        folder.mkdir()
        policy = policy or load([manifests]).policy()
        one = LocalWorld(policy=policy, stable=stable, speed=SPEED, seed=3, folder=folder, **options)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield make
    for one in made:
        one.stop()


def status_of(events: list[Event]) -> StatusChanged:
    return [event for event in events if isinstance(event, StatusChanged)][-1]


def test_a_good_release_is_promoted_and_no_user_notices(world: Callable[..., LocalWorld], wait: Wait) -> None:
    events: list[Event] = []
    here = world()
    here.subscribe(events.append)
    stable = here.start()
    users = Users(here.target_url)
    try:
        canary = here.deploy(GOOD)
        wait(lambda: status_of(events).phase == Phase.HEALTHY and status_of(events).stable_hash == canary, "it", 90)
        time.sleep(2.0)  # the old pods go 30 s of policy time later
    finally:
        seen = users.stop()
    here.check()
    assert Counter(status for _, _, status in seen).keys() == {200}
    assert {revision for _, revision, _ in seen} == {stable, canary}
    weights = [event.percent for event in events if isinstance(event, WeightSet) and event.canary_hash == canary]
    assert [weight for weight in weights if weight > 0][:1] == [50.0]
    [look] = [event for event in events if isinstance(event, MeasurementTaken)]
    assert (look.value, look.phase) == ((0.0,), "Successful")


def test_a_bad_release_is_aborted_and_nobody_meets_it_afterwards(world: Callable[..., LocalWorld], wait: Wait) -> None:
    events: list[Event] = []
    at: dict[str, float] = {}

    def note(event: Event) -> None:
        events.append(event)
        if isinstance(event, WeightSet) and event.percent == 0 and "canary" in at:
            at.setdefault("back", time.monotonic())
        if isinstance(event, WeightSet) and event.percent == 50:
            at["canary"] = time.monotonic()

    here = world()
    here.subscribe(note)
    stable = here.start()
    users = Users(here.target_url)
    try:
        canary = here.deploy(Release(latency=QUICK, errors=0.5))
        wait(lambda: status_of(events).aborted and "back" in at, "the abort", 90)
        time.sleep(1.0)
    finally:
        seen = users.stop()
    here.check()
    assert status_of(events).phase == Phase.DEGRADED
    assert {revision for asked, revision, _ in seen if asked > at["back"]} == {stable}
    failed = Counter(revision for _, revision, status in seen if status != 200)
    assert failed.keys() == {canary}
    [look] = [event for event in events if isinstance(event, MeasurementTaken)]
    assert look.phase == "Failed"
    # Half of the canary's requests fail; some 150 are behind the look, so five standard deviations are 0.2.
    assert look.value == (pytest.approx(0.5, abs=0.2),)


@pytest.mark.parametrize("server", ["embedded", pytest.param("real", marks=pytest.mark.needs_prometheus)])
def test_the_metrics_server_answers_may_be_gone_for_a_while_and_answers_again(
    world: Callable[..., LocalWorld], wait: Wait, server: str, request: pytest.FixtureRequest
) -> None:
    here = world(prometheus=request.getfixturevalue("prometheus_binary") if server == "real" else None)
    here.start()
    query = "sum(up)"

    def pods_up() -> object:
        return client.ask("http://prometheus.monitoring:9090", query, at_s=here.clock.now_s()).value

    with PrometheusClient(addresses=here.addresses) as client:
        wait(lambda: pods_up() == (2.0,), "two pods that are up")
        here.cut_metrics(cut=True)
        with pytest.raises(ProviderError):
            pods_up()
        here.cut_metrics(cut=True)  # may be repeated
        here.cut_metrics(cut=False)
        wait(lambda: pods_up() == (2.0,), "answers again")


BY_PODS = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop, namespace: default}
spec:
  replicas: 4
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: app, image: shop:2}]}
  strategy:
    canary: {maxSurge: 0, maxUnavailable: 1, steps: [{setWeight: 25}, {pause: {}}]}
"""


def test_without_a_router_the_ratio_of_pods_is_the_ratio_of_traffic(
    world: Callable[..., LocalWorld], wait: Wait, tmp_path: Path
) -> None:
    (tmp_path / "policy.yaml").write_text(BY_PODS, encoding="utf-8")
    events: list[Event] = []
    here = world(policy=load([tmp_path / "policy.yaml"]).policy())
    here.subscribe(events.append)
    stable = here.start()
    canary = here.deploy(GOOD)
    wait(lambda: status_of(events).phase == Phase.PAUSED, "the pause", 60)
    with httpx.Client(base_url=here.target_url, trust_env=False, timeout=5.0) as user:
        seen = Counter(user.get("/").headers["x-gamebird-revision"] for _ in range(400))
    # One pod of four: 100 of 400 expected, a standard deviation is sqrt(400 x 3/16) = 8.7; five of them are 43.
    assert seen.keys() == {stable, canary}
    assert seen[canary] == pytest.approx(100, abs=43)


def test_a_fault_behind_a_flag_comes_and_goes_with_the_flag(world: Callable[..., LocalWorld], wait: Wait) -> None:
    here = world(Release(latency=QUICK, errors=1.0, behind_flag=FLAG), flags={FLAG: False})
    here.start()
    with httpx.Client(base_url=here.target_url, trust_env=False, timeout=5.0) as user:
        assert {user.get("/").status_code for _ in range(10)} == {200}
        here.set_flag(FLAG, on=True)
        wait(lambda: {user.get("/").status_code for _ in range(10)} == {500}, "the fault", 3)
        here.set_flag(FLAG, on=None)
        wait(lambda: {user.get("/").status_code for _ in range(10)} == {200}, "its end", 3)


def test_a_proxy_fault_ends_when_it_is_restored(world: Callable[..., LocalWorld]) -> None:
    here = world()
    here.start()
    here.set_proxy_fault("all", {"abort_share": 1.0, "status": 503})
    assert httpx.get(here.target_url, trust_env=False).status_code == 503
    here.set_proxy_fault("all", None)
    assert httpx.get(here.target_url, trust_env=False).status_code == 200


def test_a_stable_service_that_dies_at_its_start_is_told_with_the_end_of_its_log(
    world: Callable[..., LocalWorld],
) -> None:
    others = set(psutil.Process().children(recursive=True))  # of other tests, such as an API server
    here = world(command=(sys.executable, "-c", "raise SystemExit('no database here')"))
    with pytest.raises(WorldError, match="no database here"):
        here.start()
    assert set(psutil.Process().children(recursive=True)) <= others


def test_a_world_that_was_stopped_leaves_no_process_no_port_and_no_thread(world: Callable[..., LocalWorld]) -> None:
    threads = {thread.name for thread in threading.enumerate()}
    others = set(psutil.Process().children(recursive=True))  # of other tests, such as an API server
    here = world()
    here.start()
    url = here.target_url
    children = set(psutil.Process().children(recursive=True)) - others
    assert len(children) == 3  # Envoy and two pods
    here.stop()
    here.stop()
    assert not [child for child in children if child.is_running()]
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)
    # The one thread that starts children stays: the kernel would end them with it.
    assert {thread.name for thread in threading.enumerate()} - threads <= {"children"}


HOLDER = """
import sys, time
from pathlib import Path
from controller.manifests.loading import load
from experiments.testbeds.local.world import LocalWorld
from sim.releases import Release
policy, folder = load([Path(sys.argv[1])]).policy(), Path(sys.argv[2])
here = LocalWorld(policy=policy, stable=Release(), speed=20.0, seed=1, folder=folder)
here.start()
print("stands", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_world_whose_process_was_killed_leaves_nothing_running(
    tmp_path: Path, wait: Wait, how: signal.Signals
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "world").mkdir()
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "policy.yaml"), str(tmp_path / "world")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "stands\n"
        children = psutil.Process(holder.pid).children(recursive=True)
        assert len(children) == 3
        os.kill(holder.pid, how)
        holder.wait(10)
    wait(lambda: not [child for child in children if is_alive(child)], "their end", 5)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
