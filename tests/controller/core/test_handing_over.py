"""How many pods a workload keeps while a rollout takes over from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.actions import ScaleWorkload
from controller.core.handing_over import scale_workload
from controller.core.look import Look
from controller.core.snapshot import ReplicaSetSeen, Snapshot
from controller.core.status import Phase, RolloutStatus
from controller.manifests.values import CanaryStrategy, PodTemplate, Rollout, WorkloadRef


def asked(
    scale_down: str, *, now: int | None, ready: int, phase: Phase, revision: int = 1, replicas: int = 5
) -> list[int]:
    """Return the numbers of pods that are asked for."""
    rollout = Rollout(
        name="shop",
        replicas=replicas,
        template=PodTemplate(canonical="{}"),
        workload_ref=WorkloadRef(name="shop", scale_down=scale_down),  # type: ignore[arg-type]
        strategy=CanaryStrategy(),
    )
    newest = ReplicaSetSeen(
        pod_hash="new", revision=revision, created_s=0.0, wanted=5, created=5, ready=ready, available=ready
    )
    status = replace(RolloutStatus(), phase=phase, ready_replicas=ready, current_hash="new")
    snapshot = Snapshot(
        rollout=rollout,
        template_hash="new",
        generation=1,
        status=status,
        replica_sets=(newest,),
        workload_replicas=now,
    )
    look = Look(snapshot, 0.0)
    scale_workload(look)
    return [action.replicas for action in look.actions if isinstance(action, ScaleWorkload)]


@pytest.mark.parametrize(
    ("scale_down", "phase", "now", "ready", "wanted"),
    [
        ("", Phase.HEALTHY, 5, 5, []),
        ("never", Phase.HEALTHY, 5, 5, []),
        ("onsuccess", Phase.PROGRESSING, 5, 4, []),
        ("onsuccess", Phase.HEALTHY, 5, 5, [0]),
        ("onsuccess", Phase.HEALTHY, 0, 5, []),  # done already
        ("progressively", Phase.PROGRESSING, 5, 0, []),  # nothing can take the traffic yet
        ("progressively", Phase.PROGRESSING, 5, 2, [3]),  # 5 wanted - 2 ready
        ("progressively", Phase.PROGRESSING, 9, 2, [3]),
        ("progressively", Phase.PROGRESSING, 9, 0, []),  # a bigger one loses nothing before the first ready pod
        ("progressively", Phase.PROGRESSING, 1, 2, [3]),  # pods of the rollout were lost: 5 - 2
        ("progressively", Phase.DEGRADED, 0, 0, [5]),  # all were lost: it gets its pods back
        ("progressively", Phase.HEALTHY, 3, 5, [0]),
    ],
)
def test_a_workload_gives_up_its_pods_as_it_was_told(
    scale_down: str, phase: Phase, now: int, ready: int, wanted: list[int]
) -> None:
    assert asked(scale_down, now=now, ready=ready, phase=phase) == wanted


def test_later_revisions_leave_the_workload_alone() -> None:
    # As in Argo: the handover is that of the first revision.
    assert asked("progressively", now=5, ready=2, phase=Phase.PROGRESSING, revision=2) == []


def test_what_cannot_be_scaled_is_not() -> None:
    assert asked("onsuccess", now=None, ready=5, phase=Phase.HEALTHY) == []
