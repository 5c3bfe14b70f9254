"""The player: begins each request of a script at its instant, and writes down what became of it.

It lives in gevent's world and is played by a Locust user. A conductor gives it scripts made of described traffic,
a replay one of recorded requests; neither sends anything itself. Requests are told to Locust's events, so that its
statistics, its web page and its extensions see them.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.event
import gevent.lock
import numpy as np
import psutil  # type: ignore[import-untyped]
from locust.event import Events

from loadgen.openloop.alarm import Alarm
from loadgen.openloop.clock import Origin
from loadgen.openloop.exchange import Answer, Connections, exchange
from loadgen.openloop.records import Failure, Writer
from loadgen.openloop.script import Script

BEAT_S = 0.5
FLUSH_S = 0.1
STOP_DRAIN_S = 0.4
"""How long answers may still come in when the run is told to stop: all must be written within a second."""

_BURST = 32  # requests begun before others may run, when the generator is behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a player waits, and for how much. Seconds of the wall.

    Attributes:
        lasts_s: how long the traffic lasts unless stopped.
        timeout_s: how long a user waits for an answer.
        drain_s: how long the last requests may take after the traffic has ended.
        in_flight_max: requests that may wait for an answer at once; those beyond are dropped, and counted.
        connections_max: so many connections at most, as a client's pool has; requests that are due wait for one, and
            their wait is part of the latency from the intended instant. None: no request waits for a connection.
    """

    lasts_s: float
    timeout_s: float
    drain_s: float
    in_flight_max: int
    connections_max: int | None = None


class Player:
    """Plays one script, which may be replaced on the way by one that agrees with it up to now."""

    def __init__(
        self,
        script: Script,
        *,
        terms: Terms,
        connections: Connections,
        writer: Writer,
        origin: Origin,
        locust_events: Events,
    ) -> None:
        self._script = script
        self._terms = terms
        self._slots = None if terms.connections_max is None else gevent.lock.Semaphore(terms.connections_max)
        self._connections = connections
        self._writer = writer
        self._origin = origin
        self._locust_events = locust_events
        self._next = 0  # place in the script of the request that begins next
        self._began_s = math.inf  # on the monotonic clock
        self._stopped_s: float | None = None  # seconds of the wall since the beginning
        self._over = gevent.event.Event()
        self._why = "the traffic's time was up"
        self._dispatcher: gevent.Greenlet | None = None
        self._in_flight: dict[int, tuple[float, float, int]] = {}  # number → intended, sent, route
        self._dropped = 0
        self._is_over = False  # nothing is sent any more
        self._cpu_shares: list[float] = []
        self._machine_shares: list[float] = []
        self._problem: Exception | None = None
        self._errors = {kind: ConnectionError(kind.word) for kind in Failure}
        for kind in ("revision", "pod"):
            self._writer.code(kind, "")  # code 0 is nobody

    def play(self, begin: Callable[[], float]) -> None:
        """Send the traffic, wait for the last answers, and write the journal's last word.

        Args:
            begin: waits for the beginning and returns it, a reading of the monotonic clock.
        """
        self._writer.note({"event": "ready", "pid": os.getpid()})
        self._began_s = begin()
        self._writer.note(
            {
                "event": "began",
                "monotonic_s": self._began_s,
                "unix_s": time.time() + self._began_s - time.monotonic(),
                "policy_s": self._origin.policy_at(self._began_s),
            }
        )
        helpers = [gevent.spawn(self._guarded, work) for work in (self._flush_for_ever, self._beat_for_ever)]
        self._dispatcher = gevent.spawn(self._guarded, self._dispatch)
        self._over.wait(max(0.0, self._began_s + self._terms.lasts_s - time.monotonic()))
        self._drain()
        gevent.killall(helpers)
        self._end()

    def wait_until(self, monotonic_s: float) -> None:
        """Return at an instant of the monotonic clock, or when the run is told to stop."""
        wait_s = monotonic_s - time.monotonic()
        if wait_s > 0:
            self._over.wait(wait_s)

    def replace(self, script: Script) -> None:
        """Go on with another script, which has the same requests up to now."""
        if self._dispatcher is not None and not self._over.is_set():
            self._dispatcher.kill()
            self._script = script
            self._dispatcher = gevent.spawn(self._guarded, self._dispatch)

    def stop(self, why: str) -> None:
        """End the traffic now; answers that are on their way get a moment."""
        if not self._over.is_set():
            self._why = why
            self._stopped_s = self.elapsed_s()
            self._over.set()

    def broke(self, error: Exception) -> None:
        """Remember the first thing that broke the generator itself, and end: one that limps on would lie."""
        if self._problem is None:
            self._problem = error
        self.stop(f"the generator broke: {error}")

    @property
    def problem(self) -> Exception | None:
        """What broke the generator itself, if anything did."""
        return self._problem

    @property
    def has_begun(self) -> bool:
        """Whether the first instant of traffic is known."""
        return self._began_s < math.inf

    def elapsed_s(self) -> float:
        """Return the seconds of the wall since the traffic began; 0 before."""
        return max(0.0, time.monotonic() - self._began_s) if self.has_begun else 0.0

    # -- sending ------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Begin every request at its instant; when behind, begin those that are due and let answers come in."""
        alarm = Alarm()
        try:
            script, burst = self._script, 0
            wall_s = script.wall_s
            while self._next < len(wall_s) and not self._over.is_set():
                place = self._next
                intended_s = float(wall_s[place])
                if self._began_s + intended_s > time.monotonic():
                    alarm.sleep_until(self._began_s + intended_s)
                    burst = 0
                elif burst >= _BURST:
                    gevent.sleep(0)
                    burst = 0
                burst += 1
                self._next = place + 1
                self._begin(script, place, intended_s)
        finally:
            alarm.close()

    def _begin(self, script: Script, place: int, intended_s: float) -> None:
        number, route = script.number(place)
        if len(self._in_flight) >= self._terms.in_flight_max:
            self._dropped += 1
            self._writer.row(intended_s, math.nan, math.nan, number, 0, 0, 0, route, Failure.DROPPED)
            return
        # Taken into account here and not in the greenlet, or a burst would slip below the limit.
        self._in_flight[number] = (intended_s, math.nan, route)
        # With its script, because another may be in its place when the greenlet's turn comes.
        gevent.spawn_raw(self._guarded, self._send_in_turn, script, place, intended_s)

    def _send_in_turn(self, script: Script, place: int, intended_s: float) -> None:
        if self._slots is None:
            self._send(script, place, intended_s)
            return
        with self._slots:
            if not self._is_over:
                self._send(script, place, intended_s)

    def _send(self, script: Script, place: int, intended_s: float) -> None:
        number, route, method, name, data = script.asked(place)
        sent_s = time.monotonic() - self._began_s
        self._in_flight[number] = (intended_s, sent_s, route)
        answer = exchange(self._connections, data, method=method, timeout_s=self._terms.timeout_s)
        finished_s = time.monotonic() - self._began_s
        if self._in_flight.pop(number, None) is None:
            return  # the run has ended and said so
        code = self._writer.code
        self._writer.row(
            intended_s,
            sent_s,
            finished_s,
            number,
            answer.status,
            code("revision", answer.revision),
            code("pod", answer.pod),
            route,
            answer.failure,
        )
        self._tell_locust(method, name, answer, finished_s - sent_s)

    def _tell_locust(self, method: str, name: str, answer: Answer, took_s: float) -> None:
        error: Exception | None = None
        if answer.failure:
            error = self._errors[answer.failure]
        elif answer.status >= 400:
            error = ValueError(f"status {answer.status}")
        self._locust_events.request.fire(  # type: ignore[no-untyped-call]
            request_type=method,
            name=name,
            response_time=took_s * 1e3,
            response_length=answer.length,
            response=None,
            context={},
            exception=error,
            start_time=time.time() - took_s,
            url=name,
        )

    # -- ending -------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        stopped = self._over.is_set()
        drain_s = self._terms.drain_s
        until_s = time.monotonic() + (min(STOP_DRAIN_S, drain_s) if stopped else drain_s)
        if self._dispatcher is not None and not stopped:
            while not (self._dispatcher.ready() or self._over.is_set()) and time.monotonic() < until_s:
                gevent.sleep(0.01)
        if self._dispatcher is not None:
            self._dispatcher.kill()
        while self._in_flight and time.monotonic() < until_s:
            gevent.sleep(0.01)
            if not stopped and self._over.is_set():  # told to stop while waiting for the last answers
                stopped, until_s = True, min(until_s, time.monotonic() + STOP_DRAIN_S)

    def _end(self) -> None:
        self._is_over = True
        for number, (intended_s, sent_s, route) in self._in_flight.items():
            fate = Failure.DROPPED if math.isnan(sent_s) else Failure.CUT_OFF
            self._writer.row(intended_s, sent_s, math.nan, number, 0, 0, 0, route, fate)
        self._in_flight.clear()
        self._writer.flush()
        lasted_s = self._terms.lasts_s if self._stopped_s is None else min(self._stopped_s, self._terms.lasts_s)
        self._writer.note(
            {
                "event": "ended",
                "why": self._why,
                "monotonic_s": time.monotonic(),
                "traffic_s": lasted_s * self._origin.speed,
                "due": self._due(lasted_s),
                "cpu_shares": [round(share, 3) for share in self._cpu_shares],
                "machine_shares": [round(share, 3) for share in self._machine_shares],
            }
        )
        self._writer.close()

    def _due(self, elapsed_s: float) -> int:
        return int(np.searchsorted(self._script.wall_s, elapsed_s, side="right"))

    # -- beside it ----------------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[..., None], *args: Any) -> None:
        """Run a greenlet's work; what breaks it ends the run."""
        try:
            work(*args)
        except Exception as error:
            self.broke(error)

    def _flush_for_ever(self) -> None:
        while True:
            gevent.sleep(FLUSH_S)
            self._writer.flush()

    def _beat_for_ever(self) -> None:
        cpu_s, wall_s = time.process_time(), time.monotonic()
        psutil.cpu_percent()  # the first reading is of no interval
        while True:
            gevent.sleep(BEAT_S)
            cpu_now_s, wall_now_s = time.process_time(), time.monotonic()
            share = (cpu_now_s - cpu_s) / (wall_now_s - wall_s)
            cpu_s, wall_s = cpu_now_s, wall_now_s
            self._cpu_shares.append(share)
            self._machine_shares.append(psutil.cpu_percent() / 100)
            self._connections.close_rested()
            now_s = self.elapsed_s()
            self._writer.note(
                {
                    "event": "beat",
                    "at_s": round(now_s * self._origin.speed, 3),
                    "due": self._due(now_s),
                    "sent": self._next - self._dropped,
                    "dropped": self._dropped,
                    "in_flight": len(self._in_flight),
                    "cpu": round(share, 3),
                    "machine": self._machine_shares[-1],
                }
            )
