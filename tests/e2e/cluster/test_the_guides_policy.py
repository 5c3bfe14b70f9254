"""The example's policy on a cluster, with its pauses of minutes and its scrapes every 15 seconds; for the nights."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs_cluster,
    pytest.mark.needs_prometheus,
    pytest.mark.fuzz,
    pytest.mark.skipif("GAMEBIRD_FUZZ" not in os.environ, reason="plays for half an hour; `make fuzz` runs it"),
    pytest.mark.timeout(3000),
]

PLAYS_WITHIN_S = 2400.0


@pytest.mark.parametrize("test_cluster", [15.0], indirect=True)
@pytest.mark.parametrize(("policy", "weight_max"), [("corrected", 10.0), ("as-written", 30.0)])
def test_five_percent_errors_are_caught_on_a_cluster_where_the_local_world_catches_them(
    controlled: Any,
    namespace: Callable[[str], str],
    gameday: Callable[..., subprocess.CompletedProcess[str]],
    root: Path,
    tmp_path: Path,
    policy: str,
    weight_max: float,
) -> None:
    drill = root / "examples" / "orders-api" / "gamedays" / "errors-5pct.yaml"
    options = ["--policy", policy, "-n", namespace(f"guide-{policy}"), "--report", str(tmp_path / "report")]
    done = gameday(drill, *options, "--no-predict", "--output", "json", within_s=PLAYS_WITHIN_S)
    assert done.stdout, done.stderr
    (card,) = json.loads(done.stdout)["rehearsals"]
    failed = [check for check in card["checks"] if not check["held"] and check["what"] != "load"]
    # tests/e2e/test_gamedays.py holds the same two weights for the local world.
    assert (failed, card["weight_max"]) == ([], weight_max)
