"""Reports: they appear whole or not at all, need nothing else, and say what the scorecard says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments.report import writing
from experiments.report.series import interval_for, series_of
from experiments.report.words import clock, headline, seconds, share
from experiments.report.writing import Rehearsed, ReportError, write_reports
from experiments.scorecard import Evidence, score

Make = Callable[..., Evidence]


@pytest.fixture
def rehearsed(evidence_of: Make) -> list[Rehearsed]:
    """The same rehearsal under two policies."""
    found = []
    for policy in ("as-written", "corrected"):
        evidence = evidence_of(policy=policy)
        series = series_of(evidence.events, evidence.requests, ended_s=evidence.ended_s)
        journal = {"status": "completed"}
        card = score(evidence)
        found.append(Rehearsed(card=card, series=series, events=evidence.events, journal=journal))
    return found


def test_every_report_is_in_the_folder(tmp_path: Path, rehearsed: list[Rehearsed]) -> None:
    folder = write_reports(tmp_path / "out" / "day", rehearsed, description="A drill.")
    assert {file.name for file in folder.iterdir()} == {
        "report.html",
        "report.json",
        "timeline.svg",
        "timeline.png",
        "load-as-written.json",
        "load-corrected.json",
        "journal-as-written.json",
        "journal-corrected.json",
        "events-as-written.jsonl",
        "events-corrected.jsonl",
    }
    assert [file.name for file in folder.parent.iterdir()] == ["day"]


def test_reports_appear_whole_or_not_at_all(
    tmp_path: Path, rehearsed: list[Rehearsed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "page", full)
    with pytest.raises(ReportError, match="No space left"):
        write_reports(tmp_path / "day", rehearsed, description="A drill.")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, rehearsed: list[Rehearsed]) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ReportError, match="is not empty"):
        write_reports(tmp_path, rehearsed, description="A drill.")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(tmp_path: Path, rehearsed: list[Rehearsed]) -> None:
    html = (write_reports(tmp_path / "day", rehearsed, description="A drill.") / "report.html").read_text("utf-8")
    assert "<script" not in html
    assert not re.search(r"(src|href)=[\"'](?!#)", html)
    assert not re.search(r"url\((?!#)|@import", html)


def test_words_of_a_game_day_cannot_become_markup(tmp_path: Path, evidence_of: Make) -> None:
    evil = "<script>alert(1)</script>&\"'"
    evidence = evidence_of(title=evil, policy="corrected", release=evil)
    one = Rehearsed(
        card=score(evidence),
        series=series_of(evidence.events, evidence.requests, ended_s=evidence.ended_s),
        events=evidence.events,
        journal={},
    )
    folder = write_reports(tmp_path / "day", [one], description=evil)
    html = (folder / "report.html").read_text("utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    ElementTree.parse(folder / "timeline.svg")


def test_the_file_for_programs_is_json_without_nan_and_says_what_the_card_says(
    tmp_path: Path, rehearsed: list[Rehearsed]
) -> None:
    folder = write_reports(tmp_path / "day", rehearsed, description="A drill.")
    text = (folder / "report.json").read_text("utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    said = json.loads(text, parse_constant=refuse)
    assert said["schema"] == "gamebird.dev/gameday-report/v1"
    assert said["holds"] is True
    assert [one["policy"] for one in said["rehearsals"]] == ["as-written", "corrected"]
    assert said["rehearsals"][0]["detection_s"] == pytest.approx(100.0)
    assert said["rehearsals"][0]["bad"] == 51


def test_a_rehearsal_in_which_nothing_happened_can_be_drawn(tmp_path: Path, evidence_of: Make) -> None:
    empty = evidence_of().requests.iloc[:0]
    evidence = evidence_of(requests=empty, events=(), validity={}, rps=0.0)
    one = Rehearsed(
        card=score(evidence),
        series=series_of(evidence.events, evidence.requests, ended_s=evidence.ended_s),
        events=(),
        journal={},
    )
    assert (write_reports(tmp_path / "day", [one], description="") / "timeline.png").stat().st_size > 0


def test_the_series_count_every_settled_request_once(evidence_of: Make) -> None:
    evidence = evidence_of()
    series = series_of(evidence.events, evidence.requests, ended_s=evidence.ended_s)
    stable, canary = series.revisions
    assert (stable.role, canary.role) == ("stable", "under test")
    # From 10 s before the deployment (1050 s) on, all 1,600 requests lie in the picture; 102 met the canary.
    assert series.from_s == -10.0
    assert sum(stable.requests) + sum(canary.requests) == 1600
    assert sum(canary.requests) == 102


def test_an_interval_is_round_and_there_are_never_too_many() -> None:
    assert interval_for(30.0) == 1.0
    assert interval_for(1020.0) == 60.0  # 1020 / 30 would be 34 pieces
    assert interval_for(1e6) == pytest.approx(33334.0)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "–"), (0.42, "0.4 s"), (42.4, "42 s"), (200.0, "3 min 20 s"), (5400.0, "1 h 30 min")]
)
def test_durations_read_as_people_say_them(value: float | None, expected: str) -> None:
    assert seconds(value) == expected


def test_instants_and_shares_read_as_people_say_them(evidence_of: Make) -> None:
    assert clock(-65.0) == "-1:05"
    assert share(0.0034) == "0.34%"
    card = score(evidence_of())
    assert (
        headline(card) == "Aborted at a weight of 10 %, 100 s after its first request; 51 bad requests, 3.40% of all."
    )
    assert headline(replace(card, detection_s=None)).startswith("Aborted at a weight of 10 %; 51 bad")


def test_the_page_opens_in_a_browser(tmp_path: Path, rehearsed: list[Rehearsed], chromium: Path) -> None:
    page = write_reports(tmp_path / "day", rehearsed, description="A drill.") / "report.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    done = subprocess.run(
        [str(chromium), *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.count('class="card aborted"') == 2
    assert "<svg" in done.stdout
