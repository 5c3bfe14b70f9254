"""Manifests to break: a whole, good policy as texts, and a way to load changed copies of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from controller.manifests.loading import ManifestError, Manifests, load

ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: shop
  namespace: prod
  labels: {team: blue}
spec:
  replicas: 4
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: app
          image: shop:1
  strategy:
    canary:
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting:
        nginx:
          stableIngress: shop
      steps:
        - setWeight: 20
        - pause: {duration: 60}
        - analysis:
            templates:
              - templateName: errors
            args:
              - name: service
                value: shop-canary
"""
TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: errors
  namespace: prod
spec:
  args:
    - name: service
  metrics:
    - name: error-rate
      interval: 30s
      count: 3
      successCondition: result[0] < 0.05
      provider:
        prometheus:
          address: http://prometheus:9090
          query: sum(rate(http_errors_total{service="{{args.service}}"}[1m]))
"""


@pytest.fixture
def rollout() -> str:
    return ROLLOUT


@pytest.fixture
def template() -> str:
    return TEMPLATE


@pytest.fixture
def load_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Manifests]:
    """Write texts to files named a.yaml, b.yaml, … and load them, by short names."""
    monkeypatch.chdir(tmp_path)

    def loaded(*texts: str) -> Manifests:
        names = [f"{letter}.yaml" for letter, _ in zip("abcdefgh", texts, strict=False)]
        for name, text in zip(names, texts, strict=True):
            Path(name).write_text(text)
        return load(names)

    return loaded


@pytest.fixture
def problems(load_texts: Callable[..., Manifests]) -> Callable[..., list[str]]:
    """Load texts and follow the rollout's references; return every problem as it is shown."""

    def found(*texts: str) -> list[str]:
        try:
            manifests = load_texts(*texts)
            if manifests.rollouts:
                manifests.policy()
        except ManifestError as error:
            return [str(problem) for problem in error.problems]
        return []

    return found
