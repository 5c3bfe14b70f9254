"""What the core keeps from one look to the next, to be quick, changes nothing that it says."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from controller.core import launching, plan
from controller.core.analysis import advance, due
from controller.core.decisions import decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.runs import AnalysisPhase, AnalysisRun, AnalysisStatus, Measurement, RunKind
from controller.core.snapshot import Snapshot
from controller.core.status import RolloutStatus
from controller.core.verdicts import assess
from controller.manifests.loading import load
from controller.manifests.values import Argument, EvidenceRules, FrozenMap, Metric, Parity, PrometheusProvider

EXAMPLE = Path(__file__).parents[3] / "examples" / "orders-api"


def looks() -> list[tuple[float, Snapshot]]:
    """Return every snapshot of the example's rollout, from its first deployment to the promotion of a second one."""
    manifests = load([EXAMPLE / "rollout.yaml", EXAMPLE / "analysis-template.yaml"])
    ledger, status, now_s = PlatformLedger.empty(), RolloutStatus(), 0.0
    seen: list[tuple[float, Snapshot]] = []
    for generation, template_hash in ((1, "v1"), (2, "v2")):
        for _ in range(200):
            sizes = {key: known.wanted for key, known in ledger.replica_sets.items()}
            snapshot = ledger.snapshot(
                rollout=manifests.rollouts[0],
                template_hash=template_hash,
                generation=generation,
                status=status,
                pods={key: PodCounts(created=n, ready=n, available=n) for key, n in sizes.items()},
                templates=manifests.templates,
            )
            seen.append((now_s, snapshot))
            decision = decide(snapshot, now_s)
            status = decision.status
            for action in decision.actions:
                ledger.apply(action, now_s)
            for name in list(ledger.runs):
                ledger.update_run(name, AnalysisStatus(phase=AnalysisPhase.SUCCESSFUL, started_s=now_s))
            if not decision.changed and not decision.actions and status.stable_hash == template_hash:
                break
            now_s = max(now_s, decision.look_again_s or now_s)
    assert status.stable_hash == "v2"
    return seen


def test_equal_snapshots_give_equal_decisions_also_when_nothing_of_them_was_seen_before() -> None:
    for now_s, snapshot in looks():
        strange = copy.deepcopy(snapshot)
        assert strange.rollout is not snapshot.rollout
        assert decide(strange, now_s) == decide(snapshot, now_s)


def test_no_more_is_kept_than_a_bounded_number_of_specs() -> None:
    now_s, snapshot = next(look for look in looks() if look[1].runs)
    start = next(look for look in looks() if any("v2" in run.name for run in look[1].runs))
    for size in range(600):
        for at_s, one in ((now_s, snapshot), start):
            decide(replace(one, rollout=replace(one.rollout, replicas=size + 1), runs=()), at_s)
    assert len(plan._plans) <= plan._KEPT
    assert len(launching._contents) <= launching._KEPT


def test_a_look_at_which_no_pod_has_changed_makes_no_new_sets() -> None:
    ledger = PlatformLedger.empty()
    _, snapshot = looks()[-1]
    ledger.replica_sets.update({known.pod_hash: known for known in snapshot.replica_sets})

    def seen(available: int) -> Snapshot:
        pods = {"v2": PodCounts(created=5, ready=5, available=available)}
        return ledger.snapshot(
            rollout=snapshot.rollout, template_hash="v2", generation=2, status=snapshot.status, pods=pods
        )

    first, again, later = seen(4), seen(4), seen(5)
    newest = [next(known for known in one.replica_sets if known.pod_hash == "v2") for one in (first, again, later)]
    assert newest[0] is newest[1]
    assert (newest[1].available, newest[2].available) == (4, 5)
    assert first == again


PHASES = st.sampled_from(
    [
        AnalysisPhase.SUCCESSFUL,
        AnalysisPhase.FAILED,
        AnalysisPhase.ERROR,
        AnalysisPhase.INCONCLUSIVE,
        AnalysisPhase.MISSING,
        None,
    ]
)


@given(
    told=st.lists(st.tuples(PHASES, PHASES), max_size=8),
    limit=st.integers(0, 3),
    count=st.integers(1, 4),
    parity=st.sampled_from(list(Parity)),
    stopped_at=st.integers(0, 10),
)
def test_a_look_without_a_measurement_says_what_a_whole_assessment_says(told, limit, count, parity, stopped_at) -> None:
    metrics = tuple(
        Metric(
            name=name,
            provider=PrometheusProvider(query="rate(x[5m])"),
            interval_s=60.0,
            count=count,
            failure_limit=limit,
            consecutive_error_limit=2,
            inconclusive_limit=1,
            evidence=EvidenceRules(parity=parity),
        )
        for name in ("a", "b")
    )
    run = AnalysisRun(name="run", kind=RunKind.STEP, pod_hash="h", created_s=0.0, metrics=metrics)
    for number, phases in enumerate(told):
        now_s = 60.0 * number
        run = replace(run, terminate=run.terminate or number >= stopped_at)
        measured = {
            name: Measurement(phase=phase, started_s=now_s, finished_s=now_s)
            for name, phase in zip(("a", "b"), phases, strict=True)
            if phase is not None and name in due(run, now_s)[0]
        }
        run = run.with_status(advance(run, measured, now_s))
        for later_s in (now_s, now_s + 30, now_s + 10_000):
            whole = assess(run, {result.name: result for result in run.status.results}, later_s)
            expected = run.status if run.status.phase.completed else whole
            assert advance(run, {}, later_s) == expected


def test_a_run_with_a_newer_status_keeps_every_other_field() -> None:
    strange = AnalysisRun(
        name="run",
        kind=RunKind.STEP,
        pod_hash="h",
        created_s=1.0,
        step_index=2,
        metrics=(Metric(name="a", provider=PrometheusProvider(query="x")),),
        dry_run=frozenset({"a"}),
        retention=FrozenMap({"a": 3}),
        args=(Argument(name="x", value="y"),),
        problem="none",
        terminate=True,
    )
    unlike_default = [field for field in fields(AnalysisRun) if getattr(strange, field.name) != field.default]
    assert {field.name for field in fields(AnalysisRun)} - {field.name for field in unlike_default} == {"status"}
    newer = AnalysisStatus(phase=AnalysisPhase.RUNNING)
    assert strange.with_status(newer) == replace(strange, status=newer)
