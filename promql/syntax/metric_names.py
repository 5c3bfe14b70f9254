"""What a metric's name says of what it holds, by the naming habits of Prometheus' exporters.

A query does not tell a counter from a gauge, and neither does a stored series; a name mostly does. Names say
nothing for certain, so whoever asks here must have a safe answer for `UNKNOWN`.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from promql.syntax.tree import METRIC_NAME, MatchOp, VectorSelector


class Holds(Enum):
    """What the samples of a metric are."""

    EVENTS = auto()  # a counter of something that happens: `_total`, `_count`
    BUCKETS = auto()  # cumulative counters of a classic histogram
    SUM = auto()  # the sum of a histogram or summary: seconds, bytes
    AMOUNT = auto()  # a counter of seconds or bytes: `_seconds_total`
    LEVEL = auto()  # a gauge
    RULE = auto()  # the result of a recording rule
    UNKNOWN = auto()


_AMOUNT = re.compile(r"_(seconds|milliseconds|microseconds|nanoseconds|bytes|joules|celsius|meters|ratio)_total$")
_LEVEL = re.compile(
    r"^up$|^kube_\w+_(status|spec|info|limits|requests|labels)\w*(?<!_total)$|^container_spec_"
    r"|_(bytes|seconds|milliseconds|ratio|percent|percentage|celsius|info|state|status|usage|utilization|limit|limits"
    r"|quota|current|depth|size|length|ready|available|replicas|temperature|capacity|in_flight|inflight|active"
    r"|gauge|timestamp)$"
)
_REQUESTS = re.compile(
    r"(?:^|_)(requests?|responses?|rq|rpcs?|calls?|queries|hits|inferences?|invocations|handled|started|served)(?:_|$)"
)
# The count of a histogram of durations: http_server_duration_milliseconds_count.
_TIMED_REQUESTS = re.compile(r"(?:^|_)(?:http|grpc|rpc|api|server|handler)_\w*(?:duration|latency|latencies)\w*_count$")
_FAILURES = re.compile(
    r"(?:^|_)(errors?|fail(?:ed|ures?)?|exceptions?|drop(?:s|ped)|timeouts?|rejected|rejections?|retries|restarts?"
    r"|panics?|oom\w*|[45]xx|killed|aborted|cancell?ed)(?:_|$)"
)
_OUTCOME = re.compile(
    r"^(?:\w+_)?(?:status|code|status_?code|status_?class|response_?code|response_flags|code_class|result|outcome"
    r"|classification|success|error|error_type|exception|failure|verdict)$"
)


def what_it_holds(metric: str | None) -> Holds:
    """Return what the metric holds as far as its name tells; a selector without a name is UNKNOWN."""
    if metric is None:
        return Holds.UNKNOWN
    if ":" in metric:
        return Holds.RULE
    if metric.endswith("_bucket"):
        return Holds.BUCKETS
    if metric.endswith("_sum"):
        return Holds.SUM
    if _AMOUNT.search(metric):
        return Holds.AMOUNT
    if metric.endswith(("_total", "_count")):
        return Holds.EVENTS
    return Holds.LEVEL if _LEVEL.search(metric) else Holds.UNKNOWN


def counts_requests(metric: str | None) -> bool:
    """Return whether the name says that requests are counted, all of them and not failures only."""
    if metric is None or what_it_holds(metric) not in (Holds.EVENTS, Holds.UNKNOWN):
        return False
    named = _REQUESTS.search(metric) or _TIMED_REQUESTS.search(metric)
    return bool(named) and not _FAILURES.search(metric)


def counts_failures(metric: str | None) -> bool:
    """Return whether the name says that only what went wrong is counted."""
    return metric is not None and what_it_holds(metric) is Holds.EVENTS and bool(_FAILURES.search(metric))


def outcome_matchers(selector: VectorSelector) -> tuple[str, ...]:
    """Return the matchers, as text, that pick requests by how they ended: `status=~"5.."`, `result="ok"`."""
    return tuple(
        f'{matcher.name}{matcher.op}"{matcher.value}"'
        for matcher in selector.matchers
        if matcher.name != METRIC_NAME
        and _OUTCOME.search(matcher.name)
        and (matcher.op, matcher.value)
        not in ((MatchOp.MATCHES, ".*"), (MatchOp.MATCHES, ".+"), (MatchOp.NOT_EQUAL, ""))
    )
