"""A Secret reaches the provider that needs it, and no error that comes back repeats it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from controller.core.measuring import measure_metric
from controller.manifests.values import Header, Metric, PrometheusProvider, SecretKeyRef, hide
from controller.metrics.asking import ask_metric
from controller.metrics.prometheus import PrometheusClient

TOKEN = SecretKeyRef(name="prometheus", key="token")
MARK = "\x01secret:prometheus/token\x01"
SECRET = 'hunter"2 & co'  # quoted otherwise in JSON and in a URL


class Telltale(BaseHTTPRequestHandler):
    """Refuses every query, with an error that repeats all it was told."""

    def do_POST(self) -> None:
        query = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())["query"][0]
        told = f"bad token in {query}, header {self.headers['authorization']}"
        body = json.dumps({"status": "error", "errorType": "bad_data", "error": told}).encode()
        self.send_response(400)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Telltale)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def metric(address: str) -> Metric:
    provider = PrometheusProvider(
        address=address,
        query=f'up{{token="{MARK}"}}',
        headers=(Header(key="Authorization", value=f"Bearer {MARK}"),),
    )
    return Metric(name="m", provider=provider, success_condition="result[0] > 0")


def test_an_error_that_repeats_a_secret_is_told_without_it(address: str) -> None:
    with PrometheusClient() as client:
        answer = ask_metric(client, metric(address), lambda: 7.0, {TOKEN: SECRET})
    assert answer.error.count("*****") == 2  # the query's and the header's
    measured = measure_metric(metric(address), answer)
    assert "hunter" not in repr(answer) + repr(measured)


def test_a_secret_that_is_not_known_is_an_error_and_its_mark_is_sent_nowhere(address: str) -> None:
    with PrometheusClient() as client:
        answer = ask_metric(client, metric(address), lambda: 7.0)
    assert answer.error == "key token of Secret prometheus is not known here (metric m)"


# In a URL the quote is %22, the blank %20 or +, the ampersand %26; JSON writes the quote as \".
@pytest.mark.parametrize("written", [SECRET, 'hunter\\"2 & co', "hunter%222%20%26%20co", "hunter%222+%26+co"])
def test_a_secret_is_found_however_it_is_quoted(written: str) -> None:
    assert hide(f"no such token: {written}!", {TOKEN: SECRET}) == "no such token: *****!"
    assert hide("nothing to hide", {TOKEN: ""}) == "nothing to hide"
