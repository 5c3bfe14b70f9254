"""The whole checklist: yes on a complete repository, and every piece of evidence that is missing ends the yes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from team_repository import ANNOTATIONS, EXAMPLE, TeamRepository, team_repository

from experiments.readiness.answers import Answer, Finding, Item
from experiments.readiness.case import Case
from experiments.readiness.checklist import QUESTIONS, Checklist, answer_all
from experiments.readiness.drills import check_abort_path
from experiments.readiness.wording import as_json, as_markdown

CaseOf = Callable[..., Case]
WITHOUT_BUDGET = {name: text for name, text in ANNOTATIONS.items() if name != "budget"}  # so that nothing is simulated


def answers(case: Case, *, leave_out: tuple[str, ...] = ("budget",)) -> dict[str, Answer]:
    """Return the answer of each item; the budget, which simulates, is left out unless asked for."""
    asked = [question for question in QUESTIONS if question.name not in leave_out]
    return {
        one.name: Item(
            name=one.name, question=one.text, findings=tuple(found for check in one.checks for found in check(case))
        ).answer
        for one in asked
    }


def test_a_complete_repository_is_ready(repository: TeamRepository, case_of: CaseOf) -> None:
    checklist = answer_all(case_of(repository))
    assert {item.name: item.answer for item in checklist.items} == {one.name: Answer.YES for one in QUESTIONS}
    assert checklist.ready
    assert checklist.sentence == "Auto-promotion of orders-api may be switched on: all 7 items are yes."


def test_a_yes_needs_a_finding_and_no_finding_that_is_not_yes() -> None:
    kinds = {answer: Finding(answer=answer, text="") for answer in Answer}
    worth = {
        (): Answer.UNKNOWN,
        (Answer.YES,): Answer.YES,
        (Answer.YES, Answer.UNKNOWN): Answer.UNKNOWN,
        (Answer.UNKNOWN, Answer.NO, Answer.YES): Answer.NO,
    }
    for found, expected in worth.items():
        assert Item(name="", question="", findings=tuple(kinds[one] for one in found)).answer is expected
    assert not Checklist(rollout="x", items=()).ready


@pytest.mark.parametrize(
    ("missing", "item", "expected"),
    [
        ("owner", "people", Answer.NO),
        ("runbook", "people", Answer.NO),
        ("runbook", "overrides", Answer.UNKNOWN),
        ("kill-switches", "kill-switches", Answer.UNKNOWN),
        ("budget", "budget", Answer.NO),
    ],
)
def test_without_an_annotation_its_item_is_no_yes(
    tmp_path: Path, now: datetime, case_of: CaseOf, missing: str, item: str, expected: Answer
) -> None:
    rest = {name: text for name, text in ANNOTATIONS.items() if name != missing}
    case = case_of(team_repository(tmp_path / "team", now=now, annotations=rest))
    assert answers(case, leave_out=() if item == "budget" else ("budget",))[item] is expected


DRILLED = ("abort-path", "overrides", "kill-switches")


def test_a_drill_of_thirty_one_days_ago_is_none(tmp_path: Path, now: datetime, case_of: CaseOf) -> None:
    fresh = case_of(team_repository(tmp_path / "fresh", now=now, age=timedelta(days=30)))
    assert {answers(fresh)[item] for item in DRILLED} == {Answer.YES}
    old = case_of(team_repository(tmp_path / "old", now=now, age=timedelta(days=31)))
    found = answers(old)
    assert [found[item] for item in DRILLED] == [Answer.NO, Answer.UNKNOWN, Answer.NO]


def test_a_drill_from_the_future_is_none(tmp_path: Path, now: datetime, case_of: CaseOf) -> None:
    found = answers(case_of(team_repository(tmp_path / "team", now=now, age=timedelta(days=-1))))
    assert Answer.YES not in {found[item] for item in DRILLED}


def test_without_records_nothing_was_drilled(repository: TeamRepository, case_of: CaseOf) -> None:
    repository.forget_drills()
    found = answers(case_of(repository))
    assert [found[item] for item in DRILLED] == [Answer.NO, Answer.UNKNOWN, Answer.NO]


def test_a_record_that_was_changed_by_hand_counts_for_nothing(repository: TeamRepository, case_of: CaseOf) -> None:
    for file in repository.records.glob("*.json"):
        data = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(data | {"started_at": "2026-03-30T00:00:00Z"}), encoding="utf-8")
    case = case_of(repository)
    found = answers(case)
    assert [found[item] for item in DRILLED] == [Answer.UNKNOWN, Answer.UNKNOWN, Answer.NO]
    [finding] = check_abort_path(case)
    assert f"{file.name}: changed since it was written" in finding.text


def test_a_pass_is_worth_nothing_beside_a_later_failure_or_a_record_that_cannot_be_believed(
    repository: TeamRepository, now: datetime, case_of: CaseOf
) -> None:
    later = repository.drill(now - timedelta(days=1), planned_faults=("flip", "kill_pods"))  # the second never came
    assert answers(case_of(repository))["abort-path"] is Answer.NO
    later.write_text("{}", encoding="utf-8")
    assert answers(case_of(repository))["abort-path"] is Answer.UNKNOWN
    later.unlink()
    assert answers(case_of(repository))["abort-path"] is Answer.YES


def test_an_abort_that_a_person_asked_for_proves_nothing_of_the_abort_path(
    repository: TeamRepository, now: datetime, case_of: CaseOf
) -> None:
    repository.forget_drills()
    repository.drill(now - timedelta(days=1), words=("abort",))
    assert answers(case_of(repository))["abort-path"] is Answer.NO
    repository.forget_drills()
    repository.drill(now - timedelta(days=1), by_people=True)
    assert answers(case_of(repository))["abort-path"] is Answer.NO
    repository.drill(now - timedelta(days=1))
    assert answers(case_of(repository))["abort-path"] is Answer.YES


@pytest.mark.parametrize("name", ["rollout.yaml", "analysis-template.yaml", "routing.yaml"])
def test_a_manifest_that_changed_since_its_drill_was_never_drilled(
    repository: TeamRepository, case_of: CaseOf, name: str
) -> None:
    file = repository.root / "deploy" / name
    file.write_text(file.read_text(encoding="utf-8") + "# one more remark\n", encoding="utf-8")
    found = answers(case_of(repository))
    assert [found[item] for item in DRILLED] == [Answer.NO, Answer.UNKNOWN, Answer.NO]


def test_the_guides_files_are_not_ready_and_what_is_missing_is_named(tmp_path: Path, case_of: CaseOf) -> None:
    folder = tmp_path / "team" / "deploy"
    folder.mkdir(parents=True)
    for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml"):
        (folder / name).write_text((EXAMPLE / name).read_text(encoding="utf-8"), encoding="utf-8")
    case = case_of(TeamRepository(root=tmp_path / "team"))
    checklist = answer_all(case)
    assert not checklist.ready
    assert {item.name: item.answer.value for item in checklist.items} == {
        "objectives": "yes",
        "separation": "no",
        "abort-path": "no",
        "people": "no",
        "overrides": "unknown",
        "kill-switches": "unknown",
        "budget": "no",
    }
    assert "6 of 7 items are not yes: separation (no), abort-path (no)" in checklist.sentence
    steps = " ".join(step for item in checklist.items for step in item.next_steps)
    for wanted in ("owner", "runbook", "kill-switches", "budget"):
        assert f"gamebird.dev/{wanted}" in steps
    assert all(item.next_steps for item in checklist.items if item.answer is not Answer.YES)


def test_json_and_markdown_hold_every_item_its_answer_and_what_to_do(
    tmp_path: Path, now: datetime, case_of: CaseOf
) -> None:
    repository = team_repository(tmp_path / "team", now=now, annotations=WITHOUT_BUDGET)
    repository.forget_drills()
    case = case_of(repository)
    checklist = answer_all(case)
    document = as_json(case, checklist)
    assert document["ready"] is False
    assert [item["name"] for item in document["items"]] == [one.name for one in QUESTIONS]
    comment = as_markdown(case, checklist)
    assert comment.startswith("<!-- gamebird ready -->\n### ❌ Auto-promotion of orders-api may not be")
    rows = [line for line in comment.splitlines() if line.startswith(("| ✅", "| ❌"))]
    assert len(rows) == 6  # the seventh, overrides, is unknown
    assert all(line.count(" | ") == 3 for line in rows)


def test_what_a_manifest_says_cannot_break_out_of_the_markdown(tmp_path: Path, now: datetime, case_of: CaseOf) -> None:
    notes = WITHOUT_BUDGET | {"owner": "a | b <img src=x> @everyone [x](y)"}
    case = case_of(team_repository(tmp_path / "team", now=now, annotations=notes))
    comment = as_markdown(case, answer_all(case))
    assert "owner: a \\| b &lt;img src=x&gt; &#64;everyone \\[x\\](y)" in comment
