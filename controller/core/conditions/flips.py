"""What would have flipped it: the nearest value that gives another outcome, in words.

For conditions that compare one sample (`result[i]`, or a scalar) with constants, with any logic around: their
outcome changes at those constants and nowhere else, so it is enough to ask the condition itself at each
constant and between them. For other conditions nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
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


def flip_value(condition: Condition, result: object) -> str | None:
    """Return the values nearest to the result's for which the condition says otherwise, or None.

    "a value below 0.01". Where the condition is an error for this result: the values for which it is true.
    """

    def ask(tried: object) -> Outcome:
        try:
            return condition.evaluate(tried)
        except ConditionError:
            return None

    wanted = (True,) if ask(result) is None else (True, False)
    span = _nearest([condition], result, ask, lambda other: other in wanted)
    return None if span is None else str(span)


def flip_phase(success: Condition | str | None, failure: Condition | str | None, result: object) -> str:
    """Return the values nearest to the result's that would have given another phase, and which; "" if unknown.

    "a value below 0.01: Successful".
    """
    try:
        conditions = [compile_condition(c) if isinstance(c, str) else c for c in (success, failure) if c]
    except ConditionError:
        return ""
    span = _nearest(
        conditions,
        result,
        lambda tried: judge(success, failure, tried).phase,
        lambda other: other is not AnalysisPhase.ERROR,
    )
    return "" if span is None else f"{span}: {span.outcome}"


def _nearest(
    conditions: Iterable[Condition],
    result: object,
    ask: Callable[[object], Outcome],
    counts: Callable[[Outcome], bool],
) -> _Span | None:
    """Return the span of another outcome that lies nearest to the value that the conditions look at."""
    kind, values = kind_of(result)
    if kind not in (ResultKind.VECTOR, ResultKind.SCALAR):
        return None
    found = _breakpoints(conditions, kind)
    if found is None:
        return None
    index, points = found
    value = _value_at(values, index)
    if value is None:
        return None
    now = ask(result)
    spans = [
        span
        for span in _spans(points, lambda tried: ask(_replaced(values, index, tried)))
        if span.outcome != now and counts(span.outcome)
    ]
    at = 0.0 if isnan(value) else value
    return min(spans, key=lambda span: span.distance(at), default=None)


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
