"""An engine that draws runs by a known law, so that what reports say can be tested apart from any model.

The law: a release that fails a share e is caught with the chance e / (e + 0.02), each cohort a little luckier or less
lucky than the next. It knows nothing of the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from controller.manifests.policies import Policy
from sim.outcomes.table import MeasurementTable, Outcome, RunTable
from sim.scenarios import Scenario
from sim.simulating import Played


@dataclass(frozen=True, slots=True, kw_only=True)
class LawEngine:
    """Draws runs; `stop_after` plays the user who interrupts."""

    name: str = "law"
    cohorts: int = 20
    stop_after: int | None = None

    def play(
        self,
        policy: Policy,
        scenarios: Sequence[Scenario],
        *,
        runs: int,
        seed: int,
        measurements: bool,
        progress: Callable[[str, int], None],
    ) -> Iterator[Played]:
        """Draw the runs of each scenario, up to the one that is interrupted."""
        for scenario in scenarios:
            yield self._one(scenario, runs, seed, measurements)
            progress(scenario.name, runs)
            if self.stop_after is not None and self.stop_after < runs:
                return

    def _one(self, scenario: Scenario, runs: int, seed: int, measurements: bool) -> Played:
        if self.stop_after == 0:
            raise KeyboardInterrupt
        made = runs if self.stop_after is None else min(runs, self.stop_after)
        chance = np.random.default_rng([seed, *scenario.name.encode()])
        cohort = np.arange(made) % self.cohorts
        errors = scenario.release.errors
        luck = chance.normal(0, 0.3, self.cohorts)[cohort]
        caught = chance.random(made) < errors * np.exp(luck) / (errors * np.exp(luck) + 0.02)
        step = np.where(chance.random(made) < 0.7, 2, 5)
        requests = scenario.traffic.rps * 1_000.0
        table = RunTable(
            run=np.arange(made),
            cohort=cohort,
            outcome=np.where(caught, int(Outcome.ABORTED), int(Outcome.PROMOTED)),
            ended_s=np.where(caught, 200.0 + 150 * step, 1_100.0) + chance.normal(0, 8, made),
            detected_s=np.where(caught, 190.0 + 150 * step, np.nan) + chance.normal(0, 8, made),
            recovered_s=np.where(caught, 1.0, np.nan),
            step=np.where(caught, step, 9),
            metric=np.where(caught, 0, -1),
            weight_max=np.where(caught, np.where(step == 2, 10.0, 30.0), 100.0),
            canary_requests=np.full(made, requests / 4),
            requests=np.full(made, requests),
            bad_requests=chance.poisson(requests / 4 * errors * np.where(caught, 0.1, 1.0)).astype(float),
            metrics=("error-rate", "latency-p95"),
        )
        return Played(table=table, measurements=_measured(table, chance) if measurements else None)


def _measured(table: RunTable, chance: np.random.Generator) -> MeasurementTable:
    """Return one measurement of the first metric a run, failed where the run was aborted."""
    caught = table.outcome == Outcome.ABORTED
    count = len(table)
    return MeasurementTable(
        run=table.run,
        metric=np.zeros(count, dtype=np.int64),
        analysis=np.zeros(count, dtype=np.int64),
        t_s=np.full(count, 200.0),
        value=np.where(caught, 0.02, 0.005) + chance.uniform(0, 0.004, count),
        requests=np.full(count, 3_000.0),
        phase=caught.astype(np.int64),
        metrics=table.metrics,
    )


@pytest.fixture(scope="session")
def law_engine() -> type[LawEngine]:
    """The engine, to be made with whatever it should do."""
    return LawEngine
