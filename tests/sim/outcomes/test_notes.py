"""What the model plays otherwise than it is written is said, and only where it matters."""

from __future__ import annotations

from pathlib import Path

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.outcomes.notes import notes
from sim.releases import Release
from sim.scenarios import Scenario

ROUTES = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: app, image: "shop:2"}]}}
  strategy:
    canary:
      canaryService: shop-canary
      stableService: shop-stable
      trafficRouting:
        managedRoutes: [{name: testers}]
        istio: {virtualService: {name: shop}}
      steps:
        - setHeaderRoute: {name: testers, match: [{headerName: tester, headerValue: {exact: "yes"}}]}
        - setWeight: 50
"""


def policy(root: Path) -> Policy:
    return load([root / "examples" / "short-policy"]).policy()


def scenario(**release: object) -> Scenario:
    return Scenario(traffic=Traffic(rps=10.0), release=Release.model_validate(release))


def test_a_plain_release_of_a_plain_policy_needs_no_note(root: Path) -> None:
    assert notes(policy(root), [scenario(errors=0.1)], engine="flock") == ()


def test_requests_that_fail_by_their_number_are_chances_in_the_flock_alone(root: Path) -> None:
    (said,) = notes(policy(root), [scenario(errors_at=(5,)), scenario(every_nth=20)], engine="flock")
    assert "(every_nth and errors_at) are drawn by chance" in said
    assert notes(policy(root), [scenario(errors_at=(5,))], engine="simpy") == ()


def test_header_routes_move_nobody_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text(ROUTES)
    (said,) = notes(load([file]).policy(), [scenario()], engine="flock")
    assert said.startswith("Note: no request moves by setHeaderRoute in the simulator")
