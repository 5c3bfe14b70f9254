"""What the page says, held against what was worked out by hand from the manifests."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Page = Callable[..., str]


def section(page: str, title: str) -> str:
    """Return what stands under a heading, up to the next of its level or above."""
    level = title.count("#")
    rest = page[page.index(f"\n{title}\n") + len(title) + 2 :]
    end = re.search(rf"^#{{1,{level}}} (?!or$)", rest, re.MULTILINE)  # `# or` stands in blocks
    return rest[: end.start()] if end else rest


def test_the_steps_of_the_example_take_17_minutes_and_wait_for_nobody(
    page_of: Page, example_files: tuple[Path, ...]
) -> None:
    said = section(page_of(*example_files), "## What the rollout does")
    # Pauses of 3, 3 and 5 minutes, three analyses of 3 measurements a minute apart (2 minutes each): 11 + 6.
    assert "**17m at least**" in said
    assert "It waits for nobody" in said
    # 30 % of 6 pods is 1.8, so 2 pods; 60 % is 3.6, so 4.
    assert "| 4 | send 30 % of the traffic to the canary | 30 % | 2 | – |" in said
    assert "| 8 | wait 5m | 60 % | 4 | 5m |" in said
    assert "| 9 | measure `error-rate`, `latency-p95` | 60 % | 4 | 2m |" in said


def test_the_examples_queries_are_put_into_words(page_of: Page, example_files: tuple[Path, ...]) -> None:
    page = page_of(*example_files)
    errors, latency = section(page, "### error-rate"), section(page, "### latency-p95")
    assert "Measured at steps 3, 6, 9." in errors
    assert (
        'Of all that `http_requests_total{service="orders-api"}` counted in the last 5m, '
        'the share with `status=~"5.."` (answers of 5xx).'
    ) in errors
    assert (
        'The p95, in seconds: 95 % of what `http_request_duration_seconds_bucket{service="orders-api"}` '
        "counted in the last 5m was at most this."
    ) in latency
    assert "**Nothing in it names the canary**" in errors
    assert "Good if `result[0] < 0.350`; else Failed." in latency
    assert "The first Failed measurement fails the analysis" in errors  # failureLimit is 0 where nothing is said
    assert "The fifth error in a row" in errors  # consecutiveErrorLimit is 4 where nothing is said
    assert "An empty answer (no such series yet) is an error; a NaN (0/0) is Failed." in errors


def test_an_outage_aborts_the_example_40_seconds_after_the_first_error(
    page_of: Page, example_files: tuple[Path, ...]
) -> None:
    said = section(page_of(*example_files), "## When Prometheus does not answer")
    # Errors are asked again after 10 s whatever the interval: the fifth comes 4 x 10 s after the first. Where all five
    # wait for the timeout of 30 s: 5 x 30 + 4 x 10 = 190 s.
    assert "Error number 5 in a row aborts the rollout: 40s after the first" in said
    assert "at most 3m10s after the first question" in said
    assert "Only the steps that measure ask it." in said


def test_what_nobody_wrote_down_is_called_not_named_with_what_to_write(
    page_of: Page, example_files: tuple[Path, ...]
) -> None:
    page = page_of(*example_files)
    assert "| owner | **not named**: write `gamebird.dev/owner:" in page
    assert "| dashboards | **not named**: write `gamebird.dev/dashboards:" in page
    assert "`gamebird.dev/kill-switches: FLAG, FLAG`" in section(page, "## The kill switch")
    assert "**No kill switch:** `FEATURE_RECOMMENDER_V2`" in page  # an environment variable makes a new revision


def test_annotations_are_shown_and_cannot_break_the_table(page_of: Page, by_pods: Path) -> None:
    page = page_of(by_pods)
    assert r"| owner | search-team \| \#search-oncall |" in page
    assert "| the team's own runbook | <https://wiki.example/search> |" in page
    assert "<https://grafana.example/d/1>" in page
    assert "--arg flag ranking-v3 " in section(page, "## The kill switch")


def test_without_a_router_an_abort_goes_pod_by_pod_and_a_pause_by_hand_holds_it_up(
    page_of: Page, by_pods: Path
) -> None:
    page = page_of(by_pods)
    abort = section(page, "### Abort: everybody back to stable")
    assert "at most 2 more and 0 fewer than 8" in abort
    assert "abortScaleDownDelaySeconds" not in page  # it means nothing without a router
    assert "an abort then brings traffic back only after a resume" in section(
        page, "### Pause: let no further step begin"
    )


def test_a_persons_step_is_named_with_what_ends_it(page_of: Page, by_pods: Path) -> None:
    page = page_of(by_pods)
    assert "It waits for a person at step 4." in page
    assert "| 4 | **wait for a person** | 50 % | 4 | – |" in page
    assert "`Paused`, `CanaryPauseStep`, at step 4" in page
    # 25 % of 8 pods is 2; the 10 minutes of the timed pause are all that is sure.
    assert "| 1 | send 25 % of the traffic to the canary | 25 % | 2 | – |" in page
    assert "**10m at least**" in page


def test_limits_floors_and_dry_runs_of_a_metric_are_told(page_of: Page, by_pods: Path) -> None:
    page = page_of(by_pods)
    errors, queue = section(page, "### errors"), section(page, "### queue")
    assert "Measured beside the steps." in errors
    assert 'It names the canary by `pod=~".*HASH_OF_THE_NEWEST.*"`.' in errors
    assert "The third Failed measurement fails the analysis" in errors  # a limit of 2 forgives two
    assert "The fourth Inconclusive measurement" in errors
    assert "The seventh error in a row" in errors
    assert "Floor: below 200 requests" in errors
    # Twice the window of 2m is less than the least, ten minutes.
    assert (
        "Evidence that is missing for 10m: the metric is Inconclusive, and the rollout pauses for a person." in errors
    )
    assert "**Dry run" in queue
    assert "currentPodHash" in page


def test_under_argo_gamebirds_floor_is_not_promised(page_of: Page, by_pods: Path) -> None:
    page = page_of(by_pods, controller="argo")
    assert "Floor:" not in page
    assert "No floor: a value counts however few requests stand behind it." in page
    assert r"search-team" in page  # who owns it is for people, whichever controller runs


def test_a_query_with_backticks_stands_in_a_longer_fence(page_of: Page, by_pods: Path) -> None:
    assert '````promql\nmax(queue_length{path=~"a```b|c"})\n````' in section(page_of(by_pods), "### queue")


def test_an_abort_with_dynamic_stable_scale_takes_as_long_as_pods_start(page_of: Page, dynamic: Path) -> None:
    page = page_of(dynamic)
    abort = section(page, "### Abort: everybody back to stable")
    assert "as stable's pods come back" in abort
    assert "The canary's pods stay for 2m after stable is whole" in abort
    assert "nothing aborts it but a person" in page  # there is no analysis
    assert "RolloutAborted`, the message says" not in page
    assert "`abort` moves nothing" not in page


def test_tables_keep_their_columns_whatever_stands_in_them(page_of: Page, by_pods: Path) -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", page_of(by_pods), re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(columns) == 1, table


@pytest.mark.parametrize("controller", ["gamebird", "argo"])
def test_the_same_manifests_give_the_same_bytes(page_of: Page, by_pods: Path, controller: str) -> None:
    assert page_of(by_pods, controller=controller) == page_of(by_pods, controller=controller)
