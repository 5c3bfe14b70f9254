"""What has to agree between a recording and what was played: the order of transitions, messages, counters, waits.

Two transitions within TOGETHER_S may be seen in either order or as one, and a wait may differ by WAIT_S, because Argo
keeps times in whole seconds.
"""

from __future__ import annotations

import re
from typing import Any

WAIT_S = 1.5
TOGETHER_S = 0.35  # the README says 0.3, and times are rounded to a tenth
HASH = re.compile(r'(ReplicaSet ".*)-[0-9a-z]+"')

State = tuple[float, tuple[Any, ...]]


def rollout_states(trace: list[dict[str, Any]]) -> list[State]:
    """Return the transitions of the rollout's state and message, each with its time."""
    states: list[State] = []
    for entry in trace:
        if "rollout" in entry:
            seen = entry["rollout"]
            message = HASH.sub(r'\1-HASH"', seen["message"])
            key = (seen["phase"], seen["step"], seen["weight"], seen["abort"], tuple(seen["pause"]), message)
            if not states or states[-1][1] != key:
                states.append((entry["t"], key))
    return states


def run_states(trace: list[dict[str, Any]]) -> dict[tuple[str, int], list[State]]:
    """Return the transitions of each analysis run; runs of one label are told apart by their beginnings."""
    states: dict[tuple[str, int], list[State]] = {}
    begun: dict[str, int] = {}
    for entry in trace:
        if "analysis" in entry:
            seen = entry["analysis"]
            label = seen["run"]
            if seen["phase"] == "":
                begun[label] = begun.get(label, 0) + 1
            metrics = tuple(sorted((name, tuple(sorted(m.items()))) for name, m in seen["metrics"].items()))
            key = (seen["phase"], seen["message"], metrics)
            of_run = states.setdefault((label, begun.get(label, 0)), [])
            if not of_run or of_run[-1][1] != key:
                of_run.append((entry["t"], key))
    return states


def compare_states(what: str, theirs: list[State], ours: list[State], wrong: list[str]) -> None:
    """Compare two sequences, letting neighbours closer than TOGETHER_S swap or merge."""
    a, b = [key for _, key in theirs], [key for _, key in ours]
    if a != b[: len(a)]:
        at = next((i for i, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), min(len(a), len(b)))
        wrong.append(f"{what} state {at}: theirs {theirs[at : at + 3]} ours {ours[at : at + 3]}")
        return
    for (t0, _), (t1, key), (u0, _), (u1, _) in zip(theirs, theirs[1:], ours, ours[1:], strict=False):
        if abs((t1 - t0) - (u1 - u0)) > WAIT_S:
            wrong.append(f"{what} waits {u1 - u0:.1f}s for {key}, theirs {t1 - t0:.1f}s")


def compare_end(recording: dict[str, Any], trace: list[dict[str, Any]], wrong: list[str]) -> None:
    """Compare the last status, pods included."""
    last = {}
    for side, entries in (("theirs", recording["trace"]), ("ours", trace)):
        seen = dict(next(entry["rollout"] for entry in reversed(entries) if "rollout" in entry))
        seen["message"] = HASH.sub(r'\1-HASH"', seen["message"])
        last[side] = seen
    if last["theirs"] != last["ours"]:
        wrong.append(f"end: {last}")
