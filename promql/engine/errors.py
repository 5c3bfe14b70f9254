"""What can go wrong with an evaluation, typed as the HTTP API types it."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """The `errorType` of the HTTP API."""

    BAD_DATA = "bad_data"
    """The query is wrong, whatever the data."""
    EXECUTION = "execution"
    """The query met data for which it has no answer, or it asks for too much."""
    TIMEOUT = "timeout"
    CANCELED = "canceled"


class PromQLError(Exception):
    """A query has no answer; `kind` says whose fault that is."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
