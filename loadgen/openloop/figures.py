"""What a run's records say: figures by revision and route, and whether the run may be believed at all.

Two latencies: from the intended instant (what a user who arrived then has waited) and from the sent one (what
the service took). They differ by the generator's own lag and by what a slow generator would hide. Quantiles are
exact, over every request, and always a latency that was measured. Pure: rows in, figures out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen.openloop.records import Failure, Rows

BAD_STATUS_FROM = 500
"""Statuses from here on are the service's failure; below are answers, wanted or not."""

DUE_SHARE = 0.01
"""Counts hold when at most this share of what was due was not sent, not sent in time, or cut off."""

ON_TIME_S = 1.0
"""A request sent later than this, in policy seconds, counts in another second of the measured rate."""

LAG_SHARE = 0.05
"""Latencies hold when the generator's lag at p99 is at most this share of the service's p95."""

CPU_SATURATED = 0.9
"""A generator that used this share of a core between two beats could not keep up with its own clock."""

CPU_SHARE = 0.05
"""Latencies hold when at most this share of the beats was saturated."""

MACHINE_BUSY = 0.85
"""Above this share of all CPUs, waiting for a turn explains a late generator, and is said beside its lag."""


class Outcome(StrEnum):
    """Whether a kind of figure may be believed."""

    VALID = "valid"
    INVALID = "invalid"
    NO_EVIDENCE = "no evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Latencies in seconds of the wall; NaN where nothing was answered."""

    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float

    @classmethod
    def of(cls, latency_s: NDArray[np.float64]) -> Quantiles:
        """Return the quantiles of (requests,) latencies in s: each the smallest that enough of them do not exceed."""
        if not len(latency_s):
            return cls(p50_s=np.nan, p95_s=np.nan, p99_s=np.nan, max_s=np.nan)
        found = np.quantile(latency_s, [0.5, 0.95, 0.99, 1.0], method="inverted_cdf").tolist()
        return cls(p50_s=found[0], p95_s=found[1], p99_s=found[2], max_s=found[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersSaw:
    """What users saw of one revision, or of one route. A revision named "" stands for requests that none answered.

    Attributes:
        name: the revision, or method and path.
        requests: sent, and their fate known.
        bad_status: answered with a status of 500 or more.
        failed: not answered, by kind of failure.
        too_slow: answered well, but later than the threshold after the intended instant.
        latency: of answered requests, from the intended instant (free of coordinated omission).
        service: of answered requests, from the sent instant.
    """

    name: str
    requests: int
    bad_status: int
    failed: dict[str, int]
    too_slow: int
    latency: Quantiles
    service: Quantiles

    @property
    def bad(self) -> int:
        """Requests that a user saw fail or saw too slow."""
        return self.bad_status + sum(self.failed.values()) + self.too_slow

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain values; NaN becomes null."""
        found: dict[str, Any] = plain({**asdict(self), "bad": self.bad})
        return found


def sent_and_settled(rows: Rows) -> NDArray[np.bool_]:
    """Return (requests,) whether the request was sent and its fate is known."""
    return np.asarray((rows["failure"] != Failure.DROPPED) & (rows["failure"] != Failure.CUT_OFF))


def bad_requests(rows: Rows, *, slow_after_s: float | None) -> NDArray[np.bool_]:
    """Return (requests,) whether a user saw the request fail or saw it too slow.

    Args:
        slow_after_s: seconds of the wall from the intended instant; None: no answer is too slow.
    """
    bad = (rows["status"] >= BAD_STATUS_FROM) | (rows["failure"] != Failure.NONE)
    if slow_after_s is not None:
        bad |= rows["finished_s"] - rows["intended_s"] > slow_after_s
    return np.asarray(bad & sent_and_settled(rows))


def by_revision(rows: Rows, revisions: Sequence[str], *, slow_after_s: float | None = None) -> tuple[UsersSaw, ...]:
    """Return what users saw of every revision that answered them, by name.

    Args:
        revisions: the names behind the codes in `rows`.
        slow_after_s: an answer later than this is too slow, seconds of the wall; None: never.
    """
    return _grouped(rows, "revision", revisions, slow_after_s)


def by_route(rows: Rows, routes: Sequence[str], *, slow_after_s: float | None = None) -> tuple[UsersSaw, ...]:
    """Return what users saw of every route that was asked for, by name; see `by_revision`."""
    return _grouped(rows, "route", routes, slow_after_s)


def _grouped(rows: Rows, column: str, names: Sequence[str], slow_after_s: float | None) -> tuple[UsersSaw, ...]:
    settled = rows[sent_and_settled(rows)]
    codes: dict[str, list[int]] = {}
    for code in np.unique(settled[column]).tolist():
        codes.setdefault(names[code], []).append(code)
    return tuple(
        _users_saw(name, settled[np.isin(settled[column], codes[name])], slow_after_s) for name in sorted(codes)
    )


def _users_saw(name: str, settled: Rows, slow_after_s: float | None) -> UsersSaw:
    answered = settled[settled["failure"] == Failure.NONE]
    bad_status = int(np.count_nonzero(answered["status"] >= BAD_STATUS_FROM))
    bad = int(np.count_nonzero(bad_requests(settled, slow_after_s=slow_after_s)))
    failed = {kind.word: int(np.count_nonzero(settled["failure"] == kind)) for kind in Failure if kind}
    failed = {word: count for word, count in failed.items() if count}
    return UsersSaw(
        name=name,
        requests=len(settled),
        bad_status=bad_status,
        failed=failed,
        too_slow=bad - bad_status - sum(failed.values()),
        latency=Quantiles.of(answered["finished_s"] - answered["intended_s"]),
        service=Quantiles.of(answered["finished_s"] - answered["sent_s"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One half of the verdict, with the reasons when it is not `valid`."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Whether the generator did what it was told, so that its figures speak of the service and not of itself.

    Attributes:
        counts: may the numbers of requests be believed?
        latency: may the latencies be believed?
        due: requests that the schedule held up to the end of the run.
        sent, late, dropped, cut_off: what became of them; late ones were sent, but over a policy second late.
        lag_p50_s, lag_p99_s: sent - intended, seconds of the wall.
        lag_p99_policy_s: the same in policy time.
        service_p95_s: what the lag is compared with, seconds of the wall.
        cpu_peak_share, cpu_saturated_share: of a core between two beats, and the share of beats above the limit.
        machine_busy_share: of all the machine's CPU, over the run: whether the generator had to wait for its turn.
    """

    counts: Judgement
    latency: Judgement
    due: int
    sent: int
    late: int
    dropped: int
    cut_off: int
    lag_p50_s: float
    lag_p99_s: float
    lag_p99_policy_s: float
    service_p95_s: float
    cpu_peak_share: float
    cpu_saturated_share: float
    machine_busy_share: float

    @property
    def holds(self) -> bool:
        """Whether neither half is invalid."""
        return Outcome.INVALID not in (self.counts.outcome, self.latency.outcome)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as plain values; NaN becomes null."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def judge(
    rows: Rows, *, due: int, speed: float, cpu_shares: Sequence[float], machine_shares: Sequence[float] = ()
) -> Validity:
    """Return whether a run may be believed.

    Args:
        rows: all rows of the run.
        due: requests that the schedule held up to the end of the run.
        speed: policy seconds in a second of the wall.
        cpu_shares: (beats,) the share of a core that the generator used between two beats.
        machine_shares: (beats,) the share of all the machine's CPU that everybody together used.
    """
    sent = rows[rows["failure"] != Failure.DROPPED]
    answered = sent[sent["failure"] == Failure.NONE]
    lag_s = sent["sent_s"] - sent["intended_s"]
    lag = Quantiles.of(lag_s)
    late = int(np.count_nonzero(lag_s * speed > ON_TIME_S))
    cut_off = int(np.count_nonzero(rows["failure"] == Failure.CUT_OFF))
    service_p95_s = Quantiles.of(answered["finished_s"] - answered["sent_s"]).p95_s
    shares = np.asarray(cpu_shares, dtype=np.float64)
    saturated = float(np.mean(shares >= CPU_SATURATED)) if len(shares) else 0.0
    busy = float(np.mean(np.asarray(machine_shares, dtype=np.float64))) if len(machine_shares) else float("nan")
    return Validity(
        counts=_judge_counts(due=due, sent=len(sent), late=late, dropped=len(rows) - len(sent), cut_off=cut_off),
        latency=_judge_latency(lag_p99_s=lag.p99_s, service_p95_s=service_p95_s, saturated=saturated, busy=busy),
        due=due,
        sent=len(sent),
        late=late,
        dropped=len(rows) - len(sent),
        cut_off=cut_off,
        lag_p50_s=lag.p50_s,
        lag_p99_s=lag.p99_s,
        lag_p99_policy_s=lag.p99_s * speed,
        service_p95_s=service_p95_s,
        cpu_peak_share=float(shares.max(initial=0.0)),
        cpu_saturated_share=saturated,
        machine_busy_share=busy,
    )


def _judge_counts(*, due: int, sent: int, late: int, dropped: int, cut_off: int) -> Judgement:
    if due == 0:
        return Judgement(outcome=Outcome.NO_EVIDENCE, reasons=("no request was due",))
    reasons = []
    if dropped:
        reasons.append(f"{dropped:,} requests were dropped: too many were waiting for an answer")
    if abs(sent + dropped - due) > DUE_SHARE * due:
        reasons.append(f"{sent:,} requests were sent of {due:,} that were due, and the rate must hold within 1 %")
    if late > DUE_SHARE * due:
        reasons.append(f"{late:,} of {due:,} requests were sent over {ON_TIME_S:g} s of policy time late")
    if cut_off > DUE_SHARE * due:
        reasons.append(f"{cut_off:,} of {due:,} requests were still waiting for an answer at the end")
    return Judgement(outcome=Outcome.INVALID if reasons else Outcome.VALID, reasons=tuple(reasons))


def _judge_latency(*, lag_p99_s: float, service_p95_s: float, saturated: float, busy: float) -> Judgement:
    if np.isnan(service_p95_s):
        return Judgement(outcome=Outcome.NO_EVIDENCE, reasons=("no request was answered",))
    reasons = []
    if lag_p99_s > LAG_SHARE * service_p95_s:
        reasons.append(
            f"the generator was {lag_p99_s * 1e3:.2f} ms late at p99, over 5 % of the service's p95 "
            f"of {service_p95_s * 1e3:.1f} ms"
        )
    if saturated > CPU_SHARE:
        reasons.append(f"the generator's CPU was saturated in {saturated:.0%} of the run")
    if reasons and busy >= MACHINE_BUSY:
        reasons.append(f"the whole machine was {busy:.0%} busy: close other programs, or lower the speed or the rate")
    return Judgement(outcome=Outcome.INVALID if reasons else Outcome.VALID, reasons=tuple(reasons))


def plain(value: Any) -> Any:
    """Return a value of dicts, lists and scalars that JSON can hold: NaN becomes None, a tuple a list."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
