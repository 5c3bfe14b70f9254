"""Traffic as a file of its own: one YAML document, read by game days, by Locust (`loadgen.locust_shape`) and the model.

    rps: 20
    shape: {kind: spike, at_s: 300, for_s: 60, to_rps: 100}
    routes:
      - {path: /orders, weight: 3}
      - {method: POST, path: /orders, body: "{}"}

A recording in place of such a file is traffic too: its own rate over time and its own mix of routes. Every problem is
told at once, each with its line and field. Files are small and hold no tags and no aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from loadgen.traffic.rates import TrafficError
from loadgen.traffic.recorded import read_recording
from loadgen.traffic.shapes import Traffic

FILE_MAX_BYTES = 200_000
DEPTH_MAX = 20
"""Traffic is four levels deep. The parser takes a time that grows with the square of the depth."""

Path_ = tuple[str | int, ...]


DESCRIPTIONS = (".yaml", ".yml", ".json")
"""What a description's name ends with; every other file is a recording (`loadgen.traces`)."""


def read_traffic(file: Path, *, instants: bool = False) -> Traffic:
    """Return the traffic that a file describes, or that it recorded.

    Args:
        instants: of a recording, each request at its own instant, and not only the rate over time.

    Raises:
        TrafficError: every problem, one a line.
    """
    if file.suffix.lower() in DESCRIPTIONS:
        return _described(file)
    read_recording(file)  # says what is wrong with the file and not with a field
    value = {"shape": {"kind": "trace", "file": file.name}, "arrivals": "recorded" if instants else "poisson"}
    try:
        return Traffic.model_validate(value, context={"folder": file.parent})
    except ValidationError as error:
        raise TrafficError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _described(file: Path) -> Traffic:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TrafficError(f"{file}: cannot be read: {error.strerror}") from error
    if len(data) > FILE_MAX_BYTES:
        raise TrafficError(f"{file}: {len(data):,} bytes; a description of traffic has at most {FILE_MAX_BYTES:,}")
    try:
        node = _compose(data.decode("utf-8"))
        value = YAML(typ="safe", pure=True).load(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise TrafficError(f"{file}: is no UTF-8 text: {error}") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise TrafficError(f"{where}: is no YAML: {error.problem}") from error
    except (YAMLError, ValueError) as error:
        raise TrafficError(f"{file}: is no YAML: {error}") from error
    if not isinstance(value, dict):
        raise TrafficError(f"{file}:1:1: it needs the fields of traffic, as in rps: 20")
    try:
        # A recording is looked for beside the file that names it.
        return Traffic.model_validate(value, context={"folder": file.parent})
    except ValidationError as error:
        raise TrafficError("\n".join(_problems(file, node, error))) from error


def _compose(text: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    depth = 0
    for event in yaml.parse(text):
        if isinstance(event, AliasEvent):
            raise ValueError("aliases are not read here; write the value out")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEPTH_MAX:
            raise ValueError(f"it is nested more than {DEPTH_MAX} levels deep")
    node: Node | None = YAML(typ="safe", pure=True).compose(text)
    return node


def _problems(file: Path, node: Node | None, error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        line, column, field = _place(node, problem["loc"])
        found = "" if isinstance(problem["input"], dict | list) else f" is {problem['input']!r}"
        message = problem["msg"].removeprefix("Value error, ")
        yield f"{file}:{line}:{column}: {field or 'the document'}{found}: {message}"


def _place(node: Node | None, path: Path_) -> tuple[int, int, str]:
    """Return line, column and name of the nearest place in the file to a field, which may not be there at all."""
    place, field = node, ""
    for step in path:
        inner = _child(place, step)
        if inner is None:
            if isinstance(place, MappingNode) and step in _kinds(place):
                continue  # pydantic names the kind of a shape in its path; the file does not
            field += f".{step}" if field else str(step)
            break
        field += f"[{step}]" if isinstance(step, int) else f".{step}" if field else step
        place = inner
    mark = place.start_mark if place is not None else None
    return (mark.line + 1, mark.column + 1, field) if mark is not None else (1, 1, field)


def _child(node: Node | None, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: Node = node.value[step]
        return found
    return None


def _kinds(node: MappingNode) -> list[Any]:
    return [value.value for key, value in node.value if key.value == "kind" and isinstance(value, ScalarNode)]
