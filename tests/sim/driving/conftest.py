"""Worlds for the driver's tests: the guide's policy, and a world in which every delay is a round number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from controller.core.runs import AnalysisPhase, Measurement
from controller.manifests.loading import load
from controller.manifests.policies import Policy
from sim.driving import Asking, VirtualDriver, prepare
from sim.scenarios import Scenario

GUIDE = Path(__file__).parents[3] / "examples" / "orders-api"
ROUTED = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: orders
  annotations: {gamebird.dev/parity: "%(parity)s"}
spec:
  replicas: %(replicas)d
  selector: {matchLabels: {app: orders}}
  template: {metadata: {labels: {app: orders}}, spec: {containers: [{name: app, image: "orders:2"}]}}
%(spec)s
  strategy:
    canary:
%(canary)s
      steps: %(steps)s
"""
SERVICES = """
      canaryService: orders-canary
      stableService: orders-stable
      trafficRouting: {nginx: {stableIngress: orders}}
"""
ANALYSIS = """
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
    - name: errors
      interval: 1m
      %(more)s
      successCondition: result[0] < 0.05
      provider: {prometheus: {address: "http://prometheus", query: "sum(rate(bad_total[5m]))"}}
"""


@pytest.fixture
def policy_of(tmp_path: Path) -> Callable[..., Policy]:
    """Return a policy with these steps (as YAML), routed by nginx unless said otherwise."""

    def make(
        steps: str,
        *,
        replicas: int = 4,
        routed: bool = True,
        canary: str = "",
        spec: str = "",
        more: str = "count: 3",
        parity: str = "strict",
    ) -> Policy:
        text = ROUTED % {
            "replicas": replicas,
            "spec": spec,
            "canary": (SERVICES if routed else "") + canary,
            "steps": steps,
            "parity": parity,
        }
        if "errors" in text:
            text += "---" + ANALYSIS % {"more": more}
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        return load([file]).policy()

    return make


def measured(asking: Asking, phase: AnalysisPhase) -> dict[tuple[str, str], Measurement]:
    return {
        question.key: Measurement(phase=phase, started_s=asking.at_s, finished_s=asking.at_s, value=(0.0,))
        for question in asking.questions
    }


@pytest.fixture(scope="session")
def answers() -> Callable[[Asking, AnalysisPhase], dict[tuple[str, str], Measurement]]:
    return measured


@pytest.fixture(scope="session")
def play() -> Callable[..., VirtualDriver]:
    """Play a policy to its verdict; the n-th look's measurements all get the n-th phase, the last one for good."""

    def to_the_end(
        policy: Policy,
        scenario: Scenario,
        *phases: AnalysisPhase,
        seed: int = 1,
        cohort: int = 0,
        asked: list[float] | None = None,
        metrics: Mapping[str, AnalysisPhase] | None = None,
    ) -> VirtualDriver:
        driver = VirtualDriver(prepare(policy, scenario), seed=seed, cohort=cohort, records=True)
        looks = 0
        while (asking := driver.play()) is not None:
            phase = (phases or (AnalysisPhase.SUCCESSFUL,))[min(looks, max(len(phases) - 1, 0))]
            looks += 1
            if asked is not None:
                asked.append(asking.at_s)
            found = measured(asking, phase)
            for question in asking.questions:
                if metrics and question.metric.name in metrics:
                    found |= {
                        k: v for k, v in measured(asking, metrics[question.metric.name]).items() if k == question.key
                    }
            driver.answer(found)
        return driver

    return to_the_end
