"""What kind of answer a metric gave: a value, or one of the ways in which evidence can be missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import isnan

from controller.manifests.values.extensions import Missing


class Outcome(StrEnum):
    """What an answer is worth before any limit. All but VALUE are missing evidence."""

    VALUE = "value"
    NO_DATA = "no-data"  # the provider answered with nothing at all
    EMPTY = "empty"  # a vector without a sample
    NAN = "nan"  # not a number, in a place that the conditions read
    ERROR = "error"  # the provider did not answer
    TOO_FEW = "too-few"  # fewer requests than the floor, or an unknown number of them

    @property
    def missing(self) -> Missing | None:
        """The kind of missing evidence, as policies name it; None for a value."""
        return None if self is Outcome.VALUE else Missing(self.value)


def outcome_of(result: object, reads: Iterable[int] | None = None) -> Outcome:
    """Return what kind of answer `result` is.

    `reads` are the positions that the conditions look at (`Condition.reads`), so that a NaN nobody looks at
    does not count; None means that they may look at all of them.
    """
    if result is None:
        return Outcome.NO_DATA
    if isinstance(result, float):
        return Outcome.NAN if isnan(result) else Outcome.VALUE
    if isinstance(result, (str, bytes)) or not isinstance(result, Sequence):
        return Outcome.VALUE
    if not result:
        return Outcome.EMPTY
    places = range(len(result)) if reads is None else reads
    length = len(result)
    for place in places:
        if -length <= place < length and isinstance(value := result[place], float) and isnan(value):
            return Outcome.NAN
    return Outcome.VALUE
