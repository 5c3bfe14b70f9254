"""What would have flipped it: the nearest value that gives another outcome, in words.

For conditions that compare one sample (`result[i]`, or a scalar) with constants, with any logic around: their
outcome changes at those constants and nowhere else, so it is enough to ask the condition itself at each
constant and between them. For other conditions nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isnan

from controller.core.conditions import tree
from controller.core.conditions.condition import Condition, ResultKind, compile_condition, kind_of
from controller.core.conditions.errors import ConditionError
from controller.core.conditions.judging import judge
from controller.core.conditions.thresholds import number_in, position_in
from controller.core.runs import AnalysisPhase

Outcome = object
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, slots=True)
class _Span:
    """The values from `low` to `high` that share an outcome."""

    low: float
    high: float
    with_low: bool
    with_high: bool
    outcome: Outcome

    def distance(self, value: float) -> float:
        return max(self.low - value, value - self.high, 0.0)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"a value of {self.low:.12g}"
        if self.low == -inf and self.high == inf:
            return "any value"
        if self.low == -inf:
            return f"a value of {self.high:.12g} or less" if self.with_high else f"a value below {self.high:.12g}"
        if self.high == inf:
            return f"a value of {self.low:.12g} or more" if self.with_low else f"a value above {self.low:.12g}"
        low = f"{'from' if self.with_low else 'above'} {self.low:.12g}"
        return f"a value {low} {'to' if self.with_high else 'and below'} {self.high:.12g}"


@dataclass(frozen=True, slots=True)
class _Line:
    """All values at one place of the result, None for a scalar, cut where the outcome changes."""

    index: int | None
    spans: tuple[_Span, ...]

    def nearest(self, value: float, now: Outcome, counts: Callable[[Outcome], bool]) -> _Span | None:
        """Return the span of another outcome that lies nearest to a value."""
        at = 0.0 if isnan(value) else value
        others = [span for span in self.spans if span.outcome != now and counts(span.outcome)]
        return min(others, key=lambda span: span.distance(at), default=None)


def flip_value(condition: Condition, result: object) -> str | None:
    """Return the values nearest to the result's for which the condition says otherwise, or None.

    "a value below 0.01". Where the condition is an error for this result: the values for which it is true.
    """

    def ask(tried: object) -> Outcome:
        try:
            return condition.evaluate(tried)
        except ConditionError:
            return None

    kind, values = kind_of(result)
    line = _line([condition], kind, values, ask)
    value = None if line is None else _value_at(values, line.index)
    if line is None or value is None:
        return None
    now = ask(result)
    wanted = (True,) if now is None else (True, False)
    span = line.nearest(value, now, lambda other: other in wanted)
    return None if span is None else str(span)


def flip_phase(success: Condition | str | None, failure: Condition | str | None, result: object) -> str:
    """Return the values nearest to the result's that would have given another phase, and which; "" if unknown.

    "a value below 0.01: Successful".
    """
    kind, values = kind_of(result)
    line = _phases(success or None, failure or None, len(values) if isinstance(values, tuple) else None, kind)
    value = None if line is None else _value_at(values, line.index)
    if line is None or value is None:
        return ""
    now = judge(success, failure, result).phase
    span = line.nearest(value, now, lambda other: other is not AnalysisPhase.ERROR)
    return "" if span is None else f"{span}: {span.outcome}"


@lru_cache(maxsize=256)
def _phases(
    success: Condition | str | None, failure: Condition | str | None, length: int | None, kind: ResultKind
) -> _Line | None:
    """Return the phases that the conditions give to vectors of this length, or to scalars.

    What stands in other places of the vector changes none of them, so that many measurements share one answer.
    """
    try:
        conditions = [compile_condition(c) if isinstance(c, str) else c for c in (success, failure) if c]
    except ConditionError:
        return None
    values = 0.0 if length is None else (0.0,) * length
    return _line(conditions, kind, values, lambda tried: judge(success, failure, tried).phase)


def _line(
    conditions: Iterable[Condition], kind: ResultKind, values: object, ask: Callable[[object], Outcome]
) -> _Line | None:
    """Return the outcomes along all values at the one place that the conditions look at, or None."""
    if kind not in (ResultKind.VECTOR, ResultKind.SCALAR):
        return None
    found = _breakpoints(conditions, kind)
    if found is None or _value_at(values, found[0]) is None:
        return None
    index, points = found
    return _Line(index, tuple(_spans(points, lambda tried: ask(_replaced(values, index, tried)))))


def _breakpoints(conditions: Iterable[Condition], kind: ResultKind) -> tuple[int | None, list[float]] | None:
    """Return the one position that all conditions look at and the constants they compare it with."""
    points: set[float] = set()
    positions: set[int | None] = set()
    for condition in conditions:
        root = condition.program(kind).root
        if root is None or not _collect(root, points, positions):
            return None
    if len(positions) != 1 or not points or any(isnan(point) for point in points):
        return None
    return positions.pop(), sorted(points)


def _collect(root: tree.Node, points: set[float], positions: set[int | None]) -> bool:
    """Gather the comparisons of samples with constants; False if a sample is used in any other way."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        match node:
            case tree.Binary(op=op, left=left, right=right) if op in _COMPARISONS:
                for place, constant in ((left, right), (right, left)):
                    number = number_in(constant)
                    if number is not None and (at := position_in(place)) is not False:
                        points.add(number)
                        positions.add(at)
                        break
                else:
                    waiting.extend((left, right))
                continue
            case tree.Call(callee=tree.Name(name="isNaN" | "isInf"), arguments=[argument]):
                if (at := position_in(argument)) is not False:
                    positions.add(at)
                    continue
            case tree.Builtin(name="len", arguments=[tree.Name(name="result")]):
                continue
            case tree.Call(callee=tree.Name(name="isNil"), arguments=[tree.Name(name="result")]):
                continue
        if isinstance(node, tree.Name) and node.name in ("result", "default"):
            return False
        waiting.extend(node.children())
    return True


def _value_at(values: object, index: int | None) -> float | None:
    if index is None:
        return values if isinstance(values, float) else None
    if isinstance(values, tuple) and -len(values) <= index < len(values):
        found = values[index]
        return found if isinstance(found, float) else None
    return None


def _replaced(values: object, index: int | None, value: float) -> object:
    if index is None or not isinstance(values, tuple):
        return value
    changed = list(values)
    changed[index] = value
    return tuple(changed)


def _spans(points: list[float], ask: Callable[[float], Outcome]) -> list[_Span]:
    """Return the line of numbers cut where the outcome changes."""
    pieces: list[_Span] = []
    before = -inf
    for point in points:
        inside = point - 1.0 if before == -inf else (before + point) / 2
        pieces.append(_Span(before, point, False, False, ask(inside)))
        pieces.append(_Span(point, point, True, True, ask(point)))
        before = point
    pieces.append(_Span(before, inf, False, False, ask(before + 1.0)))
    joined: list[_Span] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is not None and last.outcome == piece.outcome:
            joined[-1] = _Span(last.low, piece.high, last.with_low, piece.with_high, piece.outcome)
        else:
            joined.append(piece)
    return joined
