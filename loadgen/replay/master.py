"""`python -m loadgen.replay.master --workers N --parent PID [--web PORT]`: Locust's own master, on the loopback.

Adds up the workers' statistics as Locust does and shows them on its page while the replay runs. It starts one user in
each worker and decides nothing else: when requests are due stands in the score, and the verdict is made of the
workers' records. Prints the port that workers connect to. Ends with its standard input or with whoever started it.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys

import gevent
import gevent.event
from locust import User, task
from locust.env import Environment
from locust.stats import stats_history

from loadgen.openloop.leash import read_commands, watch_parent

LOOPBACK = "127.0.0.1"
LIFE_MAX_S = 7 * 3600


class ReplayUser(User):
    """Known to the master by its name; its work is done in the workers."""

    @task
    def play(self) -> None:
        """Never run here."""


def main() -> int:
    """Serve until nobody needs it any more."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.replay.master", description=__doc__)
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="begin when so many are there")
    parser.add_argument("--parent", type=int, required=True, metavar="PID", help="end when this process is gone")
    parser.add_argument("--web", type=int, metavar="PORT", help="serve Locust's page here, on the loopback")
    parser.add_argument("--host", default="", help="what the page calls the target")
    options = parser.parse_args()
    del sys.argv[1:]  # Locust's page reads the command line again, as if it were its own
    signal.alarm(LIFE_MAX_S)
    over = gevent.event.Event()
    gevent.spawn(watch_parent, options.parent, lambda _: over.set())
    gevent.spawn(read_commands, lambda _: None, lambda _: over.set())
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, over.set)
    port = _free_port()
    environment = Environment(user_classes=[ReplayUser], host=options.host)
    runner = environment.create_master_runner(LOOPBACK, port)
    if options.web is not None:
        environment.create_web_ui(LOOPBACK, options.web)
        gevent.spawn(stats_history, runner)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not over.is_set() and len(runner.clients.ready) < options.workers:
        over.wait(0.05)
    if not over.is_set():
        gevent.spawn(runner.start, options.workers, spawn_rate=options.workers)
    over.wait()
    return 0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        port: int = taken.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
