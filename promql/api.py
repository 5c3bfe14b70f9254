"""What the endpoints of Prometheus' HTTP API answer: parameters in, data or a refusal out.

Knows neither sockets nor threads; `promql.http` brings requests here and turns what comes out into responses.
Each answer's words are those of Prometheus, since people search for them and clients look at them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from promql.browsing import label_names, label_sets, label_values, metadata
from promql.engine import (
    POINTS_MAX,
    Annotations,
    ErrorKind,
    Limits,
    PromQLError,
    RangeResult,
    Result,
    Settings,
    evaluate,
    evaluate_range,
    refuse_for_ranges,
)
from promql.label_names import LabelNameError, name_of
from promql.parameters import BadParameter, duration_s, limit, reason_of, selectors, time_s, whole
from promql.requesting import Parameters
from promql.storage.blocks import Store
from promql.storage.exposition import Family
from promql.syntax import Expr, PromQLSyntaxError, parse, to_text
from promql.syntax.tree import value_type
from promql.wire import data_of

_STATS = ("", "true", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """What one request may cost. A client may ask for a shorter time, not for a longer one."""

    query_characters_max: int = 50_000
    concurrent_max: int = 8
    engine: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is told: data, and remarks beside it. `is_cut` says that a limit has left something out."""

    data: Any
    annotations: Annotations = field(default_factory=Annotations)
    is_cut: bool = False


Handler = Callable[[Parameters], Answer]


def always(data: Any) -> Handler:
    """Return a handler that gives the same answer to everybody."""
    return lambda _: Answer(data=data)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Expr:
    """Clients ask the same again and again; a tree is a value, so it may be kept."""
    return parse(text)


class Api:
    """The endpoints over one store."""

    def __init__(self, store: Store, now_s: Callable[[], float], families: Sequence[Family], limits: ApiLimits) -> None:
        self._store = store
        self._now_s = now_s
        self._families = families
        self._limits = limits

    def query(self, parameters: Parameters) -> Answer:
        most = limit(parameters.first("limit"))
        at_s = self._time(parameters, "time", self._now_s())
        engine, settings = self._costs(parameters)
        text = self._query(parameters)[0]
        began_s = time.perf_counter()
        result = evaluate(text, at_s, self._store, limits=engine, settings=settings)
        return _answer(result, most, parameters, time.perf_counter() - began_s)

    def query_range(self, parameters: Parameters) -> Answer:
        most = limit(parameters.first("limit"))
        start_s = time_s("start", parameters.first("start"))
        end_s = time_s("end", parameters.first("end"))
        if end_s < start_s:
            raise BadParameter("end", "end timestamp must not be before start time")
        step_s = duration_s("step", parameters.first("step"))
        if step_s <= 0:
            reason = "zero or negative query resolution step widths are not accepted. Try a positive integer"
            raise BadParameter("step", reason)
        if (end_s - start_s) / step_s >= POINTS_MAX + 1:  # before a step below a millisecond is met
            raise PromQLError(
                ErrorKind.BAD_DATA,
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)",
            )
        engine, settings = self._costs(parameters)
        text, expr = self._query(parameters)
        _refuse_ranges_and_strings(expr)
        began_s = time.perf_counter()
        result = evaluate_range(text, start_s, end_s, step_s, self._store, limits=engine, settings=settings)
        return _answer(result, most, parameters, time.perf_counter() - began_s)

    def format_query(self, parameters: Parameters) -> Answer:
        return Answer(data=to_text(self._query(parameters)[1]))

    def exemplars(self, parameters: Parameters) -> Answer:
        """Answer that there are none, if the question makes sense."""
        start_s, end_s = self._time(parameters, "start", 0.0), self._time(parameters, "end", self._now_s())
        if end_s < start_s:
            raise PromQLError(ErrorKind.BAD_DATA, "end timestamp must not be before start timestamp")
        try:
            parse(parameters.first("query"))
        except PromQLSyntaxError as error:
            raise PromQLError(ErrorKind.BAD_DATA, reason_of(error)) from None
        return Answer(data=[])

    def series(self, parameters: Parameters) -> Answer:
        if not parameters.all("match[]"):
            raise PromQLError(ErrorKind.BAD_DATA, "no match[] parameter provided")
        most = limit(parameters.first("limit"))
        try:
            found = [dict(labels) for labels in self._selected(parameters)]
        except ValueError as error:
            if isinstance(error, BadParameter):
                raise
            raise BadParameter("match[]", str(error)) from None
        return _listed(found, most)

    def labels(self, parameters: Parameters) -> Answer:
        return _listed(*self._looked_up(parameters, label_names))

    def values(self, name: str, parameters: Parameters) -> Answer:
        """Answer with the values of one label, whose name may be escaped as `U__label_2e_name`."""
        try:
            plain = name_of(name)
        except LabelNameError as error:
            raise PromQLError(ErrorKind.BAD_DATA, str(error)) from None
        return _listed(*self._looked_up(parameters, lambda found: label_values(found, plain)))

    def metadata(self, parameters: Parameters) -> Answer:
        bounds = []
        for name in ("limit", "limit_per_metric"):
            text = parameters.first(name)
            number = whole(text)
            if text and number is None:
                raise PromQLError(ErrorKind.BAD_DATA, f"{name} must be a number")
            bounds.append(number)
        most, most_each = bounds
        found = metadata(
            self._families,
            metric=parameters.first("metric"),
            limit=None if most is None or most < 0 else most,
            limit_per_metric=None if most_each is None or most_each <= 0 else most_each,
        )
        return Answer(data=found)

    def rules(self, parameters: Parameters) -> Answer:
        kind = parameters.first("type")
        if kind.lower() not in ("", "alert", "record"):
            raise BadParameter("type", f'not supported value "{kind}"')
        return Answer(data={"groups": []})

    def _looked_up(
        self, parameters: Parameters, what: Callable[[Sequence[tuple[tuple[str, str], ...]]], list[str]]
    ) -> tuple[list[str], int | None]:
        most = limit(parameters.first("limit"))
        try:
            return what(self._selected(parameters)), most
        except ValueError as error:
            if isinstance(error, BadParameter):
                raise
            raise PromQLError(ErrorKind.BAD_DATA, str(error)) from None

    def _selected(self, parameters: Parameters) -> list[tuple[tuple[str, str], ...]]:
        start_ms, end_ms = (
            round(self._time(parameters, name, 0.0) * 1000) if parameters.first(name) else None
            for name in ("start", "end")
        )
        return label_sets(self._store, selectors(parameters.all("match[]")), start_ms, end_ms)

    def _query(self, parameters: Parameters) -> tuple[str, Expr]:
        """Return the query as it was sent, so that remarks can name places in it, and its tree."""
        text = parameters.first("query")
        if len(text) > self._limits.query_characters_max:
            reason = f"the query has {len(text)} characters; at most {self._limits.query_characters_max} are read"
            raise BadParameter("query", reason)
        try:
            return text, _parsed(text)
        except PromQLSyntaxError as error:
            raise BadParameter("query", reason_of(error)) from error

    def _time(self, parameters: Parameters, name: str, otherwise_s: float) -> float:
        text = parameters.first(name)
        if not text:
            return otherwise_s
        try:
            return time_s(name, text)
        except BadParameter as error:
            raise BadParameter(name, f"invalid time value for '{name}': {error.reason}") from None

    def _costs(self, parameters: Parameters) -> tuple[Limits, Settings]:
        """Return the engine's limits and settings for one request; it ends when its client has hung up."""
        engine, settings = replace(self._limits.engine, canceled=parameters.is_gone), Settings()
        if text := parameters.first("timeout"):
            timeout_s = duration_s("timeout", text)
            if timeout_s <= 0:
                raise BadParameter("timeout", f"timeout must be positive, got {timeout_s:g}s")
            engine = replace(engine, timeout_s=min(engine.timeout_s, timeout_s))
        if text := parameters.first("lookback_delta"):
            try:
                lookback_s = duration_s("lookback_delta", text)
            except BadParameter as error:
                reason = f"error parsing lookback delta duration: {error.reason}"
                raise PromQLError(ErrorKind.BAD_DATA, reason) from None
            settings = replace(settings, lookback_s=lookback_s) if lookback_s > 0 else settings
        return engine, settings


def _refuse_ranges_and_strings(expr: Expr) -> None:
    """Say of a query that has no value at each step what the API says of it, a wrong query like any other."""
    try:
        refuse_for_ranges(value_type(expr))
    except PromQLError as error:
        raise BadParameter("query", error.message) from None


def _answer(result: Result | RangeResult, most: int | None, parameters: Parameters, took_s: float) -> Answer:
    data, is_cut = data_of(result, limit=most)
    remarks = result.annotations
    stats = parameters.first("stats")
    if stats:
        # How long it took is known; samples are not counted in the way in which Prometheus counts them.
        data["stats"] = {"timings": {"evalTotalTime": took_s, "execTotalTime": took_s}}
    if stats not in _STATS:
        remark = (
            f'value "{stats}" for parameter "stats" is deprecated and will be rejected in the next major release, '
            'use "true" or "all"'
        )
        remarks = replace(remarks, warnings=(*remarks.warnings, remark))
    return Answer(data=data, annotations=remarks, is_cut=is_cut)


def _listed(found: list[Any], most: int | None) -> Answer:
    return Answer(data=found[:most], is_cut=most is not None and len(found) > most)
