"""Simple comparisons of one value with a constant: where they flip, and when a measurement fails by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
