"""What traffic is: the rate of each shape, and what the schema refuses."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from loadgen.traffic import Change, Diurnal, Level, Ramp, Spike, Step, Traffic, TrafficError


def read(**fields: object) -> Traffic:
    return Traffic.model_validate({"rps": 20, **fields})


def complaint(**fields: object) -> tuple[tuple[str | int, ...], str]:
    with pytest.raises(ValidationError) as caught:
        read(**fields)
    (error,) = caught.value.errors()
    return error["loc"], error["msg"]


def test_a_rate_alone_is_constant_poisson_traffic_to_the_root() -> None:
    traffic = Traffic(rps=100)
    assert [traffic.rate_at(at_s) for at_s in (0, 5.5, 1e6)] == [100, 100, 100]
    assert [route.name for route in traffic.routes] == ["GET /"]
    assert traffic.arrivals == "poisson"


def test_no_traffic_at_all_is_traffic() -> None:
    assert Traffic(rps=0).rate_at(10) == 0
    assert Traffic(rps=0).peak_rps(1000) == 0


def test_nothing_was_asked_for_before_the_first_instant() -> None:
    assert Traffic(rps=20).rate_at(-0.001) == 0


def test_a_ramp_is_a_straight_line_between_two_rates() -> None:
    traffic = Traffic(rps=20, shape=Ramp(from_s=60, over_s=100, to_rps=120))  # 1 request/s more each second
    assert [traffic.rate_at(at_s) for at_s in (0, 60, 61, 110, 160, 500)] == [20, 20, 21, 70, 120, 120]


def test_a_step_has_its_new_rate_from_its_instant_on() -> None:
    traffic = Traffic(rps=20, shape=Step(levels=(Level(at_s=60, rps=0), Level(at_s=90, rps=50))))
    assert [traffic.rate_at(at_s) for at_s in (59.999, 60, 89.999, 90, 1000)] == [20, 0, 0, 50, 50]


def test_a_step_at_the_very_beginning_leaves_no_trace_of_the_first_rate() -> None:
    assert Traffic(rps=20, shape=Step(levels=(Level(at_s=0, rps=5),))).rate_at(0) == 5


def test_a_spike_ends_by_itself() -> None:
    traffic = Traffic(rps=20, shape=Spike(at_s=60, for_s=30, to_rps=200))
    assert [traffic.rate_at(at_s) for at_s in (59, 60, 89.999, 90)] == [20, 200, 200, 20]
    assert traffic.peak_rps(300) == 200
    assert traffic.peak_rps(50) == 20  # over before the spike begins


def test_a_day_swings_around_its_mean() -> None:
    traffic = Traffic(rps=100, shape=Diurnal(swing=0.5, peak_at_s=36_000))
    # Peak at ten, trough twelve hours later, the mean in between.
    assert traffic.rate_at(36_000) == pytest.approx(150)
    assert traffic.rate_at(36_000 + 43_200) == pytest.approx(50)
    assert traffic.rate_at(36_000 + 21_600) == pytest.approx(100)


def test_the_straight_pieces_of_a_day_stay_close_to_the_cosine() -> None:
    curve = Traffic(rps=100, shape=Diurnal(swing=1.0)).curve(86_400)
    at_s = np.linspace(0, 86_400, 5_001)
    cosine = 100 * (1 + np.cos(2 * np.pi * at_s / 86_400))
    # A chord of a cosine over an angle h leaves at most h²/8: (2π/96)²/8 = 0.00054 of the swing.
    assert np.abs(curve.rate_at(at_s) - cosine).max() < 100 * 0.00054


def test_a_change_lies_over_the_shape_and_ends() -> None:
    traffic = Traffic(rps=20, shape=Spike(at_s=60, for_s=30, to_rps=200))
    changed = traffic.curve(300, [Change(from_s=50, until_s=70, factor=0.5), Change(from_s=65, until_s=80, rps=7)])
    seen = changed.rate_at(np.array([49.0, 50, 60, 64.9, 65, 79.9, 80, 90])).tolist()
    # halved from 50; the spike halved from 60; fixed at 7 from 65, after the halving ended too; the spike; the base
    assert seen == [20, 10, 100, 100, 7, 7, 200, 20]


def test_a_change_that_is_ended_early_does_not_last_longer_for_it() -> None:
    change = Change(from_s=10, until_s=20, rps=0)
    assert change.ended(15).until_s == 15
    assert change.ended(30).until_s == 20
    assert change.ended(5).until_s == 10


@pytest.mark.parametrize(
    "fields",
    [
        {"rps": -1.0},
        {"rps": float("nan")},
        {"factor": float("inf")},
        {"rps": 1.0, "factor": 1.0},
        {},
        {"rps": 1.0, "until_s": -1.0},
    ],
)
def test_a_change_that_means_nothing_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(TrafficError):
        Change(from_s=0, **fields)


def test_a_game_day_file_may_say_all_of_it() -> None:
    traffic = read(
        shape={"kind": "step", "levels": [{"at_s": 60, "rps": 50}]},
        routes=[{"path": "/orders", "weight": 3}, {"method": "POST", "path": "/orders", "body": "{}"}],
        arrivals="even",
        seed=7,
    )
    assert [route.name for route in traffic.routes] == ["GET /orders", "POST /orders"]
    assert Traffic.model_validate_json(traffic.model_dump_json()) == traffic


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"rps": "20"}, ("rps",)),
        ({"rps": True}, ("rps",)),
        ({"rps": -1}, ("rps",)),
        ({"rps": float("inf")}, ("rps",)),
        ({"seeds": 1}, ("seeds",)),
        ({"arrivals": "bursts"}, ("arrivals",)),
        ({"routes": []}, ("routes",)),
        ({"routes": [{"path": "orders"}]}, ("routes", 0, "path")),
        ({"routes": [{"path": "/a b"}]}, ("routes", 0, "path")),
        ({"routes": [{"path": "/a\r\nHost: x"}]}, ("routes", 0, "path")),
        ({"routes": [{"path": "//elsewhere/x"}]}, ("routes", 0, "path")),
        ({"routes": [{"path": "/", "weight": 0}]}, ("routes", 0, "weight")),
        ({"routes": [{"path": "/", "headers": {"a": "b\r\nc: d"}}]}, ("routes", 0, "headers")),
        ({"shape": {"kind": "spike", "at_s": 1, "for_s": 0, "to_rps": 1}}, ("shape", "spike", "for_s")),
        ({"shape": {"kind": "diurnal", "swing": 1.5}}, ("shape", "diurnal", "swing")),
        ({"shape": {"kind": "step", "levels": []}}, ("shape", "step", "levels")),
        ({"shape": {"kind": "sawtooth"}}, ("shape",)),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(fields: dict[str, object], where: tuple[str | int, ...]) -> None:
    assert complaint(**fields)[0] == where


def test_levels_out_of_order_are_refused_with_both_instants() -> None:
    levels = [{"at_s": 60, "rps": 1}, {"at_s": 30, "rps": 2}]
    assert "30 s comes after 60 s" in complaint(shape={"kind": "step", "levels": levels})[1]
