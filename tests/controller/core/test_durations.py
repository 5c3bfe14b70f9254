"""The shortest time of a policy, against sums made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.core.durations import shortest_s
from controller.manifests.loading import load

TEMPLATE = """
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: slo}
spec:
  metrics:
    - name: errors
%s
      provider: {prometheus: {address: "http://p:9090", query: up}}
"""
ROLLOUT = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: app, image: "shop:1"}]}
  strategy:
    canary:
      steps:
%s
"""


def shortest_of(tmp_path: Path, steps: list[str], metric: list[str] | None = None) -> float:
    file = tmp_path / "policy.yaml"
    body = ROLLOUT % "\n".join(f"        - {step}" for step in steps)
    if metric is not None:
        body += "---" + TEMPLATE % "\n".join(f"      {line}" for line in metric)
    file.write_text(body, encoding="utf-8")
    policy = load(file).policy()
    return shortest_s(policy.rollout, policy.templates)


def test_the_first_users_policy_needs_seventeen_minutes(root: Path) -> None:
    # Pauses of 180, 180 and 300 s; three analyses of three looks a minute apart, 120 s each: 660 + 360 = 1,020 s.
    folder = root / "examples" / "orders-api"
    names = ("rollout.yaml", "analysis-template.yaml", "routing.yaml")
    policy = load([folder / name for name in names]).policy()
    assert shortest_s(policy.rollout, policy.templates) == 1020.0


def test_a_pause_that_waits_for_a_person_counts_nothing(tmp_path: Path) -> None:
    assert shortest_of(tmp_path, ["setWeight: 10", "pause: {}", "pause: {duration: 90s}"]) == 90.0


ANALYSIS = "analysis: {templates: [{templateName: slo}]}"


@pytest.mark.parametrize(
    ("metric", "seconds"),
    [
        (["count: 1"], 0.0),
        (["interval: 30s", "count: 4"], 90.0),
        (["interval: 30s", "count: 4", "initialDelay: 1m"], 150.0),
        (["interval: 30s", "count: 10", "consecutiveSuccessLimit: 3"], 60.0),
    ],
)
def test_an_analysis_takes_its_looks(tmp_path: Path, metric: list[str], seconds: float) -> None:
    assert shortest_of(tmp_path, [ANALYSIS], [*metric, "successCondition: result[0] < 1"]) == seconds
