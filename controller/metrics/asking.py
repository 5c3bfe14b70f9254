"""Ask one metric of an analysis run: the value, the number of requests behind it, or the error in their place.

A provider that fails is an answer too (an error that the core judges), so nothing here raises for what a provider
did: an exception that leaves this module is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from controller.core.conditions import ConditionError, Json
from controller.core.conditions.instants import instant
from controller.core.measuring import Answer
from controller.manifests.values import (
    DurationError,
    Metric,
    PrometheusProvider,
    RangeQuery,
    SecretKeyRef,
    WebProvider,
    duration_s,
    hide,
    reveal,
)
from controller.metrics.addresses import AddressError
from controller.metrics.authentication import Asker, Credentials, worth_hiding
from controller.metrics.counting import count_query, shape_of, slow_query
from controller.metrics.prometheus import DEFAULT_TIMEOUT_S, PrometheusClient, Range
from controller.metrics.transport import ProviderError
from controller.metrics.web import DEFAULT_TIMEOUT_S as WEB_TIMEOUT_S
from controller.metrics.web import WebClient


def ask_metric(
    client: PrometheusClient,
    metric: Metric,
    now_s: Callable[[], float],
    secrets: Mapping[SecretKeyRef, str] | None = None,
) -> Answer:
    """Return what the metric's provider says now.

    Args:
        now_s: reads the world's clock of policy time.
        secrets: the values of the Secrets that arguments refer to. They go to the provider and nowhere else: an
            error or a text that repeats one is told without it.
    """
    secrets = secrets or {}
    try:
        revealed = reveal(metric, secrets)
    except KeyError as error:
        (ref,) = error.args
        return _failed(now_s(), now_s, f"key {ref.key} of Secret {ref.name} is not known here (metric {metric.name})")
    asking = _Asking(client, revealed, now_s)
    answer, sent = asking.answer(), asking.credentials
    if answer.error:
        return replace(answer, error=_hide(hide(answer.error, secrets), sent.secrets + sent.written))
    kept = worth_hiding([*secrets.values(), *sent.secrets])
    return replace(answer, value=_without(answer.value, kept)) if kept else answer


def _hide(text: str, secrets: tuple[str, ...]) -> str:
    return hide(text, {SecretKeyRef(name="", key=secret): secret for secret in secrets})


def _without(value: object, secrets: tuple[str, ...]) -> object:
    """Return a value without secrets: a web endpoint may repeat what it was sent, and measurements are kept."""
    match value:
        case Json(inner):
            return Json(_without(inner, secrets))
        case str():
            return _hide(value, secrets)
        case dict():
            return {_hide(str(key), secrets): _without(item, secrets) for key, item in value.items()}
        case list():
            return [_without(item, secrets) for item in value]
    return value


class _Asking:
    """One metric being asked, with its secrets in place."""

    def __init__(
        self,
        client: PrometheusClient,
        metric: Metric,
        now_s: Callable[[], float],
    ) -> None:
        self.client = client
        self.metric = metric
        self.now_s = now_s
        self.started_s = now_s()
        self.credentials = Credentials()

    def answer(self) -> Answer:
        provider = self.metric.provider
        try:
            match provider:
                case PrometheusProvider():
                    self._log_in(provider, DEFAULT_TIMEOUT_S)
                    return self._range(provider) if provider.range_query is not None else self._instant(provider)
                case WebProvider():
                    self._log_in(provider, WEB_TIMEOUT_S)
                    web = WebClient(transport=self.client.transport, addresses=self.client.addresses)
                    return self._told(web.ask(provider, self.credentials.headers))
        except (ProviderError, AddressError) as error:
            return _failed(self.started_s, self.now_s, str(error))
        return _failed(self.started_s, self.now_s, f"Gamebird does not ask the provider of metric {self.metric.name}")

    def _log_in(self, provider: PrometheusProvider | WebProvider, default_s: float) -> None:
        asker = Asker(
            transport=self.client.transport,
            addresses=self.client.addresses,
            timeout_s=provider.timeout_s or default_s,
            insecure=provider.insecure,
        )
        self.credentials = asker.credentials(provider.authentication, provider.headers)

    def _instant(self, provider: PrometheusProvider) -> Answer:
        options, at_s = self._options(provider), self.started_s
        counted = self.client.ask_counted(
            provider.address, provider.query, count_query(self.metric).query, at_s=at_s, **options
        )
        answer = self._told(counted.answer.value, counted.requests)
        slow = slow_query(self.metric)
        floor = self.metric.evidence.requests_min
        if slow is None or floor is None or counted.requests is None or counted.requests >= floor:
            return replace(answer, shape=shape_of(self.metric))
        slower = self.client.ask_count(provider.address, slow, at_s=at_s, **options)
        return replace(answer, finished_s=self.now_s(), shape=shape_of(self.metric), slow_requests=slower.requests)

    def _range(self, provider: PrometheusProvider) -> Answer:
        """Ask a range. Its count is that of the range's end: fewer requests than stand behind all of it."""
        span = _range(provider.range_query, self.started_s)
        options = self._options(provider)
        found = self.client.ask_range(provider.address, provider.query, span, **options)
        count = count_query(self.metric).query
        requests = None
        if count is not None:
            requests = self.client.ask_count(provider.address, count, at_s=span.end_s, **options).requests
        return self._told(found.value, requests)

    def _options(self, provider: PrometheusProvider) -> dict[str, Any]:
        return {
            "timeout_s": DEFAULT_TIMEOUT_S if provider.timeout_s is None else provider.timeout_s,
            "headers": self.credentials.headers,
            "insecure": provider.insecure,
        }

    def _told(self, value: object, requests: float | None = None) -> Answer:
        return Answer(started_s=self.started_s, finished_s=self.now_s(), value=value, requests=requests)


def _range(asked: RangeQuery | None, now_s: float) -> Range:
    assert asked is not None
    try:
        start_s, end_s = (_instant_of(asked, name, now_s) for name in ("start", "end"))
        step_s = duration_s(asked.step)
    except DurationError as error:
        raise ProviderError(f"failed to parse rangeQuery.step as duration: {error}") from None
    return Range(start_s=start_s, end_s=end_s, step_s=step_s)


def _instant_of(asked: RangeQuery, name: str, now_s: float) -> float:
    try:
        return instant(asked.start if name == "start" else asked.end, now_s=now_s)
    except ConditionError as error:
        raise ProviderError(f"failed to parse rangeQuery.{name} as time: {error}") from None


def _failed(started_s: float, now_s: Callable[[], float], why: str) -> Answer:
    return Answer(started_s=started_s, finished_s=now_s(), error=why)
