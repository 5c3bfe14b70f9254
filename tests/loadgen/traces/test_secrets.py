"""What a trace must never hold unless somebody asks for it, hidden in a log as clients hide it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen.traces import Recorded, requests_of, table_of, tables_of_parquet
from loadgen.traces.secrets import Censor, is_secret_name, looks_secret

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
TOKEN = "Zx81Qq77LmN0pRsTuV9w"  # 20 letters and digits that nobody says what they are
HIDDEN = {
    # where it stands in the request's target -> what must be gone
    "/login?user=joe&password=hunter2": "hunter2",
    "/login?user_password=swordfish": "swordfish",
    "/orders?access_token=abcdef": "abcdef",
    "/orders?apiKey=k-0815-x": "k-0815-x",
    "/orders?X-Amz-Signature=0f9e8d7c6b": "0f9e8d7c6b",
    "/orders?page=2;jsessionid=1A2B3C4D5E": "1A2B3C4D5E",
    "/orders;jsessionid=9F8E7D6C5B/items": "9F8E7D6C5B",
    "/callback?code=4%2F0AX4XfWhRt7Yz&state=open": "0AX4XfWhRt7Yz",
    f"/orders?q={JWT}": "eyJhbGciOiJIUzI1NiJ9",
    f"/{JWT}/orders": "eyJhbGciOiJIUzI1NiJ9",
    f"/hooks/{TOKEN}": TOKEN,
    "/reset/9d8c7b": "9d8c7b",
    "/verify/abcdefghijklmnopq": "abcdefghijklmnopq",
    "/users/joe%40example.com/orders": "joe%40example.com",
    "/users/ann@example.com": "ann@example.com",
    "/search?q=bob%2Btag%40example.org": "example.org",
    "/users/eve%2540example.com": "eve%2540example.com",  # encoded twice
    "/orders?%74oken=uvwxyz": "uvwxyz",
    "/pay?n=4111111111111111": "4111111111111111",
    "/pay?n=5500+0000+0000+0004": "5500+0000+0000+0004",
    "/pay/3782-822463-10005/confirm": "3782-822463-10005",
    "/go?next=https%3A%2F%2Fjim%3Apa55%40intern.example%2F": "pa55",
    "http://kim:s3cret@orders.example/orders": "s3cret",
    "/login?next=%2Freset%3Ftoken%3Dabc123": "abc123",  # the address to go to afterwards has secrets of its own
    "/login?next=/reset?user=1%26token%3Dabc124": "abc124",
    "/login?next=%252Freset%253Fpassword%253Dabc125": "abc125",
    "/go/%2Freset%3Ftoken%3Dabc126": "abc126",
    "/go?to=https%3A%2F%2Fx.example%2Fcb%23access_token%3Dabc127": "abc127",
    "/search?filter=%7B%22password%22%3A%22abc128%22%7D": "abc128",
    "/hooks?url=sk_live_4eC39HqLyjWDarjtT1zdp7dc": "4eC39HqLyjWDarjtT1zdp7dc",
    "/orders?h=Bearer%20mF_9.B5f-4.1JqM": "mF_9.B5f-4.1JqM",
}
STAYS = (
    "/orders/4711/items?page=2&sort=price",
    "/api/v2/orders/5f1b2c3d-aaaa-4bbb-8ccc-0123456789ab",
    "/assets/app.3f2a9b1c.js",
    "/static/very-long-names-of-pages-that-people-read.html",
    "/ship?country_code=DE&code=DE&key=name&author=joe",
    "/password/reset",
    "/orders?id=1234567890123456",  # sixteen digits that are no card's number
    "/search?q=running+shoes+size+42",
    "/login?next=%2Forders%3Fpage%3D2%26sort%3Dprice",
    "/items/color=red;size=42",
)


def asked(target: str) -> Recorded:
    path, _, query = target.partition("?")
    return Recorded(0.0, "GET", path, query)


def censored(target: str) -> str:
    [table] = Censor().tables([table_of([asked(target)])])
    return requests_of(table)[0].target


@pytest.mark.parametrize("target", [target for target in HIDDEN if target.startswith("/")])
def test_a_secret_in_a_path_or_a_query_becomes_a_hash(target: str) -> None:
    assert HIDDEN[target] not in censored(target)


@pytest.mark.parametrize("target", STAYS)
def test_what_is_no_secret_stays_as_it_was(target: str) -> None:
    assert censored(target) == target


def test_an_address_in_a_header_alone_gives_its_secret_away_to_nobody() -> None:
    held = asked("/")._replace(headers=(("referer", "https://orders.example/in?sessionKey=abc130"),))
    [table] = Censor().tables([table_of([held])])
    assert "abc130" not in str(requests_of(table))


def test_one_secret_has_one_hash_so_that_what_belonged_together_still_does() -> None:
    [table] = Censor().tables([table_of([asked("/a?token=t1"), asked("/b?token=t1"), asked("/c?token=t2")])])
    first, second, third = (request.query for request in requests_of(table))
    assert first == second != third
    assert first.startswith("token=x")


def test_headers_and_segments_that_hold_a_credential_are_hashed_too() -> None:
    came_from = "https://orders.example/reset?token=abc129"
    held = asked("/")._replace(
        headers=(("accept", "*/*"), ("x-user", "ann@example.com"), ("referer", came_from)), segment="bob@example.com"
    )
    censor = Censor()
    [table] = censor.tables([table_of([held, asked("/")])])
    found = requests_of(table)[0]
    assert found.headers[0] == ("accept", "*/*")
    assert "example.com" not in str(found)
    assert "abc129" not in str(found)
    assert censor.requests == 1


@pytest.mark.parametrize(
    ("name", "secret"),
    [("access_token", True), ("clientSecret", True), ("PIN", True), ("author", False), ("sort_key", False),
     ("spin", False), ("postcode", False), ("X-Api-Key", True), ("user%5Bpassword%5D", True)],
)  # fmt: skip
def test_a_parameter_is_a_secret_by_the_words_of_its_name(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_a_card_is_told_by_the_check_of_its_digits() -> None:
    # Luhn, from the right, every second doubled: 4111111111111111 gives 30, with a last 2 it gives 31
    assert looks_secret("4111111111111111")
    assert not looks_secret("4111111111111112")


@pytest.mark.parametrize("command", ["convert", "anonymise", "sample"])
def test_no_secret_of_a_log_is_in_the_file_that_a_command_writes_by_default(tmp_path: Path, command: str) -> None:
    log = tmp_path / "access.log"
    lines = [
        f'203.0.113.77 - frank [24/Nov/2026:09:00:{number % 60:02} +0000] "GET {target} HTTP/1.1" 200 512 '
        f'"https://x.example/?token=refsecret" "curl/8.5 (dora@example.net)"\n'
        for number, target in enumerate([*HIDDEN, *STAYS])
    ]
    log.write_text("".join(lines), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "gamebird"), "trace", command, str(log), "--to", "out.parquet"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    written = [request for table in tables_of_parquet(tmp_path / "out.parquet") for request in requests_of(table)]
    assert len(written) == len(HIDDEN) + len(STAYS)
    text = json.dumps([str(request) for request in written]) + str((tmp_path / "out.parquet").read_bytes())
    for secret in (*HIDDEN.values(), "203.0.113.77", "frank", "refsecret", "example.net"):
        assert secret not in text, secret
    if command == "convert":
        # all of them, because of the address in what the client calls itself
        assert f"{len(lines)} requests, {len(lines)} of them with secrets that are hashed now" in done.stdout
