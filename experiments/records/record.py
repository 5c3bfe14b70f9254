"""One rehearsal as it is kept: what was planned, what was seen, and with what exactly.

A record is a JSON file (docs/gameday-files.md has its schema). `inputs_sha256` covers everything that was put in
(manifests, versions, seed, speed, world), so that two records can be compared; `sha256` covers the record, so that one
that was changed by hand is no evidence any more. Keeps out files and folders, which `keeping` knows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.checks import PEOPLES_CHECKS
from experiments.report.writing import Rehearsed, plain
from experiments.scorecard import Scorecard
from experiments.story import operator_lines

SCHEMA = "gamebird.dev/gameday-record/v1"
_HASH = "sha256"


class NoEvidenceError(ValueError):
    """A rehearsal of which no record may be made, because nothing may be learnt from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a record's file says, as far as histories and readiness read it; `data` is all of it.

    Attributes:
        started_at: RFC 3339, the wall's time.
        world: local or cluster.
        score: percentage of the planned checks that held with evidence.
        manifests_sha256: of the policy's files alone, whatever they are called.
    """

    game_day: str
    title: str
    policy: str
    world: str
    started_at: str
    verdict: str
    expected: str
    score: int
    passed: int
    planned: int
    manifests_sha256: str
    data: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """Whether every check held."""
        return self.passed == self.planned

    @property
    def by_people(self) -> bool:
        """Whether people were to notice and mitigate, so that it says nothing of what the rollout does by itself."""
        return any(check["what"] in PEOPLES_CHECKS for check in self.data["checks"])


def record_of(rehearsed: Rehearsed, *, world: str) -> dict[str, Any]:
    """Return the record of a rehearsal as plain values, its own hash included.

    Raises:
        NoEvidenceError: its load was not as planned.
    """
    card = rehearsed.card
    score = card.score
    if score is None:
        raise NoEvidenceError(f"{card.game_day}, {card.policy}: {'; '.join(card.void_because)}")
    made = card.provenance
    manifests = {name: digest for name, digest in made.inputs.items() if name != made.game_day_file}
    inputs = {
        "game_day_sha256": made.inputs.get(made.game_day_file, ""),
        "manifests": manifests,
        "manifests_sha256": digest_of(sorted(manifests.values())),
        "versions": made.versions,
        "seed": made.seed,
        "speed": made.speed,
        "world": world,
        "metrics_server": made.metrics_server,
    }
    data: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "game_day": card.game_day,
            "title": card.title,
            "policy": card.policy,
            "world": world,
            "started_at": made.started_at,
            "machine": made.machine,
            "release": card.release,
            "expected": card.expected,
            "verdict": card.verdict,
            "score": score,
            "passed": sum(check.held for check in card.checks),
            "planned": len(card.checks),
            "checks": card.checks,
            "observed": _observed(card),
            "predicted": rehearsed.prediction,
            "faults": card.faults,
            "people": card.people,
            "operator": operator_lines(rehearsed.events),
            "inputs": inputs,
            "inputs_sha256": digest_of(inputs),
        }
    )
    return {**data, _HASH: digest_of(data)}


def read_record(data: Any) -> Record:
    """Return the record in plain values.

    Raises:
        ValueError: it is none, it was changed since it was written, or its numbers are not those of its checks.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"not a record of schema {SCHEMA}")
    content = {name: value for name, value in data.items() if name != _HASH}
    if digest_of(content) != data.get(_HASH):
        raise ValueError("changed since it was written, so it is no evidence")
    held = [_held(check) for check in data["checks"]]
    numbers = (data["score"], data["passed"], data["planned"])
    if not held or numbers != (100 * sum(held) // len(held), sum(held), len(held)):
        raise ValueError("its score is not that of its checks, so it is no evidence")
    return Record(
        **{name: data[name] for name in ("game_day", "title", "policy", "world", "started_at", "verdict", "expected")},
        **{name: data[name] for name in ("score", "passed", "planned")},
        manifests_sha256=data["inputs"]["manifests_sha256"],
        data=data,
    )


def digest_of(value: Any) -> str:
    """Return the SHA-256 of plain values, the same wherever they are computed."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _held(check: Any) -> bool:
    held = check.get("held") if isinstance(check, dict) else None
    if not isinstance(held, bool):
        raise ValueError("it holds a check that neither held nor failed")
    return held


def _observed(card: Scorecard) -> dict[str, Any]:
    return {
        "verdict_s": card.verdict_s,
        "detection_s": card.detection_s,
        "recovery_s": card.recovery_s,
        "weight_max": card.weight_max,
        "requests": card.requests,
        "bad_requests": card.bad,
        "bad_requests_of_the_release": card.bad_by_release,
        "bad_until_verdict": card.bad_until_verdict,
    }
