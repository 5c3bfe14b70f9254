"""Every Prometheus query of the public manifests: planned without an edit, or refused for the reason listed here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.manifests.loading import ManifestError, load
from controller.manifests.values import PrometheusProvider
from promql.storage.selecting import matching
from promql.syntax import parse, selectors
from sim.metrics_model import PlanError

Make = Callable[..., Any]

RULE = "recording rule"
UNKNOWN = "no metric that the model produces"

# (number of the file, metric) -> why the model makes no series for it
REFUSED = {
    ("061", "api-error-burn-5m"): RULE,
    ("061", "api-error-burn-1h"): RULE,
    ("073", "circuit-breaker-healthy"): UNKNOWN,  # a state of the application's own
    ("078", "ttft-p95"): UNKNOWN,  # the time to a first token is not the time of an answer
    ("078", "no-open-circuits"): UNKNOWN,
}
# Queries whose selectors match nothing in a healthy run, as their own labels contradict one another: none so far.

ARGUMENTS = {"hash": "9f8d7c", "service": "orders-canary", "namespace": "shop", "version": "v2"}


def queries(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (number of the file, metric, query with its arguments filled in)."""
    for path in sorted(corpus.glob("*.yaml")):
        try:
            manifests = load([path])
        except ManifestError:
            continue  # tests/controller/manifests/test_corpus.py lists why
        for template in (*manifests.templates, *manifests.analysis_runs):
            given = {arg.name: arg.value for arg in template.args if arg.value}
            for metric in template.metrics:
                if isinstance(metric.provider, PrometheusProvider):
                    yield path.name[:3], metric.name, filled(metric.provider.query, given)


def filled(query: str, given: dict[str, str]) -> str:
    def value(tag: re.Match[str]) -> str:
        name = tag[1]
        kind = next((one for one in ARGUMENTS if one in name), "")
        return given.get(name) or ARGUMENTS.get(kind, name)

    return re.sub(r"\{\{\s*args\.([\w-]+)\s*\}\}", value, query)


def test_every_query_of_the_corpus_is_planned_or_refused_for_a_reason(
    corpus: Path, planned: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    refused: dict[tuple[str, str], str] = {}
    done = 0
    for number, metric, query in queries(corpus):
        try:
            found = planned(query)
        except PlanError as error:
            refused[number, metric] = str(error)
            continue
        done += 1
        # What is planned is found: each selector selects a series of the release, of stable or of the proxy.
        series = [one for side in ("stable", "release", "proxy") for one in found.series(side)]
        for selector in selectors(parse(query)):
            selects = matching(selector.matchers)
            assert any(selects(one.labels) for one in series), (number, metric, selector)
    with capsys.disabled():
        print(f"\n{done + len(refused)} Prometheus queries of public manifests: {done} planned, {len(refused)} refused")
    assert refused.keys() == REFUSED.keys()
    assert all(reason in refused[key] for key, reason in REFUSED.items())
    assert all("--metrics-map" in message for message in refused.values())
