"""The tree of a condition. Nodes belong to one compilation: checking writes types into them, folding replaces them.

They are not frozen, unlike the values of the rest of the house, because the original decides some outcomes by
rewriting its tree in place (`x && false` is false even where x would be an error), and the same rewriting is
easiest to believe when it is done the same way. A tree never leaves this package, and every kind of result
that a condition meets gets a fresh one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.core.conditions.natures import UNKNOWN, Nature


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    column: int = 0
    nature: Nature = UNKNOWN
    depth: int = 0

    def children(self) -> Iterator[Node]:
        """Yield the parts in the order of their evaluation."""
        yield from ()


@dataclass(slots=True, eq=False)
class Nil(Node):
    pass


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A bool, int, float or string; as a tuple, an array of them that folding has made."""

    value: bool | int | float | str | tuple[object, ...]

    @property
    def is_int(self) -> bool:
        return type(self.value) is int

    @property
    def is_float(self) -> bool:
        return type(self.value) is float


@dataclass(slots=True, eq=False)
class Members(Node):
    """A set of ints or of strings that `in` looks a key up in (made by folding)."""

    values: frozenset[int] | frozenset[str]


@dataclass(slots=True, eq=False)
class Name(Node):
    name: str


@dataclass(slots=True, eq=False)
class Unary(Node):
    op: str
    operand: Node

    def children(self) -> Iterator[Node]:
        yield self.operand


@dataclass(slots=True, eq=False)
class Binary(Node):
    op: str
    left: Node
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(slots=True, eq=False)
class Chain(Node):
    """Where a `?.` inside gives up and yields nil."""

    inner: Node

    def children(self) -> Iterator[Node]:
        yield self.inner


@dataclass(slots=True, eq=False)
class Member(Node):
    base: Node
    place: Node
    optional: bool = False
    method: bool = False

    def children(self) -> Iterator[Node]:
        yield self.base
        yield self.place


@dataclass(slots=True, eq=False)
class Slice(Node):
    base: Node
    start: Node | None = None
    stop: Node | None = None

    def children(self) -> Iterator[Node]:
        yield self.base
        if self.start is not None:
            yield self.start
        if self.stop is not None:
            yield self.stop


@dataclass(slots=True, eq=False)
class Call(Node):
    """A call of a function that the host adds, or of a method."""

    callee: Node
    arguments: list[Node] = field(default_factory=list)

    def children(self) -> Iterator[Node]:
        yield from self.arguments
        yield self.callee


@dataclass(slots=True, eq=False)
class Builtin(Node):
    name: str
    arguments: list[Node]
    mapped: Node | None = None  # filter and find: what to yield instead of the element (made by folding)
    throws: bool = False  # find: an error instead of nil
    threshold: int | None = None  # count: where to stop counting

    def children(self) -> Iterator[Node]:
        yield from self.arguments
        if self.mapped is not None:
            yield self.mapped


@dataclass(slots=True, eq=False)
class Predicate(Node):
    body: Node

    def children(self) -> Iterator[Node]:
        yield self.body


@dataclass(slots=True, eq=False)
class Pointer(Node):
    """`#`, `#index` or `#acc`."""

    name: str


@dataclass(slots=True, eq=False)
class Let(Node):
    name: str
    value: Node
    body: Node

    def children(self) -> Iterator[Node]:
        yield self.value
        yield self.body


@dataclass(slots=True, eq=False)
class Sequence(Node):
    parts: list[Node]

    def children(self) -> Iterator[Node]:
        yield from self.parts


@dataclass(slots=True, eq=False)
class Conditional(Node):
    test: Node
    then: Node
    otherwise: Node

    def children(self) -> Iterator[Node]:
        yield self.test
        yield self.then
        yield self.otherwise


@dataclass(slots=True, eq=False)
class Array(Node):
    items: list[Node]

    def children(self) -> Iterator[Node]:
        yield from self.items


@dataclass(slots=True, eq=False)
class Map(Node):
    pairs: list[tuple[Node, Node]]

    def children(self) -> Iterator[Node]:
        for key, value in self.pairs:
            yield key
            yield value


def same_text(left: Node, right: Node) -> bool:
    """Return whether two trees say the same, whatever their places and types."""
    waiting = [(left, right)]
    while waiting:
        a, b = waiting.pop()
        if type(a) is not type(b) or _own(a) != _own(b):
            return False
        a_parts, b_parts = list(a.children()), list(b.children())
        if len(a_parts) != len(b_parts):
            return False
        waiting.extend(zip(a_parts, b_parts, strict=True))
    return True


def _own(node: Node) -> tuple[object, ...]:
    """Return what a node says besides its parts."""
    match node:
        case Literal(value=value):
            return (type(value), repr(value))
        case Name(name=name) | Pointer(name=name) | Let(name=name) | Builtin(name=name):
            return (name,)
        case Unary(op=op) | Binary(op=op):
            return (op,)
        case Member(optional=optional, method=method):
            return (optional, method)
        case Members(values=values):
            return (values,)
        case Slice(start=start, stop=stop):
            return (start is None, stop is None)
    return ()
