"""What is known of a value before there is one: the static types of the condition language.

Types are those of the original's host language, named as it prints them, because error messages hold them.
Some conditions are errors by these types alone; and an equality of two integers by type is evaluated
differently from one whose types are known only at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

INTEGERS = frozenset(("int", "int64"))
_KINDS = {
    "bool": "bool",
    "int": "int",
    "int64": "int64",
    "float64": "float64",
    "string": "string",
    "interface {}": "interface",
    "[]interface {}": "slice",
    "[]float64": "slice",
    "[]string": "slice",
    "[]int": "slice",
    "map[string]interface {}": "map",
    "map[interface {}]interface {}": "map",
    "map[interface {}][]interface {}": "map",
    "time.Time": "struct",
    "time.Duration": "int64",
    "time.Month": "int",
    "time.Weekday": "int",
}


@dataclass(frozen=True, slots=True)
class Nature:
    """A static type. With no type and not nil, nothing is known ("unknown" in messages)."""

    type: str | None = None
    nil: bool = False
    element: Nature | None = None  # of an array whose elements are known better than its type says

    @property
    def kind(self) -> str:
        if self.type is None:
            return "invalid"
        return _KINDS.get(self.type, "func")

    @property
    def unknown(self) -> bool:
        return (self.type is None and not self.nil) or self.type == "interface {}"

    @property
    def integer(self) -> bool:
        return self.type in INTEGERS

    @property
    def number(self) -> bool:
        return self.type == "float64" or self.type in INTEGERS

    @property
    def array(self) -> bool:
        return self.kind == "slice"

    def __str__(self) -> str:
        return self.type or "unknown"

    def elements(self) -> Nature:
        """Return what is known of an element of this array or map."""
        match self.kind:
            case "slice":
                return self.element or Nature(_ELEMENT[str(self.type)])
            case "map":
                return Nature(str(self.type).partition("]")[2])
        return UNKNOWN

    def key(self) -> Nature:
        """Return what is known of a key of this map."""
        if self.kind != "map":
            return UNKNOWN
        return STRING if str(self.type).startswith("map[string]") else ANY

    def array_of(self) -> Nature:
        """Return an array whose elements are of this nature."""
        return Nature("[]interface {}", element=self)

    def plain(self) -> Nature:
        """Return what the type alone says, without what is known of elements."""
        return replace(self, element=None) if self.element else self

    def assignable_to(self, other: Nature) -> bool:
        if self.nil and (other.kind in ("interface", "map", "slice") or other.kind == "func") and other.type:
            return True
        if self.type is None or other.type is None:
            return False
        return self.type == other.type or other.kind == "interface"

    def comparable_to(self, other: Nature) -> bool:
        """Return whether == between these two is not an error by type."""
        return (
            self.unknown
            or other.unknown
            or self.nil
            or other.nil
            or (self.number and other.number)
            or (self.array and other.array)
            or self.assignable_to(other)
        )

    def may_join(self, other: Nature, *checks: str) -> bool:
        """Return whether both are unknown, or one is and the other passes one of the checks."""
        if self.unknown and other.unknown:
            return True
        if self.unknown:
            return any(other.passes(check) for check in checks)
        return other.unknown and any(self.passes(check) for check in checks)

    def passes(self, check: str) -> bool:
        """Return whether this is a number, an integer, or of the named type or kind."""
        if check == "number":
            return self.number
        if check == "integer":
            return self.integer
        return self.type == check or self.kind == check


UNKNOWN = Nature()
NIL = Nature(nil=True)
ANY = Nature("interface {}")
BOOL = Nature("bool")
INT = Nature("int")
INT64 = Nature("int64")
FLOAT = Nature("float64")
STRING = Nature("string")
ARRAY = Nature("[]interface {}")
FLOATS = Nature("[]float64")
STRINGS = Nature("[]string")
INTS = Nature("[]int")
MAP = Nature("map[string]interface {}")
ANY_MAP = Nature("map[interface {}]interface {}")
GROUPS = Nature("map[interface {}][]interface {}")
TIME = Nature("time.Time")
DURATION = Nature("time.Duration")

_ELEMENT = {"[]interface {}": "interface {}", "[]float64": "float64", "[]string": "string", "[]int": "int"}


def promoted(left: Nature, right: Nature) -> Nature:
    """Return the type of a sum of two numbers."""
    return FLOAT if FLOAT.type in (left.type, right.type) else INT
