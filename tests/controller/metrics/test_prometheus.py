"""The Prometheus client against real HTTP servers: what is an answer, and what must never look like one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

import pytest

from controller.metrics.addresses import AddressError, AddressMap
from controller.metrics.prometheus import PrometheusClient, ProviderError, sample_text


class Scripted(BaseHTTPRequestHandler):
    """Answers a query by the path-like word in it, and remembers what it was asked."""

    asked: ClassVar[list[dict[str, list[str]]]] = []
    headers_seen: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        self.asked.append(form)
        self.headers_seen.append(self.headers.get("authorization"))
        query = form["query"][0]
        if query == "drips":
            return self.drip()
        status, body = ANSWERS[query]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)
        return None

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(40):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    def log_message(self, format: str, *args: object) -> None:
        pass


def success(kind: str, result: object) -> tuple[int, bytes]:
    return 200, json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


ANSWERS = {
    "vector": success("vector", [{"metric": {}, "value": [7, "0.01"]}, {"metric": {"a": "b"}, "value": [7, "NaN"]}]),
    "empty": success("vector", []),
    "scalar": success("scalar", [7, "+Inf"]),
    "string": success("string", [7, "x"]),
    "count": success("vector", [{"metric": {"pod": "a"}, "value": [7, "40"]}, {"metric": {}, "value": [7, "2.5"]}]),
    "negative": success("vector", [{"metric": {}, "value": [7, "-1"]}]),
    "refused": (400, b'{"status":"error","errorType":"bad_data","error":"1:3: parse error"}'),
    "html": (502, b"<html>Bad gateway"),
    "half": (200, b'{"status":"success","data":{"resultType":"vector"'),
}


@pytest.fixture
def server() -> Iterator[str]:
    Scripted.asked, Scripted.headers_seen = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


@pytest.fixture
def client(server: str) -> Iterator[PrometheusClient]:
    with PrometheusClient(addresses=AddressMap(places={"prometheus.monitoring:9090": server})) as found:
        yield found


ADDRESS = "http://prometheus.monitoring:9090"


def test_a_vector_keeps_the_order_and_the_nan_of_its_samples(client: PrometheusClient) -> None:
    answer = client.ask(ADDRESS, "vector", at_s=7)
    assert answer.text == "[0.01,NaN]"
    assert isinstance(answer.value, tuple)
    assert answer.value[0] == 0.01


def test_an_empty_vector_is_an_answer_that_holds_nothing(client: PrometheusClient) -> None:
    answer = client.ask(ADDRESS, "empty", at_s=7)
    assert answer.value == ()
    assert answer.text == "[]"


def test_a_scalar_is_a_float(client: PrometheusClient) -> None:
    assert client.ask(ADDRESS, "scalar", at_s=7).value == float("inf")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("refused", "bad_data: 1:3: parse error"),
        ("html", "server_error: server error: 502"),
        ("half", "no answer of Prometheus"),
        ("string", "result of type string"),
    ],
)
def test_what_is_no_answer_is_an_error(client: PrometheusClient, query: str, says: str) -> None:
    with pytest.raises(ProviderError, match=says):
        client.ask(ADDRESS, query, at_s=7)


def test_value_and_count_are_asked_for_the_same_instant(client: PrometheusClient) -> None:
    counted = client.ask_counted(ADDRESS, "vector", "count", at_s=1234.5678)
    assert counted.requests == 42.5  # 40 + 2.5: a count by label is summed
    assert [form["time"] for form in Scripted.asked] == [["1234.568"], ["1234.568"]]


@pytest.mark.parametrize("count_query", [None, "empty", "refused", "negative"])
def test_a_count_that_cannot_be_had_is_unknown_and_leaves_the_answer_alone(
    client: PrometheusClient, count_query: str | None
) -> None:
    counted = client.ask_counted(ADDRESS, "scalar", count_query, at_s=7)
    assert counted.requests is None
    assert counted.count_problem
    assert counted.answer.value == float("inf")


def test_a_server_that_drips_meets_the_deadline(client: PrometheusClient) -> None:
    with pytest.raises(ProviderError, match=r"within 0\.2 s"):
        client.ask(ADDRESS, "drips", at_s=7, timeout_s=0.2)


def test_nobody_there_is_an_error_without_the_secret_that_would_have_been_sent() -> None:
    secret = (("authorization", "Bearer hush"),)
    with (
        PrometheusClient(addresses=AddressMap(everything="127.0.0.1:9")) as client,
        pytest.raises(ProviderError, match="cannot be asked") as caught,
    ):
        client.ask(ADDRESS, "vector", at_s=7, headers=secret)
    assert "hush" not in str(caught.value)


def test_headers_reach_the_server(client: PrometheusClient) -> None:
    client.ask(ADDRESS, "scalar", at_s=7, headers=(("authorization", "Bearer hush"),))
    assert Scripted.headers_seen == ["Bearer hush"]


@pytest.mark.parametrize("address", ["prometheus:9090", "ftp://x", "", "http://"])
def test_an_address_that_is_no_url_is_refused(address: str) -> None:
    with pytest.raises(AddressError, match="not a URL"):
        AddressMap().resolve(address)


def test_the_map_keeps_the_path_and_leaves_other_hosts_alone() -> None:
    places = AddressMap(places={"thanos:80": "127.0.0.1:1"})
    assert places.resolve("http://thanos:80/select/0") == "http://127.0.0.1:1/select/0"
    assert places.resolve("http://other:80") == "http://other:80"


@pytest.mark.parametrize(("value", "text"), [(0.01, "0.01"), (3.0, "3"), (float("-inf"), "-Inf")])
def test_a_sample_is_written_as_prometheus_writes_it(value: float, text: str) -> None:
    assert sample_text(value) == text
