"""One recording drives the load generator, Locust and the model: its rate over time and its mix of routes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from controller.manifests.documents import ManifestError
from experiments.gameday_files import load_game_day
from loadgen.openloop.plan import Plan
from loadgen.traffic import Change, Trace, Traffic, TrafficError, read_traffic, schedule
from sim.scenarios import Scenario


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten minutes of log: 2 requests/s in the first five, 6 in the last; every fourth is a checkout."""
    instants = [k / 2 for k in range(600)] + [300 + k / 6 for k in range(1_800)]
    lines = [
        f"{1_795_478_400 + at_s:.3f},{'POST' if k % 4 == 3 else 'GET'},"
        f"{'/checkout' if k % 4 == 3 else f'/orders/{k}?page=1'}"
        for k, at_s in enumerate(instants)
    ]
    (tmp_path / "log.csv").write_text("time,method,path\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def read(folder: Path, text: str) -> Traffic:
    (folder / "traffic.yaml").write_text(text, encoding="utf-8")
    return read_traffic(folder / "traffic.yaml")


def test_a_recording_says_rate_and_routes_where_the_file_does_not(folder: Path) -> None:
    traffic = read(folder, "shape: {kind: trace, file: log.csv, bin_s: 60}\n")
    assert traffic.rps == 4  # 2,400 requests in 600 s
    assert [traffic.rate_at(at_s) for at_s in (0, 299, 300, 599)] == [2, 2, 6, 6]
    assert [(route.name, route.weight) for route in traffic.routes] == [
        ("GET /orders/0?page=1", 1_800),  # the first that was seen of GET /orders/{id}
        ("POST /checkout", 600),
    ]


def test_the_rate_scales_to_the_mean_that_is_asked_for(folder: Path) -> None:
    traffic = read(folder, "rps: 40\nshape: {kind: trace, file: log.csv, bin_s: 60}\n")
    assert [traffic.rate_at(at_s) for at_s in (0, 300)] == [20, 60]
    assert traffic.curve(600).requests == pytest.approx(24_000)


def test_a_recording_begins_again_or_ends(folder: Path) -> None:
    looping = read(folder, "shape: {kind: trace, file: log.csv, bin_s: 60}\n")
    assert [looping.rate_at(at_s) for at_s in (600, 900, 6_001)] == [2, 6, 2]
    assert looping.curve(6_000).requests == pytest.approx(24_000)
    once = read(folder, "shape: {kind: trace, file: log.csv, bin_s: 60, loop: false}\n")
    assert [once.rate_at(at_s) for at_s in (599, 600, 6_001)] == [6, 0, 0]
    assert once.curve(6_000).requests == pytest.approx(2_400)


def test_bins_hold_a_hundred_requests_unless_their_width_is_said(folder: Path) -> None:
    shape = read(folder, "shape: {kind: trace, file: log.csv}\n").shape
    assert isinstance(shape, Trace)
    assert shape.bin_s == 30  # 4 requests/s: 15 s hold 60, 30 s hold 120


def test_a_last_bin_that_is_cut_short_keeps_the_count() -> None:
    # 100 s of 2/s, then half a bin of 4/s: (200 + 200) / 150 on average
    traffic = Traffic.model_validate({"shape": {"kind": "trace", "bin_s": 100, "rates_rps": [2, 4], "period_s": 150}})
    assert traffic.rps == pytest.approx(400 / 150)
    assert traffic.curve(150).requests == pytest.approx(400)
    assert [traffic.rate_at(at_s) for at_s in (149, 150, 250)] == pytest.approx([4, 2, 4])


def test_rates_that_are_written_out_need_no_file() -> None:
    traffic = Traffic.model_validate({"rps": 10, "shape": {"kind": "trace", "bin_s": 60, "rates_rps": [1, 3]}})
    assert [traffic.rate_at(at_s) for at_s in (0, 60, 120)] == [5, 15, 5]
    assert [route.name for route in traffic.routes] == ["GET /"]


def test_what_was_read_goes_on_without_the_file(folder: Path) -> None:
    traffic = read(folder, "shape: {kind: trace, file: log.csv, bin_s: 60}\n")
    (folder / "log.csv").unlink()
    assert Traffic.model_validate_json(traffic.model_dump_json()) == traffic
    plan = Plan(traffic=traffic, target_url="http://127.0.0.1:1", speed=1, duration_s=60, origin_monotonic_s=0,
                origin_policy_s=0)  # fmt: skip
    assert Plan.model_validate_json(plan.model_dump_json()).traffic == traffic
    assert Scenario(traffic=traffic).traffic.shape == traffic.shape
    assert traffic.model_copy(update={"seed": 7}).routes == traffic.routes


def test_the_schedule_of_a_recording_has_its_bursts_and_its_mix(folder: Path) -> None:
    traffic = read(folder, "arrivals: even\nshape: {kind: trace, file: log.csv, bin_s: 60}\n")
    plan = schedule(traffic, duration_s=600)
    assert np.histogram(plan.at_s, bins=[0, 300, 600])[0].tolist() == [600, 1_800]
    # 2,400 draws of a quarter: standard deviation 21
    assert abs(int((plan.route == 1).sum()) - 600) < 5 * 21


def recorded_instants(folder: Path) -> tuple[list[float], list[int]]:
    """Return what the fixture wrote: 2 requests/s, then 6, every fourth for the checkout, which is the second route."""
    return [k / 2 for k in range(600)] + [300 + k / 6 for k in range(1_800)], [int(k % 4 == 3) for k in range(2_400)]


def test_recorded_arrivals_ask_each_request_at_its_own_instant_and_for_its_own_route(folder: Path) -> None:
    traffic = read(folder, "arrivals: recorded\nshape: {kind: trace, file: log.csv}\n")
    plan = schedule(traffic, duration_s=600)
    instants_s, routes = recorded_instants(folder)
    assert plan.at_s == pytest.approx(instants_s, abs=2e-3)  # the log tells milliseconds
    assert plan.route.tolist() == routes
    again = schedule(Traffic.model_validate_json(traffic.model_dump_json()), duration_s=1_300)
    # The recording begins again at 600 s, and at 1,200 s: 2,400 requests twice, and 200 in the last 100 s.
    assert len(again) == 5_000
    assert again.at_s[2_400:4_800] == pytest.approx(np.array(instants_s) + 600, abs=2e-3)
    assert again.route[4_800:].tolist() == routes[:200]


def test_a_change_of_the_rate_brings_recorded_requests_sooner_and_leaves_those_before_it(folder: Path) -> None:
    traffic = read(folder, "arrivals: recorded\nshape: {kind: trace, file: log.csv, bin_s: 60}\n")
    plan = schedule(traffic, duration_s=300, changes=[Change(from_s=100, until_s=200, rps=None, factor=2.0)])
    # 200 requests in the first 100 s; then twice as many in 100 s, which are those that were asked from 100 s to 300 s;
    # then those from 300 s on would come, at 2/s, but the recording's part for these 300 s is over.
    assert plan.at_s[:200] == pytest.approx([k / 2 for k in range(200)], abs=2e-3)
    assert plan.at_s[200:600] == pytest.approx([100 + k / 4 for k in range(400)], abs=2e-3)


def test_a_file_of_its_own_is_asked_again_at_its_own_instants_in_a_game_day(folder: Path) -> None:
    traffic = read_traffic(folder / "log.csv", instants=True)
    assert (traffic.arrivals, len(schedule(traffic, duration_s=600))) == ("recorded", 2_400)
    assert read_traffic(folder / "log.csv").arrivals == "poisson"


def test_requests_that_are_stamped_with_whole_seconds_are_spread_over_them(folder: Path) -> None:
    file = folder / "seconds.csv"
    rows = "".join(f"{1_795_478_400 + k // 50},/orders\n" for k in range(500))
    file.write_text(f"time,path\n{rows}", encoding="utf-8")
    at_s = schedule(read_traffic(file, instants=True), duration_s=10).at_s
    assert np.histogram(at_s, bins=np.arange(11))[0].tolist() == [50] * 10
    assert len(np.unique(at_s)) == 500


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("arrivals: recorded\nrps: 5\n", "a recording for its arrivals to be recorded"),
        ("arrivals: recorded\nrps: 5\nshape: {kind: trace, file: log.csv}\n", "leave rps out"),
        (
            "arrivals: recorded\nroutes: [{path: /a}, {path: /b}, {path: /c}]\nshape: {kind: trace, file: log.csv}\n",
            "leave routes out",
        ),
    ],
)
def test_recorded_arrivals_are_the_recordings_own(folder: Path, text: str, complaint: str) -> None:
    with pytest.raises(TrafficError, match=complaint):
        read(folder, text)


def test_a_recording_with_too_many_requests_is_refused_with_what_would_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadgen.traffic.recorded.INSTANTS_MAX", 2_000)
    with pytest.raises(TrafficError, match=r"more than 2,000 requests.*take a stretch with gamebird trace sample"):
        read_traffic(folder / "log.csv", instants=True)


def test_a_rate_over_a_long_recording_is_found_at_once() -> None:
    rates = [1 + k % 7 for k in range(10_000)]
    traffic = Traffic.model_validate({"shape": {"kind": "trace", "bin_s": 60, "rates_rps": rates}})
    begun_s = time.perf_counter()
    assert traffic.rate_at(9_999 * 60) == pytest.approx(1 + 9_999 % 7)
    assert time.perf_counter() - begun_s < 1  # Locust asks once a second


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("shape: {kind: trace, file: nowhere.log}\n", "traffic.yaml:1:8: shape: "),
        ("shape: {kind: trace, file: nowhere.log}\n", "nowhere.log: cannot be read: No such file or directory"),
        ("shape: {kind: trace, file: 7}\n", "traffic.yaml:1:28: shape.file is 7: Input should be a valid string"),
        ("shape: {kind: trace, file: log.csv, bin_s: 0}\n", "shape.bin_s is 0: Input should be greater than 0"),
        ("shape: {kind: trace, file: log.csv, format: iis}\n", "there is no format 'iis'"),
        ("shape: {kind: trace, bin_s: 1, rates_rps: [0, 0]}\n", "a recording without requests has no shape"),
        ("shape: {kind: trace, bin_s: 1, rates_rps: [1], period_s: 5}\n", "period_s is 5; it needs to end in the last"),
        ("shape: {kind: trace, bin_s: 1, rates_rps: [-1]}\n", "Input should be greater than or equal to 0"),
        ("shape: {kind: constant}\n", "rps: Field required"),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused_with_its_place(folder: Path, text: str, complaint: str) -> None:
    with pytest.raises(TrafficError) as caught:
        read(folder, text)
    assert complaint in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_traffic_in_python_names_the_file_from_where_it_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    traffic = Traffic(rps=8, shape=Trace(file="log.csv", bin_s=60))
    assert traffic.rate_at(0) == 4
    assert [route.name for route in traffic.routes] == ["GET /orders/0?page=1", "POST /checkout"]
    with pytest.raises(ValidationError):
        Trace(file="nowhere.csv")


def test_a_game_day_takes_the_recording_that_lies_beside_it(folder: Path, root: Path) -> None:
    example = root / "examples" / "orders-api"
    text = (example / "gamedays" / "errors-5pct.yaml").read_text(encoding="utf-8").replace("../", f"{example}/")
    drill = folder / "drill.yaml"
    drill.write_text(
        text.replace("traffic: {rps: 20}", "traffic: {rps: 20, shape: {kind: trace, file: log.csv, bin_s: 60}}"),
        encoding="utf-8",
    )
    traffic = load_game_day(drill).setup.traffic
    # the recording's 2 and 6 requests/s about a mean of 4, scaled to 20
    assert [traffic.rate_at(at_s) for at_s in (0, 300)] == [10, 30]
    assert [route.name for route in traffic.routes] == ["GET /orders/0?page=1", "POST /checkout"]
    drill.write_text(
        text.replace("traffic: {rps: 20}", "traffic: {shape: {kind: trace, file: gone.csv}}"), encoding="utf-8"
    )
    with pytest.raises(ManifestError, match=r"drill\.yaml:\d+:\d+: .*traffic\.shape.*gone\.csv: cannot be read"):
        load_game_day(drill)
