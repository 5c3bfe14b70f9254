"""The checklist itself: which questions there are, in which order, and what answers each.

To add a question, write a module with a function from a case to findings and name it in `QUESTIONS`. Two are to come:
what a linter finds in the policy, and what an audit finds in the flags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from experiments.readiness.answers import Answer, Finding, Item
from experiments.readiness.budget import check_budget
from experiments.readiness.case import Case
from experiments.readiness.dashboards import check_dashboards
from experiments.readiness.drills import check_abort_path
from experiments.readiness.live_series import check_live_series
from experiments.readiness.overrides import check_overrides
from experiments.readiness.people import check_people
from experiments.readiness.separation import check_queries
from experiments.readiness.slos import check_objectives
from experiments.readiness.switches import check_switches

Check = Callable[[Case], tuple[Finding, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One item of the checklist; all of its checks have to be yes."""

    name: str
    text: str
    checks: tuple[Check, ...]


QUESTIONS = (
    Question(name="objectives", text="One availability SLO and one latency SLO at least", checks=(check_objectives,)),
    Question(
        name="separation",
        text="Metrics and dashboards separate the canary from stable",
        checks=(check_queries, check_dashboards, check_live_series),
    ),
    Question(
        name="abort-path",
        text="The abort path was drilled within 30 days on these manifests, and passed",
        checks=(check_abort_path,),
    ),
    Question(name="people", text="Owner and runbook are named and can be reached", checks=(check_people,)),
    Question(
        name="overrides", text="Manual override steps are written down and were each used", checks=(check_overrides,)
    ),
    Question(name="kill-switches", text="Kill switches were drilled", checks=(check_switches,)),
    Question(name="budget", text="Simulated losses are within the team's budget", checks=(check_budget,)),
    # Here come "lint" (findings of the linter) and "flags" (the audit of feature flags).
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """Every question with its answer."""

    rollout: str
    items: tuple[Item, ...]

    @property
    def ready(self) -> bool:
        """Whether auto-promotion may be switched on: every answer is yes."""
        return bool(self.items) and all(item.answer is Answer.YES for item in self.items)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        open_items = [item for item in self.items if item.answer is not Answer.YES]
        if self.ready:
            return f"Auto-promotion of {self.rollout} may be switched on: all {len(self.items)} items are yes."
        named = ", ".join(f"{item.name} ({item.answer.value})" for item in open_items)
        return (
            f"Auto-promotion of {self.rollout} may not be switched on: "
            f"{len(open_items)} of {len(self.items)} items are not yes: {named}."
        )


def answer_all(case: Case) -> Checklist:
    """Answer every question of the checklist.

    Raises:
        CaseError: a file that was named cannot be read.
        AddressError: the Prometheus' address is no URL.
    """
    return Checklist(rollout=case.policy.rollout.name, items=tuple(_items(case)))


def _items(case: Case) -> Iterator[Item]:
    for question in QUESTIONS:
        findings = tuple(finding for check in question.checks for finding in check(case))
        yield Item(name=question.name, question=question.text, findings=findings)
