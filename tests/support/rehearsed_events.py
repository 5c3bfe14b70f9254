"""Events and requests of a rehearsal that a test makes up: one release beside stable, at an instant it names."""

from __future__ import annotations

from typing import Any

from experiments.events import StatusChanged

STABLE, CANARY = "aaa111", "bbb222"
COLUMNS = [
    *("intended_s", "sent_s", "finished_s", "latency_s", "service_s", "lag_s"),
    *("status", "failure", "revision", "method", "path"),
]


def request(at_s: float, revision: str, *, status: int = 200, latency_s: float = 0.1, failure: str = "") -> list[Any]:
    return [at_s, at_s, at_s + latency_s, latency_s, latency_s, 0.0, status, failure, revision, "GET", "/"]


def status(t_s: float, **changes: Any) -> StatusChanged:
    values: dict[str, Any] = {
        "t_s": t_s,
        "phase": "Progressing",
        "message": "",
        "revision": 2,
        "current_hash": CANARY,
        "stable_hash": STABLE,
        "step_index": 0,
        "step": "setWeight: 10",
        "steps": 3,
        "aborted": False,
    }
    return StatusChanged(**(values | changes))
