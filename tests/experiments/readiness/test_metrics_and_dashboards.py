"""Items 1 and 2: what a query and its condition judge, and whether queries and dashboards tell revisions apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from team_repository import TeamRepository

from experiments.readiness.answers import Answer, worst
from experiments.readiness.case import Case, CaseError
from experiments.readiness.dashboards import check_dashboards
from experiments.readiness.separation import check_queries
from experiments.readiness.slos import check_objectives

CaseOf = Callable[..., Case]
TEMPLATE = "deploy/analysis-template.yaml"
HASH = ',pod_template_hash="{{args.canary_hash}}"'


def with_query(repository: TeamRepository, query: str, condition: str = "result[0] < 0.01") -> None:
    """Let the template have one metric with this query and condition."""
    file = repository.root / TEMPLATE
    head, _, _ = file.read_text(encoding="utf-8").partition("  metrics:\n")
    metric = f"""  metrics:
    - name: only
      count: 1
      successCondition: '{condition}'
      provider:
        prometheus:
          query: '{query}'
"""
    file.write_text(head + metric, encoding="utf-8")


def select(name: str, more: str = "") -> str:
    return f'sum(rate({name}{{service="orders-api"{HASH}{more}}}[5m]))'


ERRORS = select("http_requests_total", ',status=~"5.."')
FINE = select("http_requests_total", ',status!~"5.."')
ALL = select("http_requests_total")


@pytest.mark.parametrize(
    ("query", "condition", "expected"),
    [
        # (availability, latency)
        (f"{ERRORS} / {ALL}", "result[0] < 0.01", (Answer.YES, Answer.NO)),
        (f"{FINE} / {ALL}", "result[0] > 0.99", (Answer.YES, Answer.NO)),
        (f"1 - {ERRORS} / {ALL}", "result[0] >= 0.99", (Answer.YES, Answer.NO)),
        (f"1 - {FINE} / {ALL}", "result[0] < 0.01", (Answer.YES, Answer.NO)),
        # the wrong way round: it aborts what is good
        (f"{ERRORS} / {ALL}", "result[0] > 0.01", (Answer.NO, Answer.NO)),
        (f"{FINE} / {ALL}", "result[0] < 0.99", (Answer.NO, Answer.NO)),
        # a condition that is no comparison with one number
        (f"{ERRORS} / {ALL}", "len(result) == 0 || result[0] < 0.01", (Answer.UNKNOWN, Answer.NO)),
        # neither a share nor a quantile, whatever the metric is called
        (ERRORS, "result[0] < 5", (Answer.UNKNOWN, Answer.UNKNOWN)),
        (
            f'histogram_quantile(0.95, sum by (le) (rate(http_duration_seconds_bucket{{service="x"{HASH}}}[5m])))',
            "result[0] < 0.35",
            (Answer.NO, Answer.YES),
        ),
        (
            f'histogram_quantile(0.95, sum by (le) (rate(http_response_size_bytes_bucket{{service="x"{HASH}}}[5m])))',
            "result[0] < 3500",
            (Answer.UNKNOWN, Answer.UNKNOWN),
        ),
    ],
)
def test_an_objective_is_found_in_query_and_condition_and_not_in_a_name(
    repository: TeamRepository, case_of: CaseOf, query: str, condition: str, expected: tuple[Answer, Answer]
) -> None:
    with_query(repository, query, condition)
    availability, latency = check_objectives(case_of(repository))
    assert (availability.answer, latency.answer) == expected


def test_a_metric_that_is_only_watched_is_no_objective(repository: TeamRepository, case_of: CaseOf) -> None:
    repository.replace(TEMPLATE, "spec:\n", "spec:\n  dryRun: [{metricName: latency-p95}]\n")
    availability, latency = check_objectives(case_of(repository))
    assert (availability.answer, latency.answer) == (Answer.YES, Answer.NO)


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        ('pod_template_hash="{{args.canary_hash}}"', Answer.YES),
        ('pod=~"orders-api-{{args.canary_hash}}-.*"', Answer.YES),
        ('service="orders-api-canary"', Answer.YES),
        ('service="orders-api-stable"', Answer.NO),
        ('service="orders-api"', Answer.NO),
        ('pod_template_hash!="{{args.canary_hash}}"', Answer.NO),  # everything but the canary
        ('pod=~"orders-api-{{args.canary_hash}}-.*|.+"', Answer.NO),  # the hash is there and excludes nobody
    ],
)
def test_a_query_reads_the_canary_where_what_it_selects_changes_with_the_revision(
    repository: TeamRepository, case_of: CaseOf, selected: str, expected: Answer
) -> None:
    query = (
        f'sum(rate(http_requests_total{{{selected},status=~"5.."}}[5m])) '
        f"/ sum(rate(http_requests_total{{{selected}}}[5m]))"
    )
    with_query(repository, query)
    assert worst(check_queries(case_of(repository))) is expected


def test_a_query_that_reads_both_in_one_part_is_named_with_its_place(
    repository: TeamRepository, case_of: CaseOf
) -> None:
    with_query(repository, f'{ERRORS} / sum(rate(http_requests_total{{service="orders-api"}}[5m]))')
    [finding] = check_queries(case_of(repository))
    assert finding.answer is Answer.NO
    assert "spec.metrics[0].provider.prometheus.query) mixes canary and stable" in finding.text
    assert 'http_requests_total{service="orders-api"} selects the pods of both' in finding.text


def board(expr: str) -> str:
    """Return a dashboard with one panel, inside a row."""
    return json.dumps({"panels": [{"title": "row", "panels": [{"title": "Errors", "targets": [{"expr": expr}]}]}]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (board("sum by (pod_template_hash) (rate(http_requests_total[$__rate_interval]))"), Answer.YES),
        (board("sum by (role) (rate(http_requests_total[5m]))"), Answer.YES),
        (board("sum(rate(http_requests_total[5m]))"), Answer.NO),
        (board("sum by (pod_template_hash) (rate(node_cpu_seconds_total[5m]))"), Answer.NO),  # none of the policy's
        (board("sum by ($by) ($metric ["), Answer.UNKNOWN),
    ],
)
def test_a_dashboard_counts_where_a_panel_tells_revisions_apart_on_the_policys_metrics(
    repository: TeamRepository, case_of: CaseOf, text: str, expected: Answer
) -> None:
    (repository.root / "deploy" / "orders.json").write_text(text, encoding="utf-8")
    [finding] = check_dashboards(case_of(repository))
    assert finding.answer is expected


def test_without_a_dashboard_nobody_knows_what_it_shows(repository: TeamRepository, case_of: CaseOf) -> None:
    (repository.root / "deploy" / "orders.json").unlink()
    [finding] = check_dashboards(case_of(repository))
    assert finding.answer is Answer.UNKNOWN


def test_our_own_dashboard_tells_revisions_apart(repository: TeamRepository, case_of: CaseOf) -> None:
    ours = Path(__file__).resolve().parents[3] / "deploy" / "dashboards" / "canary.json"
    [finding] = check_dashboards(case_of(repository, dashboards=(ours,)))
    assert (finding.answer, "by role" in finding.text) == (Answer.YES, True)


@pytest.mark.parametrize(("text", "told"), [("{", ":1:2: no JSON"), ("{}", "panels is missing"), ("[]", "panels is")])
def test_a_named_file_that_is_no_dashboard_is_an_error_with_its_place(
    repository: TeamRepository, case_of: CaseOf, text: str, told: str
) -> None:
    file = repository.root / "odd.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CaseError, match=r"odd\.json") as refused:
        check_dashboards(case_of(repository, dashboards=(file,)))
    assert told in str(refused.value)
