"""Refuse the places where the original reads a leftover of its own stack.

Searching backwards (findLast, findLastIndex, and `filter(…)[-1]`, which becomes a findLast) leaves booleans on
the original's stack below the result. Whoever pushed a value before and takes it after gets a boolean instead:
`1 > findLast(result, # > 0)` is an error there, `nil == findLast(result, true)` false, for no reason that its
documentation knows. We do not imitate a stack, and we do not answer otherwise than the original: such a
condition is refused. As a left side, or as a first argument, findLast is sound and is evaluated.
"""

from __future__ import annotations

from controller.core.conditions import tree
from controller.core.conditions.errors import UnsupportedCondition

_BACKWARDS = ("findLast", "findLastIndex")
_SHORT_CIRCUITS = ("&&", "and", "||", "or", "??")
_KEEPS_ON_STACK = ("filter", "map")  # closures whose values stay on the stack until the array is made


def refuse_leftovers(root: tree.Node) -> None:
    """Raise `UnsupportedCondition` where a value below a backwards search would be taken for another."""
    waiting = [(root, False)]
    while waiting:
        node, something_below = waiting.pop()
        if isinstance(node, tree.Builtin) and node.name in _BACKWARDS and something_below:
            raise UnsupportedCondition(f"{node.name} after another value", node.column)
        waiting.extend(_parts(node, something_below))


def _parts(node: tree.Node, below: bool) -> list[tuple[tree.Node, bool]]:
    """Return the parts of a node, each with whether it runs above a value that is taken afterwards."""
    parts = list(node.children())
    match node:
        case tree.Binary(op=op) if op in _SHORT_CIRCUITS:
            return [(part, below) for part in parts]
        case tree.Conditional() | tree.Let() | tree.Sequence() | tree.Unary() | tree.Chain() | tree.Predicate():
            return [(part, below) for part in parts]
        case tree.Builtin(name=name) if any(isinstance(part, tree.Predicate) for part in parts):
            return [(part, below or (i > 0 and name in _KEEPS_ON_STACK)) for i, part in enumerate(parts)]
    return [(part, below or i > 0) for i, part in enumerate(parts)]
