"""Every scenario that Argo Rollouts was recorded in, played in real time on a real API server, six at a time.

The controller is a process of its own and needs nothing but KUBECONFIG. What it does has to agree with the recordings
in order, verdicts, counters, messages and end, and each wait within 1.5 s: on a machine that does something else
besides, waits are longer than that, so this is not for every change (`make nightly`).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from recorded_scenarios import never_ready, recordings
from recorded_transitions import compare_end, compare_states, rollout_states, run_states
from scenario_player import Player
from scripted_prometheus import ScriptedPrometheus

from controller.kubernetes.api import Connection, connect
from experiments.testbeds.cluster.control_plane import ControlPlane
from experiments.testbeds.cluster.kubelet import InstantKubelet

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs_cluster,
    pytest.mark.fuzz,
    pytest.mark.timeout(1_200),
    pytest.mark.skipif(not os.environ.get("GAMEBIRD_FUZZ"), reason="plays for five minutes; `make fuzz` runs it"),
]

Json = dict[str, Any]
AT_ONCE = 6
STARTS_WITHIN_S = 10.0


@pytest.fixture
def played(
    control_plane: ControlPlane, controller_process: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, root: Path
) -> Iterator[dict[str, list[str]]]:
    """What differs in each scenario."""
    recorded = recordings(root / "tests" / "conformance")
    scripts = {(r["scenario"]["name"], m): answers for r in recorded for m, answers in r["scenario"]["script"].items()}
    prometheus = ScriptedPrometheus(scripts)
    prometheus.start()
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    stays = {
        (Player(connection, recording, "").namespace, version)
        for recording in recorded
        for version in never_ready(recording["scenario"])
    }
    kubelet = InstantKubelet(connection, stays_unready=lambda pod: _version_of(pod) in stays)
    kubelet.start()
    process = controller_process(tmp_path / "controller.log", "--workers", str(AT_ONCE))
    try:
        time.sleep(STARTS_WITHIN_S)
        with ThreadPoolExecutor(AT_ONCE) as players:
            found = players.map(lambda recording: _differences(connection, recording, prometheus.address), recorded)
            yield {recording["scenario"]["name"]: wrong for recording, wrong in zip(recorded, found, strict=True)}
    finally:
        process.terminate()
        process.wait(20.0)
        kubelet.stop()
        prometheus.stop()


def _version_of(pod: Json) -> tuple[str, str]:
    image: str = pod["spec"]["containers"][0]["image"]
    return pod["metadata"]["namespace"], image.rpartition(":")[2]


def _differences(connection: Connection, recording: Json, address: str) -> list[str]:
    trace = Player(connection, recording, address).play()
    wrong: list[str] = []
    compare_states("rollout", rollout_states(recording["trace"]), rollout_states(trace), wrong)
    theirs, ours = run_states(recording["trace"]), run_states(trace)
    if theirs.keys() != ours.keys():
        wrong.append(f"runs {sorted(theirs)} ours {sorted(ours)}")
    for run, states in theirs.items():
        compare_states(f"run {run}", states, ours.get(run, []), wrong)
    compare_end(recording, trace, wrong)
    return wrong


def test_the_controller_does_what_argo_rollouts_did(
    played: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    differ = {name: wrong for name, wrong in played.items() if wrong}
    with capsys.disabled():
        print(f"\nrecorded rollouts on an API server: {len(played) - len(differ)} of {len(played)}")
    report = "\n".join(f"{name}:\n  " + "\n  ".join(wrong) for name, wrong in differ.items())
    assert not differ, report
