"""A rehearsal from start to end, through Chaos Toolkit and the real load generator, in a world of a few lines.

The world answers HTTP itself and plays a rollout from a script, so that what is tested is the stage and not the actors.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from experiments import runner
from experiments.chaos import stage
from experiments.events import Event, FaultBegan, FaultEnded, PodsChanged, PodsOfRevision, StatusChanged, WeightSet
from experiments.gameday_files import GameDay, load_game_day
from experiments.rehearsal import Rehearsal
from experiments.runner import Options, SpeedError, rehearse
from experiments.verdicts import Verdict
from experiments.worlds import RehearsalError
from loadgen.openloop import Origin
from sim.releases import Release

SPEED = 20.0
STABLE, CANARY = "aaa111", "bbb222"


class Clock:
    """Policy time from 1,000,000 s on, at twenty times the wall's speed."""

    def __init__(self) -> None:
        self.origin = Origin(monotonic_s=time.monotonic(), policy_s=1_000_000.0, speed=SPEED)

    def now_s(self) -> float:
        return self.origin.policy_at(time.monotonic())

    def wall_s(self, policy_s: float) -> float:
        return policy_s / SPEED


class ScriptedWorld:
    """Half of the requests go to the canary while the weight is 50; the script says when, and what comes after."""

    metrics_server = "none"

    def __init__(self, ends: str = "aborted") -> None:
        self.clock = Clock()
        self.ends = ends
        self.metrics_cut = False
        self.proxy_faults: dict[str, Mapping[str, Any]] = {}
        self.dead = False
        self.stopped = 0
        self.weight = 0
        self._subscribers: list[Callable[[Event], None]] = []
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            served = 0

            def do_GET(self) -> None:
                Handler.served += 1
                to_canary = world.weight == 50 and Handler.served % 2 == 0
                self.send_response(500 if to_canary else 200)
                self.send_header("x-gamebird-revision", CANARY if to_canary else STABLE)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def target_url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        self._subscribers.append(subscriber)

    def tell(self, event: Event) -> None:
        for subscriber in self._subscribers:
            subscriber(event)

    def start(self) -> str:
        six = PodsOfRevision(pod_hash=STABLE, wanted=6, created=6, ready=6, available=6)
        self.tell(PodsChanged(t_s=self.clock.now_s(), revisions=(six,)))
        self._status(phase="Healthy", current=STABLE, step=None)
        return STABLE

    def deploy(self, release: Release) -> str:
        threading.Thread(target=self._play, daemon=True).start()
        return CANARY

    def check(self) -> None:
        if self.dead:
            raise RehearsalError("the world is dead")

    def cut_metrics(self, *, cut: bool) -> None:
        self.metrics_cut = cut

    def set_proxy_fault(self, side: str, fault: Mapping[str, Any] | None) -> None:
        if fault is None:
            self.proxy_faults.pop(side, None)
        else:
            self.proxy_faults[side] = fault

    def set_flag(self, flag: str, *, on: bool | None) -> None:
        pass

    def stop(self) -> None:
        self.stopped += 1
        self.server.shutdown()
        self.server.server_close()

    def _play(self) -> None:
        self._status(phase="Progressing", current=CANARY, step=0)
        time.sleep(0.2)  # four policy seconds
        self._set_weight(50)
        self._status(phase="Progressing", current=CANARY, step=1)
        time.sleep(1.0)  # twenty
        if self.ends == "aborted":
            self._status(phase="Degraded", current=CANARY, step=0, aborted=True)
            self._set_weight(0)
        elif self.ends == "dead":
            self.dead = True

    def _set_weight(self, percent: int) -> None:
        self.weight = percent
        self.tell(WeightSet(t_s=self.clock.now_s(), canary=percent, total=100, canary_hash=CANARY, stable_hash=STABLE))

    def _status(self, *, phase: str, current: str, step: int | None, aborted: bool = False) -> None:
        self.tell(
            StatusChanged(
                t_s=self.clock.now_s(),
                phase=phase,
                message="",
                revision=2,
                current_hash=current,
                stable_hash=STABLE,
                step_index=step,
                step=f"setWeight: {50 * (step or 0)}",
                steps=2,
                aborted=aborted,
            )
        )


@pytest.fixture
def game_day(root: Path, tmp_path: Path) -> GameDay:
    """A short drill: Prometheus is gone once the weight is 50, for ten policy seconds."""
    example = root / "examples" / "orders-api"
    text = (example / "gamedays" / "prometheus-gone.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("../", f"{example}/"),
        ("at_s: 90", "at_s: 20"),
        ("weight_at_least: 30}, for_s: 1200", "weight_at_least: 50}, for_s: 10"),
        ("over_s: 30", "over_s: 10"),
        ("within_s: 2400", "within_s: 200"),
    ):
        assert old in text
        text = text.replace(old, new)
    text = text.replace("    release: {}\n", "    release: {}\n    settle_s: 20\n").replace(
        "weight_max: 30", "weight_max: 50"
    )
    file = tmp_path / "short.yaml"
    file.write_text(text, encoding="utf-8")
    return load_game_day(file)


@pytest.fixture
def in_world(monkeypatch: pytest.MonkeyPatch) -> Callable[[ScriptedWorld], ScriptedWorld]:
    """Let the runner rehearse in a world of the test's own."""

    def put(world: ScriptedWorld) -> ScriptedWorld:
        monkeypatch.setattr(runner, "_local_world", lambda *_: world)
        return world

    return put


@pytest.fixture(autouse=True)
def _nothing_left_on_the_stage() -> Iterator[None]:
    yield
    assert not stage.is_on()


def test_a_rehearsal_runs_from_the_steady_state_to_the_scorecard(game_day: GameDay, in_world: Any) -> None:
    world = in_world(ScriptedWorld())
    seen = rehearse(game_day, "corrected", Options(speed=SPEED))
    assert seen.card.verdict is Verdict.ABORTED
    assert [check.what for check in seen.card.checks if not check.held] == []
    assert world.stopped == 1
    assert seen.journal["steady_states"]["before"]["steady_state_met"]
    assert [run["activity"]["name"] for run in seen.journal["run"]] == [
        "deploy the release under test",
        "take Prometheus away",
        "wait for the verdict",
    ]
    [canary] = [one for one in seen.card.revisions if one.role == "under test"]
    assert canary.bad == canary.requests > 0  # every answer of the canary is a 500
    counted = {one["name"]: one["requests"] for one in seen.load["revisions"]}
    assert canary.requests == counted[CANARY]


def test_a_fault_begins_when_the_rollout_says_so_and_its_lease_ends_it(game_day: GameDay, in_world: Any) -> None:
    world = in_world(ScriptedWorld())
    seen = rehearse(game_day, "corrected", Options(speed=SPEED))
    [began] = [event for event in seen.events if isinstance(event, FaultBegan)]
    [ended] = [event for event in seen.events if isinstance(event, FaultEnded)]
    weight_s = next(event.t_s for event in seen.events if isinstance(event, WeightSet))
    assert 0 <= began.t_s - weight_s < 5
    assert ended.why == "lease"
    assert ended.t_s - began.t_s == pytest.approx(10, abs=3)
    assert not world.metrics_cut


def test_a_world_that_dies_ends_the_rehearsal_and_is_torn_down(game_day: GameDay, in_world: Any) -> None:
    world = in_world(ScriptedWorld(ends="dead"))
    with pytest.raises(RehearsalError, match="the world is dead"):
        rehearse(game_day, "corrected", Options(speed=SPEED))
    assert world.stopped == 1
    assert not world.metrics_cut


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_rehearsal_within_seconds_and_restore(
    game_day: GameDay, in_world: Any, number: signal.Signals
) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    world = in_world(ScriptedWorld(ends="never"))
    made: list[Rehearsal] = []
    timer = threading.Timer(3.5, os.kill, args=(os.getpid(), number))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        rehearse(game_day, "corrected", Options(speed=SPEED), watch=made.append)
    assert time.monotonic() - began < 9
    assert world.stopped == 1
    assert not world.metrics_cut
    assert made[0].load is not None
    assert not made[0].load.alive
    assert not made[0].directory.exists()
    assert {number: signal.getsignal(number) for number in before} == before


def test_more_than_a_thousand_real_requests_a_second_are_refused_before_anything_starts(game_day: GameDay) -> None:
    with pytest.raises(SpeedError, match=r"20 requests/s at speed 60, 1200 real requests/s; it needs 1000 at most"):
        rehearse(game_day, "corrected", Options(speed=60.0))
