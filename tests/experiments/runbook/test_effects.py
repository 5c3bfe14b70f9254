"""What the page says of a person's words, held against what the decision core does with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.core.decisions import decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.operator import Word, ask
from controller.core.status import Phase, RolloutStatus
from controller.manifests.loading import load
from controller.manifests.values import PodTemplate, Rollout

Page = Callable[..., str]
NEW = PodTemplate(canonical='{"spec":{"containers":[{"image":"new","name":"app"}]}}')

ROUTED = """
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
      trafficRouting: {nginx: {stableIngress: cart}}
      steps: [{setWeight: 50}, {pause: {}}]
"""
BY_PODS = ROUTED.replace("      trafficRouting: {nginx: {stableIngress: cart}}\n", "")
DYNAMIC = ROUTED.replace("      steps:", "      dynamicStableScale: true\n      steps:")


class InCanary:
    """A rollout whose new revision has gone as far as it can; every pod is available as soon as it is wanted."""

    def __init__(self, rollout: Rollout) -> None:
        assert rollout.template is not None
        self.rollout, self.first, self.now_s, self.generation = rollout, rollout.template, 0.0, 1
        self.status, self.ledger = RolloutStatus(), PlatformLedger.empty()
        self.settle()
        self.give(NEW)

    def settle(self) -> None:
        """Look until nothing changes."""
        for _ in range(100):
            sets = self.ledger.replica_sets.items()
            template = self.rollout.template
            assert template is not None
            snapshot = self.ledger.snapshot(
                rollout=self.rollout,
                template_hash=template.pod_hash,
                generation=self.generation,
                status=self.status,
                pods={
                    name: PodCounts(created=one.wanted, ready=one.wanted, available=one.wanted) for name, one in sets
                },
                acknowledged_weight=None,
                templates=(),
            )
            decision = decide(snapshot, self.now_s)
            for action in decision.actions:
                self.ledger.apply(action, self.now_s)
            self.status = decision.status
            if not decision.changed and not decision.actions:
                return
        raise AssertionError("it does not come to rest")

    def give(self, template: PodTemplate) -> None:
        self.rollout, self.generation = replace(self.rollout, template=template), self.generation + 1
        self.settle()

    def say(self, *words: Word) -> None:
        for word in words:
            asked = ask(word, self.rollout, self.status, self.now_s)
            self.generation += asked.rollout is not self.rollout
            self.rollout, self.status = asked.rollout, asked.status
            self.settle()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.settle()

    @property
    def canary_pods(self) -> int:
        return self.ledger.replica_sets[NEW.pod_hash].wanted

    @property
    def users_on_canary(self) -> bool:
        """Whether traffic may reach the new revision: by its weight, or without a router by its pods."""
        weights = self.status.weights
        return self.canary_pods > 0 if weights is None else weights.canary > 0


@pytest.fixture(params=[ROUTED, BY_PODS, DYNAMIC], ids=["router", "pods", "dynamic"])
def case(request: pytest.FixtureRequest, tmp_path: Path, page_of: Page) -> tuple[InCanary, str]:
    """A rollout in mid-canary, and its page."""
    file = tmp_path / "cart.yaml"
    file.write_text(request.param)
    return InCanary(load(file).policy().rollout), page_of(file)


def test_an_abort_under_a_pause_by_hand_brings_users_back_unless_the_page_warns(case: tuple[InCanary, str]) -> None:
    canary, page = case
    assert canary.users_on_canary
    canary.say(Word.PAUSE, Word.ABORT)
    assert canary.users_on_canary == ("brings traffic back only after a resume" in page)
    canary.say(Word.RESUME)
    assert not canary.users_on_canary


def test_the_canarys_pods_stay_after_an_abort_as_long_as_the_page_says(case: tuple[InCanary, str]) -> None:
    canary, page = case
    canary.say(Word.ABORT)
    assert (canary.canary_pods > 0) == ("The canary's pods stay for 30s" in page)
    canary.wait(31)
    assert canary.canary_pods == 0


def test_promoting_an_aborted_rollout_does_nothing_and_promoting_it_fully_does(case: tuple[InCanary, str]) -> None:
    canary, page = case
    assert "After an abort it does nothing: retry." in page
    assert "It lifts an abort." in page
    canary.say(Word.ABORT, Word.PROMOTE)
    assert canary.status.phase is Phase.DEGRADED
    canary.say(Word.PROMOTE_FULL)
    assert canary.status.phase is Phase.HEALTHY or canary.status.stable_hash == NEW.pod_hash


def test_an_undo_is_quick_before_the_promotion_and_takes_the_steps_after_it(case: tuple[InCanary, str]) -> None:
    canary, page = case
    assert "its template takes no steps" in page
    assert "After the promotion the revision before is a new canary: it takes all steps" in page
    canary.say(Word.ABORT)
    canary.give(canary.first)
    assert canary.status.phase is Phase.HEALTHY
    canary.give(NEW)
    canary.say(Word.PROMOTE)
    assert canary.status.stable_hash == NEW.pod_hash
    canary.wait(31)
    canary.say(Word.ABORT)
    assert canary.status.stable_hash == NEW.pod_hash  # "once promoted, an abort moves nothing any more"
    canary.give(canary.first)
    assert canary.status.phase is Phase.PAUSED  # at the person's step, like any new revision
    canary.say(Word.PROMOTE_FULL)
    assert canary.status.stable_hash == canary.first.pod_hash


def test_the_same_manifests_do_not_retry_an_abort(case: tuple[InCanary, str]) -> None:
    canary, page = case
    assert "does **not** retry it" in page
    canary.say(Word.ABORT)
    canary.give(NEW)
    assert canary.status.phase is Phase.DEGRADED
    canary.say(Word.RETRY)
    assert canary.status.phase is Phase.PAUSED  # again at the person's step, by way of the first
