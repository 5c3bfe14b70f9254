"""Whose turn it is, on a clock that the test holds."""

from __future__ import annotations

import threading

import pytest

from controller.kubernetes.work_queue import WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(now_s=clock)


def test_many_changes_of_one_object_are_one_look(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.add("a")
    assert len(queue) == 1
    assert queue.take() == "a"
    queue.done("a")
    assert len(queue) == 0


def test_a_change_during_a_look_is_looked_at_afterwards_and_by_nobody_before(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert queue.take() == "a"


def test_those_who_came_first_go_first(queue: WorkQueue[str]) -> None:
    for key in ("b", "a", "c"):
        queue.add(key)
    assert [queue.take() for _ in range(3)] == ["b", "a", "c"]


def test_the_earlier_of_two_instants_counts(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a", after_s=60.0)
    queue.add("a", after_s=10.0)
    queue.add("a", after_s=30.0)
    clock.now_s += 9.9
    assert len(queue) == 0
    clock.now_s += 0.2
    assert queue.take() == "a"
    queue.done("a")
    clock.now_s += 100.0
    assert len(queue) == 0


def test_a_look_that_is_due_during_a_look_is_not_lost(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a", after_s=1.0)
    queue.add("b", after_s=2.0)
    clock.now_s += 5.0
    assert queue.take() == "b"
    queue.done("a")
    assert queue.take() == "a"


def test_failures_wait_twice_as_long_each_time_and_a_success_forgives_them(queue: WorkQueue[str], clock: Clock) -> None:
    waits = []
    queue.add("a")
    for _ in range(12):
        assert queue.take() == "a"
        waits.append(queue.failed("a"))
        clock.now_s += waits[-1]
    # 0.05 s doubled eleven times would be 102.4 s; a minute is the longest.
    assert waits[:4] == pytest.approx([0.05, 0.1, 0.2, 0.4])
    assert waits[-1] == 60.0
    assert queue.take() == "a"
    queue.done("a")
    queue.add("a")
    assert queue.take() == "a"
    assert queue.failed("a") == pytest.approx(0.05)


def test_a_change_ends_the_wait_after_a_failure(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.take() == "a"
    queue.failed("a")
    assert len(queue) == 0
    queue.add("a")
    assert queue.take() == "a"


def test_closing_lets_everybody_go() -> None:
    queue: WorkQueue[str] = WorkQueue()
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(queue.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(5.0)
    assert found == [None, None, None]


def test_no_key_is_looked_at_by_two_at_once() -> None:
    queue: WorkQueue[int] = WorkQueue()
    busy: set[int] = set()
    looks = dict.fromkeys(range(5), 0)
    clashes: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while (key := queue.take()) is not None:
            with lock:
                if key in busy:
                    clashes.append(key)
                busy.add(key)
                looks[key] += 1
            with lock:
                busy.discard(key)
            queue.done(key)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2_000):
        queue.add(number % 5)
    while len(queue):
        pass
    queue.close()
    for thread in threads:
        thread.join(5.0)
    assert clashes == []
    assert all(looks.values())


def test_it_is_pressed_while_a_key_waits_whose_time_has_come(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("later", after_s=5.0)
    assert not queue.pressed
    clock.now_s += 5.0
    assert queue.pressed
    assert queue.take() == "later"
    assert not queue.pressed
