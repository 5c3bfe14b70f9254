"""What a client sent, read with limits: the query string and a form body as one set of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request

BODY_BYTES_MAX = 1_000_000
FIELDS_MAX = 1_000
_UNSOUND = re.compile(r";|%(?![0-9a-fA-F]{2})")


class BadRequest(ValueError):
    """A request that is not read at all; `status` is its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by name, the body's before those of the query string.

    `is_gone` tells whether the client has hung up, so that nobody waits for the answer any more.
    """

    fields: Mapping[str, Sequence[str]]
    is_gone: Callable[[], bool] = lambda: False

    def first(self, name: str) -> str:
        """Return the first value, '' if there is none."""
        return next(iter(self.fields.get(name, ())), "")

    def all(self, name: str) -> Sequence[str]:
        return self.fields.get(name, ())


async def parameters_of(request: Request) -> Parameters:
    """Return the request's parameters.

    Raises:
        BadRequest: the body or the query string is too long or no form.
    """
    fields: dict[str, list[str]] = {}
    if request.method == "POST":
        body = await _body_of(request)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type == "application/x-www-form-urlencoded":
            _add(fields, body.decode("utf-8", "replace"))
    _add(fields, request.scope.get("query_string", b"").decode("latin-1"))
    return Parameters(fields)


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise BadRequest(413, f"the request's body is larger than {BODY_BYTES_MAX} bytes")
    return bytes(body)


def _add(fields: dict[str, list[str]], text: str) -> None:
    # A pair that is no pair is passed over, as Go passes over it.
    sound = "&".join(pair for pair in text.split("&", FIELDS_MAX + 1) if not _UNSOUND.search(pair))
    try:
        parsed = parse_qs(sound, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="replace")
    except ValueError:
        raise BadRequest(400, f"error parsing form values: more than {FIELDS_MAX} fields") from None
    for name, values in parsed.items():
        fields.setdefault(name, []).extend(values)
