"""Whether a value is a share or a quantile of counted requests, so that an exact test may stand on it."""

from __future__ import annotations

import pytest

from promql.syntax import NoShape, QuantileShape, RatioShape, parse, ratio_shape, to_text

BAD = 'sum(rate(r_total{code=~"5.."}[5m]))'
ALL = "sum(rate(r_total[5m]))"
BUCKETS = "sum(rate(d_bucket[5m])) by (le)"


@pytest.mark.parametrize(
    ("text", "scale", "complemented"),
    [
        (f"{BAD} / {ALL}", 1.0, False),
        (f"{BAD} / {ALL} * 100", 100.0, False),
        (f"100 * {BAD} / {ALL}", 100.0, False),
        (f"{BAD} * 100 / {ALL}", 100.0, False),
        (f"1 - {BAD} / {ALL}", 1.0, True),
        (f"(1 - {BAD} / {ALL}) * 100", 100.0, True),
        (f"100 - 100 * ({BAD} / {ALL})", 100.0, True),
        (f"scalar(({BAD} or vector(0)) / ({ALL} > 0)) ", 1.0, False),
        (f"{BAD} / clamp_min({ALL}, 0.001)", 1.0, False),  # stands in for 0.3 requests at most
        (f"{BAD} / ({ALL} + 1e-9) > 0.01 or vector(0)", 1.0, False),
        (f"{BAD} / {ALL} and on() ({ALL} > 10)", 1.0, False),
    ],
)
def test_a_ratio_of_counted_requests_is_recognised_through_scaling_and_guards(
    text: str, scale: float, complemented: bool
) -> None:
    shape = ratio_shape(parse(text))
    assert isinstance(shape, RatioShape), shape
    assert (shape.scale, shape.complemented) == (scale, complemented)
    assert to_text(shape.numerator) == 'sum(increase(r_total{code=~"5.."}[5m]))'
    assert to_text(shape.denominator) == "sum(increase(r_total[5m]))"


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [
        ("sum(rate(errors_total[5m]))", "sum(rate(requests_total[5m]))"),  # by its name a part
        ('sum(rate(d_bucket{a="b",le="0.3"}[5m]))', 'sum(rate(d_count{a="b"}[5m]))'),
        ('sum(rate(d_bucket{le="0.3"}[5m]))', 'sum(rate(d_bucket{le="+Inf"}[5m]))'),
        ("sum(rate(good_total[5m]))", "(sum(rate(good_total[5m])) + sum(rate(bad_total[5m])))"),
    ],
)
def test_a_part_is_recognised_by_its_labels_its_bucket_or_its_name(numerator: str, denominator: str) -> None:
    assert isinstance(ratio_shape(parse(f"{numerator} / {denominator}")), RatioShape)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        (f"histogram_quantile(0.95, {BUCKETS})", 1.0),
        (f"histogram_quantile(0.95, {BUCKETS}) * 1000", 1000.0),
        (f"histogram_quantile(0.95, {BUCKETS}) or on() vector(0)", 1.0),
    ],
)
def test_a_quantile_of_one_histogram_is_recognised(text: str, scale: float) -> None:
    shape = ratio_shape(parse(text))
    assert isinstance(shape, QuantileShape)
    assert (shape.q, shape.scale) == (0.95, scale)
    assert to_text(shape.observations) == 'sum(increase(d_bucket{le="+Inf"}[5m]))'


@pytest.mark.parametrize(
    ("threshold", "pattern"),
    [(350, "0\\\\.350*"), (1000, "1(\\\\.0*)?"), (2500, "2\\\\.50*"), (0.05, "5e\\\\-05")],
)
def test_the_slow_ones_are_all_less_those_up_to_the_threshold_however_its_bucket_is_written(
    threshold: float, pattern: str
) -> None:
    shape = ratio_shape(parse(f"histogram_quantile(0.95, {BUCKETS}) * 1000"))
    assert isinstance(shape, QuantileShape)
    slow = to_text(shape.slower_than(threshold))
    everything = 'sum(increase(d_bucket{le="+Inf"}[5m]))'
    assert slow == f'{everything} - sum(increase(d_bucket{{le=~"{pattern}"}}[5m]))'
    parse(slow)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sum(irate(r_total{code='500'}[5m])) / sum(irate(r_total[5m]))", "irate"),
        (f"{BAD} / clamp_min({ALL}, 1)", "stands in for 300 requests"),
        (f"{BAD} / ({ALL} + 0.1)", "stands in for 30 requests"),
        ("sum by (a) (rate(r_total{c='5'}[5m])) / sum by (a) (rate(r_total[5m]))", "no sum over all"),
        ("avg(rate(r_total{c='5'}[5m])) / avg(rate(r_total[5m]))", "no sum over all"),
        ("sum(rate(r_total{c='5'}[5m])) / sum(rate(r_total[10m]))", "different windows"),
        ("sum(rate(r_total{c='5'}[5m])) / sum(increase(r_total[5m]))", "different windows"),
        ("sum(rate(a_total[5m])) / sum(rate(b_total[5m]))", "not seen to be a part"),
        ("sum(rate(d_sum[5m])) / sum(rate(d_count[5m]))", "not seen to be a part"),
        ("sum(errors_total) / sum(requests_total)", "without rate or increase"),
        (f"1 + {BAD} / {ALL}", "shifted"),
        (f"2 - {BAD} / {ALL}", "shifted"),
        (f"({BAD} / {ALL}) ^ 2", "bends the value"),
        (f"{BAD} / {ALL} > bool 0.1", "bends the value"),
        (f"round({BAD} / {ALL}, 0.1)", "round()"),
        (f"({BAD} / {ALL}) / ({BAD} / {ALL})", "no sum over all"),
        (f"{BAD} / {ALL} * time()", "more than a number"),
        (BAD, "neither a ratio nor a quantile"),
        ("up", "neither a ratio nor a quantile"),
        ("histogram_quantile(0.9, sum(rate(d_bucket[5m])) by (le, pod))", "many groups"),
        ("histogram_quantile(0.9, sum(irate(d_bucket[5m])) by (le))", "irate"),
        ("histogram_quantile(1.5, sum(rate(d_bucket[5m])) by (le))", "from 0 to 1"),
        ("1 - histogram_quantile(0.9, sum(rate(d_bucket[5m])) by (le))", "shifted"),
    ],
)
def test_whatever_is_not_certain_has_no_shape(text: str, reason: str) -> None:
    shape = ratio_shape(parse(text))
    assert isinstance(shape, NoShape), shape
    assert reason in shape.reason
