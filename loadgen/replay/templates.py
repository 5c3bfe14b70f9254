"""Values that must be fresh in each request: rules from the command line, marks in prepared bytes, and their filling.

A recorded request that carries an order's number or an idempotency key would be refused the second time. A rule names
the paths it is for, and what they become; or a header, and its value. What is fresh is marked in the prepared bytes
with a byte that no request holds, so that sending costs nothing where nothing is fresh.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from loadgen.replay.timing import ReplayError

FRESH = {"uuid": b"u", "now": b"t", "unix": b"s", "n": b"n"}
_MARK = b"\x00"
_FILL = re.compile(rb"\x00([utsn])")
_NAME = re.compile(r"\{([a-z]+|[1-9])\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_PATH = re.compile(r"/[\x21-\x7e]*")

HOW = "--template needs path:PATTERN=PATH, as in 'path:/carts/*=/carts/{uuid}', or header:NAME=VALUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """Paths that match `pattern` (`*` is one part of a path) become `becomes`; the query stays unless that has one."""

    pattern: re.Pattern[str]
    becomes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRule:
    """Every request gets this header, in place of a recorded one of the name."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """All rules of a replay; the first that matches a path is its rule."""

    paths: tuple[PathRule, ...] = ()
    headers: tuple[HeaderRule, ...] = ()

    def target(self, path: str, query: str) -> str:
        """Return path and query of a request, with marks where a value is fresh."""
        for rule in self.paths:
            if matched := rule.pattern.fullmatch(path):
                filled = _marked(rule.becomes, matched.groups())
                return filled if "?" in filled or not query else f"{filled}?{query}"
        return f"{path}?{query}" if query else path

    def headers_of(self, recorded: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        """Return the headers of a request, with marks where a value is fresh."""
        names = {rule.name.lower() for rule in self.headers}
        kept = [(name, value) for name, value in recorded if name.lower() not in names]
        return kept + [(rule.name, _marked(rule.value, ())) for rule in self.headers]


def read_templates(texts: list[str]) -> Templates:
    """Return the rules that the command line names.

    Raises:
        ReplayError: a rule cannot be read.
    """
    paths, headers = [], []
    for text in texts:
        kind, _, rest = text.partition(":")
        left, sign, right = rest.partition("=")
        if not sign or not left or not right:
            raise ReplayError(f"--template {text!r} cannot be read; {HOW}")
        if kind == "path":
            paths.append(_path_rule(text, left, right))
        elif kind == "header":
            _check_names(text, right, groups=0)
            if not _TOKEN.fullmatch(left) or not _VALUE.fullmatch(right):
                raise ReplayError(f"--template {text!r}: a header has a name of letters, digits and dashes; {HOW}")
            headers.append(HeaderRule(name=left, value=right))
        else:
            raise ReplayError(f"--template {text!r} is for {kind!r}; {HOW}")
    return Templates(paths=tuple(paths), headers=tuple(headers))


def _path_rule(text: str, left: str, right: str) -> PathRule:
    if not _PATH.fullmatch(left) or not _PATH.fullmatch(right) or right.startswith("//"):
        raise ReplayError(f"--template {text!r}: paths begin with one slash and have no spaces; {HOW}")
    parts = ["([^/]*)" if part == "*" else re.escape(part) for part in left.split("/")]
    _check_names(text, right, groups=parts.count("([^/]*)"))
    return PathRule(pattern=re.compile("/".join(parts)), becomes=right)


def _check_names(text: str, value: str, *, groups: int) -> None:
    for name in _NAME.findall(value):
        if name.isdigit() and int(name) > groups:
            raise ReplayError(f"--template {text!r} takes {{{name}}}, but its pattern has {groups} *")
        if not name.isdigit() and name not in FRESH:
            known = ", ".join(f"{{{each}}}" for each in FRESH)
            raise ReplayError(
                f"--template {text!r}: there is no {{{name}}}; there are {known}, and {{1}} for the first *"
            )


def _marked(text: str, groups: tuple[str, ...]) -> str:
    def mark(found: re.Match[str]) -> str:
        name = found[1]
        return groups[int(name) - 1] if name.isdigit() else (_MARK + FRESH[name]).decode()

    return _NAME.sub(mark, text)


def is_fresh(data: bytes) -> bool:
    """Return whether prepared bytes have marks."""
    return _MARK in data.partition(b"\r\n\r\n")[0]


def fill(data: bytes, number: int) -> bytes:
    """Return what goes over the wire: fresh values in place of the marks of the head.

    Args:
        number: the request's place in the whole replay, from 0; `{n}` counts from 1.
    """
    head, end, body = data.partition(b"\r\n\r\n")

    def value(found: re.Match[bytes]) -> bytes:
        match found[1]:
            case b"u":
                return str(uuid.uuid4()).encode()
            case b"t":
                return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
            case b"s":
                return str(int(time.time())).encode()
            case _:
                return str(number + 1).encode()

    return _FILL.sub(value, head) + end + body
