"""Prometheus' HTTP API over a store: what Grafana, promtool and an analysis ask for, answered in the same JSON.

`create_app` gives an ASGI app; `promql.serve` runs it. Queries are evaluated in threads, a few at a time, within
limits on the body, the query's length, samples and time. A store with many runs shows its first.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from promql.browsing import label_names, label_sets, label_values, metadata
from promql.engine import Annotations, ErrorKind, Limits, PromQLError, RangeResult, Result, Settings
from promql.engine import evaluate as evaluate_at
from promql.engine import evaluate_range as evaluate_over
from promql.parameters import BadParameter, duration_s, limit, selectors, time_s
from promql.requesting import BadRequest, Parameters, parameters_of
from promql.storage.blocks import Store
from promql.storage.exposition import Family
from promql.syntax import Expr, PromQLSyntaxError, parse, to_text
from promql.wire import data_of

VERSION = "3.16.0"
"""The version of Prometheus whose answers these are; clients choose features by it."""

_STATUS = {"bad_data": 400, "execution": 422, "timeout": 503, "canceled": 499, "internal": 500, "not_found": 404}
_ANNOTATIONS_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """What one request may cost. A client may ask for a shorter time, not for a longer one."""

    query_characters_max: int = 50_000
    concurrent_max: int = 8
    engine: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    data: Any
    annotations: Annotations = field(default_factory=Annotations)
    is_cut: bool = False


Handler = Callable[[Parameters], Answer]


def create_app(
    store: Store,
    *,
    now_s: Callable[[], float] = time.time,
    families: Sequence[Family] = (),
    limits: ApiLimits | None = None,
) -> Starlette:
    """Return the app that answers from the store.

    Args:
        now_s: the time at which a query without one is evaluated.
        families: what is known of the metrics, for /api/v1/metadata.
    """
    api = _Api(store, now_s, families, limits or ApiLimits())
    both, get = ("GET", "POST"), ("GET",)
    routes = [
        Route("/api/v1/query", api.endpoint(api.query), methods=both),
        Route("/api/v1/query_range", api.endpoint(api.query_range), methods=both),
        Route("/api/v1/format_query", api.endpoint(api.format_query), methods=both),
        Route("/api/v1/query_exemplars", api.endpoint(_nothing([])), methods=both),
        Route("/api/v1/series", api.endpoint(api.series), methods=both),
        Route("/api/v1/labels", api.endpoint(api.labels), methods=both),
        Route("/api/v1/label/{name}/values", api.values_endpoint, methods=get),
        Route("/api/v1/metadata", api.endpoint(api.metadata), methods=get),
        Route("/api/v1/rules", api.endpoint(_nothing({"groups": []})), methods=get),
        Route("/api/v1/alerts", api.endpoint(_nothing({"alerts": []})), methods=get),
        Route("/api/v1/status/buildinfo", api.endpoint(_nothing(_build_info())), methods=get),
        Route("/-/ready", _ready, methods=get),
        Route("/-/healthy", _healthy, methods=get),
    ]
    return Starlette(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=10_000, compresslevel=1)])


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Expr:
    """Clients ask the same again and again; a tree is a value, so it may be kept."""
    return parse(text)


def _nothing(data: Any) -> Handler:
    return lambda _: Answer(data=data)


def _build_info() -> dict[str, str]:
    return {
        "version": VERSION,
        "revision": "",
        "branch": "",
        "buildUser": "gamebird",
        "buildDate": "",
        "goVersion": f"python{platform.python_version()}",
    }


async def _ready(_: Request) -> Response:
    return PlainTextResponse("Prometheus Server is Ready.\n")


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("Prometheus Server is Healthy.\n")


class _Api:
    def __init__(self, store: Store, now_s: Callable[[], float], families: Sequence[Family], limits: ApiLimits) -> None:
        self._store = store
        self._now_s = now_s
        self._families = families
        self._limits = limits
        self._threads: CapacityLimiter | None = None

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await self._answered(request, handler)

        return answer

    async def values_endpoint(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await self._answered(request, lambda parameters: self._values(name, parameters))

    async def _answered(self, request: Request, handler: Handler) -> Response:
        try:
            parameters = await parameters_of(request)
        except BadRequest as error:
            return _refusal(error.status, "bad_data", str(error))
        if self._threads is None:
            self._threads = CapacityLimiter(self._limits.concurrent_max)
        return await to_thread.run_sync(_respond, handler, parameters, limiter=self._threads)

    def query(self, parameters: Parameters) -> Answer:
        most = limit(parameters.first("limit"))
        at_s = self._time(parameters, "time", self._now_s())
        engine, settings = self._costs(parameters)
        text = self._query(parameters)[0]
        result = evaluate_at(text, at_s, self._store, limits=engine, settings=settings)
        return _answer(result, most)

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
        engine, settings = self._costs(parameters)
        text = self._query(parameters)[0]
        result = evaluate_over(text, start_s, end_s, step_s, self._store, limits=engine, settings=settings)
        return _answer(result, most)

    def format_query(self, parameters: Parameters) -> Answer:
        return Answer(data=to_text(self._query(parameters)[1]))

    def series(self, parameters: Parameters) -> Answer:
        if not parameters.all("match[]"):
            raise PromQLError(ErrorKind.BAD_DATA, "no match[] parameter provided")
        found = [dict(labels) for labels in self._selected(parameters)]
        return _listed(found, limit(parameters.first("limit")))

    def labels(self, parameters: Parameters) -> Answer:
        return _listed(label_names(self._selected(parameters)), limit(parameters.first("limit")))

    def _values(self, name: str, parameters: Parameters) -> Answer:
        if not name:
            raise PromQLError(ErrorKind.BAD_DATA, 'invalid label name: ""')
        return _listed(label_values(self._selected(parameters), name), limit(parameters.first("limit")))

    def metadata(self, parameters: Parameters) -> Answer:
        found = metadata(
            self._families,
            metric=parameters.first("metric"),
            limit=limit(parameters.first("limit")),
            limit_per_metric=limit(parameters.first("limit_per_metric")),
        )
        return Answer(data=found)

    def _selected(self, parameters: Parameters) -> list[tuple[tuple[str, str], ...]]:
        start_ms, end_ms = (
            round(time_s(name, parameters.first(name)) * 1000) if parameters.first(name) else None
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
            reason = f"{error.line}:{error.column}: parse error: {error.message}"
            raise BadParameter("query", reason) from error

    def _time(self, parameters: Parameters, name: str, otherwise_s: float) -> float:
        text = parameters.first(name)
        if not text:
            return otherwise_s
        try:
            return time_s(name, text)
        except BadParameter as error:
            reason = str(error).split(": ", 1)[1]
            raise BadParameter(name, f"invalid time value for '{name}': {reason}") from None

    def _costs(self, parameters: Parameters) -> tuple[Limits, Settings]:
        """Return the engine's limits and settings for one request."""
        engine, settings = self._limits.engine, Settings()
        if text := parameters.first("timeout"):
            engine = replace(engine, timeout_s=min(engine.timeout_s, duration_s("timeout", text)))
        if text := parameters.first("lookback_delta"):
            lookback_s = duration_s("lookback_delta", text)
            settings = replace(settings, lookback_s=lookback_s) if lookback_s > 0 else settings
        return engine, settings


def _answer(result: Result | RangeResult, most: int | None) -> Answer:
    data, is_cut = data_of(result, limit=most)
    return Answer(data=data, annotations=result.annotations, is_cut=is_cut)


def _listed(found: list[Any], most: int | None) -> Answer:
    return Answer(data=found[:most], is_cut=most is not None and len(found) > most)


def _respond(handler: Handler, parameters: Parameters) -> Response:
    try:
        answer = handler(parameters)
    except BadParameter as error:
        return _refusal(400, "bad_data", str(error))
    except PromQLError as error:
        return _refusal(_STATUS[str(error.kind)], str(error.kind), str(error))
    except RecursionError:
        return _refusal(422, "execution", "the query is nested too deeply to be evaluated")
    body: dict[str, Any] = {"status": "success", "data": answer.data}
    warnings = _first_few(answer.annotations.warnings, "warning")
    if answer.is_cut:
        warnings.append("results truncated due to limit")
    if warnings:
        body["warnings"] = warnings
    if infos := _first_few(answer.annotations.infos, "info"):
        body["infos"] = infos
    return _json(body, 200)


def _first_few(texts: Sequence[str], kind: str) -> list[str]:
    few = list(texts[:_ANNOTATIONS_MAX])
    if len(texts) > _ANNOTATIONS_MAX:
        few.append(f"{len(texts) - _ANNOTATIONS_MAX} more {kind} annotations omitted")
    return few


def _refusal(status: int, kind: str, message: str) -> Response:
    return _json({"status": "error", "errorType": kind, "error": message}, status)


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body, separators=(",", ":")), status, media_type="application/json")
