"""How long missing evidence is waited for, and what is done then.

The wait runs from the metric's first missing measurement and is cleared by a sufficient one. When it is over,
the metric (not one measurement: limits have no say) gets the phase of the action that the policy names.
"""

from __future__ import annotations

from controller.core.runs import AnalysisPhase
from controller.manifests.values.extensions import EvidenceAction, EvidenceRules

MIN_DEADLINE_S = 600.0


def deadline_s(rules: EvidenceRules, *, longest_window_s: float | None) -> float:
    """Return how long the metric may wait: as named, else twice its longest window, at least ten minutes."""
    if rules.deadline_s is not None:
        return rules.deadline_s
    return max(MIN_DEADLINE_S, 2.0 * (longest_window_s or 0.0))


def missing_since(before_s: float | None, phase: AnalysisPhase, at_s: float) -> float | None:
    """Return since when evidence has been missing, after one more measurement with this phase.

    A provider's error in strict parity neither begins nor clears the wait: it is no evidence of anything.
    """
    if phase is AnalysisPhase.MISSING:
        return at_s if before_s is None else before_s
    return before_s if phase is AnalysisPhase.ERROR else None


def due_phase(since_s: float | None, now_s: float, *, wait_s: float, action: EvidenceAction) -> AnalysisPhase | None:
    """Return the phase that the metric gets now, or None while it may still wait."""
    if since_s is None or now_s - since_s < wait_s:
        return None
    return phase_of_action(action)


def phase_of_action(action: EvidenceAction) -> AnalysisPhase | None:
    """Return the phase that an action gives; None for waiting."""
    match action:
        case EvidenceAction.WAIT:
            return None
        case EvidenceAction.PAUSE:
            return AnalysisPhase.INCONCLUSIVE
        case EvidenceAction.PASS:
            return AnalysisPhase.SUCCESSFUL
        case EvidenceAction.FAIL:
            return AnalysisPhase.FAILED
