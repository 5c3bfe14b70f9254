"""A map of a team's own metrics: what it gives, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.metrics_model import PlanError, UnknownMetricError, read_metrics_map

Make = Callable[..., Any]


def test_a_metric_of_ones_own_is_made_like_a_known_one(planned: Make) -> None:
    likeness = {"like": "http_requests_total"}
    found = planned('sum(rate(checkout_done{status=~"5.."}[5m]))', metrics_map={"checkout_done": likeness})
    assert found.labels("release", "__name__", "status") == [("checkout_done", "500")]


def test_a_map_says_how_a_metric_words_a_failure_and_what_else_its_series_have(planned: Make) -> None:
    likeness = {
        "like": "http_requests_total",
        "status": {"label": "verdict", "ok": "done", "failed": "broken"},
        "labels": {"tier": "web"},
    }
    query = 'sum(rate(checkout_done{verdict="broken",tier="web"}[5m]))'
    found = planned(query, metrics_map={"checkout_done": likeness})
    assert found.labels("release", "verdict", "tier") == [("broken", "web")]
    assert (
        planned('sum(rate(checkout_done{tier="db"}[5m]))', metrics_map={"checkout_done": likeness}).series("release")
        == ()
    )


@pytest.mark.parametrize(("only", "statuses"), [("failed", {"500"}), ("ok", {"200"}), ("all", {"200", "500"})])
def test_a_map_says_which_requests_a_metric_counts(planned: Make, only: str, statuses: set[str]) -> None:
    likeness = {"like": "http_requests_total", "only": only}
    found = planned("sum(rate(broken[5m]))", metrics_map={"broken": likeness})
    assert {status for (status,) in found.labels("release", "status")} == statuses


def test_a_histogram_is_mapped_by_its_name_without_its_parts(planned: Make) -> None:
    likeness = {"like": "http_request_duration_seconds", "unit": "milliseconds"}
    query = "histogram_quantile(0.9, sum by (le) (rate(time_to_first_token_bucket[5m]))) < 1"
    found = planned(query, metrics_map={"time_to_first_token": likeness})
    bounds = [le for (le,) in found.labels("release", "le")]
    assert (bounds[0], bounds[-2], bounds[-1]) == ("5.0", "10000.0", "+Inf")


def test_a_map_goes_before_what_a_name_says(planned: Make) -> None:
    likeness = {"like": "nginx_ingress_controller_requests"}
    found = planned("sum(rate(http_requests_total[5m]))", metrics_map={"http_requests_total": likeness})
    assert found.series("release") == ()
    assert {name for (name,) in found.labels("proxy", "__name__")} == {"http_requests_total"}


def test_a_map_to_a_metric_that_nobody_knows_is_refused(planned: Make) -> None:
    with pytest.raises(UnknownMetricError, match="tea_drunk is no metric"):
        planned("sum(rate(mine[5m]))", metrics_map={"mine": {"like": "tea_drunk"}})


def test_a_unit_of_time_for_what_is_no_time_is_refused(planned: Make) -> None:
    with pytest.raises(PlanError, match="holds no latencies"):
        planned("mine", metrics_map={"mine": {"like": "container_memory_working_set_bytes", "unit": "seconds"}})


def test_a_file_is_read_and_its_faults_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("mine: {like: http_requests_total, labels: {tier: web}}\n", encoding="utf-8")
    assert read_metrics_map(file)["mine"].labels == {"tier": "web"}
    file.write_text("mine: {liek: up}\nother: {like: up, only: some}\n", encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        read_metrics_map(file)
    assert {"mine.like", "mine.liek", "other.only"} <= {line.split(": ")[1] for line in str(caught.value).splitlines()}


@pytest.mark.parametrize(("text", "message"), [("a: [", "is no YAML"), ("- 1\n", "map.yaml: the document:")])
def test_what_is_no_map_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=message):
        read_metrics_map(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_metrics_map(tmp_path / "none.yaml")
