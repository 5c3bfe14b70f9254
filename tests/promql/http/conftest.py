"""A small store behind a real server on a loopback port, and a way to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from promql.http import ApiLimits, create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore
from promql.storage.exposition import Family

NOW_S = 1_700_000_060.0
Ask = Callable[..., tuple[int, dict[str, Any]]]


def _store() -> MemoryStore:
    """Two pods' counters, every 15 s for a minute: one grows by 15, the other by 30 each time."""
    store = MemoryStore()
    for step in range(5):
        t_s = 1_700_000_000.0 + 15 * step
        store.append({"__name__": "requests_total", "pod": "a", "job": "shop"}, t_s, 15.0 * step)
        store.append({"__name__": "requests_total", "pod": "b", "job": "shop"}, t_s, 30.0 * step)
        store.append({"__name__": "up", "job": "shop"}, t_s, 1.0)
    return store


@pytest.fixture(scope="session")
def client() -> Iterator[httpx.Client]:
    families = [Family(name="requests_total", kind="counter", help="Requests.", unit="")]
    limits = ApiLimits(query_characters_max=5_000)
    app = create_app(_store(), now_s=lambda: NOW_S, families=families, limits=limits)
    with QueryServer(app) as server, httpx.Client(base_url=server.address, timeout=30) as client:
        yield client


@pytest.fixture
def ask(client: httpx.Client) -> Ask:
    """GET a path of the API with parameters and return status and JSON; `match` stands for `match[]`."""

    def get(path: str, **parameters: object) -> tuple[int, dict[str, Any]]:
        named = {name.replace("match", "match[]"): value for name, value in parameters.items()}
        answer = client.get(f"/api/v1/{path}", params=named)
        return answer.status_code, answer.json()

    return get
