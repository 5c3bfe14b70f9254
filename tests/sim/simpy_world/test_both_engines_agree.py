"""Two engines, one truth: runs played request by request and runs of the flock agree in distribution.

Both play the same cohorts, so they meet the same platforms; requests are drawn by other code from other streams.
Compared are what became of a run and at which step (chi-square on the table of engine x ending), the detection time and
the bad requests (Kolmogorov-Smirnov). Seeds are fixed, so a test that passes once passes always; the bound is on the
smallest of some thirty p-values, one in a thousand for each.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy import stats

from loadgen.traffic import Traffic
from sim.flock.blocks import run_block
from sim.flock.stage import Stage, set_stage
from sim.outcomes.table import RunTable
from sim.releases import Latency, Leak, Release
from sim.scenarios import Incident, Scenario, Scrapes, Service
from sim.simpy_world import play_run

COHORTS = 10
RUNS_FEW, RUNS_MANY = 12, 300  # of the SimPy world: in every test run, and in the longer search
FLOCK = 300  # runs of the flock a cohort
P_MIN = 0.001

SCENARIOS = {
    "five percent errors": {"release": Release(errors=0.05)},
    "errors beside background errors": {
        "release": Release(errors=0.08, base_errors=0.003),
        "stable": Release(base_errors=0.003),
    },
    "everything fails": {"release": Release(errors=1.0)},
    "four times as slow": {"release": Release(latency=Latency(factor=4.0))},
    "a slow tail": {"release": Release(latency=Latency(tail_share=0.6, tail_ms=800))},
    "errors that grow": {"release": Release(leak=Leak(errors_per_minute=0.03))},
    "a crash loop with errors": {"release": Release(crash_after_s=100.0, errors=0.15)},
    "requests that end their process": {"release": Release(crash_share=0.01)},
    "an incident on both sides": {"incidents": (Incident(from_s=450.0, for_s=60.0, errors=0.06),)},
    "series born at the first error": {
        "release": Release(errors=0.06, series_5xx="first-error"),
        "stable": Release(series_5xx="first-error"),
    },
    "scrapes that miss": {"release": Release(errors=0.12), "scrapes": Scrapes(miss=0.2, jitter_s=3.0)},
    "cold pods": {"service": Service(warm_up_s=240.0, warm_up_factor=8.0)},
}


def played(stage: Stage, policy, scenario: Scenario, runs: int) -> RunTable:
    rows = [play_run(policy, scenario, seed=1, run=run, cohort=run % COHORTS, stage=stage)[0] for run in range(runs)]
    return RunTable.joined(rows)


def flown(stage: Stage) -> RunTable:
    tables = [
        run_block(stage, seed=1, cohort=cohort, runs=np.arange(cohort * FLOCK, (cohort + 1) * FLOCK))[0]
        for cohort in range(COHORTS)
    ]
    return RunTable.joined(tables)


def ending_p(one: RunTable, other: RunTable) -> float:
    """Return the p-value of both engines' runs ending alike; endings that are rare in both count as one."""
    ends = [table.outcome * 100 + np.where(table.outcome == 1, table.step, 0) for table in (one, other)]
    kinds = np.unique(np.concatenate(ends))
    table = np.array([[np.count_nonzero(end == kind) for kind in kinds] for end in ends])
    rare = table.sum(axis=0) * len(one) / (len(one) + len(other)) < 2
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    return 1.0 if table.shape[1] < 2 else float(stats.chi2_contingency(table, correction=False).pvalue)


def same_p(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one[~np.isnan(one)], other[~np.isnan(other)]
    return float(stats.ks_2samp(one, other, method="asymp").pvalue) if len(one) and len(other) else 1.0


def compared(policy, name: str, runs: int) -> None:
    scenario = Scenario(traffic=Traffic(rps=10.0), **SCENARIOS[name])
    stage = set_stage(policy, scenario)
    one, other = played(stage, policy, scenario, runs), flown(stage)
    found = {
        "ending": ending_p(one, other),
        "detection time": same_p(one.detected_s, other.detected_s),
        "bad requests": same_p(one.bad_requests, other.bad_requests),
    }
    caught = [np.mean(table.outcome == 1) for table in (one, other)]
    bad = [table.bad_requests.mean() for table in (one, other)]
    print(
        f"\n{name}: caught {caught[0]:.3f} and {caught[1]:.3f}, bad requests {bad[0]:.1f} and {bad[1]:.1f}; "
        + ", ".join(f"{what} p = {p:.3f}" for what, p in found.items())
    )
    assert min(found.values()) > P_MIN


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_few_runs_of_both_engines_agree(guide, name):
    compared(guide, name, RUNS_FEW)


@pytest.mark.fuzz
@pytest.mark.timeout(1_200)
@pytest.mark.skipif(not os.environ.get("GAMEBIRD_FUZZ"), reason="seven minutes of single requests, run by make fuzz")
@pytest.mark.parametrize("name", SCENARIOS)
def test_three_hundred_runs_of_both_engines_agree(guide, name):
    compared(guide, name, RUNS_MANY)
