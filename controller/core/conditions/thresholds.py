"""Simple comparisons of one value with a constant: where they flip, and when a measurement fails by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controller.core.conditions import tree
from controller.core.conditions.condition import Condition, ResultKind

Comparison = Literal["<", "<=", ">", ">=", "==", "!="]

OPPOSITE: dict[Comparison, Comparison] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
MIRRORED: dict[Comparison, Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """`result[index] op constant`; an index of None is a scalar result, compared as it is."""

    index: int | None
    op: Comparison
    constant: float

    def negated(self) -> Threshold:
        """Return the region outside this one."""
        return Threshold(index=self.index, op=OPPOSITE[self.op], constant=self.constant)

    def value_in(self, result: object) -> float | None:
        """Return the value that is compared, or None if `result` does not hold it."""
        if self.index is None:
            found = result
        elif isinstance(result, Sequence) and -len(result) <= self.index < len(result):
            found = result[self.index]
        else:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            return None
        return float(found)

    def __str__(self) -> str:
        place = "result" if self.index is None else f"result[{self.index}]"
        return f"{place} {self.op} {self.constant:g}"


def threshold_of(condition: Condition) -> Threshold | None:
    """Return the comparison that a condition is, where it is one of `result[i]` or a scalar with a constant."""
    for kind in (ResultKind.VECTOR, ResultKind.SCALAR):
        root = condition.program(kind).root
        if root is not None and (found := _comparison(root)) is not None:
            return found
    return None


def fails_when(success: Condition | None, failure: Condition | None) -> Threshold | None:
    """Return the region of values in which a measurement is Failed, where one constant bounds it."""
    if failure is not None:
        return threshold_of(failure)
    if success is None:
        return None
    holds = threshold_of(success)
    return None if holds is None else holds.negated()


def _comparison(root: tree.Node) -> Threshold | None:
    match root:
        case tree.Unary(op="!" | "not", operand=operand):
            inner = _comparison(operand)
            return None if inner is None else inner.negated()
        case tree.Binary(op="<" | "<=" | ">" | ">=" | "==" | "!=" as op, left=left, right=right):
            for place, constant, way in ((left, right, op), (right, left, MIRRORED[op])):
                number = number_in(constant)
                if number is not None and (at := position_in(place)) is not False:
                    return Threshold(index=at, op=way, constant=number)
    return None


def number_in(node: tree.Node) -> float | None:
    """Return the number that a literal holds."""
    if isinstance(node, tree.Literal) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    return None


def position_in(node: tree.Node) -> int | Literal[False] | None:
    """Return i for `result[i]`, None for a whole scalar `result`, False for anything else."""
    match node:
        case tree.Name(name="result"):
            return None
        case tree.Member(base=tree.Name(name="result"), place=tree.Literal(value=int() as at), optional=False):
            return at
    return False
