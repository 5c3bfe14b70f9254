"""Why errors are missed: only what the queries and weights show, and silence where a label is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.manifests.loading import load
from controller.manifests.policies import Policy
from promql.syntax import parse, selectors
from sim.outcomes.causes import error_looks, side_of, why_missed


@pytest.fixture(scope="module")
def as_written(root: Path) -> Policy:
    folder = root / "examples" / "orders-api"
    return load([folder / "rollout.yaml", folder / "analysis-template.yaml"]).policy()


@pytest.fixture(scope="module")
def corrected(root: Path) -> Policy:
    folder = root / "examples" / "orders-api" / "corrected"
    return load([folder / "rollout.yaml", folder / "analysis-template.yaml"]).policy()


@pytest.mark.parametrize(
    ("selector", "side"),
    [
        ('requests{service="orders-api",status=~"5.."}', "both"),
        ('requests{service="orders-api-canary"}', "canary"),
        ('requests{service="orders-api-stable"}', "stable"),
        ('requests{service=~"orders-api-(stable|canary)"}', "both"),
        ('requests{service!="orders-api-stable"}', "canary"),
        ('requests{destination_service="orders-api-canary.production.svc.cluster.local"}', "canary"),
        ('requests{rollouts_pod_template_hash="latesthash"}', "canary"),
        ('requests{rollouts_pod_template_hash!="latesthash"}', "stable"),
        ('requests{pod=~"orders-api-latesthash-.*"}', "canary"),
        ('requests{pod=~"orders-api-.*"}', "both"),
        ('requests{ingress="orders-api-ingress"}', "stable"),
        ('requests{ingress="orders-api-orders-api-ingress-canary"}', "canary"),
        ('requests{ingress=~"orders-api.*"}', "both"),
        ('requests{version="v2"}', None),  # nothing here says whose pods carry it
        ('requests{track="canary",job="orders"}', None),
        ('requests{service="orders-api-canary",rollouts_pod_template_hash="stablehash"}', None),  # nothing passes both
    ],
)
def test_whose_series_a_selector_selects(as_written: Policy, selector: str, side: str | None) -> None:
    assert side_of(selectors(parse(selector))[0], as_written) == side


def test_the_example_looks_at_errors_three_times_through_a_mixture(as_written: Policy) -> None:
    looks = error_looks(as_written)
    assert looks is not None
    assert [(look.mixes, look.threshold, look.weight_max) for look in looks] == [
        (True, 0.01, 0.1),
        (True, 0.01, 0.3),
        (True, 0.01, 0.6),
    ]


@pytest.mark.parametrize(
    ("errors", "base_errors", "why"),
    [
        # At a weight of 60 at most 0.6 % of all requests fail of a canary that fails 1 %: below the threshold of 1 %.
        (0.01, 0.0, "your query mixes it with stable"),
        # 0.6 · 1.6 % + 0.1 % = 1.06 %: the mixture passes the threshold at the last look, so mixing is no reason.
        (0.016, 0.001, ""),
        # Half a percent is below the threshold of 1 %, whoever is selected.
        (0.005, 0.0, "it is below your threshold of 1 %"),
        # With base errors of 0.6 % the canary's own ratio is 1.1 %, and the mixture's 0.6 · 0.5 % + 0.6 % = 0.9 %.
        (0.005, 0.006, "your query mixes it with stable"),
    ],
)
def test_a_reason_is_given_only_where_the_numbers_bear_it_out(
    as_written: Policy, errors: float, base_errors: float, why: str
) -> None:
    assert why_missed(as_written, errors, base_errors) == why


def test_a_query_that_selects_the_canary_is_never_blamed_for_mixing(corrected: Policy) -> None:
    assert why_missed(corrected, 0.01, 0.0) == ""
    assert why_missed(corrected, 0.005, 0.0) == "it is below your threshold of 1 %"


def _changed(root: Path, tmp_path: Path, old: str, new: str) -> Policy:
    folder = root / "examples" / "orders-api"
    text = (folder / "analysis-template.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "template.yaml").write_text(text.replace(old, new), encoding="utf-8")
    return load([folder / "rollout.yaml", tmp_path / "template.yaml"]).policy()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('status=~"5.."', 'status=~"4.."'),  # sees no 500
        ("successCondition: result[0] < 0.01", "successCondition: len(result) > 0"),  # no threshold to be read
        ('status=~"5.."', 'status=~"5..",version="v2"'),  # a label that says nothing
    ],
)
def test_what_is_not_understood_gets_no_reason(root: Path, tmp_path: Path, old: str, new: str) -> None:
    assert why_missed(_changed(root, tmp_path, old, new), 0.01, 0.0) == ""


def test_a_policy_without_an_analysis_is_told_so(root: Path, tmp_path: Path) -> None:
    text = (root / "examples" / "orders-api" / "rollout.yaml").read_text(encoding="utf-8")
    analysis = "        - analysis:\n            templates:\n              - templateName: orders-api-slo-check\n"
    assert analysis in text
    (tmp_path / "rollout.yaml").write_text(text.replace(analysis, ""), encoding="utf-8")
    assert why_missed(load([tmp_path / "rollout.yaml"]).policy(), 1.0, 0.0) == "no analysis looks at it"
