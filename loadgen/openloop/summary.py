"""The summary of a run: its figures by revision and route, and whether it may be believed, as plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from loadgen.openloop.figures import by_revision, by_route, judge, plain
from loadgen.openloop.records import Run


def summarize(run: Run) -> dict[str, Any]:
    """Return the summary of an ended run. Times named policy are policy time, latencies are seconds of the wall."""
    ended, began_s = run.ended, run.began_monotonic_s
    if ended is None or began_s is None:
        raise ValueError("this run has not ended, so there is nothing to sum up")
    validity = judge(
        run.rows,
        due=ended["due"],
        speed=run.plan.speed,
        cpu_shares=ended["cpu_shares"],
        machine_shares=ended["machine_shares"],
    )
    slow_after_s = run.plan.slow_after_s
    revisions = by_revision(run.rows, run.names.get("revision", []), slow_after_s=slow_after_s)
    routes = by_route(run.rows, [route.name for route in run.plan.traffic.routes], slow_after_s=slow_after_s)
    found: dict[str, Any] = plain(
        {
            "ended": ended["why"],
            "began_policy_s": run.origin.policy_at(began_s),
            "traffic_s": ended["traffic_s"],
            "speed": run.plan.speed,
            "requests": len(run.rows),
            "valid": validity.holds,
            "validity": asdict(validity),
            "revisions": [seen.as_json() for seen in revisions],
            "routes": [seen.as_json() for seen in routes],
        }
    )
    return found
