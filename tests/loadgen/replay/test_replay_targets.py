"""Whom a replay may be sent to, and the words with which others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen.openloop import UnsafeTargetError
from loadgen.replay.targets import Permitted, permitted_target

ELSEWHERE = "http://192.0.2.7:8080"  # an address that is kept for documentation


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080/", "http://[::1]:8080"])
def test_this_machine_may_be_sent_to(url: str) -> None:
    assert permitted_target(url).because == "loopback"


def test_another_machine_may_not_unless_somebody_says_that_it_is_theirs() -> None:
    with pytest.raises(UnsafeTargetError, match="--i-own-this-target"):
        permitted_target(ELSEWHERE)
    found = permitted_target(ELSEWHERE, owned=True)
    assert (found.because, found.address, found.port) == ("owned", "192.0.2.7", 8080)


@pytest.mark.parametrize(
    ("line", "may"),
    [
        ("192.0.2.7", True),
        ("192.0.2.7:8080  # staging", True),
        ("192.0.2.0/24", True),
        ("192.0.2.7:80", False),
        ("192.0.3.0/24", False),
        ("# 192.0.2.7", False),
        ("", False),
        ("*", False),
    ],
)
def test_an_allow_list_names_hosts_ports_and_networks(tmp_path: Path, line: str, may: bool) -> None:
    file = tmp_path / "allowed"
    file.write_text(f"# what may be sent to\n{line}\n", encoding="utf-8")
    if may:
        assert permitted_target(ELSEWHERE, allow_list=file).because == "allow-list"
    else:
        with pytest.raises(UnsafeTargetError, match="allow-list"):
            permitted_target(ELSEWHERE, allow_list=file)


@pytest.mark.parametrize(
    ("line", "may"),
    [("2001:db8::1", True), ("[2001:db8::1]:80", True), ("2001:db8::/32", True), ("2001:db8::1:80", False)],
)
def test_an_address_of_version_6_has_its_port_behind_brackets(tmp_path: Path, line: str, may: bool) -> None:
    file = tmp_path / "allowed"
    file.write_text(f"{line}\n", encoding="utf-8")
    if may:
        assert permitted_target("http://[2001:db8::1]:80", allow_list=file).because == "allow-list"
    else:
        with pytest.raises(UnsafeTargetError, match="allow-list"):
            permitted_target("http://[2001:db8::1]:80", allow_list=file)


def test_an_allow_list_that_cannot_be_read_allows_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsafeTargetError, match="cannot be read"):
        permitted_target(ELSEWHERE, allow_list=tmp_path / "none")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/path",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "http://",
        "http://127.0.0.1/path",
        "http://u:p@127.0.0.1",
        "http://127.0.0.1:99999",
        "http://no-such-host.invalid",
        f"http://{'a' * 64}.example",
        "http://two..dots",
        "http://127.0.0.1\\@elsewhere.example",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(UnsafeTargetError):
        permitted_target(url, owned=True)


@pytest.mark.parametrize("url", ["http://0.0.0.0:80", "http://[::]:80", "http://[::ffff:192.0.2.7]:80"])
def test_what_only_leads_to_a_loopback_or_hides_another_machine_is_none(url: str) -> None:
    with pytest.raises(UnsafeTargetError, match="--i-own-this-target"):
        permitted_target(url)


def test_a_generator_checks_for_itself_that_the_loopback_is_one() -> None:
    forged = Permitted(address="192.0.2.7", port=80, host_header="localhost", because="loopback")
    with pytest.raises(UnsafeTargetError, match="is not this machine"):
        forged.target()
