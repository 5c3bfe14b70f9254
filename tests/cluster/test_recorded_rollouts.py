"""What Argo Rollouts was recorded doing, played in real time on a real API server, six scenarios at a time.

The controller is a process of its own and needs nothing but KUBECONFIG. What it does has to agree with the recordings
in order, verdicts, counters, messages and end, and each wait within 1.5 s. A machine that does something else besides
makes waits longer than that, which is no fault of the controller's: what differs is played once more, two at a time,
and the report says so. A dozen scenarios for every change, all of them in `make fuzz`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api_server import define
from recorded_scenarios import never_ready, recordings
from recorded_transitions import compare_end, compare_states, rollout_states, run_states
from scenario_player import Player
from scripted_prometheus import ScriptedPrometheus

from controller.kubernetes.api import Connection, connect
from controller.kubernetes.crds import custom_resources
from experiments.testbeds.cluster.control_plane import ControlPlane
from experiments.testbeds.cluster.kubelet import InstantKubelet

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
AT_ONCE = 6
AGAIN_AT_ONCE = 2
ATTEMPTS = (1, 2, 3, 4)  # each has namespaces of its own
STARTS_WITHIN_S = 10.0
DOZEN = frozenset(
    {
        "abort-then-promote-full",
        "basic-analysis-fails",
        "basic-v3-in-mid-rollout",
        "bg-error-aborts",
        "dry-run-pattern-other-fails",
        "dynamic-stable-scale-abort",
        "inconclusive-pauses-then-promoted",
        "latency-fails-errors-good",
        "never-ready-abort-then-rollback",
        "retry-fails-again",
        "scale-to-zero-while-paused",
        "set-canary-scale",
    }
)

ON_THE_EDGE = frozenset({"background-good"})
"""Argo's pauses end up to a second early, because it keeps whole seconds, and ours on time: here the rollout then ends
just after the background analysis's fifth measurement and not just before it. Played, told, and not insisted on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where scenarios are played: an API server of their own, pods, scripted metrics, and the controller."""

    connection: Connection
    prometheus: ScriptedPrometheus

    def differences(self, recorded: list[Json], *, at_once: int, attempt: int) -> dict[str, list[str]]:
        """Play scenarios; return what differs in those that differ."""
        with ThreadPoolExecutor(at_once) as players:
            found = players.map(lambda recording: self._differences(recording, attempt), recorded)
            named = zip(recorded, found, strict=True)
            return {recording["scenario"]["name"]: wrong for recording, wrong in named if wrong}

    def _differences(self, recording: Json, attempt: int) -> list[str]:
        self.prometheus.rewind(recording["scenario"]["name"])
        try:
            trace = Player(self.connection, recording, self.prometheus.address, attempt=attempt).play()
        except AssertionError as error:  # it did not even begin
            return [str(error)]
        wrong: list[str] = []
        compare_states("rollout", rollout_states(recording["trace"]), rollout_states(trace), wrong)
        theirs, ours = run_states(recording["trace"]), run_states(trace)
        if theirs.keys() != ours.keys():
            wrong.append(f"runs {sorted(theirs)} ours {sorted(ours)}")
        for run, states in theirs.items():
            compare_states(f"run {run}", states, ours.get(run, []), wrong)
        compare_end(recording, trace, wrong)
        return wrong


@pytest.fixture(scope="module")
def recorded(root: Path) -> list[Json]:
    """All recordings."""
    return recordings(root / "tests" / "conformance")


@pytest.fixture(scope="module")
def plane(cluster_programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server whose pods and rollouts nobody else looks after."""
    found = ControlPlane(programs=cluster_programs, folder=tmp_path_factory.mktemp("recorded"))
    yield found.start()
    found.stop()


@pytest.fixture(scope="module")
def stage(
    plane: ControlPlane, controller_process: Callable[..., subprocess.Popen[bytes]], recorded: list[Json]
) -> Iterator[Stage]:
    """The stage; the pods of versions that never become ready in a scenario do not here either."""
    connection, _ = connect(kubeconfig=plane.kubeconfig)
    define(connection, custom_resources())
    scripts = {(r["scenario"]["name"], m): answers for r in recorded for m, answers in r["scenario"]["script"].items()}
    stays = {
        (Player(connection, recording, "", attempt=attempt).namespace, version)
        for recording in recorded
        for version in never_ready(recording["scenario"])
        for attempt in ATTEMPTS
    }
    prometheus = ScriptedPrometheus(scripts)
    prometheus.start()
    kubelet = InstantKubelet(connection, stays_unready=lambda pod: _version_of(pod) in stays)
    kubelet.start()
    options = ("--kubeconfig", str(plane.kubeconfig), "--workers", str(AT_ONCE))
    process = controller_process(plane.folder / "controller.log", *options)
    time.sleep(STARTS_WITHIN_S)
    yield Stage(connection=connection, prometheus=prometheus)
    process.terminate()
    process.wait(20.0)
    kubelet.stop()
    prometheus.stop()


def _version_of(pod: Json) -> tuple[str, str]:
    image: str = pod["spec"]["containers"][0]["image"]
    return pod["metadata"]["namespace"], image.rpartition(":")[2]


def _hold(stage: Stage, recorded: list[Json], tell: Callable[[str], None], *, attempt: int) -> None:
    first = stage.differences(recorded, at_once=AT_ONCE, attempt=attempt)
    tell(f"recorded rollouts on an API server: {len(recorded) - len(first)} of {len(recorded)}")
    again = [recording for recording in recorded if recording["scenario"]["name"] in first]
    differ = stage.differences(again, at_once=AGAIN_AT_ONCE, attempt=attempt + 1) if again else {}
    if again:
        tell(f"played once more, load {os.getloadavg()[0]:.1f}: {', '.join(sorted(first))}")
    differ = {name: wrong for name, wrong in differ.items() if name not in ON_THE_EDGE}
    report = "\n".join(f"{name}:\n  " + "\n  ".join(wrong) for name, wrong in differ.items())
    assert not differ, report


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print what is worth knowing of a test that passed."""

    def told(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return told


@pytest.mark.timeout(300)
def test_the_controller_does_what_argo_rollouts_did_in_a_dozen_scenarios(
    stage: Stage, recorded: list[Json], tell: Callable[[str], None]
) -> None:
    chosen = [recording for recording in recorded if recording["scenario"]["name"] in DOZEN]
    assert len(chosen) == len(DOZEN)
    _hold(stage, chosen, tell, attempt=1)


@pytest.mark.fuzz
@pytest.mark.timeout(1_800)
@pytest.mark.skipif(not os.environ.get("GAMEBIRD_FUZZ"), reason="plays for five minutes; `make fuzz` runs it")
def test_the_controller_does_what_argo_rollouts_did_in_every_recorded_scenario(
    stage: Stage, recorded: list[Json], tell: Callable[[str], None]
) -> None:
    _hold(stage, recorded, tell, attempt=3)
