"""Pages of the example's policy and of policies written here: another router, no router, people, floors, odd texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.manifests.loading import load
from experiments.runbook.page import Asked, ControllerName, page

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "orders-api"

# No router, a person's word before the second half, one background metric with two conditions and a floor, one dry
# run; a query with a backtick and a pipe in it.
BY_PODS = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: search
  namespace: shop
  annotations:
    gamebird.dev/owner: "search-team | #search-oncall"
    gamebird.dev/runbook: https://wiki.example/search
    gamebird.dev/dashboards: https://grafana.example/d/1, "Search | SLO"
    gamebird.dev/kill-switches: ranking-v3
    gamebird.dev/min-requests.errors: "200"
spec:
  replicas: 8
  progressDeadlineAbort: true
  selector: {matchLabels: {app: search}}
  template:
    metadata: {labels: {app: search}}
    spec: {containers: [{name: app, image: search:1}]}
  strategy:
    canary:
      maxSurge: 2
      maxUnavailable: 0
      analysis:
        templates: [{templateName: search}]
        startingStep: 1
        dryRun: [{metricName: queue}]
        args:
          - name: hash
            valueFrom: {podTemplateHashValue: Latest}
      steps:
        - setWeight: 25
        - pause: {duration: 10m}
        - setWeight: 50
        - pause: {}
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: search, namespace: shop}
spec:
  args: [{name: hash}]
  metrics:
    - name: errors
      interval: 30s
      initialDelay: 2m
      successCondition: result[0] < 0.02
      failureCondition: result[0] > 0.05
      failureLimit: 2
      inconclusiveLimit: 3
      consecutiveErrorLimit: 6
      provider:
        prometheus:
          timeout: 5
          query: |
            sum(rate(http_requests_total{pod=~".*{{args.hash}}.*",code=~"5..|429"}[2m]))
            / sum(rate(http_requests_total{pod=~".*{{args.hash}}.*"}[2m]))
    - name: queue
      interval: 30s
      failureCondition: result[0] > 100
      provider:
        prometheus:
          query: 'max(queue_length{path=~"a```b|c"})'
"""

# Stable gives up pods; a delay is written down.
DYNAMIC = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: cart, namespace: shop}
spec:
  replicas: 4
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: app, image: cart:1}]}
  strategy:
    canary:
      canaryService: cart-canary
      stableService: cart-stable
      dynamicStableScale: true
      abortScaleDownDelaySeconds: 120
      trafficRouting: {nginx: {stableIngress: cart}}
      steps: [{setWeight: 50}, {pause: {duration: 60}}]
"""


@pytest.fixture
def example_files() -> tuple[Path, ...]:
    return (EXAMPLE / "rollout.yaml", EXAMPLE / "analysis-template.yaml")


@pytest.fixture
def by_pods(tmp_path: Path) -> Path:
    file = tmp_path / "search.yaml"
    file.write_text(BY_PODS)
    return file


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    file = tmp_path / "cart.yaml"
    file.write_text(DYNAMIC)
    return file


@pytest.fixture
def page_of() -> Callable[..., str]:
    def made(*files: Path, controller: ControllerName = "gamebird") -> str:
        policy = load([str(file) for file in files]).policy()
        asked = Asked(namespace=policy.rollout.namespace, controller=controller, files=[file.name for file in files])
        return page(policy, asked)

    return made
