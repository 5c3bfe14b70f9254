"""Amounts as manifests write them: durations, whole numbers or percentages, maps that never change.

Pure, and the one place that turns "30s" and "25%" into numbers. Everything above keeps seconds and
counts; a text that holds an unresolved `{{args.x}}` stays a text until `resolving` has filled it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")

_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")


class FrozenMap(Mapping[str, V], Generic[V]):
    """A mapping that can be compared, hashed and pickled, and never changes."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        self._items: dict[str, V] = dict(items or {})

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number of pods, or a percentage of them."""

    number: int
    percent: bool = False

    def of(self, total: int, *, round_up: bool) -> int:
        """Return how many pods this is of `total`; Argo rounds a surge up and unavailability down."""
        if not self.percent:
            return self.number
        share = self.number * total / 100
        return math.ceil(share) if round_up else math.floor(share)

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


class DurationError(ValueError):
    """A text that is no duration. `go_message` is how Go, and so Argo Rollouts, puts it."""

    def __init__(self, text: str, go_message: str) -> None:
        super().__init__(f"{text!r} is no duration; write it as 30s, 5m or 1h30m")
        self.go_message = go_message


def duration_s(text: str) -> float:
    """Return the seconds that a Go-style duration means: "30s", "1h30m", "1.5m", "-2s", "0".

    Raises:
        DurationError: the text is no duration; a bare number other than 0 has no unit and is none.
    """
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0.0
    if not body:
        raise DurationError(text, f'time: invalid duration "{text}"')
    total_s = 0.0
    at = 0
    while at < len(body):
        part = _DURATION_PART.match(body, at)
        if part is None or not any(letter.isdigit() for letter in part.group(1)):
            raise DurationError(text, f'time: invalid duration "{text}"')
        number, unit = part.groups()
        if not unit:
            raise DurationError(text, f'time: missing unit in duration "{text}"')
        if unit not in _UNIT_S:
            raise DurationError(text, f'time: unknown unit "{unit}" in duration "{text}"')
        total_s += float(number) * _UNIT_S[unit]
        at = part.end()
    return -total_s if text.startswith("-") else total_s


def canonical_json(data: object) -> str:
    """Return plain data as one text that is equal whenever the data is: sorted keys, no blanks."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
