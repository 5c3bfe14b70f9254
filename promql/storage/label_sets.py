"""The label sets of some series, in order, with everything that was ever worked out from them.

What a query does with labels (which series a selector takes, who groups with whom, which bucket stands where) hangs
on the labels alone, never on samples. A simulation asks the same questions thousands of times of stores that hold
the same series, so each answer is kept with the label sets that it belongs to. `label_sets_of` finds them again: at
once for an object that it has seen before, by content for an equal one. Stores and the engine stand on this.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from promql.storage.labels import Labels

T = TypeVar("T")

_DERIVED_MAX = 256
_KNOWN_MAX = 256
"""How many different collections are remembered: a few tens of megabytes if each has a hundred and fifty series."""


class LabelSets(tuple[Labels, ...]):
    """Label sets, each at its place. Two with equal content are equal, but each keeps answers of its own."""

    _derived: dict[Hashable, Any]

    def __new__(cls, labels: Iterable[Labels] = ()) -> LabelSets:
        self = super().__new__(cls, labels)
        self._derived = {}
        return self

    def __reduce__(self) -> tuple[type[LabelSets], tuple[tuple[Labels, ...]]]:
        # Another process, or a copy, works out for itself what it needs.
        return LabelSets, (tuple(self),)

    def derived(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return what `work` gives for these label sets, working it out once for each key."""
        found: T | None = self._derived.get(key)
        if found is None:
            found = work()
            if len(self._derived) >= _DERIVED_MAX:
                self._derived.clear()
            self._derived[key] = found
        return found

    def are_distinct(self) -> bool:
        return self.derived("distinct", lambda: len(set(self)) == len(self))


_lock = threading.Lock()
_by_identity: dict[int, tuple[Sequence[Labels], LabelSets]] = {}
_by_content: dict[tuple[Labels, ...], LabelSets] = {}


def label_sets_of(labels: Sequence[Labels]) -> LabelSets:
    """Return the label sets with what is known of them. A list that has changed since is told from what it was."""
    if type(labels) is LabelSets:
        return labels
    known = _by_identity.get(id(labels))
    if known is not None and known[0] is labels and (type(labels) is tuple or tuple(labels) == known[1]):
        return known[1]
    content = tuple(labels)
    found = _by_content.get(content)
    with _lock:
        if found is None:
            if len(_by_content) >= _KNOWN_MAX:
                del _by_content[next(iter(_by_content))]  # the oldest; what is known of the others stays
            found = _by_content.setdefault(content, LabelSets(content))
        if len(_by_identity) >= _KNOWN_MAX:
            _by_identity.clear()  # many objects may have one content, and each is found again by that
        _by_identity[id(labels)] = labels, found
    return found
