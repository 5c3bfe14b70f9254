"""Expressions that name an instant: the start and the end of a range that a metric is asked over.

They are of the language of conditions, with no result in them: `now() - duration("1h")`.
"""

from __future__ import annotations

from functools import lru_cache

from controller.core.conditions import tree
from controller.core.conditions.building import Closure, build
from controller.core.conditions.checking import check
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.folding import fold
from controller.core.conditions.frames import Frame
from controller.core.conditions.leftovers import refuse_leftovers
from controller.core.conditions.natures import NIL
from controller.core.conditions.objects import Time, type_name
from controller.core.conditions.parsing import parse

_ABSENT = ("result", "default", "asInt", "asFloat", "isNil")  # what conditions know, and these expressions do not


def instant(text: str, *, now_s: float) -> float:
    """Return the instant that an expression names, in seconds since 1970.

    Raises:
        ConditionError: the text is no expression, or what it gives is no time.
    """
    try:
        found = _compiled(text)(Frame(None, round(now_s * 1e9)))
    except RecursionError:
        raise UnsupportedCondition("an expression nested this deep") from None
    if not isinstance(found, Time):
        raise ConditionError(f"expected time.Time, but got {type_name(found)}")
    return found.ns / 1e9


@lru_cache(maxsize=256)
def _compiled(text: str) -> Closure:
    root = parse(text)
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tree.Name) and node.name in _ABSENT:
            raise ConditionError(f"unknown name {node.name}")
        waiting.extend(node.children())
    check(root, NIL)
    root = fold(root)
    refuse_leftovers(root)
    return build(root, NIL)
