"""The generator inside Locust: one user, whose only task is the whole schedule, under Locust's own runner.

A Locust user runs one task after the other, so a slow answer would delay the next request. Here a single user
conducts: every request is a greenlet of its own. Only `__main__` imports this module.
"""

from __future__ import annotations

import math
import signal
import time
from pathlib import Path
from typing import ClassVar

import gevent
from locust import User, task
from locust.env import Environment

from loadgen.openloop.conductor import Conductor
from loadgen.openloop.leash import read_commands, watch_parent
from loadgen.openloop.plan import Plan


class OpenLoopUser(User):
    """The one Locust user of a run: its only task is the whole schedule."""

    conductor: ClassVar[Conductor]

    @task
    def play(self) -> None:
        """Play the plan, then end the run."""
        try:
            self.conductor.play()
        except Exception as error:  # Locust would log it and begin the task again
            self.conductor.broke(error)
        finally:
            self.environment.runner.quit()


def run(plan: Plan, directory: Path, *, parent_pid: int | None, obey_stdin: bool) -> Exception | None:
    """Play a plan under Locust's own runner; return what broke the generator, or None.

    Args:
        parent_pid: end when this process is no longer the parent; None: live without one.
        obey_stdin: take commands, one JSON object a line, and end when there can be no more.
    """
    # A last resort that needs no working Python: the kernel ends a generator that outstays its time.
    wall_s = plan.duration_s / plan.speed + plan.drain_s + max(0.0, _wait_for_begin_s(plan))
    signal.alarm(math.ceil(wall_s) + 30)
    environment = Environment(user_classes=[OpenLoopUser], host=plan.target_url)
    OpenLoopUser.conductor = conductor = Conductor(plan, directory, environment.events)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, conductor.stop, f"it got {signal.Signals(number).name}")
    if parent_pid is not None:
        gevent.spawn(watch_parent, parent_pid, conductor.stop)
    if obey_stdin:
        gevent.spawn(read_commands, conductor.obey, conductor.stop)
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    runner.greenlet.join()
    signal.alarm(0)
    return conductor.problem


def _wait_for_begin_s(plan: Plan) -> float:
    if plan.begin_policy_s is None:
        return 0.0
    return (plan.begin_policy_s - plan.origin_policy_s) / plan.speed + plan.origin_monotonic_s - time.monotonic()
