"""Requests that a real Prometheus 3 answers beside us over the same series: the same status, type and JSON.

`requests.txt` holds them, one a line. What the server tells of itself (its version, its targets) is not compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import httpx
import pytest

from experiments.testbeds.local.metrics_servers import RealServer
from experiments.testbeds.local.samples import Sample
from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore, load_file
from promql.storage.exposition import read_exposition

HERE = Path(__file__).parent
SERIES = HERE / "series.om"

pytestmark = [pytest.mark.e2e, pytest.mark.needs_prometheus]


@pytest.fixture(scope="module")
def theirs(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    server = RealServer(prometheus_binary, tmp_path_factory.mktemp("prometheus") / "data")
    try:
        samples = read_exposition(SERIES.read_text(encoding="utf-8")).samples
        in_order = sorted(samples, key=lambda sample: sample.t_s)
        server.write([Sample(labels=dict(each.labels), t_s=each.t_s, value=each.value) for each in in_order])
        with httpx.Client(base_url=f"http://{server.place}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture(scope="module")
def ours() -> Iterator[httpx.Client]:
    store = MemoryStore()
    load_file(SERIES, store)
    with (
        QueryServer(create_app(store)) as server,
        httpx.Client(base_url=server.address, timeout=30, trust_env=False) as client,
    ):
        yield client


def _asked(client: httpx.Client, line: str) -> httpx.Response:
    method, _, rest = line.partition(" ")
    target, _, form = rest.partition(" ") if method == "POST" else (rest, "", "")
    path, _, query = target.partition("?")
    url = f"/api/v1/{path}{'?' + _escaped(query) if query else ''}"
    if method != "POST":
        return client.request(method, url)
    return client.post(url, content=_escaped(form), headers={"content-type": "application/x-www-form-urlencoded"})


def _escaped(form: str) -> str:
    pairs = [pair.split("=", 1) for pair in form.split("&") if pair]
    return "&".join("=".join(quote(unquote_to_bytes(part), safe="[]") for part in pair) for pair in pairs)


def _body(answer: httpx.Response) -> Any:
    """Return what is compared: rows in one order, no times taken, no parser's own words."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text
    data = body.get("data")
    if isinstance(data, dict) and "stats" in data:
        data["stats"] = sorted(key for key in data["stats"] if key != "samples")
    rows = data.get("result") if isinstance(data, dict) else data
    if isinstance(rows, list) and rows and isinstance(rows[0], dict):
        rows.sort(key=lambda row: json.dumps(row.get("metric", row), sort_keys=True))
    if body.get("errorType") == "bad_data":
        body["error"] = re.sub(r"(\d+:\d+|unknown position): parse error: .*", "parse error", body["error"])
    return body


def test_every_request_is_answered_as_prometheus_answers_it(theirs: httpx.Client, ours: httpx.Client) -> None:
    lines = [
        line for line in (HERE / "requests.txt").read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")
    ]
    different = []
    for line in lines:
        wanted, found = _asked(theirs, line), _asked(ours, line)
        pairs = [(each.status_code, each.headers.get("content-type"), _body(each)) for each in (wanted, found)]
        if pairs[0] != pairs[1]:
            different.append(f"{line}\n  theirs {pairs[0]}\n  ours   {pairs[1]}")
    print(f"{len(lines) - len(different)} of {len(lines)} requests answered as Prometheus 3 answers them")
    assert not different, "\n".join(different)
