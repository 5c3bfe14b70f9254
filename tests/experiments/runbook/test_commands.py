"""Every command on the page is one that can be typed: our own command line takes it, and it names the rollout."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import typer.main

from gamebird.cli.rollout import app

Page = Callable[..., str]


def code_of(page: str) -> list[str]:
    """Return the lines of all shell blocks and the code in the text that are commands."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("#")]
    spans = re.findall(r"`((?:gamebird rollout \w+ |kubectl )[^`]*)`", page)
    return lines + spans


def test_our_own_command_line_takes_every_command_of_the_page(
    page_of: Page, example_files: tuple[Path, ...], by_pods: Path, dynamic: Path
) -> None:
    group = typer.main.get_command(app)
    seen = set()
    for files, name, namespace in (
        (example_files, "orders-api", "production"),
        ((by_pods,), "search", "shop"),
        ((dynamic,), "cart", "shop"),
    ):
        for line in code_of(page_of(*files)):
            words = shlex.split(line)
            if words[:2] != ["gamebird", "rollout"]:
                continue
            with group.make_context("rollout", words[2:]) as context:
                word, command, rest = group.resolve_command(context, words[2:])  # type: ignore[attr-defined]
                with command.make_context(word, rest, parent=context) as inner:
                    assert inner.params["name"] == name
                    assert inner.params["namespace"] == namespace
            seen.add(word)
    assert seen == {"abort", "pause", "resume", "promote", "retry", "undo", "restart", "status"}


def test_every_kubectl_command_names_the_rollout_and_its_namespace(page_of: Page, by_pods: Path) -> None:
    lines = [line for line in code_of(page_of(by_pods)) if line.startswith("kubectl")]
    assert len(lines) >= 10
    for line in lines:
        assert "search" in line
        assert "-n shop" in line


def test_each_word_of_argos_plugin_is_one_that_it_has(page_of: Page, by_pods: Path) -> None:
    words = {shlex.split(line)[3] for line in code_of(page_of(by_pods)) if line.startswith("kubectl argo rollouts")}
    # The plugin's own list of commands; it has no `resume`.
    assert words == {"get", "abort", "pause", "promote", "retry", "undo", "restart"}
