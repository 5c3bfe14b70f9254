"""A generator process, held from Python: start it, change its rate, see how it goes, stop it, read what it left.

The game day and its chaos actions use this. It imports no Locust, so the caller's sockets stay what they are.
All methods may be called from any thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

import loadgen
from loadgen.openloop import records
from loadgen.openloop.clock import Origin
from loadgen.openloop.figures import bad_requests, sent_and_settled
from loadgen.openloop.plan import IN_FLIGHT_MAX, REAL_RPS_MAX, Plan
from loadgen.openloop.records import Rows, Run, Tail, write_whole
from loadgen.openloop.safety import loopback_target
from loadgen.traffic import Traffic, TrafficError

if TYPE_CHECKING:
    import pandas as pd

_POLL_S = 0.005


class LoadError(RuntimeError):
    """The generator did not start, broke, or did not answer: what happened, with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What users saw of one revision so far."""

    requests: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a run stands. Counts of users come from the records, at most a fifth of a second old.

    Attributes:
        traffic_s: policy seconds since the traffic began, as of the generator's last beat.
        due, sent, dropped, in_flight: requests, as of the last beat.
        seen: what users saw, by revision; "" where no revision answered.
        cpu_share: the share of a core that the generator used before the last beat.
        ended: why the run ended, or None while it goes on.
    """

    traffic_s: float
    due: int
    sent: int
    dropped: int
    in_flight: int
    seen: dict[str, Seen]
    cpu_share: float
    ended: str | None

    @property
    def requests(self) -> int:
        """Requests whose fate is known."""
        return sum(seen.requests for seen in self.seen.values())

    @property
    def bad(self) -> int:
        """Requests that a user saw fail or saw too slow."""
        return sum(seen.bad for seen in self.seen.values())


@dataclass(slots=True)
class _Watch:
    """What was read of a growing run so far."""

    tail: Tail
    slow_after_s: float | None
    beat: dict[str, Any] = field(default_factory=dict)
    ended: str | None = None
    began_monotonic_s: float | None = None
    is_ready: bool = False
    replies: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: dict[int, int] = field(default_factory=dict)  # by code of revision
    bad: dict[int, int] = field(default_factory=dict)

    def look(self) -> None:
        rows = self.tail.rows()
        for event in self.tail.events():
            match event["event"]:
                case "ready":
                    self.is_ready = True
                case "began":
                    self.began_monotonic_s = event["monotonic_s"]
                case "beat":
                    self.beat = event
                case "obeyed" | "refused":
                    self.replies[event["id"]] = event
                case "ended":
                    self.ended = event["why"]
        self._count(rows)

    def _count(self, rows: Rows) -> None:
        settled = rows[sent_and_settled(rows)]
        bad = settled[bad_requests(settled, slow_after_s=self.slow_after_s)]
        for counts, part in ((self.requests, settled), (self.bad, bad)):
            codes, found = np.unique(part["revision"], return_counts=True)
            for code, count in zip(codes.tolist(), found.tolist(), strict=True):
                counts[code] = counts.get(code, 0) + count

    def progress(self) -> Progress:
        seen = {
            self.tail.name("revision", code): Seen(requests=count, bad=self.bad.get(code, 0))
            for code, count in self.requests.items()
        }
        return Progress(
            traffic_s=self.beat.get("at_s", 0.0),
            due=self.beat.get("due", 0),
            sent=self.beat.get("sent", 0),
            dropped=self.beat.get("dropped", 0),
            in_flight=0 if self.ended else self.beat.get("in_flight", 0),
            seen=seen,
            cpu_share=self.beat.get("cpu", 0.0),
            ended=self.ended,
        )


class LoadProcess:
    """One generator process and the directory that it writes.

    The process ends by itself: when its traffic is over, when this process or this object's pipe is gone, and in
    any case a little after its planned time.
    """

    def __init__(
        self,
        traffic: Traffic,
        target_url: str,
        *,
        speed: float,
        duration_s: float,
        directory: Path,
        origin: Origin | None = None,
        begin_policy_s: float | None = None,
        slow_after_s: float | None = None,
        timeout_s: float = 10.0,
        in_flight_max: int = IN_FLIGHT_MAX,
        real_rps_max: float = REAL_RPS_MAX,
        tag: str = "gamebird",
    ) -> None:
        """Plan a run; nothing starts yet.

        Args:
            traffic: what to send, in policy time.
            target_url: http://HOST:PORT of the loopback.
            speed: policy seconds in a second of the wall.
            duration_s: how long the traffic lasts unless stopped, policy seconds.
            directory: for this run alone; made if it is not there.
            origin: where policy time stands; None: at 0 now.
            begin_policy_s: when the traffic begins; None: as soon as the generator is ready.
            slow_after_s: an answer later than this is bad, seconds of the wall; None: lateness alone is never bad.
            timeout_s: how long a user waits for an answer, seconds of the wall.
            in_flight_max: beyond this many requests that wait for an answer, more are dropped and counted.
            real_rps_max: traffic that would send more per second of the wall is refused.
            tag: the value of the header x-gamebird-load on every request.

        Raises:
            TrafficError, UnsafeTargetError, or pydantic's ValidationError: the run must not be started like this.
        """
        loopback_target(target_url)
        if origin is None:
            origin = Origin(monotonic_s=time.monotonic(), policy_s=0.0, speed=speed)
        elif origin.speed != speed:
            raise TrafficError(f"the speed is {speed:g}, but policy time runs at {origin.speed:g}; they must agree")
        self._plan = Plan(
            traffic=traffic,
            target_url=target_url,
            speed=speed,
            duration_s=duration_s,
            timeout_s=timeout_s,
            drain_s=timeout_s,
            in_flight_max=in_flight_max,
            real_rps_max=real_rps_max,
            origin_monotonic_s=origin.monotonic_s,
            origin_policy_s=origin.policy_s,
            begin_policy_s=begin_policy_s,
            slow_after_s=slow_after_s,
            tag=tag,
        )
        if refusal := self._plan.refusal():
            raise TrafficError(refusal)
        self.directory = directory
        self.origin = origin
        self._process: subprocess.Popen[bytes] | None = None
        self._watch = _Watch(tail=Tail(directory), slow_after_s=slow_after_s)
        self._reading = threading.Lock()
        self._telling = threading.Lock()
        self._commands = 0

    def start(self, *, within_s: float = 30.0) -> None:
        """Start the process and return when it is ready: its traffic begins then, or at `begin_policy_s`."""
        if self._process is not None:
            raise LoadError("this generator was started before; plan another run in another directory")
        self.directory.mkdir(parents=True, exist_ok=True)
        if (self.directory / records.PLAN).exists():
            raise LoadError(f"{self.directory} holds another run; give each run a directory of its own")
        write_whole(self.directory / records.PLAN, self._plan.model_dump_json(indent=2) + "\n")
        with (self.directory / records.LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # a folder of the caller's that is called loadgen is not ours
                    "-m",
                    "loadgen.openloop",
                    str(self.directory),
                    "--parent",
                    str(os.getpid()),
                    "--control",
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=generator_environment(),
                start_new_session=True,  # Ctrl-C is for whoever runs the game day, who then stops the load in order
            )
        try:
            self._await(lambda watch: watch.is_ready, within_s=within_s, what="get ready")
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int | None:
        """The process's number; None before the start."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The process's exit code; None before its end."""
        return self._process.poll() if self._process else None

    @property
    def began_policy_s(self) -> float | None:
        """The policy time at which the traffic began; None: it has not."""
        began_s = self._look().began_monotonic_s
        return None if began_s is None else self.origin.policy_at(began_s)

    def set_rate(self, rps: float, *, for_s: float | None = None) -> None:
        """Send `rps` requests/s of policy time from now on, or for `for_s` policy seconds; 0 is no traffic."""
        self._tell({"do": "change", "rps": rps, "for_s": for_s})

    def scale_rate(self, factor: float, *, for_s: float | None = None) -> None:
        """Send `factor` times what would have been sent, from now on or for `for_s` policy seconds."""
        self._tell({"do": "change", "factor": factor, "for_s": for_s})

    def restore_rate(self) -> None:
        """End every change: the traffic goes on as it was planned. Safe to repeat."""
        self._tell({"do": "restore"})

    def progress(self) -> Progress:
        """Return how the run stands. Cheap: only what was written since the last call is read."""
        self._look()
        with self._reading:
            return self._watch.progress()

    def stop(self, *, within_s: float = 5.0) -> None:
        """End the traffic, wait until all records are written, and let the process go. Safe to repeat."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=within_s)
        self.kill()

    def wait(self, *, within_s: float | None = None) -> None:
        """Return when the run has ended by itself; raise LoadError when it broke, or has not ended in time."""
        if self._process is None:
            raise LoadError("the generator was not started")
        try:
            code = self._process.wait(timeout=within_s)
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"the generator still runs after {within_s:g} s") from error
        self.kill()  # it has ended; this lets go of its pipe
        if code != 0:
            raise LoadError(f"the generator ended with exit code {code}{self._last_words()}")

    def kill(self) -> None:
        """End the process whatever it is doing; what it had not written is lost. Safe to repeat."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def run(self) -> Run:
        """Return all that the run has left so far."""
        return Run.read(self.directory)

    def records(self) -> pd.DataFrame:
        """Return one row per request so far; `loadgen.openloop.records.Run.frame` names the columns."""
        return self.run().frame()

    def summary(self) -> dict[str, Any]:
        """Return the summary that the process left: figures by revision and the verdict on validity."""
        try:
            found: dict[str, Any] = json.loads((self.directory / records.SUMMARY).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            state = "still runs" if self.alive else f"left none{self._last_words()}"
            raise LoadError(f"there is no summary: the generator {state}") from error
        return found

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _look(self) -> _Watch:
        with self._reading:
            self._watch.look()
        return self._watch

    def _tell(self, command: dict[str, Any]) -> None:
        """Send a command and return when it took effect."""
        process = self._process
        if process is None or process.stdin is None or not self.alive:
            raise LoadError(f"the generator does not run, so its traffic cannot be changed{self._last_words()}")
        with self._telling:
            self._commands += 1
            number = self._commands
            try:
                process.stdin.write(json.dumps({"id": number, **command}).encode() + b"\n")
                process.stdin.flush()
            except OSError as error:
                raise LoadError(f"the generator is gone{self._last_words()}") from error
        self._await(lambda watch: number in watch.replies, within_s=10.0, what="answer")
        reply = self._watch.replies[number]
        if reply["event"] == "refused":
            raise TrafficError(reply["why"])

    def _await(self, seen: Callable[[_Watch], bool], *, within_s: float, what: str) -> None:
        deadline_s = time.monotonic() + within_s
        while True:
            ran = self.alive
            if seen(self._look()):
                return
            if not ran:
                raise LoadError(f"the generator ended with exit code {self.returncode}{self._last_words()}")
            if time.monotonic() > deadline_s:
                raise LoadError(f"the generator did not {what} within {within_s:g} s{self._last_words()}")
            time.sleep(_POLL_S)

    def _last_words(self) -> str:
        return last_words(self.directory / records.LOG)


def last_words(log: Path) -> str:
    """Return the last lines of a generator's log, to be put behind a sentence; nothing when there are none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "; its log ends:\n" + "\n".join(f"  {line}" for line in lines[-8:]) if lines else ""


def generator_environment() -> dict[str, str]:
    """Return the environment in which the generator finds the same `loadgen` that is asking for it."""
    home = str(Path(loadgen.__file__).resolve().parent.parent)
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{known}" if known else home}
