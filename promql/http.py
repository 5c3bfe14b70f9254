"""Prometheus' HTTP API over a store: what Grafana, promtool and an analysis ask for, answered in the same JSON.

`create_app` gives an ASGI app; `promql.serve` runs it. Queries are evaluated in threads, a few at a time, within
limits on the body, the query's length, samples and time; a client that hangs up ends its query. A store with many
runs shows its first.
"""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from anyio import CapacityLimiter, create_task_group, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from promql.api import Api, ApiLimits, Handler, always
from promql.engine import PromQLError
from promql.parameters import BadParameter
from promql.requesting import BadRequest, Parameters, parameters_of
from promql.storage.blocks import Store
from promql.storage.exposition import Family

VERSION = "3.16.0"
"""The version of Prometheus whose answers these are; clients choose features by it."""

_STATUS = {"bad_data": 400, "execution": 422, "timeout": 503, "canceled": 499, "internal": 500, "not_found": 404}
_ANNOTATIONS_MAX = 10
_BOTH, _GET = ("GET", "POST"), ("GET",)
_NOT_FOUND = {404: "404 page not found\n", 405: "Method Not Allowed\n"}


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
    limits = limits or ApiLimits()
    api, asked = Api(store, now_s, families, limits), _Requests(limits.concurrent_max)
    handlers: list[tuple[str, Handler, tuple[str, ...]]] = [
        ("query", api.query, _BOTH),
        ("query_range", api.query_range, _BOTH),
        ("query_exemplars", api.exemplars, _BOTH),
        ("format_query", api.format_query, _BOTH),
        ("series", api.series, _BOTH),
        ("labels", api.labels, _BOTH),
        ("metadata", api.metadata, _GET),
        ("rules", api.rules, _GET),
        *((path, always(data), _GET) for path, data in _nothing_there().items()),
    ]
    routes = [_route(f"/api/v1/{path}", asked.endpoint(handler), methods) for path, handler, methods in handlers]
    routes += [
        _route("/api/v1/label/{name}/values", asked.values_endpoint(api), _GET),
        Route("/-/ready", _ready, methods=("GET", "HEAD")),
        Route("/-/healthy", _healthy, methods=("GET", "HEAD")),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(GZipMiddleware, minimum_size=10_000, compresslevel=1)],
        exception_handlers={404: _no_such_place, 405: _no_such_place},
    )


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: tuple[str, ...]) -> Route:
    route = Route(path, endpoint, methods=methods)
    assert route.methods is not None
    route.methods.discard("HEAD")  # which Starlette adds, and Prometheus refuses
    return route


def _nothing_there() -> dict[str, Any]:
    """Return the answers about what a server without scraping, rules and alerts does not have."""
    return {
        "alerts": {"alerts": []},
        "alertmanagers": {"activeAlertmanagers": [], "droppedAlertmanagers": []},
        "targets": {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}},
        "targets/metadata": [],
        "scrape_pools": {"scrapePools": []},
        "notifications": [],
        "status/flags": {},
        "status/config": {"yaml": ""},
        "status/buildinfo": {
            "version": VERSION,
            "revision": "",
            "branch": "",
            "buildUser": "gamebird",
            "buildDate": "",
            "goVersion": f"python{platform.python_version()}",
        },
    }


async def _ready(_: Request) -> Response:
    return PlainTextResponse("Prometheus Server is Ready.\n")


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("Prometheus Server is Healthy.\n")


async def _no_such_place(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(_NOT_FOUND[error.status_code], error.status_code, headers=error.headers)


class _Requests:
    """Brings requests to handlers in threads and looks after clients that hang up."""

    def __init__(self, concurrent_max: int) -> None:
        self._concurrent_max = concurrent_max
        self._threads: CapacityLimiter | None = None

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return await self._answered(request, handler)

        return answer

    def values_endpoint(self, api: Api) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            # The raw path tells bytes that are no UTF-8 from a character.
            raw = unquote_to_bytes(request.scope["raw_path"].split(b"?")[0]).rsplit(b"/", 2)[1]
            name = raw.decode("utf-8", "surrogateescape")
            return await self._answered(request, lambda parameters: api.values(name, parameters))

        return answer

    async def _answered(self, request: Request, handler: Handler) -> Response:
        try:
            parameters = await parameters_of(request)
        except BadRequest as error:
            return _refusal(error.status, "bad_data", str(error))
        if self._threads is None:  # it belongs to the loop that runs the app
            self._threads = CapacityLimiter(self._concurrent_max)
        gone = threading.Event()
        parameters = replace(parameters, is_gone=gone.is_set)
        async with create_task_group() as beside:
            beside.start_soon(_watch, request, gone)
            response = await to_thread.run_sync(_respond, handler, parameters, limiter=self._threads)
            beside.cancel_scope.cancel()
        return response


async def _watch(request: Request, gone: threading.Event) -> None:
    """Wait for the client to hang up, and tell the thread that works for it."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    gone.set()


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
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a string of the query has bytes that are no UTF-8; JSON has a character for them
        content = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
    return Response(content, status, media_type="application/json")


__all__ = ["VERSION", "ApiLimits", "create_app"]
