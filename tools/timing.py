"""Measure what takes wall time in the local world: the numbers of experiments/prediction/pace.py.

Rehearses a game day some times and reads the events: how long a pod takes until it is ready, a weight until it is
acknowledged, the controller until it looks, an answer until it is judged. Each is printed as the median and the
standard deviation of its logarithm, which is how the simulator draws it. docs/truth.md says when it was last run.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from experiments.events import Deployed, Event, MeasurementTaken, PodsChanged, RunChanged, StatusChanged, WeightSet
from experiments.gameday_files import load_game_day
from experiments.runner import Options, rehearse
from experiments.users import UNDER_TEST

Timed = tuple[str, float]  # what, seconds of policy time


def timings(events: Sequence[Event]) -> Iterator[Timed]:
    """Yield each span of policy time that the world took for something, the release under test's own only."""
    places = [index for index, one in enumerate(events) if isinstance(one, Deployed) and one.role == UNDER_TEST]
    if not places:
        return  # the steady state did not hold, so nothing was deployed
    since = events[places[0] :]
    release = since[0]
    assert isinstance(release, Deployed)
    yield from _starts(since, release.pod_hash)
    yield from _looks(since)
    yield from _answers(since)
    for event in since:
        if isinstance(event, WeightSet) and event.asked_s is not None and event.percent > 0:
            yield "a weight is acknowledged", event.t_s - event.asked_s


def _starts(events: Sequence[Event], release_hash: str) -> Iterator[Timed]:
    """Yield how long pods took from the decision to have them until all were ready."""
    wanted, since_s, decided_s = 0, 0.0, 0.0
    for event in events:
        if isinstance(event, Deployed | RunChanged):
            decided_s = event.t_s
        if not isinstance(event, PodsChanged):
            continue
        for one in event.revisions:
            if one.pod_hash != release_hash:
                continue
            if one.created > wanted:
                new, wanted, since_s = one.created - wanted, one.created, decided_s
            elif since_s and one.ready == wanted:
                yield f"{new} pods are ready", event.t_s - since_s
                since_s = 0.0
            elif one.created < wanted:
                wanted, since_s = one.created, 0.0


def _looks(events: Sequence[Event]) -> Iterator[Timed]:
    """Yield how late a pause's end was seen."""
    due_s: tuple[int, float] | None = None
    for event in events:
        if not isinstance(event, StatusChanged) or event.step_index is None:
            continue
        if due_s is not None and event.step_index == due_s[0] + 1:
            yield "the end of a pause is seen", event.t_s - due_s[1]
            due_s = None
        pause = re.fullmatch(r"pause: (\d+)s", event.step)
        if pause and event.pauses and due_s is None:
            due_s = event.step_index, event.t_s + float(pause[1])


def _answers(events: Sequence[Event]) -> Iterator[Timed]:
    """Yield how long a metric's answer took until the controller had judged it."""
    asked_s: dict[str, float] = {}
    first = True
    for event in events:
        if isinstance(event, MeasurementTaken):
            asked_s[event.run] = min(event.t_s, asked_s.get(event.run, event.t_s))
        elif isinstance(event, RunChanged) and event.run in asked_s:
            yield "the first answer is judged" if first else "an answer is judged", event.t_s - asked_s.pop(event.run)
            first = False


def main() -> None:
    """Rehearse and print what was measured, in milliseconds of the wall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("game_day", type=Path)
    parser.add_argument("--rehearsals", type=int, default=10)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--first-seed", type=int, default=1)
    options = parser.parse_args()
    game_day = load_game_day(options.game_day)
    found: dict[str, list[float]] = {}
    for seed in range(options.first_seed, options.first_seed + options.rehearsals):
        rehearsed = rehearse(game_day, next(iter(game_day.policies)), Options(speed=options.speed, seed=seed))
        print(f"seed {seed}: {rehearsed.card.load.counts} counts", file=sys.stderr)
        if rehearsed.card.load.counts != "valid":
            continue  # the machine was too busy for the load, so also for everything else
        for what, span_s in timings(rehearsed.events):
            found.setdefault(what, []).append(max(span_s, 1e-6) / options.speed * 1e3)
    print(f"{'ms of the wall':30} {'n':>4} {'median':>8} {'sigma':>6} {'p5':>8} {'p95':>8}")
    for what, spans in sorted(found.items()):
        low, median, high = np.quantile(spans, (0.05, 0.5, 0.95))
        sigma = float(np.std(np.log(spans)))
        print(f"{what:30} {len(spans):4d} {median:8.1f} {sigma:6.2f} {low:8.1f} {high:8.1f}")


if __name__ == "__main__":
    main()
