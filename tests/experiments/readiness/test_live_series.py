"""Item 2 on a live server: the label is on the series of both revisions, and a server that says little says unknown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from team_repository import TeamRepository

from experiments.readiness.answers import Answer, worst
from experiments.readiness.case import Case
from experiments.readiness.live_series import check_live_series
from promql.http import create_app
from promql.serve import QueryServer
from promql.storage import MemoryStore, load_files

CaseOf = Callable[..., Case]
BOTH = ('pod_template_hash="aaa"', 'pod_template_hash="bbb"')


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        (BOTH, Answer.YES),
        (BOTH[:1], Answer.UNKNOWN),  # one revision: no rollout is under way
        ((), Answer.UNKNOWN),
        ((*BOTH, 'pod="x"'), Answer.NO),  # a pod whose series lack the label
    ],
)
def test_both_revisions_have_the_label_or_it_is_no_yes(
    repository: TeamRepository,
    case_of: CaseOf,
    now: datetime,
    tmp_path: Path,
    pods: tuple[str, ...],
    expected: Answer,
) -> None:
    file = tmp_path / "series.om"
    lines = [
        f'{metric}{{service="orders-api",{more}{pod}}} 1 {now.timestamp():.0f}'
        for metric, more in (
            ("http_requests_total", 'status="200",'),
            ("http_request_duration_seconds_bucket", 'le="1",'),
        )
        for pod in pods
    ]
    other = f"something_else 1 {now.timestamp():.0f}"
    file.write_text("\n".join([*lines, other, "# EOF", ""]), encoding="utf-8")
    store = MemoryStore()
    load_files([file], store)
    with QueryServer(create_app(store, now_s=now.timestamp), 0) as server:
        case = case_of(repository, prometheus=server.address)
        found = check_live_series(case)
    assert worst(found) is expected
    assert len(found) == 2  # one for each metric that the queries read


@pytest.mark.parametrize(
    "selected", ['service="orders-api-canary"', 'service="orders-api",pod=~"orders-api-{{args.canary_hash}}-.*"']
)
def test_what_could_count_other_services_or_single_pods_is_not_taken_for_two_revisions(
    repository: TeamRepository, case_of: CaseOf, selected: str
) -> None:
    repository.replace(
        "deploy/analysis-template.yaml",
        'service="{{args.service_name}}",pod_template_hash="{{args.canary_hash}}"',
        selected,
    )
    found = check_live_series(case_of(repository, prometheus="http://127.0.0.1:9"))  # nothing is asked
    assert worst(found) is Answer.UNKNOWN
    assert all("cannot be asked" in one.text for one in found)


def test_without_an_address_nothing_is_asked(repository: TeamRepository, case_of: CaseOf) -> None:
    assert check_live_series(case_of(repository)) == ()
