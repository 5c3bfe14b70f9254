"""One generator of a replay inside Locust: alone under Locust's local runner, or as a worker of its master.

Locust's master starts one user in each worker. The user only gives the sign and waits: the requests are greenlets of
the player's, so that no answer delays the next request. A second user, which the master sends here when another
worker is lost, finds the part played already and does nothing: lost requests are reported, never sent twice.
"""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path
from typing import ClassVar

import gevent
import gevent.event
from locust import User, task
from locust.env import Environment

from loadgen.openloop.clock import Origin
from loadgen.openloop.exchange import Connections
from loadgen.openloop.leash import read_commands, watch_parent
from loadgen.openloop.player import Player, Terms
from loadgen.openloop.records import Writer
from loadgen.replay.plan import ShardPlan
from loadgen.replay.score import ShardScript

BEGIN_WITHIN_S = 120.0
STATS_WAIT_S = 0.3
"""Locust's master gets a worker's last statistics before the worker goes."""


class _Part:
    """One part, played once."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.begin_at_s: gevent.event.AsyncResult = gevent.event.AsyncResult()
        self.over = gevent.event.Event()
        self._greenlet: gevent.Greenlet | None = None

    def take_up(self) -> None:
        """Play the part, unless it is being played; return when it is over."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._play)
        self.over.wait()

    def _play(self) -> None:
        try:
            self.player.play(lambda: self.begin_at_s.get(timeout=BEGIN_WITHIN_S))
        except gevent.Timeout:
            self.player.broke(TimeoutError("nobody said when to begin"))
        except Exception as error:
            self.player.broke(error)
        finally:
            self.over.set()

    def obey(self, line: str) -> None:
        """Carry out one command of whoever started this."""
        word, _, value = line.partition(" ")
        if word == "begin":
            self.begin_at_s.set(float(value))
        elif word == "stop":
            self.stop(value or "it was told to stop")

    def stop(self, why: str) -> None:
        """End the traffic now."""
        self.player.stop(why)
        if not self.begin_at_s.ready():
            self.begin_at_s.set(time.monotonic())


class ReplayUser(User):
    """The one Locust user of a generator."""

    part: ClassVar[_Part]

    @task
    def play(self) -> None:
        """Play this generator's part and wait for its end; when Locust takes the user away, the traffic ends."""
        try:
            self.part.take_up()
            gevent.sleep(1)  # Locust begins a task again as soon as it ends
        except gevent.GreenletExit:
            self.part.stop("Locust stopped it")
            raise


def run(plan: ShardPlan, directory: Path, *, parent_pid: int) -> Exception | None:
    """Play one part; return what broke the generator, or None."""
    # A last resort that needs no working Python: the kernel ends a generator that outstays its time.
    signal.alarm(math.ceil(plan.lasts_s + plan.drain_s + BEGIN_WITHIN_S) + 30)
    environment = Environment(user_classes=[ReplayUser], host=plan.target.url)
    player = Player(
        ShardScript(plan.score, plan.shard, plan.workers),
        terms=Terms(
            lasts_s=plan.lasts_s,
            timeout_s=plan.timeout_s,
            drain_s=plan.drain_s,
            in_flight_max=plan.in_flight_max,
            connections_max=plan.connections_max,
        ),
        connections=Connections(plan.target.target()),
        writer=Writer(directory),
        origin=Origin(monotonic_s=time.monotonic(), policy_s=0.0),
        locust_events=environment.events,
    )
    ReplayUser.part = part = _Part(player)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, part.stop, f"it got {signal.Signals(number).name}")
    gevent.spawn(watch_parent, parent_pid, part.stop)
    gevent.spawn(read_commands, part.obey, part.stop)
    if plan.master_port is None:
        environment.create_local_runner().start(1, spawn_rate=1)
        part.over.wait()
    else:
        runner = environment.create_worker_runner("127.0.0.1", plan.master_port)
        part.over.wait()
        runner._send_stats()
        gevent.sleep(STATS_WAIT_S)
    signal.alarm(0)
    return player.problem
