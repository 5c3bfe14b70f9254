"""What expressions evaluate to inside the engine, and the context that an evaluation carries along.

A vector holds (series, runs, steps) values and presence; its runs axis may have length 1 where all runs agree.
A scalar is (runs, steps). Steps are the instants of a range query, or of a subquery; an instant query has one.
An error that only some runs meet fails those runs and no other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from promql.engine.errors import ErrorKind, PromQLError
from promql.storage.blocks import Bools, Floats, Store
from promql.storage.label_sets import LabelSets
from promql.storage.labels import Labels, unnamed
from promql.syntax import Expr, to_text
from promql.syntax.tree import Paren, Subquery


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one evaluation may take before it is refused.

    Attributes:
        samples_max: samples read or held at once, all runs together.
        canceled: asked now and then; True ends the evaluation.
    """

    samples_max: int = 50_000_000
    timeout_s: float = 120.0
    canceled: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How far an instant selector looks back, and the step of a subquery that names none."""

    lookback_s: float = 300.0
    default_step_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Vector:
    """(series, runs, steps) values of labelled series.

    Where all series are there in all runs and steps, presence may be one True that is seen everywhere (`all_true`),
    which `is_complete` tells at once. `rank`, if sorted, gives (series, runs, steps) the place of each series in its
    run's order.
    """

    labels: LabelSets
    values: Floats
    present: Bools
    rank: Floats | None = None

    def masked(self, keep: Bools) -> Vector:
        """Return the vector with what is not to be kept taken out."""
        present = self.present & keep
        return replace(self, values=widen(self.values, present.shape[1]), present=present)


Value: TypeAlias = Vector | Floats | str


@dataclass(slots=True)
class Evaluation:
    """One evaluation: what it reads, its limits, and what it has to say beside the result."""

    store: Store
    query: Expr | str
    start_ms: int
    end_ms: int
    limits: Limits
    settings: Settings
    began_s: float = field(default_factory=time.monotonic)
    failed: Bools = field(init=False)
    failures: Counter[str] = field(default_factory=Counter)
    infos: dict[str, str] = field(default_factory=dict)
    """Remarks and their place; of the same remark twice the last place is kept, as in Prometheus."""
    warnings: dict[str, str] = field(default_factory=dict)
    samples: int = 0

    def __post_init__(self) -> None:
        self.failed = np.zeros(self.runs, dtype=np.bool_)

    @property
    def runs(self) -> int:
        return self.store.runs

    def check(self) -> None:
        """Raise if the evaluation has taken too long or is no longer wanted."""
        if time.monotonic() - self.began_s > self.limits.timeout_s:
            raise PromQLError(ErrorKind.TIMEOUT, "query timed out in expression evaluation")
        if self.limits.canceled is not None and self.limits.canceled():
            raise PromQLError(ErrorKind.CANCELED, "query was canceled in expression evaluation")

    def charge(self, samples: int) -> None:
        """Count samples that are about to be read or made, and refuse too many before memory is spent."""
        self.samples += samples
        if self.samples > self.limits.samples_max:
            raise PromQLError(
                ErrorKind.EXECUTION, "query processing would load too many samples into memory in expression evaluation"
            )
        self.check()

    def fail(self, where: Bools, message: str) -> None:
        """Fail the runs in which `where` (runs or 1, ...) is true anywhere; raise once no run is left."""
        hit = where.reshape(where.shape[0], -1).any(axis=1)
        if not hit.any():
            return
        hit = np.broadcast_to(hit, self.failed.shape)
        self.failures[message] += int((hit & ~self.failed).sum())
        self.failed = self.failed | hit
        if self.failed.all():
            raise PromQLError(ErrorKind.EXECUTION, message)

    def inform(self, message: str, node: Expr) -> None:
        self.infos[f"PromQL info: {message}"] = self.place(node)

    def warn(self, message: str, node: Expr) -> None:
        self.warnings[f"PromQL warning: {message}"] = self.place(node)

    def place(self, node: Expr) -> str:
        """Return line and column of a node, in bytes from 1; of one in parentheses, those of what is inside."""
        while isinstance(node, Paren):
            node = node.expr
        if isinstance(node, Subquery):
            return "1:1"  # Prometheus has put the subquery's samples in its place by then, and they have none.
        # A tree that was built by hand has no text of its own, and no places in it.
        text = self.query if isinstance(self.query, str) else to_text(self.query)
        before = text[: node.span.start]
        column = len(before.rpartition("\n")[2].encode(errors="replace")) + 1
        return f"{before.count(chr(10)) + 1}:{column}"


_NONE = LabelSets()


def empty(steps: int) -> Vector:
    return Vector(_NONE, np.empty((0, 1, steps)), np.empty((0, 1, steps), dtype=np.bool_))


@lru_cache(maxsize=1024)
def all_true(shape: tuple[int, ...]) -> Bools:
    """Return presence everywhere, in a byte of memory."""
    return np.broadcast_to(np.True_, shape)


def is_complete(present: Bools) -> bool:
    """Return whether it can be told without looking that everything is present."""
    return not any(present.strides) and present.size > 0 and bool(present.item(0))


def widen(array: Floats, runs: int) -> Floats:
    """Return (series, runs or 1, ...) with a full runs axis."""
    if array.shape[1] == runs:
        return array
    return np.broadcast_to(array, (array.shape[0], runs, *array.shape[2:]))


def wide(present: Bools, runs: int) -> Bools:
    """Return presence with a full runs axis."""
    if present.shape[1] == runs:
        return present
    return spread(present, (present.shape[0], runs, *present.shape[2:]))


def spread(present: Bools, shape: tuple[int, ...]) -> Bools:
    """Return presence in a wider shape."""
    if present.shape == shape:
        return present
    return all_true(shape) if is_complete(present) else np.broadcast_to(present, shape)


def anywhere(present: Bools) -> Bools:
    """Return where any of the series is present: (runs, steps)."""
    if is_complete(present):
        return all_true(present.shape[1:])
    some: Bools = np.logical_or.reduce(present, axis=0)
    return some


def stacked(vectors: Sequence[Vector]) -> Vector:
    """Return the series of several vectors as one, in their order."""
    if len(vectors) == 1:
        return vectors[0]
    runs = max(vector.values.shape[1] for vector in vectors)
    labels = joined([vector.labels for vector in vectors])
    values = np.concatenate([widen(vector.values, runs) for vector in vectors])
    if all(is_complete(vector.present) for vector in vectors):
        return Vector(labels, values, all_true(values.shape))
    present = np.concatenate([wide(vector.present, runs) for vector in vectors])
    return Vector(labels, values, present)


def joined(parts: Sequence[LabelSets]) -> LabelSets:
    """Return several collections of label sets as one."""
    if len(parts) == 1:
        return parts[0]
    # The parts are held by what is kept, so that no other object can come by their identities.
    held = tuple(parts)
    work = lambda: (held, LabelSets(each for part in parts for each in part))  # noqa: E731
    return parts[0].derived(("joined", *map(id, parts)), work)[1]


def without_names(labels: LabelSets) -> LabelSets:
    """Return the label sets without metric names; they may no longer be distinct."""
    return labels.derived("unnamed", lambda: LabelSets(unnamed(each) for each in labels))


def merged(vector: Vector, evaluation: Evaluation) -> Vector:
    """Return the vector with each label set once; runs in which one instant has it twice fail.

    A vector whose label sets differ is returned as it is, sorted if it was sorted.
    """
    if vector.labels.are_distinct():
        return vector
    groups: dict[Labels, list[int]] = {}
    for index, labels in enumerate(vector.labels):
        groups.setdefault(labels, []).append(index)
    values, present = [], []
    for members in groups.values():
        value, seen = vector.values[members[0]], vector.present[members[0]]
        for index in members[1:]:
            evaluation.fail(seen & vector.present[index], "vector cannot contain metrics with the same labelset")
            value = np.where(vector.present[index], vector.values[index], value)
            seen = seen | vector.present[index]
        values.append(value)
        present.append(seen)
    return Vector(LabelSets(groups), np.array(values), np.array(present))
