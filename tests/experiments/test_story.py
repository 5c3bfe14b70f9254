"""The turns of a rollout as people read them, from what happened."""

from __future__ import annotations

from experiments.events import StatusChanged
from experiments.story import decision_lines


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
