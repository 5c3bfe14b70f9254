"""The conductor of one run: begins each request at its instant, and writes down what became of it.

It lives in gevent's world and is played by a Locust user (`generator`). Requests are told to Locust's events, so
that its statistics and extensions see them.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import numpy as np
import psutil  # type: ignore[import-untyped]
from locust.event import Events

from loadgen.openloop.alarm import Alarm
from loadgen.openloop.clock import Origin
from loadgen.openloop.exchange import Answer, Connections, exchange, request_bytes
from loadgen.openloop.plan import Plan
from loadgen.openloop.records import SUMMARY, Failure, Run, Writer, write_whole
from loadgen.openloop.safety import loopback_target
from loadgen.openloop.summary import summarize
from loadgen.traffic import Change, Schedule, TrafficError, schedule

BEAT_S = 0.5
FLUSH_S = 0.1
STOP_DRAIN_S = 0.4
"""How long answers may still come in when the run is told to stop: all must be written within a second."""

_BURST = 32  # requests begun before others may run, when the generator is behind


class Conductor:
    """Plays one plan."""

    def __init__(self, plan: Plan, directory: Path, locust_events: Events) -> None:
        self._plan = plan
        self._locust_events = locust_events
        self._directory = directory
        self._writer = Writer(directory)
        self._origin = Origin(monotonic_s=plan.origin_monotonic_s, policy_s=plan.origin_policy_s, speed=plan.speed)
        target = loopback_target(plan.target_url)
        self._requests = [request_bytes(route, target, tag=plan.tag) for route in plan.traffic.routes]
        self._connections = Connections(target)
        self._changes: list[Change] = []
        self._schedule: Schedule = schedule(plan.traffic, duration_s=plan.duration_s)
        self._next = 0  # place in the schedule of the request that begins next
        self._began_s = math.inf  # on the monotonic clock
        self._stopped_s: float | None = None  # on the clock of the traffic
        self._over = gevent.event.Event()
        self._why = "the traffic's time was up"
        self._dispatcher: gevent.Greenlet | None = None
        self._in_flight: dict[int, tuple[float, float, int]] = {}  # number → intended, sent, route
        self._dropped = 0
        self._cpu_shares: list[float] = []
        self._machine_shares: list[float] = []
        self._problem: Exception | None = None
        self._errors = {kind: ConnectionError(kind.word) for kind in Failure}
        for kind in ("revision", "pod"):
            self._writer.code(kind, "")  # code 0 is nobody

    def play(self) -> None:
        """Send the traffic, wait for the last answers, and leave the summary."""
        self._writer.note({"event": "ready", "pid": os.getpid()})
        self._await_begin()
        self._began_s = time.monotonic()
        self._writer.note(
            {
                "event": "began",
                "monotonic_s": self._began_s,
                "unix_s": time.time(),
                "policy_s": self._origin.policy_at(self._began_s),
            }
        )
        helpers = [gevent.spawn(self._guarded, work) for work in (self._flush_for_ever, self._beat_for_ever)]
        self._dispatcher = gevent.spawn(self._guarded, self._dispatch)
        self._over.wait(self._plan.duration_s / self._plan.speed)
        self._drain()
        gevent.killall(helpers)
        self._end()

    def stop(self, why: str) -> None:
        """End the traffic now; answers that are on their way get a moment."""
        if not self._over.is_set():
            self._why = why
            self._stopped_s = self._traffic_s() if self._began_s < math.inf else 0.0
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

    # -- sending ------------------------------------------------------------------------------------------------

    def _await_begin(self) -> None:
        if self._plan.begin_policy_s is not None:
            wait_s = self._origin.monotonic_at(self._plan.begin_policy_s) - time.monotonic()
            if wait_s > 0:
                self._over.wait(wait_s)

    def _traffic_s(self) -> float:
        """Policy seconds since the traffic began."""
        return (time.monotonic() - self._began_s) * self._plan.speed

    def _dispatch(self) -> None:
        """Begin every request at its instant; when behind, begin those that are due and let answers come in."""
        alarm = Alarm()
        try:
            wall_s, routes = self._schedule.wall_s(self._plan.speed), self._schedule.route
            burst = 0
            while self._next < len(wall_s) and not self._over.is_set():
                number = self._next
                intended_s = float(wall_s[number])
                if self._began_s + intended_s > time.monotonic():
                    alarm.sleep_until(self._began_s + intended_s)
                    burst = 0
                elif burst >= _BURST:
                    gevent.sleep(0)
                    burst = 0
                burst += 1
                self._next = number + 1
                self._begin(number, intended_s, int(routes[number]))
        finally:
            alarm.close()

    def _begin(self, number: int, intended_s: float, route: int) -> None:
        if len(self._in_flight) >= self._plan.in_flight_max:
            self._dropped += 1
            self._writer.row(intended_s, math.nan, math.nan, number, 0, 0, 0, route, Failure.DROPPED)
            return
        # Taken into account here and not in the greenlet, or a burst would slip below the limit.
        self._in_flight[number] = (intended_s, math.nan, route)
        gevent.spawn_raw(self._guarded, self._send, number, intended_s, route)

    def _send(self, number: int, intended_s: float, route: int) -> None:
        sent_s = time.monotonic() - self._began_s
        self._in_flight[number] = (intended_s, sent_s, route)
        asked = self._plan.traffic.routes[route]
        answer = exchange(self._connections, self._requests[route], method=asked.method, timeout_s=self._plan.timeout_s)
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
        self._tell_locust(asked.method, asked.path, answer, finished_s - sent_s)

    def _tell_locust(self, method: str, path: str, answer: Answer, took_s: float) -> None:
        error: Exception | None = None
        if answer.failure:
            error = self._errors[answer.failure]
        elif answer.status >= 400:
            error = ValueError(f"status {answer.status}")
        self._locust_events.request.fire(  # type: ignore[no-untyped-call]
            request_type=method,
            name=path,
            response_time=took_s * 1e3,
            response_length=answer.length,
            response=None,
            context={},
            exception=error,
            start_time=time.time() - took_s,
            url=path,
        )

    # -- changing -----------------------------------------------------------------------------------------------

    def obey(self, line: str) -> None:
        """Carry out one command of the control channel, and answer it in the journal."""
        command: dict[str, Any] = {}
        try:
            command = json.loads(line)
            match command["do"]:
                case "change":
                    self._change(command)
                case "restore":
                    self._replan([change.ended(self._traffic_s()) for change in self._changes])
                case "stop":
                    self.stop("it was told to stop")
                case other:
                    raise TrafficError(f"there is no command {other!r}; there are change, restore and stop")
        except (ValueError, TypeError, KeyError) as error:
            self._writer.note({"event": "refused", "id": command.get("id"), "why": str(error)})
        else:
            changes = [asdict(change) for change in self._changes]
            at_s = self._traffic_s() if self._began_s < math.inf else 0.0
            self._writer.note({"event": "obeyed", "id": command.get("id"), "at_s": at_s, "changes": changes})

    def _change(self, command: dict[str, Any]) -> None:
        if not self._began_s < math.inf:
            raise TrafficError("the traffic has not begun; it cannot be changed yet")
        now_s, for_s = self._traffic_s(), command.get("for_s")
        change = Change(
            from_s=now_s,
            until_s=None if for_s is None else now_s + for_s,
            rps=command.get("rps"),
            factor=command.get("factor"),
        )
        self._replan([*self._changes, change])

    def _replan(self, changes: list[Change]) -> None:
        peak = self._plan.traffic.curve(self._plan.duration_s, changes).peak_rps * self._plan.speed
        if peak > self._plan.real_rps_max:
            raise TrafficError(
                f"the change makes {peak:g} real requests/s; this generator sends at most {self._plan.real_rps_max:g}"
            )
        new = schedule(self._plan.traffic, duration_s=self._plan.duration_s, changes=changes)
        if self._dispatcher is not None and not self._over.is_set():
            # Requests up to now are the same in both schedules, so the place of the next one stays what it is.
            self._dispatcher.kill()
            self._changes, self._schedule = changes, new
            self._dispatcher = gevent.spawn(self._guarded, self._dispatch)

    # -- ending -------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        stopped = self._over.is_set()
        until_s = time.monotonic() + (min(STOP_DRAIN_S, self._plan.drain_s) if stopped else self._plan.drain_s)
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
        for number, (intended_s, sent_s, route) in self._in_flight.items():
            fate = Failure.DROPPED if math.isnan(sent_s) else Failure.CUT_OFF
            self._writer.row(intended_s, sent_s, math.nan, number, 0, 0, 0, route, fate)
        self._in_flight.clear()
        self._writer.flush()
        lasted_s = self._plan.duration_s if self._stopped_s is None else min(self._stopped_s, self._plan.duration_s)
        self._writer.note(
            {
                "event": "ended",
                "why": self._why,
                "monotonic_s": time.monotonic(),
                "traffic_s": lasted_s,
                "due": self._due(lasted_s),
                "cpu_shares": [round(share, 3) for share in self._cpu_shares],
                "machine_shares": [round(share, 3) for share in self._machine_shares],
            }
        )
        self._writer.close()
        if self._problem is None:
            run = Run.read(self._directory)
            write_whole(self._directory / SUMMARY, json.dumps(summarize(run), indent=2) + "\n")

    def _due(self, traffic_s: float) -> int:
        return int(np.searchsorted(self._schedule.at_s, traffic_s, side="right"))

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
            now_s = self._traffic_s()
            self._writer.note(
                {
                    "event": "beat",
                    "at_s": round(now_s, 3),
                    "due": self._due(now_s),
                    "sent": self._next - self._dropped,
                    "dropped": self._dropped,
                    "in_flight": len(self._in_flight),
                    "cpu": round(share, 3),
                    "machine": self._machine_shares[-1],
                }
            )
