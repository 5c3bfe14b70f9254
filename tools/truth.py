"""Hold the simulator to what happens: rehearse short policies many times, count what lies where it was predicted.

`make nightly` runs it on examples/short-policy and renews docs/truth.md. A 90 % interval is right when 85 to 95 % of
the observations lie inside: fewer, and the model is wrong; more, and it is vague. A rehearsal whose load was invalid
says nothing and is left out, and counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import beta

from experiments.gameday_files import GameDay, load_game_day
from experiments.prediction.playing import predict
from experiments.prediction.predicting import LEVEL, Prediction, Range
from experiments.runner import Options, rehearse
from experiments.scorecard import Scorecard
from experiments.testbeds.local.children import WorldError
from experiments.worlds import RehearsalError
from loadgen.openloop import LoadError

RUNS = 5_000
REHEARSALS = 200
SPEED = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One rehearsal that counts."""

    seed: int
    verdict: str
    detection_s: float | None
    bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many observations of one figure lie inside its predicted interval."""

    what: str
    predicted: Range
    inside: int
    of: int
    median: float

    @property
    def share(self) -> tuple[float, float, float]:
        """The share inside, and its exact 95 % interval (Clopper and Pearson 1934)."""
        low = float(beta.ppf(0.025, self.inside, self.of - self.inside + 1)) if self.inside else 0.0
        high = float(beta.ppf(0.975, self.inside + 1, self.of - self.inside)) if self.inside < self.of else 1.0
        return self.inside / self.of, low, high


def rehearsals(game_day: GameDay, policy: str, *, count: int, first_seed: int) -> Iterator[Observed | str]:
    """Yield what each rehearsal showed, or why it says nothing."""
    for seed in range(first_seed, first_seed + count):
        try:
            card = rehearse(game_day, policy, Options(speed=SPEED, seed=seed)).card
        except (WorldError, RehearsalError, LoadError) as error:
            yield f"seed {seed}: {error}"
            continue
        yield _observed(card, seed)


def _observed(card: Scorecard, seed: int) -> Observed | str:
    if card.load.counts != "valid":
        return f"seed {seed}: {card.load.counts} counts: {'; '.join(card.load.reasons)}"
    return Observed(seed=seed, verdict=card.verdict.value, detection_s=card.detection_s, bad=card.bad_until_verdict)


def tallies(prediction: Prediction, observed: Sequence[Observed]) -> list[Tally]:
    """Return how many observations lie inside, for each figure that both know."""
    detected = [one.detection_s for one in observed if one.detection_s is not None]
    figures = [
        ("detection time, s", prediction.detection_s, detected),
        ("bad requests", prediction.bad_requests, [float(one.bad) for one in observed]),
    ]
    return [
        Tally(
            what=what,
            predicted=span,
            inside=sum(span.holds(value) for value in values),
            of=len(values),
            median=sorted(values)[len(values) // 2],
        )
        for what, span, values in figures
        if span is not None and values
    ]


def page(game_day: GameDay, prediction: Prediction, observed: Sequence[Observed], left_out: int) -> str:
    """Return the section of one game day."""
    verdicts = {name: sum(one.verdict == name for one in observed) for name in sorted({o.verdict for o in observed})}
    seen = ", ".join(f"{name} {count / len(observed):.1%}" for name, count in verdicts.items())
    said = ", ".join(f"{verdict.value} {share:.1%}" for verdict, share in prediction.verdicts.items())
    lines = [
        f"## {game_day.title}",
        "",
        f"`{game_day.path}` at speed {SPEED:g}: {len(observed)} rehearsals count; the load of {left_out} was invalid.",
        f"Predicted from {prediction.runs:,} runs in {prediction.cohorts} platform histories, seed {prediction.seed}.",
        "",
        f"Verdicts predicted: {said}. Observed: {seen}.",
        "",
        f"| figure | predicted {LEVEL:.0%} | width | median predicted | observed | inside | 95 % interval of that |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for tally in tallies(prediction, observed):
        share, low, high = tally.share
        span = tally.predicted
        lines.append(
            f"| {tally.what} | {span.low:.4g} to {span.high:.4g} | {span.high - span.low:.4g} | {span.median:.4g} "
            f"| {tally.median:.4g} | {tally.inside} of {tally.of}, {share:.0%} | {low:.0%} to {high:.0%} |"
        )
    return "\n".join(lines) + "\n"


def reread(kept: Path) -> list[Observed]:
    """Return the observations of an earlier run.

    Raises:
        ValueError: a line that --keep has not written, with its number.
    """
    found = []
    for number, line in enumerate(kept.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(Observed(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{kept}:{number} is not a line of --keep: {error}") from error
    return found


def _rehearse_all(game_day: GameDay, policy: str, options: argparse.Namespace) -> tuple[list[Observed], int]:
    """Rehearse, tell how far it is, and keep each observation at once."""
    observed: list[Observed] = []
    left_out = 0
    for one in rehearsals(game_day, policy, count=options.rehearsals, first_seed=options.first_seed):
        if isinstance(one, str):
            left_out += 1
            print(one, file=sys.stderr)
            continue
        observed.append(one)
        print(f"{len(observed)}: {one}", file=sys.stderr)
        if options.keep is not None:
            with options.keep.open("a", encoding="utf-8") as kept:
                kept.write(json.dumps({name: getattr(one, name) for name in Observed.__slots__}) + "\n")
    return observed, left_out


def main() -> None:
    """Rehearse or reread, compare, and print the section; --to puts it behind the marker of a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("game_day", type=Path)
    parser.add_argument("--rehearsals", type=int, default=REHEARSALS)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a file of one JSON line for each rehearsal")
    parser.add_argument("--from", type=Path, dest="kept", help="such a file: nothing is rehearsed again")
    parser.add_argument("--left-out", type=int, default=0, help="with --from: rehearsals whose load was invalid")
    parser.add_argument("--to", type=Path, help="a page whose part after the marker is replaced")
    options = parser.parse_args()
    game_day = load_game_day(options.game_day)
    (policy,) = game_day.policies
    prediction = predict(game_day, policy, speed=SPEED, seed=1, runs=RUNS)
    if options.kept is not None:
        observed, left_out = reread(options.kept), options.left_out
    else:
        observed, left_out = _rehearse_all(game_day, policy, options)
    if not observed:
        raise SystemExit("no rehearsal counts")
    text = page(game_day, prediction, observed, left_out)
    if options.to is None:
        print(text, end="")
    else:
        before = options.to.read_text(encoding="utf-8").partition(MARKER)[0]
        options.to.write_text(before + MARKER + "\n\n" + text, encoding="utf-8")


MARKER = "<!-- written by tools/truth.py -->"

if __name__ == "__main__":
    main()
