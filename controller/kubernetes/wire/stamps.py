"""Times as the API has them: RFC 3339 in UTC. Argo writes whole seconds; ours have milliseconds, which Argo reads too.

A pause that starts at a whole second may end up to a second early. With milliseconds a stored status means what the
decision meant, so a restart from it changes nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FORM = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


def to_millis(t_s: float) -> float:
    """Return the time to the millisecond, as a stamp keeps it. A controller's clock should tell no finer time."""
    return round(t_s * 1000) / 1000


def stamp(t_s: float) -> str:
    """Return unix seconds as a stamp: 2026-11-24T14:00:00Z, with milliseconds where there are any."""
    millis = round(t_s * 1000)
    whole = datetime.fromtimestamp(millis // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    rest = millis % 1000
    return f"{whole}.{rest:03d}Z" if rest else f"{whole}Z"


def seconds_of(text: str) -> float:
    """Return a stamp as unix seconds.

    Raises:
        ValueError: it is no RFC 3339 time.
    """
    if not _FORM.match(text):
        raise ValueError(f"{text!r} is not an RFC 3339 time, as 2026-11-24T14:00:00Z")
    # Go writes up to nine digits; datetime knows six.
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(trimmed).timestamp()


def maybe_seconds(value: object) -> float | None:
    """Return a stamp as unix seconds, or None where there is none."""
    return seconds_of(value) if isinstance(value, str) and value else None
