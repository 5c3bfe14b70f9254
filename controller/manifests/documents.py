"""YAML with positions: plain data, and for each field the line and column where it stands.

Manifests and game day files are both read by this module. Nothing in a file is ever executed: the
file becomes lists, mappings and scalars or it is refused. Size, depth and the number of values
(aliases counted as often as they are used) are bounded before any memory is spent on them, so that
a hostile file ends in an error at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from controller.manifests.problems import (
    FieldPath,
    ManifestError,
    Position,
    Problem,
    nearest,
    path_text,
    shown,
)
from controller.manifests.scalars import plain_scalar, tagged_scalar

__all__ = [
    "Document",
    "FieldPath",
    "ManifestError",
    "Position",
    "Problem",
    "nearest",
    "path_text",
    "read_bytes",
    "read_documents",
    "shown",
]

BYTES_MAX = 4 * 1024 * 1024
VALUES_MAX = 60_000
DEPTH_MAX = 64

_HELM = re.compile(r"\{\{-|-\}\}|\{\{\s*(\.|\$|if |range |with |include |template |toYaml |default |end\b|/\*)")
_UNQUOTED_ARG = re.compile(r"^[^\"'#\n]*:[ \t]*\{\{", re.MULTILINE)
_BOM = re.compile(r"(?<=^---\n)\ufeff|(?<=^---\r\n)\ufeff", re.MULTILINE)  # files that were put one behind the other
_TEMPLATE = "to be rendered first, for example: helm template RELEASE CHART > rendered.yaml"

# libyaml's parser is some forty times faster than the one in Python; wheels carry it everywhere.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True, eq=False)
class _Node:
    """A value in the text: its plain data, where it stands, and how much it holds."""

    value: Any
    line: int
    column: int
    size: int = 1
    height: int = 1
    children: dict[str | int, tuple[int, int, _Node]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Open:
    """A mapping or list whose end has not been read yet."""

    node: _Node
    anchor: str | None
    key: tuple[str, int, int] | None = None  # the key whose value comes next
    merges: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Document:
    """One YAML document: plain data that remembers where each of its fields stands."""

    file: str
    value: Any
    root: Any = field(repr=False)  # positions, private to this module
    path: FieldPath = ()  # where in the file's own document this one begins (an item of a List)

    def position(self, path: FieldPath = ()) -> Position:
        """Return where a field begins; for a field that is not there, where its nearest parent begins."""
        node: _Node = self.root
        line, column = node.line, node.column
        for part in path:
            if part not in node.children:
                break
            line, column, node = node.children[part]
        return Position(line=line, column=column)

    def problem(self, path: FieldPath, found: str, need: str) -> Problem:
        """Return a problem with one field of this document."""
        at = self.position(path)
        return Problem(
            file=self.file,
            line=at.line,
            column=at.column,
            path=path_text(path),
            found=found,
            need=need,
        )

    def part(self, path: FieldPath) -> Document:
        """Return a part of this document as a document of its own, such as one item of a List."""
        node: _Node = self.root
        line, column = node.line, node.column
        for step in path:
            line, column, node = node.children[step]
        placed = _Node(node.value, line, column, node.size, node.height, node.children)
        return Document(file=self.file, value=node.value, root=placed, path=self.path + path)


def read_documents(source: Path | str | bytes, name: str | None = None) -> list[Document]:
    """Return the documents of a YAML file, or of a text; empty ones are left out.

    Args:
        source: a path, or the text itself.
        name: what messages call it; a path's own name if not given.

    Raises:
        ManifestError: the file cannot be read, is not YAML, or is too large to be a manifest.
    """
    if isinstance(source, Path):
        called = name or str(source)
        data = read_bytes(source, called)
    else:
        called = name or "<text>"
        data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    if len(data) > BYTES_MAX:
        _refuse(called, f"{len(data):,} bytes long", f"to be at most {BYTES_MAX:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        _refuse(called, "no UTF-8 text", "to be saved as UTF-8", line=line)
    return _Builder(called, _BOM.sub("", text)).documents()


def read_bytes(path: Path, name: str) -> bytes:
    """Return a file's content, never more than a manifest may have."""
    try:
        size = path.stat().st_size
        if size > BYTES_MAX:
            _refuse(name, f"{size:,} bytes long", f"to be at most {BYTES_MAX:,} bytes")
        with path.open("rb") as file:
            return file.read(BYTES_MAX + 1)  # a pipe or device has no size of its own
    except OSError as error:
        _refuse(name, f"not readable ({error.strerror or error})", "a file that can be read")


def _refuse(name: str, found: str, need: str, *, line: int = 1, column: int = 1, path: str = "") -> NoReturn:
    raise ManifestError([Problem(file=name, line=line, column=column, path=path or "the file", found=found, need=need)])


class _Builder:
    """Builds documents from the parser's events, without recursion, counting as it goes."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.open: list[_Open] = []
        self.anchors: dict[str, _Node | None] = {}  # None: still open
        self.values = 0
        self.finished: list[Document] = []
        self.problems: list[Problem] = []

    def documents(self) -> list[Document]:
        try:
            for event in yaml.parse(self.text, Loader=_Loader):
                self._take(event)
        except yaml.YAMLError as error:
            self.problems.append(self._syntax_problem(error))
        if self.problems:
            raise ManifestError(self.problems)
        return self.finished

    def _take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._begin(event, {})
            case yaml.SequenceStartEvent():
                self._begin(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self.open.clear()
                self.anchors.clear()

    # -- the values

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        value: Any = event.value
        if event.tag is not None and event.tag != "!":
            try:
                value = tagged_scalar(event.value, event.tag)
            except ValueError as error:
                self._problem(mark, str(error), "plain YAML values; tags are not read")
        elif event.implicit[0]:  # true for a bare word only
            value = plain_scalar(event.value)
        frame = self.open[-1] if self.open else None
        if frame is not None and isinstance(frame.node.value, dict) and frame.key is None:
            self._key(frame, value, event)
            return
        node = _Node(value, mark.line + 1, mark.column + 1)
        if event.anchor:
            self.anchors[event.anchor] = node
        self._add(node, node.line, node.column, adds=1)

    def _key(self, frame: _Open, value: Any, event: Any) -> None:
        key = event.value if isinstance(value, str) else _key_text(value)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if event.anchor:
            self.anchors[event.anchor] = _Node(value, line, column)
        if key in frame.node.children:
            first = frame.node.children[key]
            self._problem(
                event.start_mark,
                f"given twice, first in line {first[0]}",
                "to be given once",
                key,
            )
        frame.key = (key, line, column)

    def _begin(self, event: Any, value: Any) -> None:
        mark = event.start_mark
        if event.tag is not None and event.tag not in (
            "!",
            "tag:yaml.org,2002:map",
            "tag:yaml.org,2002:seq",
        ):
            self._problem(mark, f"tagged {shown(event.tag)}", "plain YAML values; tags are not read")
        if len(self.open) >= DEPTH_MAX:
            self.open.clear()  # so that the message does not repeat the whole path
            self._stop(mark, f"nested deeper than {DEPTH_MAX} levels", "a flatter structure")
        if self.open and isinstance(self.open[-1].node.value, dict) and self.open[-1].key is None:
            self._stop(mark, *self._no_key())
        node = _Node(value, mark.line + 1, mark.column + 1)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(node, event.anchor))

    def _end(self) -> None:
        frame = self.open.pop()
        for merged in frame.merges:
            for key, (line, column, child) in merged.children.items():
                if key not in frame.node.children:
                    frame.node.children[key] = (line, column, child)
                    frame.node.value[key] = child.value
        if frame.anchor:
            self.anchors[frame.anchor] = frame.node
        self._add(frame.node, frame.node.line, frame.node.column, adds=1)

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        if event.anchor not in self.anchors:
            self._stop(mark, f"*{event.anchor}, an alias of nothing", f"an anchor &{event.anchor} before it")
        node = self.anchors[event.anchor]
        if node is None:
            self._stop(mark, f"*{event.anchor}, an alias inside itself", "aliases that do not run in a circle")
        frame = self.open[-1] if self.open else None
        if frame is not None and isinstance(frame.node.value, dict) and frame.key is None:
            if node.children or isinstance(node.value, (dict, list)):
                self._stop(mark, *self._no_key())
            frame.key = (_key_text(node.value), mark.line + 1, mark.column + 1)
            return
        self._add(node, mark.line + 1, mark.column + 1, adds=node.size)

    def _add(self, node: _Node, line: int, column: int, *, adds: int) -> None:
        """Put a finished value where it belongs: into the open list or mapping, or as a document.

        Args:
            adds: how many values come with it that were not counted yet; with an alias, all of them.
        """
        self.values += adds
        if self.values > VALUES_MAX:
            _refuse(
                self.name,
                f"more than {VALUES_MAX:,} values once its aliases are followed",
                "to be split into several files",
                line=line,
                column=column,
            )
        if not self.open:
            if node.value is not None:
                self.finished.append(Document(file=self.name, value=node.value, root=node))
            return
        frame = self.open[-1]
        parent = frame.node
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if len(self.open) + node.height > DEPTH_MAX:
            _refuse(self.name, f"nested deeper than {DEPTH_MAX} levels", "a flatter structure", line=line)
        if isinstance(parent.value, list):
            parent.children[len(parent.value)] = (line, column, node)
            parent.value.append(node.value)
            return
        assert frame.key is not None
        key, key_line, key_column = frame.key
        frame.key = None
        if key == "<<":
            self._merge(frame, node, key_line, key_column)
            return
        parent.children[key] = (key_line, key_column, node)
        parent.value[key] = node.value

    def _merge(self, frame: _Open, node: _Node, line: int, column: int) -> None:
        sources = [node] if isinstance(node.value, dict) else [part for _, _, part in node.children.values()]
        if not isinstance(node.value, (dict, list)) or any(not isinstance(s.value, dict) for s in sources):
            _refuse(self.name, "no mapping to merge", "a mapping, or a list of them", line=line, column=column)
        frame.merges.extend(sources)

    # -- what is wrong

    def _path(self, *more: str | int) -> FieldPath:
        """Return the path of what is being read."""
        path: list[str | int] = []
        for frame in self.open:
            if isinstance(frame.node.value, list):
                path.append(len(frame.node.value))
            elif frame.key is not None:
                path.append(frame.key[0])
        return tuple(path) + more

    def _problem(self, mark: Any, found: str, need: str, *more: str) -> None:
        self.problems.append(
            Problem(
                file=self.name,
                line=mark.line + 1,
                column=mark.column + 1,
                path=path_text(self._path(*more)) or "the file",
                found=found,
                need=need,
            )
        )

    def _stop(self, mark: Any, found: str, need: str) -> NoReturn:
        self._problem(mark, found, need)
        raise ManifestError(self.problems)

    def _no_key(self) -> tuple[str, str]:
        """Say why a mapping or list cannot be a key, which is what unquoted braces become."""
        if _HELM.search(self.text):
            return "a template with {{ }} that is not YAML yet", _TEMPLATE
        if "{{" in self.text:
            return (
                "an unquoted {{ }}, which YAML reads as a mapping",
                'quotes around it: "{{args.name}}" (or to be rendered first, if it is a Helm template)',
            )
        return "a mapping or list used as a key", "a plain word as the key"

    def _syntax_problem(self, error: yaml.YAMLError) -> Problem:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        if mark is None and isinstance(getattr(error, "position", None), int):
            line = self.text[: error.position].count("\n") + 1  # type: ignore[attr-defined]
        why = getattr(error, "problem", None) or getattr(error, "reason", None)
        found = f"not YAML ({why})" if why else "not YAML"
        need = "its indentation and quotes checked near this line"
        lines = self.text.splitlines()[line - 1 : line]
        if _HELM.search(self.text):
            found, need = "a Helm template, not YAML yet", _TEMPLATE
        elif lines and "\t" in lines[0][: len(lines[0]) - len(lines[0].lstrip())]:
            need = "blanks instead of tabs at the beginning of the line"
        elif _UNQUOTED_ARG.search(self.text):
            need = 'quotes around braces: "{{args.name}}"'
        return Problem(file=self.name, line=line, column=column, path="the file", found=found, need=need)


def _key_text(value: Any) -> str:
    """Return a key as JSON would have it: Kubernetes turns `1:` and `true:` into texts."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def fields_of(value: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Yield each scalar of plain data with its path, in the order of the text."""
    waiting: list[tuple[FieldPath, Any]] = [(path, value)]
    while waiting:
        here, part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(((*here, key), item) for key, item in reversed(part.items()))
        elif isinstance(part, list):
            waiting.extend(((*here, index), item) for index, item in reversed(list(enumerate(part))))
        else:
            yield here, part
