"""Cohorts over processes: how many there are, and where they are, shows in nothing but time."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from controller.manifests.policies import Policy
from sim.flock.workers import Simulated, cohorts_for, simulate_blocks
from sim.scenarios import Scenario


def everything(found: Simulated) -> bytes:
    assert found.measurements is not None
    return b"".join(
        getattr(table, field.name).tobytes()
        for table in (found.table, found.measurements)
        for field in fields(table)
        if field.name != "metrics"
    )


@pytest.fixture
def setting(policy_of: Callable[..., Policy], scenario_of: Callable[..., Scenario]) -> tuple[Policy, Scenario]:
    return policy_of(more="count: 4\n      failureLimit: 1"), scenario_of(rps=8.0, errors=0.1)


@pytest.mark.parametrize("workers", [2, 3])
def test_the_bytes_are_the_same_for_any_number_of_workers(workers: int, setting: tuple[Policy, Scenario]) -> None:
    one, many = (
        simulate_blocks(*setting, runs=70, seed=5, cohorts=4, workers=count, measurements=True)
        for count in (1, workers)
    )
    assert everything(one) == everything(many)
    assert one.table.run.tolist() == list(range(70))


def test_more_runs_leave_the_first_ones_as_they_are(setting: tuple[Policy, Scenario]) -> None:
    few, many = (simulate_blocks(*setting, runs=runs, seed=5, cohorts=4, workers=1).table for runs in (10, 30))
    assert few.bad_requests.tolist() == many.bad_requests[:10].tolist()
    assert few.cohort.tolist() == [run % 4 for run in range(10)]


def test_another_seed_is_another_simulation(setting: tuple[Policy, Scenario]) -> None:
    one, other = (simulate_blocks(*setting, runs=8, seed=seed, cohorts=4, workers=1).table for seed in (1, 2))
    assert one.requests.tolist() != other.requests.tolist()
    assert set(one.ended_s.tolist()).isdisjoint(other.ended_s.tolist())


def test_fewer_cohorts_than_workers_are_played_in_parts(setting: tuple[Policy, Scenario]) -> None:
    one, three = (simulate_blocks(*setting, runs=20, seed=5, cohorts=1, workers=count).table for count in (1, 3))
    assert one.bad_requests.tolist() == three.bad_requests.tolist()


def test_progress_is_told_up_to_the_last_run(setting: tuple[Policy, Scenario]) -> None:
    told: list[tuple[int, int]] = []
    simulate_blocks(*setting, runs=12, seed=5, cohorts=3, workers=2, progress=lambda done, of: told.append((done, of)))
    assert [of for _, of in told] == [12, 12, 12]
    assert told[-1] == (12, 12)


def test_an_interruption_returns_what_is_known(setting: tuple[Policy, Scenario]) -> None:
    def interrupt(done: int, of: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    whole = simulate_blocks(*setting, runs=12, seed=5, cohorts=3, workers=1)
    found = simulate_blocks(*setting, runs=12, seed=5, cohorts=3, workers=1, progress=interrupt)
    assert whole.is_complete
    assert not found.is_complete
    assert found.wanted == 12
    # Cohorts 0 and 1 were done: runs 0, 1, 3, 4, 6, 7, 9 and 10.
    assert found.table.run.tolist() == [0, 1, 3, 4, 6, 7, 9, 10]
    known = np.isin(whole.table.run, found.table.run)
    assert found.table.bad_requests.tolist() == whole.table.bad_requests[known].tolist()


def test_an_interruption_of_many_workers_returns_what_they_have_done(setting: tuple[Policy, Scenario]) -> None:
    def interrupt(done: int, of: int) -> None:
        raise KeyboardInterrupt

    whole = simulate_blocks(*setting, runs=40, seed=5, cohorts=8, workers=1)
    found = simulate_blocks(*setting, runs=40, seed=5, cohorts=8, workers=2, progress=interrupt)
    assert len(found.table) == 5  # one cohort
    known = np.isin(whole.table.run, found.table.run)
    assert found.table.bad_requests.tolist() == whole.table.bad_requests[known].tolist()


def test_a_policy_can_be_sent_to_another_process(setting: tuple[Policy, Scenario]) -> None:
    policy, scenario = pickle.loads(pickle.dumps(setting))
    one, sent = (simulate_blocks(*each, runs=6, seed=5, workers=1).table for each in (setting, (policy, scenario)))
    assert one.bad_requests.tolist() == sent.bad_requests.tolist()


@pytest.mark.filterwarnings("default")
def test_a_dask_cluster_plays_the_same(setting: tuple[Policy, Scenario]) -> None:
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = simulate_blocks(*setting, runs=12, seed=5, cohorts=3, client=client, measurements=True)
    here = simulate_blocks(*setting, runs=12, seed=5, cohorts=3, workers=1, measurements=True)
    assert everything(there) == everything(here)


@pytest.mark.parametrize(("runs", "cohorts"), [(1, 40), (1_000, 40), (10_000, 40), (20_000, 80), (1_000_000, 100)])
def test_more_runs_share_more_histories_up_to_a_hundred(runs: int, cohorts: int) -> None:
    assert cohorts_for(runs) == cohorts


def test_no_runs_are_refused(setting: tuple[Policy, Scenario]) -> None:
    with pytest.raises(ValueError, match="needs one at least"):
        simulate_blocks(*setting, runs=0, seed=1)
