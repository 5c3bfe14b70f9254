"""The driver: it observes, decides, acts and remembers, in this order, and a failure of it can be seen.

Pods here are numbers that become true at once, and answers come from a script, so that hours of policy take a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.core.actions import SetWeight
from controller.core.driving import PodCounts
from controller.core.measuring import Answer
from controller.core.operator import Word
from controller.core.status import Phase
from controller.manifests.loading import load
from controller.manifests.values import Metric, Rollout
from experiments.events import DecisionTaken, Event, MeasurementTaken, OperatorSpoke, WeightSet
from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.driver import RolloutDriver, template_hash
from experiments.testbeds.local.stepped_clock import SteppedClock, TrueTimes
from experiments.testbeds.local.telling import Bulletin, Teller
from experiments.testbeds.local.world import before

POLICY = """
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
    canary:
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting: {nginx: {stableIngress: shop}}
      steps:
        - setWeight: 25
        - pause: {duration: 60}
        - analysis: {templates: [{templateName: check}]}
        - setWeight: 75
        - pause: {}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: check, namespace: default}
spec:
  metrics:
    - {name: errors, successCondition: "result[0] < 0.01", provider: {prometheus: {address: "http://p:9090", query: e}}}
    - {name: slow, successCondition: "result[0] < 0.35", provider: {prometheus: {address: "http://p:9090", query: s}}}
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


class NotedPlatform:
    """Pods are there as soon as they are wanted; what was asked is kept as words, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pods: dict[str, int] = {}
        self.breaks_on = ""

    def _note(self, words: str) -> None:
        if self.breaks_on and words.startswith(self.breaks_on):
            raise OSError("the router does not answer")
        self.asked.append(words)

    def create(self, pod_hash: str, revision: int) -> None:
        self._note(f"create {revision}")

    def scale(self, pod_hash: str, replicas: int) -> None:
        self._note(f"scale {replicas}")
        self.pods[pod_hash] = replicas

    def delete(self, pod_hash: str) -> None:
        self._note("delete")

    def set_weight(self, weight: SetWeight) -> None:
        self._note(f"weight {weight.canary}")

    def select_service(self, role: str, pod_hash: str) -> None:
        self._note(f"select {role}")

    def restart(self, pod: str) -> None:
        self._note(f"restart {pod}")

    def set_route(self, route: Any) -> None:
        self._note(f"route {route.name}")

    def remove_routes(self) -> None:
        self._note("remove routes")

    def pod_counts(self, now_s: float, min_ready_s: float) -> Mapping[str, PodCounts]:
        return {pod_hash: PodCounts(created=n, ready=n, available=n) for pod_hash, n in self.pods.items()}


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    return load([tmp_path / "policy.yaml"]).policy().rollout


class Stage:
    """A driver whose first deployment is done, and everything around it."""

    def __init__(self, folder: Path, answers: dict[str, float | str]) -> None:
        policy = load([folder / "policy.yaml"]).policy()
        self.next = policy.rollout
        self.platform, self.bulletin = NotedPlatform(), Bulletin()
        clock = PolicyClock(origin_now(500.0))  # a minute takes 120 ms

        def ask(metric: Metric) -> Answer:
            now_s, said = clock.now_s(), answers[metric.name]
            if isinstance(said, str):
                return Answer(started_s=now_s, finished_s=now_s, error=said)
            return Answer(started_s=now_s, finished_s=now_s, value=(said,), requests=100.0)

        self.driver = RolloutDriver(
            rollout=before(policy.rollout),
            templates=policy.templates,
            platform=self.platform,
            clock=clock,
            listener=Teller(bulletin=self.bulletin, steps=policy.rollout.strategy.steps),
            ask_metric=ask,
        )

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.bulletin.events if isinstance(event, kind)]

    @property
    def weights(self) -> list[str]:
        return [words for words in self.platform.asked if words.startswith("weight")]

    @property
    def phase(self) -> Phase:
        return self.driver.status.phase


@pytest.fixture
def stage(tmp_path: Path, rollout: Rollout, wait: Callable[..., None]) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(**answers: float | str) -> Stage:
        made = Stage(tmp_path, {"errors": 0.0, "slow": 0.1, **answers})
        stages.append(made)
        made.driver.start()
        wait(lambda: made.phase is Phase.HEALTHY, "the first deployment")
        made.platform.asked.clear()
        made.bulletin.events.clear()
        return made

    yield make
    for one in stages:
        one.driver.stop()


def test_good_answers_lead_to_the_pause_that_waits_for_a_person_and_her_word_to_the_end(
    stage: Callable[..., Stage], wait: Callable[..., None]
) -> None:
    here = stage()
    here.driver.deploy(here.next)
    wait(lambda: here.driver.status.step_index == 4 and here.phase is Phase.PAUSED, "the last pause")
    # A new revision begins at nothing, then what the steps say.
    assert here.weights == ["weight 0", "weight 25", "weight 75"]
    here.driver.say(Word.PROMOTE)
    wait(lambda: here.driver.status.stable_hash == template_hash(here.next), "the promotion")
    assert [event.word for event in here.of(OperatorSpoke)] == ["promote"]
    assert {event.phase for event in here.of(MeasurementTaken)} == {"Successful"}


def test_on_an_abort_the_router_comes_before_everything_else(
    stage: Callable[..., Stage], wait: Callable[..., None]
) -> None:
    here = stage(errors=0.2)
    here.driver.deploy(here.next)
    wait(lambda: here.phase is Phase.DEGRADED and here.driver.status.abort, "the abort")
    wait(lambda: here.weights[-1] == "weight 0", "the way back")
    canary = here.platform.asked.index("weight 25")
    assert here.platform.asked[canary + 1] == "weight 0"
    assert set(here.weights[2:]) == {"weight 0"}  # it may be asked again, which is safe
    weights = [event.percent for event in here.of(WeightSet)]
    assert weights[-1] == 0
    assert max(weights) == 25
    assert here.of(DecisionTaken)


def test_two_metrics_of_one_look_are_judged_together(stage: Callable[..., Stage], wait: Callable[..., None]) -> None:
    here = stage(errors=0.2, slow=0.9)
    here.driver.deploy(here.next)
    wait(lambda: here.driver.status.abort, "the abort")
    failed = {event.metric: event.phase for event in here.of(MeasurementTaken)}
    assert failed == {"errors": "Failed", "slow": "Failed"}


def test_answers_that_are_errors_are_asked_again_ten_seconds_later_and_end_after_the_fifth(
    stage: Callable[..., Stage], wait: Callable[..., None]
) -> None:
    here = stage(errors="connection refused")
    here.driver.deploy(here.next)
    wait(lambda: here.driver.status.abort, "the abort")
    errors = [event for event in here.of(MeasurementTaken) if event.metric == "errors"]
    # Four errors in a row are forgiven (consecutiveErrorLimit), so the fifth decides; each comes 10 s after another.
    assert [event.phase for event in errors] == ["Error"] * 5
    assert errors[-1].t_s - errors[0].t_s >= 40


def test_an_action_that_fails_is_not_remembered_and_the_driver_shows_its_failure(
    stage: Callable[..., Stage], wait: Callable[..., None]
) -> None:
    here = stage()
    here.platform.breaks_on = "weight"
    here.driver.deploy(here.next)
    wait(lambda: here.driver.failure is not None, "the failure")
    assert isinstance(here.driver.failure, OSError)
    assert here.driver.status.step_index in (None, 0)
    assert not here.of(WeightSet)


def test_an_operators_abort_needs_no_metric(stage: Callable[..., Stage], wait: Callable[..., None]) -> None:
    here = stage(errors="nobody is there")
    here.driver.deploy(here.next)
    wait(lambda: "weight 25" in here.platform.asked, "the canary")
    here.driver.say(Word.ABORT)
    wait(lambda: here.weights[-1] == "weight 0", "the way back")
    wait(lambda: here.phase is Phase.DEGRADED, "the phase")


def test_what_runs_before_the_release_is_the_same_rollout_with_other_pods(rollout: Rollout) -> None:
    earlier = before(rollout)
    assert template_hash(earlier) != template_hash(rollout)
    assert earlier.strategy == rollout.strategy
    assert earlier.template is not None
    assert rollout.template is not None
    assert earlier.template.labels == rollout.template.labels


def test_a_killed_driver_does_nothing_more_and_its_successor_goes_on_from_what_was_stored(
    stage: Callable[..., Stage], wait: Callable[..., None]
) -> None:
    here = stage()
    here.driver.deploy(here.next)
    wait(lambda: here.weights[-1:] == ["weight 25"], "the first weight")
    here.driver.kill()
    asked = list(here.platform.asked)
    step = here.driver.status.step_index
    here.driver.wake()
    time.sleep(0.2)  # 100 s of policy time, in which the pause would have ended
    assert here.platform.asked == asked
    assert here.driver.status.step_index == step
    assert here.driver.failure is None
    here.driver = here.driver.successor()
    here.driver.start()
    wait(lambda: here.driver.status.step_index == 4 and here.phase is Phase.PAUSED, "the last pause")
    assert here.weights[-1] == "weight 75"
    assert {event.phase for event in here.of(MeasurementTaken)} == {"Successful"}


def test_a_driver_that_is_killed_between_acting_and_remembering_acts_again_under_its_successor(
    stage: Callable[..., Stage], wait: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = stage()
    acting, may_go_on = threading.Event(), threading.Event()

    def slowly(weight: SetWeight) -> None:
        here.platform.asked.append(f"weight {weight.canary}")
        if weight.canary == 25 and not acting.is_set():
            acting.set()
            may_go_on.wait(10)

    monkeypatch.setattr(here.platform, "set_weight", slowly)
    here.driver.deploy(here.next)
    assert acting.wait(20)
    killer = threading.Thread(target=here.driver.kill)  # returns when the driver's thread has ended
    killer.start()
    wait(lambda: here.driver.killed, "the kill")
    may_go_on.set()
    killer.join()
    assert here.weights[-1] == "weight 25"
    here.driver = here.driver.successor()
    here.driver.start()
    wait(lambda: here.driver.status.step_index == 4, "the last pause")
    assert here.weights.count("weight 25") == 2


def test_a_controller_whose_clock_jumps_is_told_of_at_the_worlds_time(
    stage: Callable[..., Stage], wait: Callable[..., None]
) -> None:
    here = stage()
    true = here.driver.clock
    assert isinstance(true, PolicyClock)
    here.driver.stop()
    wrong = SteppedClock(true=true)
    here.driver = here.driver.successor()
    here.driver.clock, here.driver.listener = wrong, TrueTimes(listener=here.driver.listener, clock=wrong)
    began_s = true.now_s()
    here.driver.start()
    wrong.step(5_000.0)
    here.driver.deploy(here.next)
    wait(lambda: here.driver.status.step_index == 4, "the last pause")
    ended_s = true.now_s()
    assert [event for event in here.bulletin.events if not began_s <= event.t_s <= ended_s] == []
