"""The answers in guards.json, asked of the PromQL engine: what each guard's query really yields from series."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from controller.core.conditions import result_from_json
from promql.engine import evaluate
from promql.engine.results import ResultType
from promql.storage import MemoryStore

DATA = json.loads((Path(__file__).parent / "guards.json").read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = DATA["rows"]

SCRAPE_S, NOW_S = 15, 600
# Requests in the last five minutes, good and bad; None: the series does not exist.
REQUESTS: dict[str, tuple[float | None, float | None]] = {
    "no_series": (None, None),
    "no_traffic": (0.0, 0.0),
    "one_of_five": (4.0, 1.0),
    "no_error_ever": (600.0, None),
    "one_in_five": (480.0, 120.0),
}


def store_of(situation: str) -> MemoryStore:
    """Return ten minutes of scrapes, in whose last five minutes so many requests came."""
    good, bad = REQUESTS[situation]
    store = MemoryStore()
    for code, requests in (("200", good), ("500", bad)):
        if requests is not None:
            write(store, {"__name__": "http_requests_total", "code": code}, requests)
    if good is not None:
        total = good + (bad or 0.0)
        # Half of them under 0.25 s, all under 0.5 s: the 95th is at 0.25 + 0.25 · 0.45 / 0.5 = 0.475 s.
        for le, share in (("0.25", 0.5), ("0.5", 1.0), ("+Inf", 1.0)):
            write(store, {"__name__": "http_request_seconds_bucket", "le": le}, total * share)
    return store


def write(store: MemoryStore, labels: dict[str, str], requests: float) -> None:
    """Write a counter that stood at 1,000 and then grows by `requests`, evenly over the scrapes of the window."""
    steps = 300 // SCRAPE_S - 1  # from the first sample in the window to the last
    for scrape in range(NOW_S // SCRAPE_S + 1):
        grown = max(0, scrape - (NOW_S - 300) // SCRAPE_S - 1)
        store.append(labels, float(scrape * SCRAPE_S), 1000.0 + requests * grown / steps)


def answer(query: str, situation: str) -> list[float] | float:
    result = evaluate(query, float(NOW_S), store_of(situation))
    values = [float(value) for value, there in zip(result.values[0], result.present[0], strict=True) if there]
    return values[0] if result.type is ResultType.SCALAR else values


@pytest.mark.parametrize("situation", list(REQUESTS))
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_query_of_a_guard_yields_the_answer_that_the_page_is_computed_from(
    row: dict[str, Any], situation: str
) -> None:
    expected, found = result_from_json(row["answers"][situation]), answer(row["query"], situation)
    # Counts are extrapolated to the edges of the window: 19 steps of 20, so up to 5.3 % more.
    assert found == pytest.approx(expected, rel=0.06, nan_ok=True)
    if isinstance(expected, float) and math.isnan(expected):
        assert isinstance(found, float)
