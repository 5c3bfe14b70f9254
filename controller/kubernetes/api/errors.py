"""What an API server can answer instead of what was asked for, as types: each is handled in another way."""

from __future__ import annotations

import json
from typing import Any


class ApiError(Exception):
    """A request failed.

    Attributes:
        status: HTTP status; 0 where the server did not answer at all.
        reason: the server's one-word reason, as NotFound.
        request: method and path, for messages.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", request: str = "") -> None:
        super().__init__(f"{request}: {message}" if request else message)
        self.message, self.status, self.reason, self.request = message, status, reason, request


class NotFoundError(ApiError):
    """There is no such object, or no such kind of object."""


class ConflictError(ApiError):
    """Somebody changed the object since it was read: read it again and decide again."""


class AlreadyExistsError(ApiError):
    """An object of this name is there already."""


class GoneError(ApiError):
    """The place in history from which a watch should go on is too old: list again."""


class ForbiddenError(ApiError):
    """The credentials do not allow this verb on this resource, or there are none."""


class InvalidError(ApiError):
    """The server refuses the object's content."""


class UnavailableError(ApiError):
    """The server is away, overloaded or broken: the same request may succeed later."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: UnavailableError,
}


def error_of(status: int, body: bytes | dict[str, Any], request: str) -> ApiError:
    """Return the error that an answer is.

    Args:
        body: a Status object of the API, as bytes or parsed; anything else becomes the message as it is.
    """
    said = _parsed(body)
    reason = str(said.get("reason", ""))
    message = str(said.get("message", "")) or f"the API server answered {status}"
    kind = _BY_STATUS.get(status, UnavailableError if status >= 500 else ApiError)
    if reason == "AlreadyExists":
        kind = AlreadyExistsError
    elif reason in ("Expired", "Gone"):
        kind = GoneError
    return kind(message, status=status, reason=reason, request=request)


def _parsed(body: bytes | dict[str, Any]) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    try:
        found = json.loads(body)
    except ValueError:
        return {"message": body[:300].decode("utf-8", "replace").strip()}
    return found if isinstance(found, dict) else {}
