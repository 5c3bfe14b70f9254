"""Values that must be fresh: which requests a rule is for, and what they become."""

from __future__ import annotations

import re
import uuid

import pytest

from loadgen.replay.templates import fill, is_fresh, read_templates
from loadgen.replay.timing import ReplayError


def made(target: str, *rules: str, number: int = 0) -> str:
    path, _, query = target.partition("?")
    data = f"GET {read_templates(list(rules)).target(path, query)} HTTP/1.1\r\n\r\n".encode()
    return fill(data, number).decode().split(" ")[1]


@pytest.mark.parametrize(
    ("rule", "target", "becomes"),
    [
        ("path:/carts/*=/carts/{n}", "/carts/17", "/carts/8"),
        ("path:/carts/*=/carts/{n}", "/carts/17/items", "/carts/17/items"),  # * is one part
        ("path:/carts/*/items/*=/c/{2}/{1}", "/carts/a/items/b", "/c/b/a"),
        ("path:/carts/*=/carts/{n}", "/carts/17?full=1", "/carts/8?full=1"),  # the query stays
        ("path:/carts/*=/carts/{1}?once={n}", "/carts/17?full=1", "/carts/17?once=8"),
        ("path:/a.b=/c", "/axb", "/axb"),  # a dot is a dot
        ("path:/pay=/pay", "/pay", "/pay"),
    ],
)
def test_a_path_that_matches_becomes_what_the_rule_says(rule: str, target: str, becomes: str) -> None:
    assert made(target, rule, number=7) == becomes


def test_the_first_rule_that_matches_is_the_rule() -> None:
    assert made("/a/b", "path:/a/*=/first", "path:/a/b=/second") == "/first"


def test_a_recorded_path_with_braces_is_nobody_s_template() -> None:
    assert made("/a/{uuid}", "path:/b=/c") == "/a/{uuid}"
    assert made("/a/{uuid}", "path:/a/*=/x/{1}") == "/x/{uuid}"


def test_headers_take_the_place_of_recorded_ones_of_the_name() -> None:
    found = read_templates(["header:X-Request-Id={uuid}"]).headers_of((("x-request-id", "old"), ("accept", "*/*")))
    assert [name for name, _ in found] == ["accept", "X-Request-Id"]


def test_every_request_gets_values_of_its_own() -> None:
    [(_, marked)] = read_templates(["header:a={uuid}/{now}/{unix}/{n}"]).headers_of(())
    data = f"GET / HTTP/1.1\r\na: {marked}\r\n\r\n".encode()
    assert is_fresh(data)
    first, second = (fill(data, number).decode().split("\r\n")[1][3:].split("/") for number in (0, 1))
    assert uuid.UUID(first[0]) != uuid.UUID(second[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first[1])
    assert first[2].isdigit()
    assert (first[3], second[3]) == ("1", "2")


def test_a_body_is_sent_byte_by_byte_as_it_was_recorded() -> None:
    [(_, marked)] = read_templates(["header:a={n}"]).headers_of(())
    body = b"\x00n\r\n\r\n\x00u"
    assert fill(f"POST / HTTP/1.1\r\na: {marked}\r\n\r\n".encode() + body, 4).endswith(b"a: 5\r\n\r\n" + body)
    assert not is_fresh(b"POST / HTTP/1.1\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("carts", "cannot be read"),
        ("path:/a", "cannot be read"),
        ("query:a=b", "is for 'query'"),
        ("path:a=/b", "begin with one slash"),
        ("path:/a=//b", "begin with one slash"),
        ("path:/a=/b c", "begin with one slash"),
        ("path:/a/*=/b/{2}", r"takes \{2\}, but its pattern has 1"),
        ("path:/a=/b/{user}", r"there is no \{user\}; there are \{uuid\}"),
        ("header:a b=c", "a header has a name"),
        ("header:a=b\r\nc: d", "a header has a name"),
        ("header:a={1}", r"takes \{1\}, but its pattern has 0"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_with_what_would_do(rule: str, why: str) -> None:
    with pytest.raises(ReplayError, match=why):
        read_templates([rule])
