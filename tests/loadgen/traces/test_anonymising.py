"""Nothing that tells who asked survives, and what the traffic looks like does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loadgen.traces import Recorded, TraceError, requests_of, table_of
from loadgen.traces.anonymising import Anonymiser, Rules, Vocabulary

KEY = b"0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SECRETS = (
    "4711",
    "joe@example.com",
    "joe%40example.com",
    "alice",
    "10.9.8.7",
    "2001:db8::1",
    "5f1b2c3d-aaaa-4bbb-8ccc-0123456789ab",
    "deadbeef0042",
    JWT,
    "s3cr3t-Passw0rd",
    "tok_live_abcdef",
    "hunter",
)


def anonymised(requests: Sequence[Recorded], key: bytes = KEY, **rules: frozenset[str]) -> list[Recorded]:
    table = table_of(requests)
    words = Vocabulary()
    words.learn([table])
    anonymiser = Anonymiser(Rules(key=key, **rules), words)
    return [request for each in anonymiser.tables([table]) for request in requests_of(each)]


def asked(path: str, query: str = "", **more: object) -> Recorded:
    return Recorded(0.0, "GET", path, query)._replace(**more)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_survives_wherever_it_stands(secret: str) -> None:
    safe = secret.replace("@", "%40").replace(":", "%3A")
    requests = [
        asked(f"/users/{safe}"),
        asked(f"/reset/{safe}/confirm"),
        asked("/orders", f"id={safe}&page=2"),
        asked("/orders", safe),
        asked("/orders", headers=(("authorization", f"Bearer {secret}"), ("cookie", secret), ("x-id", secret))),
        asked("/orders", headers=(("accept-language", f"en,{secret}"), ("accept", secret))),
        asked("/orders", headers=(("content-type", f"multipart/form-data; boundary={secret}"),)),
        asked("/orders", body=secret.encode(), body_bytes=len(secret)),
        asked("/orders", segment=f"plan-{secret}-0001"),
    ] * 3
    assert secret not in str(anonymised(requests))
    assert safe not in str(anonymised(requests))


def test_the_shape_of_the_traffic_survives() -> None:
    first = asked(
        "/api/v2/orders/4711/items",
        "page=2&sort=price&id=4711",
        headers=(("accept", "text/html;q=0.9, */*"), ("accept-language", "de-CH, en;q=0.5")),
        body=b"{}",
        body_bytes=2,
        status=200,
        duration_s=0.25,
        segment="eu-west",
    )
    (found,) = anonymised([first])
    parts = found.path.split("/")
    assert parts[:4] + parts[5:] == ["", "api", "v2", "orders", "items"]
    assert parts[4].isdigit()
    assert found.query.startswith("page=2&sort=price&id=")
    assert found.headers == first.headers
    assert found == first._replace(path=found.path, query=found.query, body=None)


def test_one_value_is_one_hash_wherever_it_stands_and_another_under_another_key() -> None:
    first, second = anonymised([asked("/orders/4711"), asked("/orders", "id=4711")])
    assert first.path.split("/")[2] == second.query.partition("=")[2]
    (other,) = anonymised([asked("/orders/4711")], key=b"another key of 16")
    assert other.path != first.path


def test_a_place_that_takes_many_values_holds_names_and_not_words() -> None:
    # fifty-one names under /, each a plain word, are customers' names; /api stays below fifty places
    names = [f"/{a}{b}corp/api" for a in "abcdefgh" for b in "abcdefg"][:51]
    found = anonymised([asked(path) for path in names])
    assert not any(request.path.split("/")[1] in path for request, path in zip(found, names, strict=True))


def test_in_a_long_trace_a_word_that_few_asked_for_is_no_word_of_the_service() -> None:
    found = anonymised([asked("/orders")] * 1_000 + [asked("/swordfish")] * 4)
    assert found[0].path == "/orders"
    assert "swordfish" not in found[-1].path


def test_a_header_that_the_user_adds_keeps_its_name_and_not_its_value() -> None:
    (found,) = anonymised([asked("/", headers=(("x-tenant", "acme"),))], headers=frozenset({"x-tenant"}))
    assert found.headers[0][0] == "x-tenant"
    assert found.headers[0][1] != "acme"


def test_a_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(TraceError, match="the key has 5 bytes; it needs 16 or more"):
        Rules(key=b"short")
