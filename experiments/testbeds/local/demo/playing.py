"""Which releases the demo service can play. What it cannot is refused by name, never played as something milder."""

from __future__ import annotations

from sim.releases import Release


class UnplayableError(ValueError):
    """A release that only a simulation can play: which fields, and why."""


def check_playable(release: Release) -> None:
    """Do nothing if the demo service can play this release.

    Raises:
        UnplayableError: it cannot; every reason at once.
    """
    found = [f"{field}: {why}" for field, why in unplayable(release)]
    if found:
        raise UnplayableError("the demo service cannot play " + "; ".join(found) + ". A simulation can")


def unplayable(release: Release) -> tuple[tuple[str, str], ...]:
    """Return the fields of a release that the demo service cannot play, each with the reason."""
    reasons = [
        ("wrong", release.wrong > 0, "no metric and no status shows a wrong answer, so a rehearsal could not count it"),
        (
            "error_status",
            release.error_status < 500 and _fails(release),
            "a rehearsal counts answers of 500 and above as bad",
        ),
        ("leak.memory_bytes_per_minute", release.leak.memory_bytes_per_minute > 0, "its pods take no memory"),
        ("memory_limit_bytes", release.memory_limit_bytes is not None, "no one measures its pods' memory"),
        ("cpu_factor", release.cpu_factor != 1, "its requests take no CPU"),
    ]
    return tuple((field, why) for field, is_set, why in reasons if is_set)


def _fails(release: Release) -> bool:
    return bool(release.errors or release.errors_at or release.every_nth is not None or release.leak.errors_per_minute)
