"""Prometheus' own command line, which speaks through the Go client that Argo Rollouts uses too, works on our server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore, load_file

SERIES = Path(__file__).parent / "series.om"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    store = MemoryStore()
    load_file(SERIES, store)
    with QueryServer(create_app(store)) as server:
        yield server.address


AT = "--time=1700000060"
SPAN = ("--start=1700000000", "--end=1700000100")


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (
            ("query", "instant"),
            ('http_requests_total{pod="a"}', AT),
            ['http_requests_total{code="200", job="shop", pod="a"} => 18 @[1700000060]'],
        ),
        (("query", "instant"), ("scalar(vector(1)) / 0", AT), ["scalar: +Inf @[1700000060]"]),
        (
            ("query", "range"),
            ('sum(http_requests_total{pod="a"})', "--start=1700000000", "--end=1700000030", "--step=15s"),
            ["{} =>", "0 @[1700000000]", "15 @[1700000015]", "30 @[1700000030]"],
        ),
        (("query", "labels"), ("pod", *SPAN), ["a", "b"]),
        (("query", "labels"), ("__name__", '--match={kind="nan"}', *SPAN), ["odd"]),
    ],
)
def test_what_is_asked_is_answered(promtool, address, before, after, lines):
    done = subprocess.run([promtool, *before, address, *after], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[: len(lines)] == lines


def test_series_are_listed(promtool, address):
    command = [promtool, "query", "series", address, "--match=odd", *SPAN]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.parametrize("state", ["healthy", "ready"])
def test_the_server_is_well(promtool, address, state):
    command = [promtool, "check", state, f"--url={address}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "SUCCESS" in done.stdout + done.stderr


def test_an_error_has_its_kind_and_place(promtool, address):
    command = [promtool, "query", "instant", address, "sum("]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert 'bad_data: invalid parameter "query": 1:5: parse error' in done.stderr
