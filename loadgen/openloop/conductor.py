"""The conductor of one run of described traffic: makes its script, and changes it while it is played.

Sending is the player's affair (`player`); commands come from whoever started the process (`process`).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from locust.event import Events

from loadgen.openloop.clock import Origin
from loadgen.openloop.exchange import Connections
from loadgen.openloop.plan import Plan
from loadgen.openloop.player import Player, Terms
from loadgen.openloop.records import SUMMARY, Run, Writer, write_whole
from loadgen.openloop.safety import loopback_target
from loadgen.openloop.script import Asked
from loadgen.openloop.summary import summarize
from loadgen.openloop.wire import request_bytes
from loadgen.traffic import Change, Route, Schedule, TrafficError, schedule
from loadgen.traffic.rates import Floats


class ScheduledScript:
    """A schedule of described traffic: each request is one of a few routes, made once."""

    def __init__(self, planned: Schedule, routes: tuple[Route, ...], requests: list[bytes], *, speed: float) -> None:
        self._wall_s = planned.wall_s(speed)
        self._route = planned.route
        self._named = [(route.method, route.path) for route in routes]
        self._requests = requests

    @property
    def wall_s(self) -> Floats:
        """(requests,) when each is due, seconds of the wall."""
        return self._wall_s

    def number(self, place: int) -> tuple[int, int]:
        """Return number and route of the request at a place."""
        return place, int(self._route[place])

    def asked(self, place: int) -> Asked:
        """Return the request at a place."""
        route = int(self._route[place])
        method, path = self._named[route]
        return Asked(place, route, method, path, self._requests[route])


class Conductor:
    """Plays one plan."""

    def __init__(self, plan: Plan, directory: Path, locust_events: Events) -> None:
        self._plan = plan
        self._directory = directory
        self._writer = Writer(directory)
        self._origin = Origin(monotonic_s=plan.origin_monotonic_s, policy_s=plan.origin_policy_s, speed=plan.speed)
        target = loopback_target(plan.target_url)
        self._requests = [request_bytes(route, target, tag=plan.tag) for route in plan.traffic.routes]
        self._changes: list[Change] = []
        self._player = Player(
            self._script([]),
            terms=Terms(
                lasts_s=plan.duration_s / plan.speed,
                timeout_s=plan.timeout_s,
                drain_s=plan.drain_s,
                in_flight_max=plan.in_flight_max,
            ),
            connections=Connections(target),
            writer=self._writer,
            origin=self._origin,
            locust_events=locust_events,
        )

    def play(self) -> None:
        """Send the traffic, wait for the last answers, and leave the summary."""
        self._player.play(self._begin)
        if self.problem is None:
            run = Run.read(self._directory)
            write_whole(self._directory / SUMMARY, json.dumps(summarize(run), indent=2) + "\n")

    def stop(self, why: str) -> None:
        """End the traffic now; answers that are on their way get a moment."""
        self._player.stop(why)

    def broke(self, error: Exception) -> None:
        """Remember the first thing that broke the generator itself, and end."""
        self._player.broke(error)

    @property
    def problem(self) -> Exception | None:
        """What broke the generator itself, if anything did."""
        return self._player.problem

    def _begin(self) -> float:
        if self._plan.begin_policy_s is not None:
            self._player.wait_until(self._origin.monotonic_at(self._plan.begin_policy_s))
        return time.monotonic()

    def _traffic_s(self) -> float:
        """Policy seconds since the traffic began."""
        return self._player.elapsed_s() * self._plan.speed

    def _script(self, changes: list[Change]) -> ScheduledScript:
        planned = schedule(self._plan.traffic, duration_s=self._plan.duration_s, changes=changes)
        return ScheduledScript(planned, self._plan.traffic.routes, self._requests, speed=self._plan.speed)

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
            self._writer.note(
                {"event": "obeyed", "id": command.get("id"), "at_s": self._traffic_s(), "changes": changes}
            )

    def _change(self, command: dict[str, Any]) -> None:
        if not self._player.has_begun:
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
        # Requests up to now are the same in both schedules, so the place of the next one stays what it is.
        self._player.replace(self._script(changes))
        self._changes = changes
