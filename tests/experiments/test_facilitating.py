"""What a facilitator types, and what becomes of it."""

from __future__ import annotations

import pytest

from controller.core.operator import Word
from experiments.checks import Facts, Plan, checks_of
from experiments.events import Deployed, Event, FaultBegan, PersonSpoke
from experiments.facilitating import Line, WordError, parse_line
from experiments.gameday_files import Expectation
from experiments.story import person_lines
from experiments.verdicts import Verdict


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("detected pager, p95 alert\n", Line(word="detected", text="pager, p95 alert")),
        ("Mitigated\n", Line(word="mitigated")),
        ("note  who owns this?", Line(word="note", text="who owns this?")),
        ("over", Line(word="over")),
        ("say abort", Line(word="note", text="said abort", operator=Word.ABORT)),
    ],
)
def test_a_line_is_a_word_and_its_text(typed: str, line: Line) -> None:
    assert parse_line(typed) == line


@pytest.mark.parametrize(
    ("typed", "said"), [("detcted", "not understood"), ("say please", "the rollout knows promote"), ("say", "knows")]
)
def test_a_line_that_is_not_understood_says_what_would_be(typed: str, said: str) -> None:
    with pytest.raises(WordError, match=said):
        parse_line(typed)


def test_people_are_timed_from_the_first_harm() -> None:
    events: list[Event] = [
        Deployed(t_s=100.0, role="under test", pod_hash="b", release="a good release"),
        PersonSpoke(t_s=110.0, word="note", text="ready"),
        FaultBegan(t_s=130.0, fault="f", kind="f", detail="", lease_ends_s=200.0),
        PersonSpoke(t_s=175.0, word="detected", text="pager"),
    ]
    early, detected = person_lines(events, 100.0)
    assert (early.t_s, early.since_harm_s) == (10.0, None)
    assert (detected.t_s, detected.since_harm_s) == (75.0, 45.0)


def test_when_people_are_drilled_their_words_are_checks_and_the_verdict_of_the_rollout_is_none() -> None:
    plan = Plan(expect=Expectation(verdict="aborted", detected_within_s=10), rps=0.0, by_people=True)
    facts = Facts(
        verdict=Verdict.PROMOTED,
        verdict_s=None,
        detection_s=None,
        recovery_s=None,
        weight_max=None,
        bad=None,
        counts="valid",
        people=("note", "detected"),
    )
    assert [(check.what, check.held) for check in checks_of(plan, facts)] == [
        ("detected by people", True),
        ("mitigated by people", False),
    ]
