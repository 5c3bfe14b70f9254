"""The turns of a rollout as people read them, from what happened."""

from __future__ import annotations

from experiments.events import FaultBegan, FaultEnded, StatusChanged
from experiments.story import decision_lines, fault_lines


def status(t_s: float, current_hash: str, phase: str) -> StatusChanged:
    return StatusChanged(
        t_s=t_s,
        phase=phase,
        message="",
        revision=1,
        current_hash=current_hash,
        stable_hash="old",
        step_index=0,
        step="setWeight: 30",
        steps=2,
        aborted=False,
    )


def test_a_status_of_the_old_revision_just_after_the_deployment_is_no_new_revision() -> None:
    # Deployed at 100 s. A cluster's controller still writes a status of the old revision before it sees the new one.
    events = (status(90.0, "old", "Healthy"), status(100.1, "old", "Progressing"), status(100.2, "new", "Progressing"))
    lines = decision_lines(events, (), 100.0, "new")
    assert [(round(line.t_s, 1), line.what) for line in lines] == [(0.2, "a new revision is rolled out")]


def test_a_fault_that_comes_again_has_its_own_end_and_one_that_never_ended_is_not_ended_by_the_first() -> None:
    def began(t_s: float) -> FaultBegan:
        return FaultBegan(t_s=t_s, fault="kill_pods", kind="kill_pods", detail="", lease_ends_s=t_s + 10.0)

    events = (
        began(110.0),
        FaultEnded(t_s=120.0, fault="kill_pods", why="lease"),
        began(130.0),
        FaultEnded(t_s=135.0, fault="kill_pods", why="restored"),
        began(150.0),
    )
    lines = fault_lines(events, 100.0)
    assert [(line.began_s, line.ended_s, line.why) for line in lines] == [
        (10.0, 20.0, "lease"),
        (30.0, 35.0, "restored"),
        (50.0, None, ""),
    ]
