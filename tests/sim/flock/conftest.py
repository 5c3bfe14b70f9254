"""Stages for the flock's tests: the guide's policy, and others, in scenarios of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.flock.stage import Stage, set_stage
from sim.releases import Release
from sim.scenarios import Scenario

GUIDE = Path(__file__).parents[3] / "examples" / "orders-api"
POLICY = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: orders%(annotations)s}
spec:
  replicas: 4
  selector: {matchLabels: {app: orders}}
  template: {metadata: {labels: {app: orders}}, spec: {containers: [{name: app, image: "orders:2"}]}}
  strategy:
    canary:
      canaryService: orders-canary
      stableService: orders-stable
      trafficRouting: {nginx: {stableIngress: orders}}
      steps: %(steps)s
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  %(args)s
  metrics:
    - name: errors
      interval: %(interval)s
      %(more)s
      successCondition: "%(condition)s"
      provider:
        prometheus:
          address: http://prometheus
          query: |
            %(query)s
"""
QUERY = 'sum(rate(http_requests_total{status=~"5.."}[2m])) / sum(rate(http_requests_total[2m]))'
STEPS = "[{setWeight: 50}, {pause: {duration: 120}}, {analysis: {templates: [{templateName: errors}]}}]"


@pytest.fixture
def policy_of(tmp_path: Path) -> Callable[..., Policy]:
    """Return a policy of one metric: half of the traffic for two minutes, then an analysis."""

    def make(
        *,
        query: str = QUERY,
        condition: str = "result[0] < 0.05",
        more: str = "count: 3",
        interval: str = "30s",
        steps: str = STEPS,
        annotations: str = "",
        args: str = "args: []",
    ) -> Policy:
        file = tmp_path / "policy.yaml"
        file.write_text(
            POLICY
            % {
                "query": query,
                "condition": condition,
                "more": more,
                "interval": interval,
                "steps": steps,
                "args": args,
                "annotations": f", annotations: {annotations}" if annotations else "",
            }
        )
        return load([file]).policy()

    return make


@pytest.fixture(scope="session")
def scenario_of() -> Callable[..., Scenario]:
    def make(*, rps: float = 20.0, errors: float = 0.05, **more: Any) -> Scenario:
        more.setdefault("release", Release(errors=errors, base_errors=0.002))
        more.setdefault("stable", Release(base_errors=0.002))
        return Scenario(traffic=Traffic(rps=rps), **more)

    return make


@pytest.fixture
def stage_of(policy_of: Callable[..., Policy], scenario_of: Callable[..., Scenario]) -> Callable[..., Stage]:
    """Return a stage of the small policy; arguments of the scenario go in a mapping."""

    def make(scenario: dict[str, Any] | None = None, **policy: Any) -> Stage:
        return set_stage(policy_of(**policy), scenario_of(**(scenario or {})))

    return make
