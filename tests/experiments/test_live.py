"""The live view: plain lines where the output is no terminal, a block that is redrawn where it is one."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from experiments.events import Event
from experiments.live import LiveBlock, PlainLines, watch


@dataclass
class Play:
    """As much of a rehearsal as a view looks at; it says what it is told to say."""

    events: list[Event] = field(default_factory=list)
    policy: str = "corrected"
    began_s: float = 1000.0
    stable_hash: str = "aaa111"
    release_hash: str = "bbb222"
    load: Any = None
    subscribers: list[Callable[[Event], None]] = field(default_factory=list)
    game_day: Any = field(default_factory=lambda: SimpleNamespace(title="A release with errors"))
    world: Any = field(default_factory=lambda: SimpleNamespace(clock=SimpleNamespace(now_s=lambda: 1260.0)))

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        self.subscribers.append(subscriber)

    def verdict(self) -> None:
        return None

    def canary_weight(self) -> float:
        return 10.0

    def happens(self, event: Event) -> None:
        self.events.append(event)
        for subscriber in self.subscribers:
            subscriber(event)


@pytest.fixture
def play() -> Any:
    return Play()


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=110, color_system=None), out


def test_without_a_terminal_each_thing_that_happens_is_one_plain_line(
    play: Any, aborted_events: tuple[Event, ...]
) -> None:
    where, out = console(terminal=False)
    view = watch(play, where)
    assert isinstance(view, PlainLines)
    for event in aborted_events:
        play.happens(event)
    view.close()
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert lines[0] == "policy corrected: A release with errors"
    assert "0:00  under test deployed: 5 % errors" in lines
    assert "0:40  the router sends 10 % to the canary" in lines
    measured = "2:20  error-rate [0.05] over 100 requests, needs result[0] < 0.01: Failed"
    assert measured in lines
    assert any(line.startswith("2:20  ABORTED") for line in lines)
    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_the_block_shows_weight_step_measurement_and_limit(
    play: Any, aborted_events: tuple[Event, ...]
) -> None:
    where, _ = console(terminal=True)
    view = watch(play, where)
    assert isinstance(view, LiveBlock)
    try:
        for event in aborted_events:
            play.happens(event)
        shown, out = console(terminal=False)
        shown.print(view.render())
    finally:
        view.close()
    text = out.getvalue()
    for part in ("policy corrected", "10 %", "error-rate", "[0.05]", "result[0] < 0.01", "Failed", "failureLimit (0)"):
        assert part in text, part
