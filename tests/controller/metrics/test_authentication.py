"""Who asks: passwords, tokens and headers reach the server that needs them, and nothing repeats them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from controller.core.measuring import Answer
from controller.manifests.values import Authentication, Header, Metric, PrometheusProvider, WebProvider
from controller.metrics.asking import ask_metric
from controller.metrics.prometheus import PrometheusClient

ONE = b'{"status":"success","data":{"resultType":"scalar","result":[7,"1"]}}'


@pytest.fixture
def client() -> Iterator[PrometheusClient]:
    with PrometheusClient() as found:
        yield found


def ask(client: PrometheusClient, address: str, headers: tuple[Header, ...] = (), **kind: object) -> Answer:
    authentication = Authentication(**kind)  # type: ignore[arg-type]
    provider = PrometheusProvider(address=address, query="1", authentication=authentication, headers=headers)
    return ask_metric(client, Metric(name="m", provider=provider), lambda: 7.0)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_user_and_password_are_sent(serve, client) -> None:
    site = serve(lambda asked: (200, ONE))
    assert ask(client, site.address, basic_username="ann", basic_password="pässword").error == ""
    assert site.asked[0].headers["authorization"] == basic("ann", "pässword")


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ({"basic_username": "ann"}, "basic auth setup: password"),
        ({"basic_password": "secret"}, "basic auth setup: username"),
        ({"oauth2_token_url": "http://x"}, "OAuth2 setup"),
        ({"sigv4_region": "eu-west-1"}, "authentication.sigv4 cannot be used"),
    ],
)
def test_what_is_missing_or_cannot_be_done_is_named_and_nothing_is_sent(serve, client, kind, says: str) -> None:
    site = serve(lambda asked: (200, ONE))
    assert says in ask(client, site.address, **kind).error
    assert site.asked == []


def test_a_token_is_asked_for_and_sent(serve, client) -> None:
    site = serve(lambda asked: (200, ONE))
    tokens = serve(lambda asked: (200, b'{"access_token":"t0ken","token_type":"bearer"}'))
    answer = ask(
        client,
        site.address,
        oauth2_token_url=f"{tokens.address}/token",
        oauth2_client_id="id with blank",
        oauth2_client_secret="se:cret",
        oauth2_scopes=("read", "more"),
    )
    assert answer.value == 1.0
    (asked,) = tokens.asked
    assert parse_qs(asked.body) == {"grant_type": ["client_credentials"], "scope": ["read more"]}
    assert asked.headers["authorization"] == basic("id+with+blank", "se%3Acret")  # RFC 6749, 2.3.1
    # Value and count (there is none to be derived from the query 1) are one question.
    assert [one.headers["authorization"] for one in site.asked] == ["Bearer t0ken"]


def test_a_token_server_that_wants_the_client_in_the_form_gets_it_there(serve, client) -> None:
    site = serve(lambda asked: (200, ONE))
    tokens = serve(lambda asked: (401, b"") if "authorization" in asked.headers else (200, b'{"access_token":"t0ken"}'))
    kind = {"oauth2_token_url": tokens.address, "oauth2_client_id": "id", "oauth2_client_secret": "secret"}
    assert ask(client, site.address, **kind).value == 1.0
    assert parse_qs(tokens.asked[1].body)["client_secret"] == ["secret"]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((500, b"secret is wrong"), "authentication.oauth2.tokenUrl answers HTTP 500 and no token"),
        ((200, b"<html>secret"), "authentication.oauth2.tokenUrl answers without an access_token"),
        ((200, b'{"access_token":""}'), "authentication.oauth2.tokenUrl answers without an access_token"),
        ((200, b"[1]"), "authentication.oauth2.tokenUrl answers without an access_token"),
    ],
)
def test_a_server_that_gives_no_token_is_an_error_without_its_words(serve, client, reply, says: str) -> None:
    site, tokens = serve(lambda asked: (200, ONE)), serve(lambda asked: reply)
    kind = {"oauth2_token_url": tokens.address, "oauth2_client_id": "id", "oauth2_client_secret": "secret"}
    assert ask(client, site.address, **kind).error == says
    assert site.asked == []


def test_a_header_that_is_written_out_replaces_what_authentication_would_send(serve, client) -> None:
    site = serve(lambda asked: (200, ONE))
    headers = (Header(key="authorization", value="Bearer old"), Header(key="Authorization", value="Bearer mine"))
    ask(client, site.address, headers, basic_username="ann", basic_password="secret")
    assert site.asked[0].headers["authorization"] == "Bearer mine"  # of two of a name the last one counts


def test_an_error_that_repeats_all_it_was_sent_is_told_without_secrets(serve, client) -> None:
    def repeat(asked: object) -> tuple[int, bytes]:
        said = {"status": "error", "errorType": "bad_data", "error": str(asked)}
        return 400, json.dumps(said).encode()

    site, tokens = serve(repeat), serve(lambda asked: (200, b'{"access_token":"t0ken"}'))
    headers = (Header(key="X-Api-Key", value="k3y-of-the-house"),)
    by_password = ask(client, site.address, headers, basic_username="ann", basic_password="pa55word")
    kind = {"oauth2_token_url": tokens.address, "oauth2_client_id": "id", "oauth2_client_secret": "c1ient-secret"}
    by_token = ask(client, site.address, headers, **kind)
    for answer in (by_password, by_token):
        assert "bad_data" in answer.error
        assert "*****" in answer.error
        for secret in ("pa55word", basic("ann", "pa55word")[6:], "t0ken", "c1ient-secret", "k3y-of-the-house"):
            assert secret not in answer.error


def test_a_web_metric_logs_in_by_token_too(serve, client) -> None:
    site = serve(lambda asked: (200, f'"{asked.headers["authorization"]}"'.encode()))
    tokens = serve(lambda asked: (200, b'{"access_token":"t0ken"}'))
    provider = WebProvider(
        url=site.address,
        authentication=Authentication(
            oauth2_token_url=tokens.address, oauth2_client_id="id", oauth2_client_secret="secret"
        ),
    )
    answer = ask_metric(client, Metric(name="m", provider=provider), lambda: 7.0)
    assert site.asked[0].headers["authorization"] == "Bearer t0ken"
    assert "t0ken" not in repr(answer)


def test_a_header_that_cannot_be_sent_is_an_error_without_its_value(serve, client) -> None:
    site = serve(lambda asked: (200, ONE))
    for value in ("line\nhunter2", "snow\u2603hunter2"):
        answer = ask(client, site.address, (Header(key="X-Key", value=value),))
        assert answer.error == f"{site.address}/api/v1/query cannot be asked: a header holds what no header may hold"
