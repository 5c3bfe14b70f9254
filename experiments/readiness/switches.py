"""Item 6: each kill switch that the team names was flipped in a drill that passed, on these very manifests."""

from __future__ import annotations

from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case
from experiments.readiness.drills import told, usable

_FLIP = "set_flag"


def check_switches(case: Case) -> tuple[Finding, ...]:
    """Return a finding for each kill switch."""
    switches = case.policy.rollout.extensions.promises.kill_switches
    if switches is None:
        return (
            unknown(
                "the Rollout does not say which flags are its kill switches",
                "name them: gamebird.dev/kill-switches: FLAG, or none if there are none",
            ),
        )
    if not switches:
        return (yes("not applicable: the team says that there are none"),)
    return tuple(_of(case, flag) for flag in switches)


def _of(case: Case, flag: str) -> Finding:
    passed = [
        record
        for record in usable(case)
        if record.holds
        and any(
            fault["kind"] == _FLIP and fault["detail"].startswith(f"the flag {flag} ")
            for fault in record.data["faults"]
        )
    ]
    if passed:
        return yes(f"{flag} was flipped: {told(passed[-1], case.now)}")
    return no(
        f"no drill of these manifests in 30 days flipped {flag} and passed",
        f"play a game day whose method has set_flag with flag: {flag}, with --policy FILES…",
    )
