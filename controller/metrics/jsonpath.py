"""Kubernetes' JSONPath, as a web metric's `jsonPath` is written: `{$.data[0].ok}`, `{.items[?(@.name=="a")].value}`.

A dialect of its own: paths stand in braces and what stands outside of them is text, indices may be negative, ranges
leave out their end, a missing field is an error, and a number without a decimal point is never equal to one of a JSON
document. Reading a path and applying it are apart, so that a path is read once. `{range}` is refused: a web metric
takes the first value alone, and `{.items[*].value}` gives the same one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_TEXT_LENGTH_MAX = 4_000
_ENDS_A_NAME = " \t\r\n.,[]$@{}"
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?", re.ASCII)
_KEY = re.compile(r"'([^']*)'")
_FILTER = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)


class JsonPathError(Exception):
    """The text is no path, or the document holds nothing where it points."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    pass


@dataclass(frozen=True, slots=True)
class Descent:
    """`..`: every object and list from here down."""


@dataclass(frozen=True, slots=True)
class Slice:
    """`[start:end:step]`; a lone index is known by `alone`."""

    start: int | None
    end: int | None
    step: int | None
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Union:
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(left operator right)]`; no operator asks whether there is a left at all."""

    left: Path
    operator: str
    right: Path


Step = Field | Wildcard | Descent | Slice | Literal | Union | Filter
Path = tuple[Step, ...]


@lru_cache(maxsize=256)
def read_path(text: str) -> tuple[Path, ...]:
    """Return the paths of a template: one for each pair of braces, and one for each text between them.

    Raises:
        JsonPathError: the template cannot be read.
    """
    if len(text) > _TEXT_LENGTH_MAX:
        raise JsonPathError(f"the path has more than {_TEXT_LENGTH_MAX} characters")
    try:
        return tuple(_templates(text))
    except RecursionError:
        raise JsonPathError("the path is nested too deep") from None


def _templates(text: str) -> Iterator[Path]:
    at = 0
    while at < len(text):
        begins = text.find("{", at)
        if begins != at:
            yield (Literal(text[at : begins if begins >= 0 else None]),)
            if begins < 0:
                return
        reader = _Reader(text, begins + 1)
        yield reader.path()
        at = reader.at


def _inner(text: str) -> Path:
    """Return the path that stands alone between brackets or beside an operator."""
    reader = _Reader(text + "}", 0)
    return reader.path()


class _Reader:
    """Reads one path up to its closing brace."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.steps: list[Step] = []

    def path(self) -> Path:
        while not self._follows("}"):
            self._step()
        self.at += 1
        return tuple(self.steps)

    def _follows(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _step(self) -> None:
        if self._follows("[?("):
            return self._filter()
        if self._follows(".."):
            return self._descent()
        letter = self.text[self.at : self.at + 1]
        if letter in ("", "\n", "\r"):
            raise JsonPathError("unclosed action")
        if letter in " @$":
            self.at += 1
        elif letter == "[":
            self._brackets()
        elif letter in "\"'":
            self._quoted(letter)
        elif letter == ".":
            self.at += 1
            self._field()
        elif letter in "+-" or letter.isdigit():
            self._number()
        elif letter == "_" or letter.isalpha():
            self._word()
        else:
            raise JsonPathError(f"unrecognized character in action: {letter!r}")
        return None

    def _descent(self) -> None:
        if self.steps and isinstance(self.steps[-1], Descent):
            raise JsonPathError("invalid multiple recursive descent")
        self.at += 2
        self.steps.append(Descent())
        letter = self.text[self.at : self.at + 1]
        if letter == "_" or letter.isalnum():
            self._field()

    def _name(self) -> str:
        begins = self.at
        while self.at < len(self.text) and self.text[self.at] not in _ENDS_A_NAME:
            self.at += 2 if self.text[self.at] == "\\" else 1
        self.at = min(self.at, len(self.text))
        return self.text[begins : self.at]

    def _field(self) -> None:
        name = self._name()
        self.steps.append(Wildcard() if name == "*" else Field(name.replace("\\", "")))

    def _word(self) -> None:
        word = self._name()
        if word not in ("true", "false"):
            known = word in ("range", "end")
            raise JsonPathError(f"{word} is not supported here" if known else f"unrecognized identifier {word}")
        self.steps.append(Literal(word == "true"))

    def _number(self) -> None:
        found = re.compile(r"[+-]?[\d.]*").match(self.text, self.at)
        written = found[0] if found is not None else ""
        self.at += len(written)
        try:
            self.steps.append(Literal(float(written) if "." in written else int(written)))
        except ValueError:
            raise JsonPathError(f"cannot parse number {written}") from None

    def _quoted(self, quote: str) -> None:
        found = re.compile(rf"{quote}((?:[^\\\n]|\\[^\n])*?){quote}").match(self.text, self.at)
        if found is None:
            raise JsonPathError("unterminated quoted string")
        self.at = found.end()
        self.steps.append(Literal(re.sub(r"\\(.)", r"\1", found[1])))

    def _brackets(self) -> None:
        ends = self.text.find("]", self.at)
        if ends < 0 or "\n" in self.text[self.at : ends]:
            raise JsonPathError("unterminated array")
        inside = self.text[self.at + 1 : ends]
        self.at = ends + 1
        parts = inside.split(",")
        if len(parts) > 1:
            self.steps.append(Union(tuple(_inner(f"[{part.strip(' ')}]") for part in parts)))
            return
        key = _KEY.fullmatch(inside)
        if key is not None:
            self.steps.extend(_inner(f".{key[1]}"))
            return
        self.steps.append(_slice(":" if inside == "*" else inside))

    def _filter(self) -> None:
        begins = self.at + 3
        self.at = ends = self._end_of_filter(begins)
        if not self._follows(")]"):
            raise JsonPathError("unclosed array expect ]")
        self.at += 2
        found = _FILTER.fullmatch(self.text[begins:ends])
        if found is None:
            self.steps.append(Filter(_inner(self.text[begins:ends]), "", ()))
        else:
            self.steps.append(Filter(_inner(found[1]), found[2], _inner(found[3])))

    def _end_of_filter(self, at: int) -> int:
        """Return where the filter's parenthesis closes; one within quotes does not close it."""
        quote = ""
        for place in range(at, len(self.text)):
            letter = self.text[place]
            if letter == "\n":
                break
            if quote:
                if letter == quote and self.text[place - 1] != "\\":
                    quote = ""
            elif letter in "\"'":
                quote = letter
            elif letter == ")":
                return place
        raise JsonPathError("unterminated filter")


def _slice(text: str) -> Slice:
    found = _SLICE.fullmatch(text)
    if found is None or text == "-":
        raise JsonPathError(f"invalid array index {text}")
    try:
        start, end, step = (None if part in (None, "", ":") else int(part.lstrip(":")) for part in found.groups())
    except ValueError:
        raise JsonPathError(f"array index {text} is not a number") from None
    return Slice(start, end, step, alone=found[2] is None)
