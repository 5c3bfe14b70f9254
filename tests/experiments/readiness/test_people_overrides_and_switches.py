"""Items 4 to 6: owner and runbook, the words of an override, kill switches."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from team_repository import ANNOTATIONS, FLAG, RUNBOOK, TeamRepository, team_repository

from experiments.readiness.answers import Answer, worst
from experiments.readiness.case import Case
from experiments.readiness.overrides import check_overrides
from experiments.readiness.people import check_people
from experiments.readiness.switches import check_switches
from experiments.records.keeping import read_records
from experiments.records.record import digest_of

CaseOf = Callable[..., Case]


@pytest.mark.parametrize(
    ("owner", "runbook", "expected"),
    [
        ("team-orders", "docs/runbook.md", (Answer.YES, Answer.YES)),
        ("@acme/orders", "./docs/runbook.md", (Answer.YES, Answer.YES)),
        ("docs/owners.md", "docs/other.md", (Answer.NO, Answer.NO)),
        ("https://example.com/team", "https://example.com/runbook", (Answer.UNKNOWN, Answer.UNKNOWN)),
        ("team-orders", "docs", (Answer.YES, Answer.NO)),  # a folder tells nobody what to do
        ("team-orders", "../outside.md", (Answer.YES, Answer.NO)),  # there, and not in the repository
    ],
)
def test_owner_and_runbook_are_names_or_files_of_the_repository(
    tmp_path: Path, now: datetime, case_of: CaseOf, owner: str, runbook: str, expected: tuple[Answer, Answer]
) -> None:
    (tmp_path / "outside.md").write_text(RUNBOOK, encoding="utf-8")
    notes = ANNOTATIONS | {"owner": owner, "runbook": runbook}
    found = check_people(case_of(team_repository(tmp_path / "team", now=now, annotations=notes)))
    assert tuple(one.answer for one in found) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kubectl argo rollouts abort orders-api", "gamebird rollout abort orders-api", Answer.YES),
        ("kubectl argo rollouts abort orders-api", "kubectl gamebird abort orders-api", Answer.YES),
        ("argo rollouts abort", "argo rollouts -n production abort", Answer.YES),
        ("kubectl argo rollouts abort orders-api", "never abort by hand", Answer.NO),  # prose is no command
        ("argo rollouts retry", "argo rollouts status", Answer.NO),
    ],
)
def test_a_runbook_needs_a_command_for_each_word(
    repository: TeamRepository, case_of: CaseOf, old: str, new: str, expected: Answer
) -> None:
    repository.replace("docs/runbook.md", old, new)
    assert worst(check_overrides(case_of(repository))) is expected


def test_words_may_come_from_several_drills_and_those_left_are_named(
    repository: TeamRepository, now: datetime, case_of: CaseOf
) -> None:
    repository.forget_drills()
    repository.drill(now - timedelta(days=2), words=("pause", "abort"))
    repository.drill(now - timedelta(days=1), words=("promote",))
    written, used, left = check_overrides(case_of(repository))
    assert (written.answer, used.answer, left.answer) == (Answer.YES, Answer.YES, Answer.NO)
    assert left.text.endswith("of these manifests: retry")


def test_a_record_from_before_words_were_kept_leaves_them_unknown(
    repository: TeamRepository, now: datetime, case_of: CaseOf
) -> None:
    for file in repository.records.glob("*.json"):
        data = json.loads(file.read_text(encoding="utf-8"))
        old = {name: value for name, value in data.items() if name not in ("operator", "sha256")}
        file.write_text(json.dumps(old | {"sha256": digest_of(old)}), encoding="utf-8")
    assert read_records(repository.records).refused == ()
    _, left = check_overrides(case_of(repository))
    assert left.answer is Answer.UNKNOWN
    assert "do not say what operators did" in left.text


def test_what_people_typed_on_a_cluster_is_not_known(
    repository: TeamRepository, now: datetime, case_of: CaseOf
) -> None:
    repository.forget_drills()
    repository.drill(now - timedelta(days=1), world="cluster")
    _, left = check_overrides(case_of(repository))
    assert left.answer is Answer.UNKNOWN


def test_a_record_has_the_words_with_seconds_since_the_deployment(repository: TeamRepository) -> None:
    *_, record = read_records(repository.records).records
    said = [(line["word"], line["t_s"]) for line in record.data["operator"]]
    # deployed at 20 s; the words at 50 s, 51 s, …
    assert said == [("pause", 30.0), ("resume", 31.0), ("abort", 32.0), ("retry", 33.0), ("promote-full", 34.0)]


@pytest.mark.parametrize(
    ("named", "expected"),
    [(FLAG, Answer.YES), ("none", Answer.YES), ("another-flag", Answer.NO), (f"{FLAG}, another-flag", Answer.NO)],
)
def test_every_switch_that_is_named_was_flipped_or_none_is_there_by_the_teams_word(
    tmp_path: Path, now: datetime, case_of: CaseOf, named: str, expected: Answer
) -> None:
    notes = ANNOTATIONS | {"kill-switches": named}
    case = case_of(team_repository(tmp_path / "team", now=now, annotations=notes))
    assert worst(check_switches(case)) is expected


def test_a_switch_that_was_flipped_in_a_drill_that_failed_was_not_drilled(
    repository: TeamRepository, now: datetime, case_of: CaseOf
) -> None:
    repository.forget_drills()
    repository.drill(now - timedelta(days=1), planned_faults=("flip", "kill_pods"))  # the second never came
    assert worst(check_switches(case_of(repository))) is Answer.NO
