"""A typed look at one mapping of a document, which collects what is wrong instead of stopping at it.

Every method asks for one field and returns a value of the right type: the field's, or the default
after a problem has been noted. So a whole manifest is read in one pass and all its problems are
told together. Null counts as absence everywhere, as it does for Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from controller.manifests.documents import Document, FieldPath, Position, Problem, nearest, path_text, shown
from controller.manifests.reading.fields import BLOCKS, MISPLACED, Treatment, home_of
from controller.manifests.values import Amount, DurationError, FrozenMap, duration_s, placeholders

INT32_MAX = 2**31 - 1
RENDER = "to be rendered first, for example: kubectl kustomize DIR > rendered.yaml"
PROBLEMS_MAX = 200  # in one document; more of them help nobody


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Notice:
    """Something that a user should know and that stops nothing."""

    file: str
    line: int
    column: int
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A field of a document, kept so that whoever finds a fault in its value later can name it."""

    document: Document = field(repr=False)
    path: FieldPath

    @property
    def file(self) -> str:
        return self.document.file

    @property
    def position(self) -> Position:
        return self.document.position(self.path)

    def problem(self, found: str, need: str) -> Problem:
        return self.document.problem(self.path, found, need)

    def notice(self, text: str) -> Notice:
        at = self.position
        return Notice(
            file=self.file, line=at.line, column=at.column, path=path_text(self.path) or "document", text=text
        )

    def below(self, *path: str | int) -> Place:
        return Place(document=self.document, path=self.path + path)

    def __str__(self) -> str:
        return f"{self.file}:{self.position.line}:{self.position.column}: {path_text(self.path)}"


@dataclass(slots=True)
class Report:
    """What reading has found so far."""

    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class Reader:
    """One mapping of a document."""

    __slots__ = ("block", "document", "path", "report", "value")

    def __init__(self, document: Document, path: FieldPath, value: dict[str, Any], report: Report, block: str) -> None:
        self.document = document
        self.path = path
        self.value = value
        self.report = report
        self.block = block
        if block:
            self._check_fields(block)

    # ---- what is wrong

    def place(self, *names: str | int) -> Place:
        return Place(document=self.document, path=self.path + names)

    def fail(self, found: str, need: str, *names: str | int) -> None:
        if len(self.report.problems) < PROBLEMS_MAX:
            self.report.problems.append(self.place(*names).problem(found, need))
        elif len(self.report.problems) == PROBLEMS_MAX:
            more = f"not looked at after {PROBLEMS_MAX} problems"
            self.report.problems.append(self.place(*names).problem(more, "those before it mended first"))

    def warn(self, text: str, *names: str | int) -> None:
        self.report.notices.append(self.place(*names).notice(text))

    def _check_fields(self, key: str) -> None:
        block = BLOCKS[key]
        for name, value in self.value.items():
            known = block.fields.get(name)
            if known is None:
                self._unknown(key, name)
            elif (
                value is None
                or known.treatment in (Treatment.DONE, Treatment.QUIET)
                or (value == {} and known.or_empty)
            ):
                continue
            elif known.treatment is Treatment.WARNED:
                self.warn(f"ignored: {known.why}", name)
            else:
                self.fail(f"not supported ({known.why})", "to be taken out", name)

    def _unknown(self, key: str, name: str) -> None:
        if len(self.report.problems) >= PROBLEMS_MAX:
            self.fail("", "", name)
            return
        block = BLOCKS[key]
        alike = (name.lower(), f"{name.lower()}s", name.lower().removesuffix("s"))  # of one of them or of many
        meant = next((known for word in alike for known in block.fields if known.lower() == word), None)
        if name == "$patch":
            self.fail("a kustomize patch's word", RENDER, name)
            return
        if (key, name) in MISPLACED:
            self.fail("in the wrong place", MISPLACED[key, name], name)
            return
        home = None if meant else home_of(name, block.kind)
        if home is not None:
            self.fail("in the wrong place", f"to stand at {home}", name)
            return
        meant = meant or nearest(name, list(block.fields))
        taken = sorted(set(block.fields) - set(block.named(Treatment.REFUSED)))
        offered = f"to be spelled {meant}" if meant else f"one of: {', '.join(taken)}"
        self.fail("an unknown field", offered if block.fields else "to be taken out", name)

    # ---- fields

    def has(self, name: str) -> bool:
        return self.value.get(name) is not None

    def child(self, name: str, block: str, *, required: bool = False) -> Reader | None:
        """Return the mapping under a field, or None."""
        value = self.value.get(name)
        if value is None:
            if required:
                self.fail("missing", "a mapping", name)
            return None
        if not isinstance(value, dict):
            self.fail(shown(value), "a mapping", name)
            return None
        return Reader(self.document, (*self.path, name), value, self.report, block)

    def children(self, name: str, block: str, *, required: bool = False) -> list[Reader]:
        """Return the mappings in a list."""
        return [
            Reader(self.document, (*self.path, name, index), item, self.report, block)
            for index, item in self._items(name, dict, "a mapping", required=required)
        ]

    def texts(self, name: str, *, required: bool = False) -> tuple[str, ...]:
        return tuple(item for _, item in self._items(name, str, "a text", required=required))

    def _items(self, name: str, kind: type, need: str, *, required: bool) -> Iterator[tuple[int, Any]]:
        value = self.value.get(name)
        if value is None or value == []:
            if required:
                self.fail("missing" if value is None else "an empty list", "a list that is not empty", name)
            return
        if not isinstance(value, list):
            self.fail(shown(value), "a list", name)
            return
        for index, item in enumerate(value):
            if isinstance(item, kind):
                yield index, item
            else:
                self.fail(shown(item), need, name, index)

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        value = self.value.get(name)
        if value is None or value == "":
            if required:
                self.fail("missing" if value is None else "an empty text", "a text", name)
            return default
        if isinstance(value, str):
            return value
        self.fail(shown(value), _text_instead_of(value), name)
        return default

    def text_map(self, name: str) -> FrozenMap[str]:
        value = self.value.get(name)
        if value is None:
            return FrozenMap()
        if not isinstance(value, dict):
            self.fail(shown(value), "a mapping of texts", name)
            return FrozenMap()
        texts = {}
        for key, item in value.items():
            if item is None or isinstance(item, str):
                texts[key] = item or ""
            else:
                self.fail(shown(item), _text_instead_of(item), name, key)
        return FrozenMap(texts)

    def choice(self, name: str, options: tuple[str, ...], default: str = "") -> str:
        value = self.text(name, default)
        if value and value not in options:
            meant = nearest(value, options)
            self.fail(shown(value), meant or "one of: " + ", ".join(options), name)
            return default
        return value

    def flag(self, name: str) -> bool:
        value = self.value.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fail(shown(value), "true or false, without quotes", name)
        return False

    def maybe_integer(self, name: str, *, minimum: int = 0, maximum: int = INT32_MAX) -> int | None:
        value = self.value.get(name)
        if value is None:
            return None
        need = f"a whole number from {minimum} to {maximum}"
        value = _whole(value)
        if maximum == INT32_MAX and not (isinstance(value, int) and value > maximum):
            need = f"a whole number, {minimum} or more"
        if isinstance(value, bool) or not isinstance(value, int):
            digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value)
            self.fail(shown(value), f"{need}, without quotes" if digits else need, name)
            return None
        if not minimum <= value <= maximum:
            self.fail(shown(value), need, name)
            return None
        return value

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = INT32_MAX) -> int:
        value = self.maybe_integer(name, minimum=minimum, maximum=maximum)
        return default if value is None else value

    def amount(self, name: str, default: Amount) -> Amount:
        """Return a number of pods or a percentage; Argo reads a quoted number as a percentage, too."""
        value = _whole(self.value.get(name))
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT32_MAX:
            return Amount(number=value)
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}%?", value):
            if not value.endswith("%"):
                self.warn(f'Argo Rollouts reads the text "{value}" as {value} %, not as {value} pods', name)
            return Amount(number=int(value.removesuffix("%")), percent=True)
        self.fail(shown(value), "a number of pods such as 2, or a percentage such as 25%", name)
        return default

    def whole_or_text(self, name: str, *, minimum: int = 0) -> int | str | None:
        """Return a number that may be given as a text with an argument in it."""
        value = _whole(self.value.get(name))
        if value is None:
            return None
        number = value
        if isinstance(value, str):
            if placeholders(value):
                return value
            number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,10}", value) else None
        if not isinstance(number, int) or isinstance(number, bool) or not minimum <= number <= INT32_MAX:
            self.fail(shown(value), f'a whole number, {minimum} or more, or "{{{{args.name}}}}"', name)
            return None
        return number if isinstance(value, int) else str(value)

    def duration_text(self, name: str) -> str:
        """Return a duration as it is written, once it is sure that it is one (or holds an argument)."""
        value = self.value.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            self.fail(str(value), f'a text with a unit, such as "{value}s"', name)
            return ""
        text = self.text(name)
        if text and not placeholders(text):
            try:
                if duration_s(text) < 0:
                    raise DurationError(text, "")
            except DurationError:
                self.fail(shown(text), "a duration such as 30s, 5m or 1h30m", name)
                return ""
        return text


def _whole(value: Any) -> Any:
    """Return a number such as 4.0 as the whole number that JSON, and so Kubernetes, makes of it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text_instead_of(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "a text"
    if isinstance(value, bool):
        return "a text in quotes; YAML reads bare words such as yes, no, on, y and n as true or false"
    return f'a text; write it in quotes, "{shown(value)}"'
