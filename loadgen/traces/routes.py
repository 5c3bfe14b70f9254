"""Which route a request asks for: its path with every identifier replaced by `{id}`.

Routes are not written in logs, so they are guessed from the looks of each part of a path: numbers, UUIDs, hashes,
tokens and addresses are identifiers, words are not. The guess errs towards {id}, because a mix of a thousand routes
that are one tells nobody anything.
"""

from __future__ import annotations

import re
from functools import lru_cache

ID = "{id}"

_IDENTIFIER = re.compile(
    r"[0-9]+"
    r"|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"  # UUID
    r"|(?=[^0-9]*[0-9])[0-9a-fA-F]{7,}"  # hash
    r"|.*%40.*|.*@.*"  # address of somebody
    r"|[A-Za-z]{0,16}[-_.:]?[0-9]{3,}(?:[-_.:][0-9]+)*"  # order-1234, INV_2024-17
    r"|(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_=-]{16,}"  # token
    r"|[A-Za-z0-9_=.-]{32,}"  # longer than a word is
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"  # network address
    r"|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FILE = re.compile(r"(.+)\.([A-Za-z][A-Za-z0-9]{0,4})")


def is_identifier(part: str) -> bool:
    """Return whether one part of a path looks like an identifier and not like a word."""
    return _IDENTIFIER.fullmatch(part) is not None or _DATE.fullmatch(part) is not None


@lru_cache(maxsize=65_536)
def route_of(path: str) -> str:
    """Return the route of a path, as in /orders/{id}/items."""
    if not any(character in path for character in "0123456789@%") and len(path) < 32:
        return path
    return "/".join(_part(part) for part in path.split("/"))


def _part(part: str) -> str:
    part = part.partition(";")[0]  # matrix parameters such as ;jsessionid=…
    if is_identifier(part):
        return ID
    named = _FILE.fullmatch(part)
    if named and is_identifier(named[1]):
        return f"{ID}.{named[2]}"
    return part
