"""An access log replayed in a game day against a release that breaks one route: the scorecard names the route."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from experiments.gameday_files import load_game_day
from experiments.report.words import headline
from experiments.runner import Options, rehearse

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BEGIN = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)
ROUTES = ("/orders", "/orders/{number}/items", "/search?q=shoes", "/checkout")


def access_log(file: Path, *, rps: int, for_s: int) -> None:
    """Write a log in nginx' combined format in which every route is asked for as often as every other."""
    lines = []
    for number in range(rps * for_s):
        stamp = (BEGIN + timedelta(seconds=number // rps)).strftime("%d/%b/%Y:%H:%M:%S +0000")
        path = ROUTES[number % len(ROUTES)].format(number=1000 + number)
        lines.append(f'203.0.113.{number % 250} - - [{stamp}] "GET {path} HTTP/1.1" 200 512 "-" "curl/8.5"\n')
    file.write_text("".join(lines), encoding="utf-8")


def test_a_replayed_log_against_a_release_that_breaks_one_route_ends_in_a_scorecard_that_names_it(
    game_days: Path, tmp_path: Path, speed: float
) -> None:
    access_log(tmp_path / "tuesday.log", rps=20, for_s=300)
    text = (game_days / "errors-5pct.yaml").read_text(encoding="utf-8").replace("../", f"{game_days.parent}/")
    # Only errors count: on a busy machine answers of every route may be slow.
    text = text.replace("traffic: {rps: 20}", "traffic: tuesday.log\n    slow_after_s: null")
    text = text.replace("release: {errors: 0.05}", "release: {errors: 0.5, routes: [/checkout]}")
    file = tmp_path / "tuesday.yaml"
    file.write_text(text, encoding="utf-8")
    game_day = load_game_day(file)
    # The rate, the routes and the instants are the log's: 20 requests/s, four routes alike.
    assert game_day.setup.traffic.arrivals == "recorded"
    assert game_day.setup.traffic.rps == pytest.approx(20, rel=0.02)
    assert sorted(route.path.partition("?")[0] for route in game_day.setup.traffic.routes) == [
        "/checkout",
        "/orders",
        "/orders/1001/items",
        "/search",
    ]
    card = rehearse(game_day, "corrected", Options(speed=speed)).card
    assert card.verdict == "aborted"
    assert [one.name for one in card.routes if one.release_bad] == ["GET /checkout"]
    assert card.failed_route is not None
    assert card.failed_route.name == "GET /checkout"
    # Half of its requests fail; with some fifty of them, five standard deviations are 0.35.
    assert card.failed_route.release_share == pytest.approx(0.5, abs=0.35)
    assert sum(one.requests for one in card.routes) == card.requests
    assert {one.name for one in card.routes} == {
        "GET /checkout",
        "GET /orders",
        "GET /orders/{id}/items",
        "GET /search",
    }
    # Every second of the log asks for each route five times, so only the seconds in which the count begins and ends,
    # and what was on its way at the end, tell them apart; routes drawn by chance would differ by some dozens.
    asked = [one.requests for one in card.routes]
    assert max(asked) - min(asked) <= 12
    assert "on GET /checkout" in headline(card)
