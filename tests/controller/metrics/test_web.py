"""Web metrics against real servers: what is sent, what the conditions get, and what is an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.core.conditions import Json
from controller.core.measuring import Answer, measure_metric
from controller.core.runs import AnalysisPhase
from controller.manifests.values import Header, Metric, SecretKeyRef, WebProvider
from controller.metrics.addresses import AddressMap
from controller.metrics.asking import ask_metric
from controller.metrics.prometheus import PrometheusClient


@pytest.fixture
def client() -> Iterator[PrometheusClient]:
    with PrometheusClient() as found:
        yield found


def metric(url: str, *, condition: str = "", **settings: object) -> Metric:
    provider = replace(WebProvider(url=url), **settings)  # type: ignore[arg-type]
    return Metric(name="m", provider=provider, success_condition=condition)


def ask(client: PrometheusClient, asked: Metric) -> Answer:
    return ask_metric(client, asked, lambda: 7.0)


BODY = json.dumps({"data": {"ok": True, "ratio": 0.02, "count": 3, "list": [1, 2], "word": "fine", "none": None}})


@pytest.mark.parametrize(
    ("path", "value", "condition"),
    [
        ("{$.data.ok}", True, "result == true"),
        ("{$.data.ratio}", 0.02, "result < 0.05"),
        ("{$.data.count}", 3.0, "result == 3"),
        ("{$.data.list}", [1.0, 2.0], "len(result) == 2 && result[1] == 2"),
        ("{$.data.word}", "fine", 'result == "fine"'),
        ("{$.data}", {"ok": True}, "result.ok && result.ratio < 0.05"),
        ("", {"data": {}}, "result.data.count == 3"),
        ("{$.data.none}", None, "isNil(result)"),
    ],
)
def test_a_value_goes_to_the_condition_by_its_type(serve, client, path, value, condition) -> None:
    site = serve(lambda asked: (200, BODY.encode()))
    asked = metric(site.address, condition=condition, json_path=path)
    answer = ask(client, asked)
    assert isinstance(answer.value, Json)
    if not isinstance(value, dict):
        assert answer.value == Json(value)
    measured = measure_metric(asked, answer)
    assert (measured.phase, measured.message) == (AnalysisPhase.SUCCESSFUL, "")


# A number beyond floats, NaN and a trailing comma are no JSON to the original either.
@pytest.mark.parametrize("body", ["all is well", "", "[1, NaN]", "1e999", '{"a": 1,}'])
def test_a_body_that_is_no_json_is_a_text(serve, client, body: str) -> None:
    site = serve(lambda asked: (200, body.encode()))
    asked = metric(site.address, condition=f"result == {json.dumps(body)}", json_path="{$.never.read}")
    answer = ask(client, asked)
    assert answer.value == body
    assert measure_metric(asked, answer).phase is AnalysisPhase.SUCCESSFUL


@pytest.mark.parametrize("status", [300, 404, 500, 503])
def test_another_status_than_2xx_is_an_error_whatever_the_body_says(serve, client, status: int) -> None:
    site = serve(lambda asked: (status, BODY.encode()))
    assert ask(client, metric(site.address)).error == f"received non 2xx response code: {status}"


def test_nothing_where_the_path_points_is_an_error(serve, client) -> None:
    site = serve(lambda asked: (200, b"{}"))
    answer = ask(client, metric(site.address, json_path="{$.data.ok}"))
    assert answer.error == "Could not find JSONPath in body: data is not found"


def test_method_headers_and_bodies_arrive(serve, client) -> None:
    site = serve(lambda asked: (200, b"1"))
    headers = (Header(key="X-Team", value="orders"), Header(key="Content-Type", value="text/plain"))
    url = f"{site.address}/verdict?of=orders"
    ask(client, metric(url, headers=headers))
    ask(client, metric(url, method="POST", body="q=1", headers=headers))
    ask(client, metric(url, method="PUT", json_body='{"q":"1"}', headers=headers))
    got, posted, put = site.asked
    assert (got.method, got.path, got.headers["x-team"], got.body) == ("GET", "/verdict?of=orders", "orders", "")
    assert (posted.method, posted.body, posted.headers["content-type"]) == ("POST", "q=1", "text/plain")
    assert (put.method, put.body, put.headers["content-type"]) == ("PUT", '{"q":"1"}', "application/json")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"body": "x", "json_body": "{}", "method": "POST"}, "use either Body or JSONBody"),
        ({"body": "x"}, "can only be used with POST or PUT"),
    ],
)
def test_bodies_that_argo_refuses_are_errors_and_nothing_is_sent(serve, client, settings, says: str) -> None:
    site = serve(lambda asked: (200, b"1"))
    assert says in ask(client, metric(site.address, **settings)).error
    assert site.asked == []


def test_a_redirect_is_followed_and_one_without_end_is_not(serve, client) -> None:
    site = serve(lambda asked: (200, b"0.5"))
    there = serve(lambda asked: (302, b""), headers={"Location": site.address})
    assert ask(client, metric(there.address)).value == Json(0.5)
    circle = serve(lambda asked: (302, b""), headers={"Location": "/"})
    assert "cannot be asked" in ask(client, metric(circle.address)).error
    assert len(circle.asked) == 11  # the first, and ten redirects


def test_a_rehearsal_asks_no_real_server_but_one_that_stands_for_it(serve) -> None:
    site = serve(lambda asked: (200, b"0.5"))
    here = AddressMap(places={"verdicts.prod:80": site.place}, everything="127.0.0.1:9")
    with PrometheusClient(addresses=here) as client:
        assert ask(client, metric("http://verdicts.prod:80/v?x=1")).value == Json(0.5)
        refused = ask(client, metric("http://billing.prod/charge", method="POST", body="all"))
    assert site.asked[0].path == "/v?x=1"
    assert refused.error == "nothing stands for billing.prod here, and a rehearsal asks no real server"


def test_a_secret_that_the_endpoint_repeats_is_kept_in_no_value_and_no_error(serve, client) -> None:
    token = SecretKeyRef(name="web", key="token")
    mark = "\x01secret:web/token\x01"
    site = serve(lambda asked: (200, json.dumps({"you": [f"sent {asked.headers['x-token']}", 5]}).encode()))
    asked = metric(f"{site.address}/?key={mark}", json_path="{$.you}", headers=(Header(key="X-Token", value=mark),))
    answer = ask_metric(client, asked, lambda: 7.0, {token: "hunter2"})
    assert site.asked[0].headers["x-token"] == "hunter2"
    assert site.asked[0].path == "/?key=hunter2"
    assert answer.value == Json(["sent *****", 5.0])
    assert "hunter2" not in repr(measure_metric(asked, answer))
    gone = ask_metric(client, metric("http://127.0.0.1:9/?key=" + mark), lambda: 7.0, {token: "hunter2"})
    assert gone.error.startswith("http://127.0.0.1:9/ cannot be asked")
