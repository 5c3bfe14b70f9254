"""When the newest revision becomes the stable one, and which returns to an older revision skip the steps."""

from __future__ import annotations

from controller.core.look import Look
from controller.core.replicas import threshold_met


def is_rollback_within_window(look: Look) -> bool:
    """Return whether the newest revision is an older one, few enough revisions back to skip the steps."""
    window = look.plan.rollout.rollback_window_revisions
    if not window:
        return False
    new, stable = look.new, look.stable
    if new is None or stable is None or not new.created_s < stable.created_s:
        return False
    between = sum(1 for other in look.all if new.created_s < other.created_s < stable.created_s)
    return between < window


def is_fast_rollback(look: Look) -> bool:
    """Return whether the spec went back to stable, or to a revision within the rollback window."""
    new, stable = look.new, look.stable
    if new is None or stable is None:
        return False
    return look.status.stable_hash == new.pod_hash or is_rollback_within_window(look)


def reason_to_promote(look: Look) -> str:
    """Return why the newest revision is to become stable now; empty while it is not."""
    plan, status, new = look.plan, look.status, look.new
    if look.stable is None:
        return "Initial deploy"
    if look.is_aborted or new is None:
        return ""
    if new.available < plan.replicas and not threshold_met(plan.canary.replica_progress_threshold, new, plan.replicas):
        return ""
    if status.promote_full:
        return "Full promotion requested"
    if is_rollback_within_window(look):
        return "Rollback within window"
    if status.stable_hash == new.pod_hash:
        return "Fast rollback"
    if look.weights is not None and look.weights.verified is False:
        return ""  # the router has not confirmed that all traffic is the newest revision's
    if (not plan.steps or look.index == len(plan.steps)) and not look.is_held:
        return f"Completed all {len(plan.steps)} canary steps"
    return ""
