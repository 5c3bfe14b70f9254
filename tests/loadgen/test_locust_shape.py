"""A locustfile of somebody's own, run by Locust's own command, follows a description of traffic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task

from loadgen.locust_shape import TrafficShape


class Shopper(FastHttpUser):
    wait_time = constant_throughput(10)

    @task
    def orders(self):
        self.client.get("/stable")


class LikeTuesday(TrafficShape):
    file = "tuesday.yaml"
    duration_s = 6
    rps_per_user = 10
"""


class Service(Protocol):
    """What this test asks of the service in conftest.py."""

    seen: dict[str, int]
    url: str


@pytest.mark.e2e
def test_locust_itself_follows_the_rate_of_a_file(service: Service, tmp_path: Path) -> None:
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE, encoding="utf-8")
    (tmp_path / "tuesday.yaml").write_text(
        "rps: 20\nshape: {kind: step, levels: [{at_s: 3, rps: 60}]}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "locust", "--headless", "--only-summary", "--host", service.url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # 3 s at 20 and 3 s at 60 requests/s are 240. Locust looks once a second, and a busy machine loses some; but there
    # are more than 6 s at 20 make, and fewer than 6 s at 60.
    assert 120 < service.seen["/stable"] < 360
