"""The two hashes by which Argo Rollouts knows a pod template and a list of steps.

With the same letters in labels and statuses, a rollout can change hands between the two controllers in mid-life:
neither restarts its pods nor its steps. Pure.
"""

from __future__ import annotations

from typing import Any

from controller.kubernetes.wire.go_json import go_json

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels, so that no word comes of it


def pod_template_hash(template: dict[str, Any], collision_count: int | None = None) -> str:
    """Return the hash of a pod template.

    Args:
        collision_count: the rollout's `status.collisionCount`: how many names were found taken; None: it has none.
    Raises:
        NotAsTypedError: it is no pod template.
    """
    written = go_json(template, "PodTemplateSpec").encode()
    if collision_count is not None:
        written += collision_count.to_bytes(8, "little")
    return _spelled(_fnv32a(written))


def steps_hash(steps: list[Any] | None) -> str:
    """Return the hash of a canary's steps; none at all and an empty list are the same.

    Raises:
        NotAsTypedError: they are no steps.
    """
    return _spelled(_fnv32a(go_json(steps or None, "[]CanaryStep").encode()))


def _fnv32a(data: bytes) -> int:
    number = 2166136261
    for byte in data:
        number = ((number ^ byte) * 16777619) & 0xFFFFFFFF
    return number


def _spelled(number: int) -> str:
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(number))
