"""What an item of the checklist says: yes, no or unknown, on which findings, and what to do next.

Pure. The answer follows from the findings and from nothing else, so that no item can be yes on missing evidence: one
no is a no, one unknown is unknown, and an item that found nothing at all is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Answer(Enum):
    """What is known of a question. Unknown is never taken for yes."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        text: what was found, with its place.
        next_step: what to do about it; "" where it is fine.
    """

    answer: Answer
    text: str
    next_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of the checklist with all that was found."""

    name: str
    question: str
    findings: tuple[Finding, ...]

    @property
    def answer(self) -> Answer:
        """The worst of the findings; unknown without any."""
        return worst(self.findings)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to do, each once."""
        return tuple(dict.fromkeys(one.next_step for one in self.findings if one.next_step))


def worst(findings: Sequence[Finding]) -> Answer:
    """Return no if one finding is no, else unknown if one is or there is none, else yes."""
    answers = {one.answer for one in findings}
    if Answer.NO in answers:
        return Answer.NO
    return Answer.YES if answers == {Answer.YES} else Answer.UNKNOWN


def yes(text: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(answer=Answer.YES, text=text)


def no(text: str, next_step: str) -> Finding:
    """Return a finding that is not as it should be."""
    return Finding(answer=Answer.NO, text=text, next_step=next_step)


def unknown(text: str, next_step: str) -> Finding:
    """Return a finding whose evidence is missing."""
    return Finding(answer=Answer.UNKNOWN, text=text, next_step=next_step)
