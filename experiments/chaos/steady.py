"""Look at the steady state once more, when everything has been restored, and wait for it if it needs a moment.

Chaos Toolkit looks at it before rollbacks, with faults still in force; whether the way back led anywhere is not its
question. It is ours, and counts in the score.
"""

from __future__ import annotations

from typing import Any

from experiments.rehearsal import Rehearsal

WITHIN_S = 90.0
"""Policy seconds that pods and routers may take to come back."""


def steady_after_restore(
    rehearsal: Rehearsal, experiment: dict[str, Any], journal: dict[str, Any], configuration: Any, secrets: Any
) -> None:
    """End every fault, look until the steady state holds or time is up, and write both into rehearsal and journal."""
    from chaoslib.hypothesis import run_steady_state_hypothesis
    from chaoslib.run import EventHandlerRegistry

    before = (journal.get("steady_states") or {}).get("before") or {}
    rehearsal.steady_before = before.get("steady_state_met")
    if journal.get("status") in ("interrupted", "aborted") or rehearsal.failure is not None or rehearsal.interrupted:
        return
    rehearsal.restore_everything()
    clock = rehearsal.world.clock
    until_s = clock.now_s() + WITHIN_S
    while True:
        registry = EventHandlerRegistry()
        seen = run_steady_state_hypothesis(experiment, configuration, secrets, None, registry) or {}
        if seen.get("steady_state_met") or clock.now_s() >= until_s or rehearsal.interrupted:
            break
        rehearsal.wait(2.0)
    rehearsal.steady_after = seen.get("steady_state_met")
    journal["steady_states"]["after_restore"] = seen
