"""Load goes to the loopback and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from loadgen.openloop.safety import UnsafeTargetError, loopback_target


@pytest.mark.parametrize(
    ("url", "address", "port", "host_header"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("http://127.1.2.3:8080/", "127.1.2.3", 8080, "127.1.2.3:8080"),
        ("http://[::1]:8080", "::1", 8080, "[::1]:8080"),
        ("http://127.0.0.1", "127.0.0.1", 80, "127.0.0.1"),
    ],
)
def test_a_target_on_the_loopback_is_taken_by_its_address(url: str, address: str, port: int, host_header: str) -> None:
    target = loopback_target(url)
    assert (target.address, target.port, target.host_header) == (address, port, host_header)


def test_localhost_means_the_address_that_services_listen_on() -> None:
    assert loopback_target("http://localhost:8080").address == "127.0.0.1"


def test_a_refusal_says_what_was_found_and_what_would_do() -> None:
    with pytest.raises(UnsafeTargetError, match=r"192\.0\.2\.7; it needs http://127\.0\.0\.1:PORT"):
        loopback_target("http://192.0.2.7:8080")


@pytest.mark.skipif(sys.platform != "linux", reason="short turns are asked of Linux")
def test_asking_for_short_turns_leaves_the_priority_that_was_given() -> None:
    code = "import os; from loadgen.openloop.turns import take_short_turns as ask; ask(); print(os.nice(0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=lambda: os.nice(5))
    assert (done.stdout, done.stderr) == (f"{os.nice(0) + 5}\n", "")
