"""A team's own program under a game day: it listens on $PORT, and nothing of it knows Gamebird."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from experiments.gameday_files import load_game_day
from experiments.runner import Options, rehearse
from experiments.scorecard import UNDER_TEST

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

PROGRAM = """
import os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

counts, lock = {"200": 0, "500": 0}, threading.Lock()
labels = 'service="orders-api",pod="%s",rollouts_pod_template_hash="%s"' % (
    os.environ["POD_NAME"], os.environ["POD_TEMPLATE_HASH"])

class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/metrics":
            with lock:
                lines = ['http_requests_total{%s,status="%s"} %d' % (labels, *pair) for pair in counts.items()]
            return self.say(200, "# TYPE http_requests_total counter\\n" + "\\n".join(lines) + "\\n")
        if self.path == "/-/ready":
            return self.say(200, "ready")
        status = 500 if os.environ["RELEASE"] == "under test" else 200
        with lock:
            counts[str(status)] += 1
        self.say(status, "done")

    do_POST = do_GET

    def say(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

Server(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


def test_a_program_of_the_teams_own_is_rehearsed_and_its_failing_release_caught(
    game_days: Path, tmp_path: Path, speed: float
) -> None:
    program = tmp_path / "service.py"
    program.write_text(PROGRAM, encoding="utf-8")
    file = tmp_path / "own.yaml"
    text = (game_days / "guard-total-failure.yaml").read_text(encoding="utf-8").replace("../", f"{game_days.parent}/")
    file.write_text(
        text.replace("    traffic:", f"    command: ['{sys.executable}', '{program}']\n    traffic:"), encoding="utf-8"
    )
    card = rehearse(load_game_day(file), "corrected", Options(speed=speed)).card
    assert card.verdict == "aborted"
    [under_test] = [one for one in card.revisions if one.role == UNDER_TEST]
    # Every request to this release fails and no other: a program that says nothing of revisions is told apart too.
    assert under_test.requests > 0
    assert under_test.bad == under_test.requests
    assert sum(one.bad for one in card.revisions) == under_test.bad
