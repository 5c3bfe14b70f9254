"""Every scenario that Argo Rollouts was recorded in, played against the decision core in virtual time.

What has to agree: the order of (phase, step, weight, abort, pause reasons) and the messages; every analysis
run with its phases, messages and counters; the pods and the state at the end; the queries of each metric; and
the time between two transitions to within 1.5 s, because Argo keeps times in whole seconds.
"""

from __future__ import annotations

import re
from typing import Any

from recorded_transitions import WAIT_S, compare_end, compare_states, rollout_states, run_states

# Scenarios that do not match yet, and why. Strict: one that matches has to leave the list.
NOT_YET: dict[str, str] = {}


def compare_queries(recording: dict[str, Any], world: Any, wrong: list[str]) -> None:
    """Compare what each metric was asked, and when, relative to its first query."""
    names = {query["metric"] for query in recording["queries"]} | {q["metric"] for q in world.queries}
    for name in sorted(names):
        theirs = [q for q in recording["queries"] if q["metric"] == name]
        ours = [q for q in world.queries if q["metric"] == name]
        texts = [[re.sub(r'(canary|stable)="[^"]*"', r"\1", q["query"]) for q in side] for side in (theirs, ours)]
        if texts[0] != texts[1][: len(texts[0])]:
            wrong.append(f"queries of {name}: {len(theirs)} theirs, {len(ours)} ours, {texts[0][:1]} {texts[1][:1]}")
        for before, after, b2, a2 in zip(theirs, theirs[1:], ours, ours[1:], strict=False):
            if abs((after["t"] - before["t"]) - (a2["t"] - b2["t"])) > WAIT_S:
                wrong.append(f"query of {name} at {a2['t']:.1f}, theirs {after['t']:.1f}")


def compare(recording: dict[str, Any], world: Any) -> list[str]:
    """Return what differs."""
    wrong: list[str] = []
    compare_states("rollout", rollout_states(recording["trace"]), rollout_states(world.trace), wrong)
    theirs, ours = run_states(recording["trace"]), run_states(world.trace)
    if theirs.keys() != ours.keys():
        wrong.append(f"runs {sorted(theirs)} ours {sorted(ours)}")
    for run, states in theirs.items():
        compare_states(f"run {run}", states, ours.get(run, []), wrong)
    compare_queries(recording, world, wrong)
    compare_end(recording, world.trace, wrong)
    return wrong


def test_the_core_decides_as_argo_rollouts_did_in_every_recorded_scenario(recorded, player, capsys):
    wrong: dict[str, list[str]] = {}
    by_whole_seconds: list[str] = []
    for recording in recorded:
        name = recording["scenario"]["name"]
        differences = compare(recording, player(recording))
        # Where in a second a recording began is not told. A race between a pause's end and a measurement may
        # hang on it, so a scenario may also match with times kept in whole seconds from one of ten beginnings.
        for tenth in range(10) if differences else ():
            world = player(recording, whole_seconds=True, fraction_s=tenth / 10)
            if not compare(recording, world):
                differences = []
                by_whole_seconds.append(name)
                break
        if differences:
            wrong[name] = differences
    with capsys.disabled():
        print(
            f"\nrecorded rollouts: {len(recorded) - len(wrong)} of {len(recorded)}, "
            f"with whole seconds only: {', '.join(by_whole_seconds) or 'none'}"
        )
    unexpected = {name: found for name, found in wrong.items() if name not in NOT_YET}
    report = "\n".join(f"{name}:\n  " + "\n  ".join(found) for name, found in unexpected.items())
    assert not unexpected, report
    assert sorted(wrong) == sorted(NOT_YET), "a listed scenario matches now: take it off the list"
