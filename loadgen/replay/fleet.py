"""The generators of one replay, held from Python: start them, watch them, stop them, put together what they left.

Every generator is a process with a folder of its own; with several, or with Locust's page, Locust's master is one more.
A generator that is lost ends the replay: its verdict can no longer be anything but invalid, and nobody should wait, or
be asked, for figures that will not be believed. Imports no Locust. Not safe for several threads.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadgen.openloop.plan import IN_FLIGHT_MAX
from loadgen.openloop.process import LoadError, generator_environment, last_words
from loadgen.openloop.records import LOG, PLAN, Tail, write_whole
from loadgen.replay.plan import ShardPlan
from loadgen.replay.preparing import Prepared
from loadgen.replay.results import SILENT_MAX_S, Fate, Result, assemble
from loadgen.replay.targets import Permitted

READY_WITHIN_S = 60.0
BEGIN_AFTER_S = 0.3
STOP_WITHIN_S = 0.9
LATE_END_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetProgress:
    """How a replay stands, as of the generators' last signs of life.

    Attributes:
        at_s: seconds since the traffic began.
        alive: generators that run; silent: those of them that give no sign of life.
    """

    at_s: float
    due: int
    sent: int
    dropped: int
    in_flight: int
    alive: int
    silent: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(slots=True)
class _Generator:
    shard: int
    planned: int
    process: subprocess.Popen[bytes]
    tail: Tail
    folder: Path
    ready: bool = False
    ended: bool = False
    lost_at_s: float | None = None
    heard_s: float = 0.0  # of the monotonic clock
    beat: dict[str, Any] = field(default_factory=dict)

    def look(self) -> None:
        for event in self.tail.events():
            self.heard_s = time.monotonic()
            match event["event"]:
                case "ready":
                    self.ready = True
                case "beat":
                    self.beat = event
                case "ended":
                    self.ended = True

    def tell(self, line: str) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.write(f"{line}\n".encode())
                self.process.stdin.flush()


class Replay:
    """One replay of a score by one generator process or by several.

    Args:
        prepared: the score, with as many parts as there shall be generators.
        target: whom it is sent to.
        folder: for this replay alone; made if it is not there.
        timeout_s: how long a user waits for an answer, seconds of the wall.
        slow_after_s: an answer later than this is bad; None: lateness alone is never bad.
        in_flight_max: requests of one generator that may wait for an answer; those beyond are dropped, and counted.
        connections_max: connections of one generator; requests that are due wait for one. None: none waits.
        web_port: serve Locust's page on this port of the loopback while the replay runs.
    """

    def __init__(
        self,
        prepared: Prepared,
        target: Permitted,
        folder: Path,
        *,
        timeout_s: float = 10.0,
        slow_after_s: float | None = None,
        in_flight_max: int = IN_FLIGHT_MAX,
        connections_max: int | None = None,
        web_port: int | None = None,
    ) -> None:
        target.target()
        self._prepared = prepared
        self._target = target
        self._folder = folder
        self._timeout_s = timeout_s
        self._slow_after_s = slow_after_s
        self._in_flight_max = in_flight_max
        self._connections_max = connections_max
        self._web_port = web_port
        self._generators: list[_Generator] = []
        self._master: subprocess.Popen[bytes] | None = None
        self._began_s = 0.0
        self._ended = ""
        self._ended_s: float | None = None

    def start(self) -> None:
        """Start everything and return when the first instant of the traffic is set, a moment from now.

        Raises:
            LoadError: a generator, or Locust's master, did not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            port = self._start_master() if len(self._prepared.shards) > 1 or self._web_port is not None else None
            for shard, planned in enumerate(self._prepared.shards):
                self._generators.append(self._start_generator(shard, planned, port))
            self._await_ready()
        except BaseException:
            self.kill()
            raise
        self._began_s = time.monotonic() + BEGIN_AFTER_S
        for generator in self._generators:
            generator.heard_s = self._began_s
            generator.tell(f"begin {self._began_s!r}")

    @property
    def pids(self) -> list[int]:
        """The generators' processes, by the number of their part."""
        return [generator.process.pid for generator in self._generators]

    @property
    def running(self) -> bool:
        """Whether a generator still runs."""
        return any(generator.process.poll() is None for generator in self._generators)

    def look(self) -> FleetProgress:
        """Read what is new, end the replay if a generator was lost, and return how it stands."""
        now_s = time.monotonic() - self._began_s
        for generator in self._generators:
            over = generator.process.poll() is not None
            generator.look()
            if over and not generator.ended and generator.lost_at_s is None:
                generator.lost_at_s = max(0.0, now_s)
                self._end(f"generator {generator.shard + 1} of {len(self._generators)} was lost")
        alive = [each for each in self._generators if each.process.poll() is None]
        if alive and now_s > self._prepared.lasts_s + self._timeout_s + LATE_END_S:
            self._end("a generator did not end in time")
            for generator in alive:
                generator.process.kill()
        beats = [each.beat for each in self._generators]
        silent = [each for each in alive if not each.ended and time.monotonic() - each.heard_s > SILENT_MAX_S]
        return FleetProgress(
            at_s=min(max(now_s, 0.0), self._prepared.lasts_s),
            due=sum(beat.get("due", 0) for beat in beats),
            sent=sum(beat.get("sent", 0) for beat in beats),
            dropped=sum(beat.get("dropped", 0) for beat in beats),
            in_flight=sum(beat.get("in_flight", 0) for beat in beats),
            alive=len(alive),
            silent=tuple(each.shard for each in silent),
            lost=tuple(each.shard for each in self._generators if each.lost_at_s is not None),
        )

    def wait(self, *, within_s: float) -> None:
        """Return when the replay has ended; raise LoadError when it has not in time."""
        deadline_s = time.monotonic() + within_s
        while self.running:
            self.look()
            if time.monotonic() > deadline_s:
                raise LoadError(f"the replay still runs after {within_s:g} s")
            time.sleep(_POLL_S)
        self.look()

    def stop(self, why: str = "it was stopped") -> None:
        """End the traffic, and every process within a second. Safe to repeat."""
        self._end(why)
        deadline_s = time.monotonic() + STOP_WITHIN_S
        while self.running and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        self.look()
        self.kill()

    def kill(self) -> None:
        """End every process, whatever it is doing. Safe to repeat."""
        processes = [generator.process for generator in self._generators]
        processes += [self._master] if self._master is not None else []
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def result(self) -> Result:
        """Return what the replay showed; for one that has ended."""
        fates = [
            Fate(
                shard=each.shard,
                planned=each.planned,
                exit_code=each.process.poll(),
                lost_at_s=each.lost_at_s,
            )
            for each in self._generators
        ]
        return assemble(
            self._folder,
            self._prepared.folder,
            fates,
            ended=self._ended or "the traffic's time was up",
            ended_s=self._ended_s if self._ended_s is not None else self._prepared.lasts_s,
            slow_after_s=self._slow_after_s,
        )

    def _end(self, why: str) -> None:
        if self._ended or not self._generators:
            return
        self._ended = why
        self._ended_s = min(max(0.0, time.monotonic() - self._began_s), self._prepared.lasts_s)
        for generator in self._generators:
            generator.tell(f"stop {why}")

    def _start_generator(self, shard: int, planned: int, master_port: int | None) -> _Generator:
        folder = self._folder / f"shard-{shard}"
        if (folder / PLAN).exists():
            raise LoadError(f"{folder} holds another run; give each replay a folder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        plan = ShardPlan(
            score=self._prepared.folder,
            shard=shard,
            workers=len(self._prepared.shards),
            target=self._target,
            lasts_s=self._prepared.lasts_s,
            timeout_s=self._timeout_s,
            drain_s=self._timeout_s,
            in_flight_max=self._in_flight_max,
            connections_max=self._connections_max,
            master_port=master_port,
        )
        write_whole(folder / PLAN, plan.model_dump_json(indent=2) + "\n")
        process = _launch(["loadgen.replay", str(folder), "--parent", str(os.getpid())], folder / LOG)
        return _Generator(shard=shard, planned=planned, process=process, tail=Tail(folder), folder=folder)

    def _start_master(self) -> int:
        words = ["loadgen.replay.master", "--workers", str(len(self._prepared.shards)), "--parent", str(os.getpid())]
        words += ["--host", self._target.url]
        words += ["--web", str(self._web_port)] if self._web_port is not None else []
        self._master = _launch(words, self._folder / "master.log", stdout=subprocess.PIPE)
        assert self._master.stdout is not None
        readable, _, _ = select.select([self._master.stdout], [], [], READY_WITHIN_S)
        line = self._master.stdout.readline() if readable else b""
        if not line.strip().isdigit():
            raise LoadError(f"Locust's master did not start{last_words(self._folder / 'master.log')}")
        return int(line)

    def _await_ready(self) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while not all(generator.ready for generator in self._generators):
            for generator in self._generators:
                generator.look()
                if generator.process.poll() is not None:
                    raise LoadError(
                        f"generator {generator.shard + 1} ended with exit code {generator.process.returncode}"
                        f"{last_words(generator.folder / LOG)}"
                    )
            if time.monotonic() > deadline_s:
                raise LoadError(f"the generators did not get ready within {READY_WITHIN_S:g} s")
            time.sleep(_POLL_S)


def _launch(words: list[str], log_file: Path, *, stdout: int | None = None) -> subprocess.Popen[bytes]:
    with log_file.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", *words],  # -P: a folder of the caller's that is called loadgen is not ours
            stdin=subprocess.PIPE,
            stdout=log if stdout is None else stdout,
            stderr=log,
            env=generator_environment(),
            start_new_session=True,  # Ctrl-C is for whoever started the replay, who then stops it in order
        )
