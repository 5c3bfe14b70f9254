"""The number of requests behind a metric's query, as another query, or the reason why it cannot be known.

A ratio rests on its denominator, a quantile on its histogram: with `rate(x[5m])` turned into `increase(x[5m])`
over the same selectors and window, the parts of the query itself count the requests. The count asks for one
number without labels; where the query's value has many series, it is the smallest of their counts. An empty
answer means that nothing was counted. Whoever guards a verdict by a number of requests relies on this, so what
is not certain is refused with a reason rather than guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from promql.syntax.evidence_paths import (
    COUNTER_FUNCTIONS,
    THROUGH,
    bare,
    is_derived,
    is_plain_sum,
    one_sided,
    without_parens,
)
from promql.syntax.metric_names import Holds, counts_requests, outcome_matchers, what_it_holds
from promql.syntax.printing import duration_text, to_text
from promql.syntax.reading import may_overlap, passes, readings, selectors, selects_within
from promql.syntax.tree import (
    METRIC_NAME,
    Aggregate,
    AggregateOp,
    At,
    Binary,
    BinaryOp,
    Call,
    Expr,
    Matcher,
    MatchOp,
    MatrixSelector,
    NumberLiteral,
    Span,
    VectorSelector,
    children,
)
from promql.syntax.walking import fold

_DEPTH_MAX = 100
"""No query that people write is deeper; what is deeper is not looked into."""

_SUMMED = (AggregateOp.SUM, AggregateOp.AVG)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCount:
    """A query whose answer, asked for the same instant, is the number of requests behind the metric's value.

    `how` says in words where it comes from; `notes` what one should know of it.
    """

    query: Expr
    how: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Underivable:
    """The number of requests cannot be had from the query; `span` is the part of its text that is to blame."""

    reason: str
    span: Span


class Unknown(Exception):
    """Why a part of a query counts no requests; used inside this package only."""

    def __init__(self, node: Expr, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.span = node.span


def requests_behind(expr: Expr) -> RequestCount | Underivable:
    """Return how many requests stand behind the value of a metric's query, or why that cannot be known."""
    if fold(expr, lambda node, depths: 1 + max(depths, default=0)) > _DEPTH_MAX:
        return Underivable(reason="the query is nested too deep to be looked into", span=expr.span)
    counting = Counting()
    try:
        query = counting.behind(expr)
    except Unknown as unknown:
        return Underivable(reason=unknown.reason, span=unknown.span)
    return RequestCount(query=query, how=counting.in_words(), notes=tuple(dict.fromkeys(counting.notes)))


class Counting:
    """Derives the count of one query, and remembers in words what it did."""

    def __init__(self) -> None:
        self.source = ""
        self.is_raw = False
        self.notes: list[str] = []

    def in_words(self) -> str:
        over = "all since the counters began" if self.is_raw else "as an increase over the same window"
        return f"{self.source}, {over}"

    # What a value rests on.

    def behind(self, expr: Expr) -> Expr:
        """Return the count behind a value: one number without labels."""
        node = bare(expr)
        match node:
            case Call(function="histogram_quantile"):
                count = self.single(self.observations(node.args[1]))
                self.source = self.source or "the +Inf bucket of the histogram"
                return count
            case Binary(op=BinaryOp.DIV):
                return self.behind_division(node)
            case Binary(op=BinaryOp.OR):
                return Binary(BinaryOp.OR, self.behind(node.left), self.behind(node.right))
            case Binary() if is_derived(node):
                return self.smaller(self.behind(node.left), self.behind(node.right))
            case Aggregate() if is_derived(node):
                if node.op in (AggregateOp.COUNT, AggregateOp.COUNT_VALUES, AggregateOp.GROUP):
                    raise Unknown(node, f"{node.op} counts series, not requests")
                return self.behind(node.expr)
            case Call() if is_derived(node):
                raise Unknown(node, f"{node.function} joins many answers, and their requests overlap")
            case _:
                return self.volume(node)

    def behind_division(self, node: Binary) -> Expr:
        if is_derived(node.right):
            return self.smaller(self.behind(node.left), self.behind(node.right))
        try:
            count = self.single(self.count(node.right))
        except Unknown as unknown:
            raise Unknown(node.right, f"the query divides by what is no count of requests: {unknown.reason}") from None
        _must_belong_together(node)
        self.source = self.source or "the denominator of the ratio"
        return count

    def smaller(self, one: Expr, other: Expr) -> Expr:
        """Return a query for the smaller of two numbers."""
        if one == other:
            return one
        self.notes.append("two counts stand behind the value; the smaller one is taken")
        return Binary(BinaryOp.OR, Binary(BinaryOp.LESS, one, other), other)

    def single(self, count: Expr) -> Expr:
        """Return the count as one number: the smallest, where there is one for each of many series."""
        if is_single(count):
            return count
        self.notes.append("the value has a series for each group; the group with the fewest requests is counted")
        return Aggregate(AggregateOp.MIN, count)

    # Values that are counts themselves.

    def volume(self, node: Expr) -> Expr:
        """Return the count if the value is itself a number or rate of requests, all of them."""
        found = selectors(node)
        if not found:
            raise Unknown(node, "the query reads no series")
        for selector in found:
            _must_count_all(selector)
        count = self.single(self.count(node))
        self.source = "the query itself counts requests"
        return count

    # Turning rates into counts.

    def count(self, expr: Expr) -> Expr:
        """Return how many events the expression counts, in its own series."""
        node = without_parens(expr)
        match node:
            case Call() if node.function in COUNTER_FUNCTIONS:
                return self.increase(node)
            case Call() if node.function in THROUGH and node.args:
                return self.count(node.args[0])
            case Call():
                raise Unknown(node, _of_function(node))
            case Aggregate() if node.op in _SUMMED:
                return replace(node, op=AggregateOp.SUM, expr=self.count(node.expr))
            case Aggregate():
                raise Unknown(node, _of_aggregate(node))
            case Binary():
                return self.count_binary(node)
            case VectorSelector():
                return self.lifetime(node)
            case NumberLiteral():
                raise Unknown(node, "a constant")
            case _:
                raise Unknown(node, f"{to_text(node)} is no rate or increase of a counter")

    def count_binary(self, node: Binary) -> Expr:
        inner = one_sided(node)
        if inner is not None and node.op.is_comparison and not node.return_bool:
            return self.filtered(node, inner)
        if node.return_bool:
            raise Unknown(node, f"{node.op} bool gives 0 or 1, no count")
        if inner is not None:
            return self.count(inner)
        if node.op in (BinaryOp.ADD, BinaryOp.SUB, BinaryOp.OR):
            return replace(node, left=self.count(node.left), right=self.count(node.right))
        raise Unknown(node, f"two rates joined by {node.op} are no count")

    def filtered(self, node: Binary, inner: Expr) -> Expr:
        """Keep a filter such as `rate(x[1m]) > 5` on the count, with its threshold in the count's unit.

        A filter on the one number that is divided by is left out: it only makes the value empty.
        """
        count = self.count(inner)
        if is_single(count):
            return count
        limit = without_parens(node.right if inner is node.left else node.left)
        unit_s = _seconds_per_unit(inner)
        if not isinstance(limit, NumberLiteral) or (unit_s is None and limit.value):
            raise Unknown(node, f"the filter {node.op} cannot be carried over from the rate to a count")
        scaled = NumberLiteral(limit.value * (unit_s or 1.0))
        return (
            replace(node, left=count, right=scaled) if inner is node.left else replace(node, left=scaled, right=count)
        )

    def increase(self, node: Call) -> Expr:
        matrix = without_parens(node.args[0])
        if not isinstance(matrix, MatrixSelector):
            raise Unknown(node, f"{node.function} over a subquery")
        selector = matrix.selector
        _must_be_counter(selector, node.function)
        if what_it_holds(selector.metric) is Holds.BUCKETS and not _asks(selector, "le"):
            self.notes.append("the buckets of a histogram are cumulative; only the +Inf bucket is counted")
            selector = _all_observations(selector)
        if node.function == "irate":
            window = duration_text(matrix.range_s)
            self.notes.append(f"irate looks at the last two samples only; the requests of all {window} are counted")
        return replace(node, function="increase", args=(replace(matrix, selector=selector),))

    def lifetime(self, selector: VectorSelector) -> Expr:
        """Return the counter itself: a ratio of raw counters rests on all requests since they began."""
        holds = what_it_holds(selector.metric)
        if holds is Holds.EVENTS:
            self.is_raw = True
            return selector
        raise Unknown(selector, _of_raw(selector, holds))

    # Histograms.

    def observations(self, expr: Expr) -> Expr:
        """Return how many observations the buckets hold that the expression gives to histogram_quantile."""
        node = without_parens(expr)
        match node:
            case Call() if node.function in COUNTER_FUNCTIONS and isinstance(node.args[0], MatrixSelector):
                selector = _all_observations(node.args[0].selector)
                return self.increase(replace(node, args=(replace(node.args[0], selector=selector),)))
            case VectorSelector():
                self.is_raw = True
                return _all_observations(node)
            case Call() if node.function in THROUGH and node.args:
                return self.observations(node.args[0])
            case Aggregate() if node.op in _SUMMED:
                return self.aggregated_observations(node)
            case Binary() if (inner := one_sided(node)) is not None and not node.return_bool:
                return self.observations(inner)
            case Binary(op=BinaryOp.ADD | BinaryOp.OR):
                return replace(node, left=self.observations(node.left), right=self.observations(node.right))
            case _:
                raise Unknown(node, f"{to_text(node)} is no histogram whose observations can be counted")

    def aggregated_observations(self, node: Aggregate) -> Expr:
        inner = self.observations(node.expr)
        keeps = ("le" in node.grouping) != node.without
        if not keeps:
            raise Unknown(node, f"{node.op} drops the label le, so there is no histogram left")
        grouping = (*node.grouping, "le") if node.without else tuple(x for x in node.grouping if x != "le")
        return replace(node, op=AggregateOp.SUM, expr=inner, grouping=grouping)


def is_single(count: Expr) -> bool:
    """Return whether the expression gives one series without labels."""
    if isinstance(count, Binary) and count.op in (BinaryOp.ADD, BinaryOp.SUB, BinaryOp.OR, BinaryOp.LESS):
        return all(is_single(part) for part in children(count) if not isinstance(part, NumberLiteral))
    if isinstance(count, Binary) and count.op.is_comparison:
        return any(is_single(part) for part in children(count))
    return is_plain_sum(count)


def _must_belong_together(node: Binary) -> None:
    """Refuse a ratio whose denominator cannot be the requests that the numerator is about."""
    if _windows(node.left) and _windows(node.left) != _windows(node.right):
        raise Unknown(node, "the two sides of the ratio look at different times or windows")
    parts, wholes = selectors(node.left), selectors(node.right)
    if parts and all(_is_part(whole, part) for part in parts for whole in wholes):
        raise Unknown(node, "the query divides the whole by a part of it, so the denominator is not all requests")
    if parts and not any(may_overlap(_labels_of(part), _labels_of(whole)) for part in parts for whole in wholes):
        raise Unknown(node, "the query divides requests by others, so the denominator is not those it is about")


def _windows(expr: Expr) -> frozenset[tuple[float, float, At]]:
    """Return from when to when the ranged selectors read."""
    return frozenset((one.from_s, one.until_s, one.at) for one in readings(expr) if one.window_s is not None)


def _labels_of(selector: VectorSelector) -> VectorSelector:
    """Return the selector without name and bucket: errors_total{a="b"} may be a part of requests_total{a="b"}."""
    return replace(selector, matchers=tuple(m for m in selector.matchers if m.name not in (METRIC_NAME, "le")))


def _is_part(part: VectorSelector, whole: VectorSelector) -> bool:
    return selects_within(part, whole) and not selects_within(whole, part)


def _asks(selector: VectorSelector, label: str) -> bool:
    return any(matcher.name == label for matcher in selector.matchers)


def _all_observations(selector: VectorSelector) -> VectorSelector:
    """Return the selector for the +Inf bucket of the same series, which counts every observation."""
    if what_it_holds(selector.metric) not in (Holds.BUCKETS, Holds.UNKNOWN):
        raise Unknown(selector, f"{selector.metric} is not the buckets of a classic histogram")
    if selector.metric is not None and not selector.metric.endswith("_bucket"):
        raise Unknown(selector, f"{selector.metric} does not look like the buckets of a classic histogram")
    if not all(passes(matcher, "+Inf") for matcher in selector.matchers if matcher.name == "le"):
        raise Unknown(selector, "the selector leaves out the +Inf bucket, which counts all observations")
    others = tuple(matcher for matcher in selector.matchers if matcher.name != "le")
    return replace(selector, matchers=(*others, Matcher("le", MatchOp.EQUAL, "+Inf")))


def _seconds_per_unit(expr: Expr) -> float | None:
    """Return by what a value must be multiplied to be a count: the window for a rate, 1 for an increase."""
    node = without_parens(expr)
    while isinstance(node, Aggregate) and node.op is AggregateOp.SUM:
        node = without_parens(node.expr)
    if not isinstance(node, Call) or node.function not in ("rate", "increase"):
        return None
    matrix = without_parens(node.args[0])
    if not isinstance(matrix, MatrixSelector):
        return None
    return matrix.range_s if node.function == "rate" else 1.0


# Reasons.


def _must_be_counter(selector: VectorSelector, function: str) -> None:
    name = selector.metric
    match what_it_holds(name):
        case Holds.LEVEL:
            raise Unknown(selector, f"{name} is a gauge by its name, and {function} over a gauge counts nothing")
        case Holds.SUM:
            raise Unknown(selector, f"{name} adds up what was observed, it does not count requests")
        case Holds.AMOUNT:
            raise Unknown(selector, f"{name} counts seconds or bytes, not requests")
        case Holds.RULE:
            raise Unknown(selector, f"{name} is a recording rule, and what it holds does not stand in the query")
        case _:
            return


def _must_count_all(selector: VectorSelector) -> None:
    """Raise the reason why a selector on its own does not count all requests, if there is one."""
    name, holds = selector.metric, what_it_holds(selector.metric)
    shown = to_text(replace(selector, matchers=selector.matchers[:1], offset_s=0.0, at=None))
    if holds is Holds.RULE:
        raise Unknown(selector, f"{name} is a recording rule, and what it holds does not stand in the query")
    if holds is Holds.LEVEL:
        raise Unknown(selector, f"{name} is a gauge by its name: a level, with no requests behind it")
    if holds is Holds.AMOUNT or holds is Holds.SUM:
        raise Unknown(selector, f"{name} counts seconds or bytes, not requests")
    if holds is Holds.BUCKETS:
        raise Unknown(selector, f"{name} counts requests up to a duration; the query does not ask for all")
    outcomes = outcome_matchers(selector)
    if outcomes:
        raise Unknown(
            selector, f"{', '.join(outcomes)} counts some of the requests; the query does not say of how many"
        )
    if not counts_requests(name):
        raise Unknown(selector, f"{shown} counts events; the query does not say of how many requests")


def _of_function(node: Call) -> str:
    if node.function in ("delta", "idelta", "deriv"):
        return f"{node.function} is for gauges; on a counter it goes wrong at every restart"
    if node.function.endswith("_over_time"):
        return f"{node.function} looks at samples, not at requests"
    return f"{node.function}() gives no count of requests"


def _of_aggregate(node: Aggregate) -> str:
    if node.op in (AggregateOp.COUNT, AggregateOp.COUNT_VALUES, AggregateOp.GROUP):
        return f"{node.op} counts series, not requests"
    return f"{node.op} picks or spreads over series; their requests are not added up"


def _of_raw(selector: VectorSelector, holds: Holds) -> str:
    name = selector.metric or "this selector"
    match holds:
        case Holds.RULE:
            return f"{name} is a recording rule, and what it holds does not stand in the query"
        case Holds.LEVEL:
            return f"{name} is a gauge by its name: a level, with no requests behind it"
        case Holds.BUCKETS | Holds.SUM | Holds.AMOUNT:
            return f"{name} is read without rate or increase"
        case _:
            return f"{name} is read without rate or increase, and its name does not say that it counts"
