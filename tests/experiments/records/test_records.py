"""A record is evidence: written whole, refused when it was changed, absent when nothing was learnt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from experiments.records.history import history_as_junit, history_page, trend_points
from experiments.records.keeping import RecordError, by_drill, keep_record, read_records
from experiments.records.record import NoEvidenceError, digest_of, read_record, record_of
from experiments.report.series import series_of
from experiments.report.writing import Rehearsed
from experiments.scorecard import Evidence, score

EvidenceOf = Callable[..., Evidence]


@pytest.fixture
def rehearsed(evidence_of: EvidenceOf) -> Callable[..., Rehearsed]:
    def make(**changes: Any) -> Rehearsed:
        evidence = evidence_of(**changes)
        return Rehearsed(
            card=score(evidence),
            series=series_of(evidence.events, evidence.requests, ended_s=evidence.ended_s),
            events=evidence.events,
            journal={"status": "completed", "run": [{"output": 3}]},
        )

    return make


def test_a_record_says_what_was_planned_seen_and_put_in(rehearsed: Callable[..., Rehearsed]) -> None:
    data = record_of(rehearsed(), world="local")
    assert (data["game_day"], data["policy"], data["world"]) == ("errors", "corrected", "local")
    # verdict, load, faults restored: three planned, three held
    assert (data["score"], data["passed"], data["planned"]) == (100, 3, 3)
    assert data["inputs"]["manifests"] == {"a.yaml": "0" * 64}
    assert data["inputs"]["seed"] == 1
    assert data["observed"]["detection_s"] == pytest.approx(100.0)


def test_the_hash_of_the_inputs_changes_with_an_input_and_not_with_what_came_out(
    rehearsed: Callable[..., Rehearsed], evidence_of: EvidenceOf
) -> None:
    from dataclasses import replace

    first = record_of(rehearsed(), world="local")
    worse = record_of(rehearsed(planned_faults=("kill_pods",)), world="local")
    assert worse["score"] < first["score"]
    assert worse["inputs_sha256"] == first["inputs_sha256"]
    other = replace(evidence_of().provenance, seed=2)
    assert record_of(rehearsed(provenance=other), world="local")["inputs_sha256"] != first["inputs_sha256"]
    assert record_of(rehearsed(), world="cluster")["inputs_sha256"] != first["inputs_sha256"]


def test_the_hash_of_the_manifests_leaves_the_game_day_and_the_names_of_files_out(
    rehearsed: Callable[..., Rehearsed], evidence_of: EvidenceOf
) -> None:
    from dataclasses import replace

    made = evidence_of().provenance
    here = replace(made, inputs={"drill.yaml": "1" * 64, "a.yaml": "0" * 64}, game_day_file="drill.yaml")
    there = replace(made, inputs={"other.yaml": "2" * 64, "deploy/b.yaml": "0" * 64}, game_day_file="other.yaml")
    hashes = {
        record_of(rehearsed(provenance=one), world="local")["inputs"]["manifests_sha256"] for one in (here, there)
    }
    assert len(hashes) == 1


def test_a_rehearsal_whose_load_was_not_as_planned_leaves_no_record(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path
) -> None:
    void = rehearsed(validity={"counts": {"outcome": "invalid", "reasons": ["dropped"]}, "latency": {}})
    with pytest.raises(NoEvidenceError, match="dropped"):
        keep_record(tmp_path, void, world="local")
    assert list(tmp_path.iterdir()) == []


def test_a_kept_record_is_read_back_with_the_journal_whole_beside_it(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path
) -> None:
    file = keep_record(tmp_path / "records", rehearsed(), world="local")
    [record] = read_records(tmp_path / "records").records
    assert (record.score, record.verdict, record.expected, record.holds) == (100, "aborted", "aborted", True)
    journal = json.loads((file.parent / "journals" / file.name).read_text(encoding="utf-8"))
    assert journal == {"status": "completed", "run": [{"output": 3}]}
    assert [one.name for one in file.parent.rglob(".record-*")] == []


def test_a_record_that_was_changed_by_hand_is_refused_with_its_name(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path
) -> None:
    file = keep_record(tmp_path, rehearsed(expect=expectation("promoted")), world="local")
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(data | {"score": 100}), encoding="utf-8")
    kept = read_records(tmp_path)
    assert kept.records == ()
    [(refused, why)] = kept.refused
    assert refused == file
    assert "changed since it was written" in why


@pytest.mark.parametrize(
    "change",
    [
        {"score": 100, "passed": 3},
        {"planned": 2, "passed": 2, "score": 100},
        {"checks": []},
        {"checks": [{"what": "verdict"}]},
        {"checks": 7},
        {"inputs": None},
    ],
)
def test_a_record_whose_numbers_are_not_those_of_its_checks_is_refused_though_its_hash_fits(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path, change: dict[str, Any]
) -> None:
    data = record_of(rehearsed(expect=expectation("promoted")), world="local") | change  # one of three failed
    content = {name: value for name, value in data.items() if name != "sha256"}
    (tmp_path / "forged.json").write_text(json.dumps(content | {"sha256": digest_of(content)}), encoding="utf-8")
    kept = read_records(tmp_path)
    assert kept.records == ()
    assert len(kept.refused) == 1


def test_a_file_that_is_nested_too_deep_is_named_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    assert len(read_records(tmp_path).refused) == 1


def test_a_drill_of_people_is_another_drill_than_that_of_the_rollout_alone(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path
) -> None:
    keep_record(tmp_path, rehearsed(), world="local")
    keep_record(tmp_path, rehearsed(by_people=True), world="local")
    drills = by_drill(read_records(tmp_path).records)
    assert list(drills) == [("errors", "corrected", "local"), ("errors", "corrected, by people", "local")]
    assert [record.by_people for records in drills.values() for record in records] == [False, True]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "gamebird.dev/gameday-record/v1"}'])
def test_a_file_that_is_no_record_is_named_and_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text, encoding="utf-8")
    kept = read_records(tmp_path)
    assert kept.records == ()
    assert len(kept.refused) == 1


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path
) -> None:
    (tmp_path / "records").write_text("", encoding="utf-8")
    with pytest.raises(RecordError, match="records"):
        keep_record(tmp_path / "records", rehearsed(), world="local")


def test_the_history_shows_each_drill_with_its_trend_the_newest_last(
    rehearsed: Callable[..., Rehearsed], evidence_of: EvidenceOf, tmp_path: Path
) -> None:
    from dataclasses import replace

    made = evidence_of().provenance
    for day, changes in (("02", {}), ("01", {"planned_faults": ("kill_pods",)})):
        at = replace(made, started_at=f"2026-02-{day}T00:00:00Z")
        keep_record(tmp_path, rehearsed(provenance=at, **changes), world="local")
    kept = read_records(tmp_path)
    [records] = by_drill(kept.records).values()
    # Of four checks (verdict, load, kill_pods in force, faults restored) one does not hold on the first day.
    assert [record.score for record in records] == [75, 100]
    assert trend_points(records) == "0.0,9.0 160.0,0.0"  # a quarter of 36 down, and at the top
    page = history_page(kept)
    assert "A release with errors" in page
    assert 'aria-label="scores: 75 100 "' in page


def test_junit_has_a_suite_for_each_drill_a_case_for_each_check_and_an_error_for_each_file_that_is_no_record(
    rehearsed: Callable[..., Rehearsed], tmp_path: Path
) -> None:
    keep_record(tmp_path, rehearsed(expect=expectation("promoted")), world="local")
    (tmp_path / "odd.json").write_text("{}", encoding="utf-8")
    root = ElementTree.fromstring(history_as_junit(read_records(tmp_path)))
    drill, broken = root.findall("testsuite")
    assert (drill.get("tests"), drill.get("failures")) == ("3", "1")
    [failure] = drill.iter("failure")
    assert failure.get("message") == "expected promoted, was aborted"
    assert broken.find("testcase/error") is not None


def test_what_a_file_says_of_itself_cannot_break_the_page(rehearsed: Callable[..., Rehearsed], tmp_path: Path) -> None:
    keep_record(tmp_path, rehearsed(title="<script>alert(1)</script>"), world="local")
    page = history_page(read_records(tmp_path))
    assert "<script>" not in page


def expectation(verdict: str) -> Any:
    from experiments.gameday_files import Expectation

    return Expectation.model_validate({"verdict": verdict})


def test_a_record_of_another_schema_is_none() -> None:
    with pytest.raises(ValueError, match="not a record"):
        read_record({"schema": "gamebird.dev/gameday-record/v2"})
