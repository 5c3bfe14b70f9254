"""A client that hangs up does not go on costing anything: its query ends, and who waits behind it is served."""

from __future__ import annotations

import time

import httpx
import pytest

from promql.http import ApiLimits, create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore

# 39,600 samples in each of 11,000 windows, gone through one after the other: many seconds on any machine.
SLOW = {"query": "stddev_over_time(vector(1)[11h:1s])", "start": "0", "end": "11000", "step": "1"}


def test_the_query_of_a_client_that_has_hung_up_is_ended():
    app = create_app(MemoryStore(), limits=ApiLimits(concurrent_max=1))
    with QueryServer(app) as server, httpx.Client(base_url=server.address, timeout=30) as client:
        for method in ("GET", "POST"):
            fields = {"params" if method == "GET" else "data": SLOW}
            with pytest.raises(httpx.ReadTimeout):
                httpx.request(method, f"{server.address}/api/v1/query_range", timeout=0.3, **fields)
            began_s = time.monotonic()
            answer = client.get("/api/v1/query", params={"query": "1 + 1", "time": "0"})
            assert answer.json()["data"]["result"] == [0, "2"]
            assert time.monotonic() - began_s < 2.0
