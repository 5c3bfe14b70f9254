"""Ask one metric of an analysis run: the value, the number of requests behind it, or the error in their place.

A provider that fails is an answer too (an error that the core judges), so nothing here raises for what a provider
did: an exception that leaves this module is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from controller.core.measuring import Answer
from controller.core.runs import Value
from controller.manifests.values import Metric, PrometheusProvider, SecretKeyRef, hide, reveal
from controller.metrics.addresses import AddressError
from controller.metrics.counting import count_query, shape_of
from controller.metrics.prometheus import DEFAULT_TIMEOUT_S, PrometheusClient, ProviderError


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
            error that repeats one is told without it.
    """
    secrets = secrets or {}
    try:
        revealed = reveal(metric, secrets)
    except KeyError as error:
        (ref,) = error.args
        return _failed(now_s(), now_s, f"key {ref.key} of Secret {ref.name} is not known here (metric {metric.name})")
    answer = _ask(client, revealed, now_s)
    return replace(answer, error=hide(answer.error, secrets)) if answer.error and secrets else answer


def _ask(client: PrometheusClient, metric: Metric, now_s: Callable[[], float]) -> Answer:
    started_s = now_s()
    provider = metric.provider
    if not isinstance(provider, PrometheusProvider):
        return _failed(started_s, now_s, f"Gamebird does not ask the provider of metric {metric.name}")
    if provider.range_query is not None:
        return _failed(started_s, now_s, f"Gamebird does not ask a rangeQuery (metric {metric.name})")
    try:
        counted = client.ask_counted(
            provider.address,
            provider.query,
            count_query(metric).query,
            at_s=started_s,
            timeout_s=DEFAULT_TIMEOUT_S if provider.timeout_s is None else provider.timeout_s,
            headers=tuple((header.key, header.value) for header in provider.headers),
            insecure=provider.insecure,
        )
    except (ProviderError, AddressError) as error:
        return _failed(started_s, now_s, str(error))
    value: Value = counted.answer.value
    return Answer(
        started_s=started_s, finished_s=now_s(), value=value, requests=counted.requests, shape=shape_of(metric)
    )


def _failed(started_s: float, now_s: Callable[[], float], why: str) -> Answer:
    return Answer(started_s=started_s, finished_s=now_s(), error=why)
