"""The controller's own metrics: what they say of a rollout, and that they say nothing of one that is gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.core.status import Phase, RolloutStatus
from controller.kubernetes.api.watching import Key
from controller.kubernetes.telling import Teller

SHOP = Key("prod", "shop")


@dataclass
class Decided:
    """A decision, as far as metrics read it."""

    status: RolloutStatus
    changed: bool = True
    records: tuple[Any, ...] = field(default=())


def series(teller: Teller, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(text for label, text in sample.labels.items() if label not in ("namespace", "rollout")): sample.value
        for metric in teller.registry.collect()
        for sample in metric.samples
        if sample.name == name and sample.labels.get("namespace") == SHOP.namespace
    }


def decided(teller: Teller, stable: str, current: str, phase: Phase) -> None:
    status = RolloutStatus(stable_hash=stable, current_hash=current, phase=phase)
    teller.decided(SHOP, status, Decided(status))  # type: ignore[arg-type]


def test_each_role_has_one_pod_hash_and_a_canary_that_became_stable_is_none() -> None:
    teller = Teller()
    decided(teller, "aaa", "bbb", Phase.PROGRESSING)
    assert series(teller, "gamebird_rollout_revision") == {("stable", "aaa"): 1.0, ("canary", "bbb"): 1.0}
    decided(teller, "aaa", "ccc", Phase.PROGRESSING)
    assert series(teller, "gamebird_rollout_revision") == {("stable", "aaa"): 1.0, ("canary", "ccc"): 1.0}
    decided(teller, "ccc", "ccc", Phase.HEALTHY)
    assert series(teller, "gamebird_rollout_revision") == {("stable", "ccc"): 1.0}


@pytest.mark.parametrize("name", ["gamebird_rollout_phase", "gamebird_rollout_weight", "gamebird_decisions_total"])
def test_nothing_is_told_of_a_rollout_that_is_gone(name: str) -> None:
    teller = Teller()
    decided(teller, "aaa", "bbb", Phase.PROGRESSING)
    assert series(teller, name)
    teller.gone(SHOP)
    assert not series(teller, name)
