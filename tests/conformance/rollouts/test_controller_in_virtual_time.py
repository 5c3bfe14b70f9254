"""Odd scenarios that Argo Rollouts' own controller was played in virtual time, and what our core makes of them.

The recordings in `whole_seconds/` were made, by what is in `recorder/`, with the rollout and analysis controllers of
Argo Rollouts (its main branch of August 2026) on its in-memory API server: scenarios drawn at random, up to twelve
words of operators each, pods that die or never come up, sizes that change, and the fields of the canary block that
decide on pods, weights and steps. Everything in that world takes whole seconds (see Tempo), so Argo's rounding of
times loses nothing, and every state has to agree: what `test_recorded_rollouts` compares and, beside it, every
condition with its message, the size and the countdown of each set of pods, the revision, and the summaries and
messages of each analysis.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

FILES = sorted((Path(__file__).parent / "whole_seconds").glob("*.json.gz"))
RECORDINGS = [recording for file in FILES for recording in json.loads(gzip.decompress(file.read_bytes()))]
HASH = re.compile(r'"[a-z0-9.-]*-[0-9a-z]{6,12}"')
LATE_S = 9.0  # one look and one event of the world later or earlier

State = tuple[float, str]
ASPECTS = {
    "state": ("phase", "step", "weight", "abort", "pause", "message", "stable_is_current"),
    "sets": ("sizes",),
    "conditions": ("conditions",),
    "words": ("controller_pause", "promote_full", "revision"),
}


def rollout_states(trace: list[dict[str, Any]], keys: tuple[str, ...]) -> list[State]:
    states: list[State] = []
    for entry in trace:
        if "rollout" in entry:
            seen = json.dumps({key: entry["rollout"][key] for key in keys}, sort_keys=True).replace('\\"', '"')
            seen = HASH.sub('"HASH"', seen)
            if not states or states[-1][1] != seen:
                states.append((entry["t"], seen))
    return states


def run_states(trace: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the states of each analysis run; runs of one label are told apart by their beginnings."""
    states: dict[str, list[str]] = {}
    begun: dict[str, int] = {}
    for entry in trace:
        if "analysis" in entry:
            seen = dict(entry["analysis"])
            label = f"{seen.pop('run')} of {seen['of']}"
            begun[label] = begun.get(label, 0) + (seen["phase"] == "")
            of_run = states.setdefault(f"{label} #{begun[label]}", [])
            text = json.dumps(seen, sort_keys=True)
            if of_run[-1:] != [text]:
                of_run.append(text)
    return states


def differences(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[str]:
    wrong: list[str] = []
    for aspect, keys in ASPECTS.items():
        a, b = rollout_states(theirs, keys), rollout_states(ours, keys)
        if [seen for _, seen in a] != [seen for _, seen in b]:
            at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x[1] != y[1]), min(len(a), len(b)))
            wrong.append(f"{aspect} {at}: theirs {a[at : at + 2]} ours {b[at : at + 2]}")
        else:
            wrong += [
                f"{aspect} at {u:g} s, theirs at {t}: {x}"
                for (t, x), (u, _) in zip(a, b, strict=True)
                if abs(t - u) > LATE_S
            ]
    runs, our_runs = run_states(theirs), run_states(ours)
    if runs != our_runs:
        labels = sorted(label for label in runs.keys() | our_runs.keys() if runs.get(label) != our_runs.get(label))
        wrong += [f"run {label}: theirs {runs.get(label)} ours {our_runs.get(label)}" for label in labels]
    return wrong


@pytest.mark.parametrize("recording", RECORDINGS, ids=[recording["scenario"]["name"] for recording in RECORDINGS])
def test_the_core_decides_as_argos_controller_did_in_virtual_time(close_player, recording):
    world = close_player(recording["scenario"])
    assert differences(recording["trace"], world.trace) == []


def test_there_are_a_hundred_such_recordings_and_more():
    assert len(RECORDINGS) > 100
