"""What a game day sets out to see, and what came of each: the checks that a score counts.

The list is fixed by the file before anything runs. A check whose evidence is missing is in it all the same and did not
hold, so passed over planned lies between nothing and all by construction. Pure; `scorecard` works the facts out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.gameday_files import Expectation
from experiments.story import FaultLine
from experiments.verdicts import Verdict

NOT_SEEN = "not seen"
PEOPLES_CHECKS = ("detected by people", "mitigated by people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One expectation and what came of it."""

    what: str
    expected: str
    actual: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What has to be seen, from the file alone.

    Attributes:
        faults: the kinds of the faults of the method, each as often as it is there.
        rps: what users were to ask for at first; where it is 0, silence is no lack of evidence.
        steady_before, steady_after: whether the steady state has to hold before the method, and once all is restored.
        release: the release that was to be deployed, in words; empty: any.
        by_people: people were to notice and to mitigate, so that what the rollout does alone is no check.
        clean_end: whether nothing of the rehearsal may be left when it has ended.
    """

    expect: Expectation
    faults: tuple[str, ...] = ()
    rps: float
    steady_before: bool = False
    steady_after: bool = False
    release: str = ""
    by_people: bool = False
    clean_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The numbers that checks are about; None: not seen.

    Attributes:
        counts: the load generator's verdict on its counts.
        release: the release that was deployed, in words; empty: none was.
        people: the words that people said since harm was done; before, there was nothing to notice.
        left: processes of the rehearsal that still ran when it had ended; None: nobody looked.
    """

    verdict: Verdict
    verdict_s: float | None
    detection_s: float | None
    recovery_s: float | None
    weight_max: float | None
    bad: int | None
    counts: str
    faults: Sequence[FaultLine] = ()
    steady_before: bool | None = None
    steady_after: bool | None = None
    release: str = ""
    people: tuple[str, ...] = ()
    left: tuple[str, ...] | None = None


def score_of(checks: Sequence[Check]) -> int:
    """Return the whole percentage of checks that held, 0 to 100; rounded down, so that 100 means all of them."""
    return 100 * sum(check.held for check in checks) // len(checks) if checks else 0


def checks_of(plan: Plan, facts: Facts) -> tuple[Check, ...]:
    """Return every planned check with what came of it."""
    checks = list(_by_people(facts) if plan.by_people else _by_itself(plan.expect, facts))
    if plan.release:
        actual = facts.release or "none"
        checks.append(Check(what="release", expected=plan.release, actual=actual, held=actual == plan.release))
    if plan.rps > 0:
        held = facts.counts == "valid"
        checks.append(Check(what="load", expected="valid counts", actual=f"{facts.counts} counts", held=held))
    checks += _in_force(plan, facts)
    checks += _restored(plan, facts)
    return tuple(checks)


def _by_people(facts: Facts) -> Iterator[Check]:
    for what in PEOPLES_CHECKS:
        said = what.partition(" ")[0] in facts.people
        yield Check(what=what, expected="said", actual="said" if said else NOT_SEEN, held=said)


def _by_itself(expect: Expectation, facts: Facts) -> Iterator[Check]:
    verdict = facts.verdict.value
    yield Check(what="verdict", expected=expect.verdict, actual=verdict, held=verdict == expect.verdict)
    limits: tuple[tuple[str, float | None, float | None, str], ...] = (
        ("time to the verdict", expect.verdict_within_s, facts.verdict_s, " s"),
        ("detection time", expect.detected_within_s, facts.detection_s, " s"),
        ("recovery time", expect.recovered_within_s, facts.recovery_s, " s"),
        ("largest weight", expect.weight_max, facts.weight_max, " %"),
        ("bad requests", expect.bad_requests_max, facts.bad, ""),
    )
    for what, limit, actual, unit in limits:
        if limit is not None:
            yield Check(
                what=what,
                expected=f"at most {limit:g}{unit}",
                actual=NOT_SEEN if actual is None else f"{actual:.4g}{unit}",
                held=actual is not None and actual <= limit,
            )


def _in_force(plan: Plan, facts: Facts) -> Iterator[Check]:
    began = Counter(fault.kind for fault in facts.faults)
    for kind, times in Counter(plan.faults).items():
        yield Check(
            what=f"{kind} in force",
            expected="once" if times == 1 else f"{times} times",
            actual={0: "never", 1: "once"}.get(began[kind], f"{began[kind]} times"),
            held=began[kind] >= times,
        )


def _restored(plan: Plan, facts: Facts) -> Iterator[Check]:
    if plan.faults or facts.faults:
        lasting = [fault.name for fault in facts.faults if fault.ended_s is None]
        actual = f"not {', '.join(lasting)}" if lasting else "all" if facts.faults else "none was in force"
        yield Check(what="faults restored", expected="all", actual=actual, held=bool(facts.faults) and not lasting)
    for when, planned, seen in (
        ("before", plan.steady_before, facts.steady_before),
        ("after restoring", plan.steady_after, facts.steady_after),
    ):
        if planned:
            actual = {True: "holds", False: "does not hold", None: NOT_SEEN}[seen]
            yield Check(what=f"steady state {when}", expected="holds", actual=actual, held=seen is True)
    if plan.clean_end:
        actual = NOT_SEEN if facts.left is None else ", ".join(facts.left) or "nothing"
        yield Check(what="left behind", expected="nothing", actual=actual, held=facts.left == ())
