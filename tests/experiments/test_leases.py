"""Faults end: by lease, by hand, at the end of the rehearsal, and once."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.events import Event, FaultBegan, FaultEnded
from experiments.leases import FaultError, Leases


@dataclass
class Clock:
    """Policy time at twenty times the wall's speed."""

    began: float

    def now_s(self) -> float:
        return (time.monotonic() - self.began) * 20

    def wall_s(self, policy_s: float) -> float:
        return policy_s / 20


class Place:
    """Something that a fault is in, and that counts how often it was changed."""

    def __init__(self) -> None:
        self.broken = False
        self.ended = 0
        self.fixed = threading.Event()

    def break_it(self) -> None:
        self.broken = True

    def fix_it(self) -> None:
        self.broken = False
        self.ended += 1
        self.fixed.set()


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def leases(tmp_path: Path, events: list[Event]) -> Leases:
    return Leases(clock=Clock(time.monotonic()), tell=events.append, journal=tmp_path / "faults.jsonl")


def begin(leases: Leases, place: Place, *, for_s: float = 100.0, name: str = "fault") -> None:
    leases.begin(name, kind="test", detail="it is broken", for_s=for_s, start=place.break_it, end=place.fix_it)


def test_a_fault_ends_by_itself_when_its_lease_is_over(leases: Leases, events: list[Event]) -> None:
    place = Place()
    begin(leases, place, for_s=2.0)  # a tenth of a second of the wall
    assert place.broken
    assert place.fixed.wait(5.0)
    while leases.in_force:
        time.sleep(0.001)
    assert [type(event) for event in events] == [FaultBegan, FaultEnded]
    assert isinstance(events[1], FaultEnded)
    assert events[1].why == "lease"


def test_a_fault_that_was_restored_is_not_ended_again_by_its_lease(leases: Leases) -> None:
    place = Place()
    begin(leases, place, for_s=1.0)
    leases.end("fault", "restored")
    leases.end("fault", "restored")
    time.sleep(0.15)
    assert place.ended == 1


def test_the_end_of_the_rehearsal_ends_every_fault_and_lets_no_new_one_begin(leases: Leases) -> None:
    first, second = Place(), Place()
    begin(leases, first)
    begin(leases, second)
    assert len(leases.in_force) == 2
    leases.close()
    assert not first.broken
    assert not second.broken
    with pytest.raises(FaultError, match="is over"):
        begin(leases, Place())


def test_the_journal_knows_of_a_fault_before_it_is_in_force(leases: Leases) -> None:
    seen: list[str] = []
    leases.begin(
        "fault",
        kind="test",
        detail="",
        for_s=10.0,
        start=lambda: seen.append(leases.journal.read_text(encoding="utf-8")),
        end=lambda: None,
    )
    assert json.loads(seen[0])["do"] == "begin"
    leases.close()
    assert [json.loads(line)["do"] for line in leases.journal.read_text(encoding="utf-8").splitlines()] == [
        "begin",
        "end",
    ]


def test_a_fault_that_fails_half_way_is_taken_back(leases: Leases) -> None:
    place = Place()

    def start() -> None:
        place.break_it()
        raise OSError("no such port")

    with pytest.raises(FaultError, match="no such port"):
        leases.begin("fault", kind="test", detail="", for_s=10.0, start=start, end=place.fix_it)
    assert not place.broken
    assert not leases.in_force


def test_a_fault_that_fails_half_way_and_cannot_be_taken_back_at_once_is_ended_at_the_end(leases: Leases) -> None:
    place, tries = Place(), []

    def start() -> None:
        place.break_it()
        raise OSError("no such port")

    def end() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("busy")
        place.fix_it()

    with pytest.raises(FaultError, match="no such port"):
        leases.begin("fault", kind="test", detail="", for_s=100.0, start=start, end=end)
    assert leases.in_force == ("fault",)
    assert leases.failures == ["fault: busy"]
    leases.close()
    assert not place.broken
    assert not leases.in_force


def test_a_fault_of_a_place_ends_before_another_one_takes_hold_of_it(leases: Leases, events: list[Event]) -> None:
    done: list[str] = []

    def put(name: str, place: str) -> None:
        leases.begin(
            name,
            kind="test",
            detail="",
            for_s=100.0,
            start=lambda: done.append(f"{name} begins"),
            end=lambda: done.append(f"{name} ends"),
            place=place,
        )

    put("errors", "proxy canary")
    put("elsewhere", "proxy stable")
    put("delay", "proxy canary")
    assert done == ["errors begins", "elsewhere begins", "errors ends", "delay begins"]
    assert leases.in_force == ("elsewhere", "delay")
    assert [event.why for event in events if isinstance(event, FaultEnded)] == ["replaced"]
    leases.close()


def test_a_fault_that_cannot_be_ended_stays_known(leases: Leases) -> None:
    def stuck() -> None:
        raise OSError("stuck")

    leases.begin("fault", kind="test", detail="", for_s=100.0, start=lambda: None, end=stuck)
    leases.close()
    assert leases.in_force == ("fault",)
    assert leases.failures == ["fault: stuck"]
