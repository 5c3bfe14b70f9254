"""The state of one evaluation: the result, the variables, the closure that is running, and how much is left.

The original gives an evaluation a budget of a million array items; so does this. Beyond it, loops are counted
here, because a closure in a closure over a long range would run for hours in either.
"""

from __future__ import annotations

from collections.abc import Sequence

from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.objects import Floats

ITEMS_MAX = 1_000_000
TURNS_MAX = 2_000_000


class Scope:
    """What `#`, `#index` and `#acc` are inside one closure."""

    __slots__ = ("acc", "index", "items")

    def __init__(self, items: Sequence[object]) -> None:
        self.items = items
        self.index = 0
        self.acc: object = None


class Frame:
    """One evaluation. What few conditions need is set on the class and made when it is first used."""

    scope: Scope = Scope(())
    _items = 0
    _turns = 0

    def __init__(self, result: object, now_ns: int | None) -> None:
        self.result = result
        self.now_ns = now_ns
        self.variables: dict[int, object] = {}

    def whole_result(self) -> object:
        """Return the result as an object of the language: a vector is a list that knows it holds floats."""
        if type(self.result) is tuple:
            self.result = Floats(self.result)
        return self.result

    def grow(self, items: int) -> None:
        """Count items of arrays that were made."""
        self._items += items
        if self._items >= ITEMS_MAX:
            raise ConditionError("memory budget exceeded")

    def turn(self, turns: int) -> None:
        """Count turns of loops."""
        self._turns += turns
        if self._turns > TURNS_MAX:
            raise UnsupportedCondition(f"more than {TURNS_MAX} turns of a closure")
