"""Which series of which targets a selector takes, worked out once for all cohorts of a process.

Targets are known by name and side: the same pods' names come back in every cohort, so what hangs on labels alone is
found again instead of matched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promql.storage.label_sets import LabelSets, label_sets_of
from promql.storage.selecting import matching
from promql.syntax.tree import Matcher
from sim.flock.quantiles import Floats
from sim.metrics_model.plan import SeriesSpec, Target

Matchers = tuple[Matcher, ...]
Sided = tuple[Target, bool | None]
"""A target, and whether its pod is the release's; None for a proxy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """The matching series of one target.

    Attributes:
        weights: (series, atoms) what one request of each atom adds to each series: of stable's pods, of the release's.
        born_late: (series,) whether it is there only from its first event on.
        is_up: whether this is `up`, which a failed scrape tells too.
    """

    labels: LabelSets
    specs: tuple[SeriesSpec, ...]
    weights: tuple[Floats, Floats]
    counts: tuple[bool, bool]
    born_late: NDArray[np.bool_]
    is_born_late: bool
    has_gauges: bool
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alike:
    """Neighbours among targets whose series are made of their atoms in the same way: one product makes all of them.

    Attributes:
        targets: positions among the chosen targets.
        rows: of their series, target by target.
    """

    weights: Floats
    targets: slice
    rows: slice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The matching series of several targets.

    Attributes:
        parts: (position of the target, its series, their rows).
        targets: positions of the targets, each once, in the order of their first series.
        rows: (series,) which of `targets` each series is of.
        only_edges: whether all are counters, so that windows' edges may be enough.
        may_be_late: whether some series are there only from their first event on.
        alike: all of the series, where every target is one pod; None otherwise.
    """

    labels: LabelSets
    parts: tuple[tuple[int, Selection, slice], ...]
    targets: tuple[int, ...]
    rows: NDArray[np.intp]
    only_edges: bool
    may_be_late: bool
    alike: tuple[Alike, ...] | None


_CHOSEN_MAX = 512
"""An autoscaler brings forth ever new sets of pods; what was chosen of old ones must not pile up."""


class Selections:
    """What was chosen so far."""

    def __init__(self, atoms: int) -> None:
        self._atoms = atoms
        self._of_target: dict[tuple[int, Matchers], tuple[Selection, ...]] = {}
        self._of_all: dict[tuple[tuple[int, ...], int], Chosen] = {}
        self._held: dict[int, Target] = {}
        self._numbers: dict[Matchers, int] = {}
        self._seen: dict[int, tuple[Matchers, int]] = {}

    def number_of(self, matchers: Matchers) -> int:
        """Return what stands for these matchers; equal for equal ones.

        Parsed queries are kept, so the same objects come again and again; they are known by identity, which is good
        while they are held, because it takes long to hash them.
        """
        found = self._seen.get(id(matchers))
        if found is None:
            number = self._numbers.setdefault(matchers, len(self._numbers))
            if len(self._seen) >= _CHOSEN_MAX:
                self._seen.clear()
            found = self._seen[id(matchers)] = matchers, number
        return found[1]

    def of(self, targets: Sequence[Sided], matchers: Matchers) -> Chosen:
        """Return the matching series of some targets, ordered by labels as far as targets do not mix."""
        key = (tuple([id(target) for target, _ in targets]), self.number_of(matchers))
        found = self._of_all.get(key)
        if found is None:
            self._held.update((id(target), target) for target, _ in targets)  # an identity is good while it lives
            if len(self._of_all) >= _CHOSEN_MAX:
                self._of_all.clear()
            found = self._of_all[key] = self._choose(targets, matchers)
        return found

    def _choose(self, all_targets: Sequence[Sided], matchers: Matchers) -> Chosen:
        found = [
            (place, one) for place, (target, _) in enumerate(all_targets) for one in self._selected(target, matchers)
        ]
        found.sort(key=lambda part: part[1].labels[0])
        parts, row = [], 0
        for place, selection in found:
            parts.append((place, selection, slice(row, row + len(selection.labels))))
            row += len(selection.labels)
        targets = tuple(dict.fromkeys(place for place, _ in found))
        rows = [targets.index(place) for place, selection in found for _ in selection.labels]
        return Chosen(
            labels=label_sets_of(tuple(labels for _, selection in found for labels in selection.labels)),
            parts=tuple(parts),
            targets=targets,
            rows=np.array(rows, dtype=np.intp),
            only_edges=not any(selection.is_up or selection.has_gauges for _, selection in found),
            may_be_late=any(selection.is_born_late for _, selection in found),
            alike=_alike(all_targets, parts) if len(targets) == len(parts) else None,
        )

    def _selected(self, target: Target, matchers: Matchers) -> tuple[Selection, ...]:
        key = (id(target), matchers)
        found = self._of_target.get(key)
        if found is None:
            found = self._of_target[key] = tuple(self._select(target, matchers))
        return found

    def _select(self, target: Target, matchers: Matchers) -> list[Selection]:
        matches = matching(matchers)
        found = []
        specs = sorted((spec for spec in target.series if matches(spec.labels)), key=lambda spec: spec.labels)
        if specs:
            found.append(self._made(tuple(specs)))
        if target.up is not None and matches(target.up):
            nothing = np.zeros((1, self._atoms))
            found.append(
                Selection(
                    labels=label_sets_of((target.up,)),
                    specs=(),
                    weights=(nothing, nothing),
                    counts=(False, False),
                    born_late=np.zeros(1, dtype=np.bool_),
                    is_born_late=False,
                    has_gauges=False,
                    is_up=True,
                )
            )
        return found

    def _made(self, specs: tuple[SeriesSpec, ...]) -> Selection:
        weights = np.zeros((2, len(specs), self._atoms))
        for row, spec in enumerate(specs):
            for side, whose in enumerate(("stable", "release")):
                if spec.kind != "gauge" and spec.whose in ("own", "both", whose):
                    weights[side, row, spec.atoms] = 1.0 if spec.weights is None else spec.weights[side]
        born_late = np.array([spec.born == "first-event" for spec in specs])
        return Selection(
            labels=label_sets_of(tuple(spec.labels for spec in specs)),
            specs=specs,
            weights=(weights[0].copy(), weights[1].copy()),
            counts=(bool(weights[0].any()), bool(weights[1].any())),
            born_late=born_late,
            is_born_late=bool(born_late.any()),
            has_gauges=any(spec.kind == "gauge" for spec in specs),
            is_up=False,
        )


def _alike(targets: Sequence[Sided], parts: Sequence[tuple[int, Selection, slice]]) -> tuple[Alike, ...] | None:
    found: list[Alike] = []
    for number, (place, selection, rows) in enumerate(parts):
        side = targets[place][1]
        if side is None:
            return None
        weights = selection.weights[side]
        if found and np.array_equal(found[-1].weights, weights):
            before = found.pop()
            own, rows = slice(before.targets.start, number + 1), slice(before.rows.start, rows.stop)
            found.append(Alike(weights=before.weights, targets=own, rows=rows))
        else:
            found.append(Alike(weights=weights, targets=slice(number, number + 1), rows=rows))
    return tuple(found)
