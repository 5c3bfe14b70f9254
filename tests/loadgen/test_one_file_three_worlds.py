"""The same file drives a game day's generator, Locust's own command and the simulator, at the same rate over time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.gameday_files import load_game_day
from loadgen.traffic import schedule
from sim.load.demand import Demand
from sim.scenarios import Scenario

# Locust replaces sockets and threads when it is imported, so its shape is asked in a process of its own.
ASK_LOCUST = """
import json, sys
from loadgen.locust_shape import TrafficShape

class Asked(TrafficShape):
    file = sys.argv[1]
    duration_s = 1e6
    rps_per_user = 0.125
    at_s = 0.0

    def get_run_time(self):
        return self.at_s

shape, found = Asked(), []
for shape.at_s in json.loads(sys.argv[2]):
    users, _ = shape.tick()
    found.append(users * shape.rps_per_user)
print(json.dumps(found))
"""

# At each instant the rate is what a person works out from the file.
CASES = {
    "constant.yaml": ("rps: 20\n", {5: 20, 400: 20}),
    # 30 more in 100 s from 50 s on: at 100 s half of them
    "ramp.yaml": ("rps: 10\nshape: {kind: ramp, from_s: 50, over_s: 100, to_rps: 40}\n", {5: 10, 100: 25, 400: 40}),
    "step.yaml": ("rps: 20\nshape: {kind: step, levels: [{at_s: 100, rps: 60}, {at_s: 200, rps: 30}]}\n",
                  {50: 20, 150: 60, 400: 30}),
    "spike.yaml": ("rps: 10\nshape: {kind: spike, at_s: 100, for_s: 50, to_rps: 60}\n", {50: 10, 120: 60, 200: 10}),
    # cos is 1 at the peak, 0 a quarter of a day later and -1 half a day later
    "diurnal.yaml": ("rps: 20\nshape: {kind: diurnal, swing: 0.5, peak_at_s: 400, day_s: 400}\n",
                     {100: 20, 200: 10, 400: 30}),
    "trace.yaml": ("rps: 40\nshape: {kind: trace, file: log.csv, bin_s: 60}\n", {150: 20, 450: 60}),
    "log.csv": ("", {150: 2, 450: 6}),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every file of the table, and ten minutes of log: 2 requests/s in the first five, 6 in the last."""
    for name, (text, _) in CASES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    instants = [k / 2 for k in range(600)] + [300 + k / 6 for k in range(1_800)]
    lines = [f"{1_795_478_400 + at_s:.3f},GET,/orders" for at_s in instants]
    (tmp_path / "log.csv").write_text("time,method,path\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_each_shape_means_the_same_rate_in_a_game_day_in_locust_and_in_the_simulator(
    folder: Path, root: Path, name: str
) -> None:
    expected = CASES[name][1]
    example = root / "examples" / "orders-api"
    text = (example / "gamedays" / "errors-5pct.yaml").read_text(encoding="utf-8").replace("../", f"{example}/")
    drill = folder / "drill.yaml"
    drill.write_text(text.replace("traffic: {rps: 20}", f"traffic: {name}"), encoding="utf-8")
    traffic = load_game_day(drill).setup.traffic

    # The generator's own timetable, ten seconds about each instant; a metronome is one request off at either end.
    due = schedule(traffic.model_copy(update={"arrivals": "even"}), duration_s=600).at_s
    for at_s, rps in expected.items():
        assert np.count_nonzero((due >= at_s - 5) & (due < at_s + 5)) == pytest.approx(10 * rps, abs=2), at_s

    assert Demand(Scenario(traffic=traffic).traffic).rates_at(np.array(list(expected), dtype=float)) == pytest.approx(
        list(expected.values()), rel=1e-3
    )

    asked = [sys.executable, "-c", ASK_LOCUST, str(folder / name), json.dumps(list(expected))]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    # As many users as it takes, an eighth of a request/s each: at most one user more.
    assert json.loads(done.stdout) == pytest.approx(list(expected.values()), abs=0.126)
