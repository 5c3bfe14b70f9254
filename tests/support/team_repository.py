"""A team's repository in which every item of `gamebird ready` is a yes, to be spoilt one by one.

The policy is the corrected one of the example with the annotations that a team adds. The record of its drill is worked
out by the scorecard from a few events and twenty requests, and written by the writer that game days use.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from rehearsed_events import CANARY, COLUMNS, STABLE, request, status

from experiments.events import Deployed, Event, FaultBegan, FaultEnded, OperatorSpoke, WeightSet
from experiments.gameday_files import Expectation
from experiments.provenance import Provenance
from experiments.records.keeping import keep_record
from experiments.report.series import series_of
from experiments.report.writing import Rehearsed
from experiments.scorecard import Evidence, score

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "orders-api"
FLAG = "recommender-v2-enabled"
ANNOTATIONS = {
    "owner": "team-orders",
    "runbook": "docs/runbook.md",
    "kill-switches": FLAG,
    "budget": "miss=5%, false-abort=5%, bad-requests=500",
}
RUNBOOK = """# orders-api

    kubectl argo rollouts pause orders-api
    kubectl argo rollouts abort orders-api
    kubectl argo rollouts retry rollout orders-api
    kubectl argo rollouts promote orders-api
"""
DASHBOARD = """{"title": "orders", "panels": [{"title": "Errors", "targets": [
  {"expr": "sum by (pod_template_hash) (rate(http_requests_total{status=~\\"5..\\"}[$__rate_interval]))"}]}]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRepository:
    """A folder with manifests, runbook, dashboard and records."""

    root: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifests."""
        return tuple(self.root / "deploy" / name for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml"))

    @property
    def records(self) -> Path:
        """Where records are."""
        return self.root / "gamedays" / "records"

    def drill(self, started_at: datetime, *, words: tuple[str, ...] = (), world: str = "local", **changes: Any) -> Path:
        """Keep the record of a drill in which a bad release was aborted, a flag flipped, and these words said."""
        evidence = _evidence(self.files, started_at, words, changes)
        rehearsed = Rehearsed(
            card=score(evidence),
            series=series_of(evidence.events, evidence.requests, ended_s=evidence.ended_s),
            events=evidence.events,
            journal={},
        )
        return keep_record(self.records, rehearsed, world=world)

    def forget_drills(self) -> None:
        """Remove every record."""
        for file in self.records.glob("*.json"):
            file.unlink()

    def replace(self, name: str, old: str, new: str) -> None:
        """Change a file below the root."""
        file = self.root / name
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")


def team_repository(
    root: Path, *, now: datetime, annotations: dict[str, str] | None = None, age: timedelta = timedelta(days=3)
) -> TeamRepository:
    """Write the repository, its drill of some days ago included."""
    made = TeamRepository(root=root)
    for folder in (".git", "deploy", "docs"):
        (root / folder).mkdir(parents=True)
    notes = ANNOTATIONS if annotations is None else annotations
    lines = "".join(f'    gamebird.dev/{name}: "{text}"\n' for name, text in notes.items())
    rollout = (EXAMPLE / "corrected" / "rollout.yaml").read_text(encoding="utf-8")
    named = "  name: orders-api\n"
    (root / "deploy" / "rollout.yaml").write_text(
        rollout.replace(named, f"{named}  annotations:\n{lines}" if lines else named, 1), encoding="utf-8"
    )
    for source in (EXAMPLE / "corrected" / "analysis-template.yaml", EXAMPLE / "routing.yaml"):
        (root / "deploy" / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (root / "docs" / "runbook.md").write_text(RUNBOOK, encoding="utf-8")
    (root / "deploy" / "orders.json").write_text(DASHBOARD, encoding="utf-8")
    made.drill(now - age)
    made.drill(now - age + timedelta(minutes=5), words=("pause", "resume", "abort", "retry", "promote-full"))
    return made


def _evidence(
    files: tuple[Path, ...], started_at: datetime, words: tuple[str, ...], changes: dict[str, Any]
) -> Evidence:
    values: dict[str, Any] = {
        "game_day": "errors",
        "title": "A release with errors",
        "policy": "given",
        "release": "5 % errors",
        "expect": Expectation(verdict="aborted"),
        "events": _events(words),
        "requests": _requests(),
        "validity": {half: {"outcome": "valid", "reasons": []} for half in ("counts", "latency")},
        "slow_after_s": 1.0,
        "speed": 20.0,
        "rps": 1.0,
        "ended_s": 80.0,
        "provenance": Provenance(
            started_at=started_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            speed=20.0,
            seed=1,
            versions={"gamebird": "0"},
            machine="Linux",
            metrics_server="embedded",
            inputs={str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        ),
    }
    return Evidence(**(values | changes))


def _events(words: tuple[str, ...]) -> tuple[Event, ...]:
    """Stable from 0 s, the release at 20 s, a flag flipped at 40 s, the words from 50 s on, the abort at 60 s."""
    said = tuple(OperatorSpoke(t_s=50.0 + index, word=word, effect="") for index, word in enumerate(words))
    return (
        Deployed(t_s=0.0, role="stable", pod_hash=STABLE, release="a good release"),
        status(1.0, phase="Healthy", current_hash=STABLE),
        Deployed(t_s=20.0, role="under test", pod_hash=CANARY, release="5 % errors"),
        status(21.0),
        WeightSet(t_s=22.0, canary=10, total=100, canary_hash=CANARY, stable_hash=STABLE),
        FaultBegan(
            t_s=40.0, fault="flip", kind="set_flag", detail=f"the flag {FLAG} is off for everybody", lease_ends_s=70.0
        ),
        *said,
        status(60.0, phase="Degraded", aborted=True, message="RolloutAborted"),
        WeightSet(t_s=60.5, canary=0, total=100, canary_hash=CANARY, stable_hash=STABLE),
        FaultEnded(t_s=70.0, fault="flip", why="lease"),
    )


def _requests() -> pd.DataFrame:
    """One request a second from 20 s to 79 s; those at 30 s, 40 s and 50 s met the release, the last one failed."""
    rows = []
    for at_s in range(20, 80):
        revision = CANARY if at_s in (30, 40, 50) else STABLE
        rows.append(request(float(at_s), revision, status=500 if at_s == 50 else 200))
    return pd.DataFrame(rows, columns=COLUMNS)
