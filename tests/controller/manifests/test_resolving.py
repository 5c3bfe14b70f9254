"""Templates, arguments and limits as pure values, with the errors that Argo Rollouts gives."""

from __future__ import annotations

import contextlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.manifests.values import (
    Amount,
    AnalysisTemplate,
    Argument,
    DurationError,
    FrozenMap,
    MeasurementRetention,
    MetricTemplate,
    OtherProvider,
    PrometheusProvider,
    ResolutionError,
    Rollout,
    TemplateArg,
    WebProvider,
    combine,
    duration_s,
    resolve,
    rollout_field,
)


def metric(name: str = "m", **fields: object) -> MetricTemplate:
    return MetricTemplate(name=name, **{"provider": PrometheusProvider(query="up"), **fields})  # type: ignore[arg-type]


def resolved_error(*metrics: MetricTemplate, args: tuple[TemplateArg, ...] = (), dry_run: tuple[str, ...] = ()) -> str:
    spec = combine([AnalysisTemplate(name="t", metrics=metrics, args=args, dry_run=dry_run)], ())
    with pytest.raises(ResolutionError) as caught:
        resolve(spec)
    return str(caught.value)


# Texts of Argo Rollouts, with the numbers of each case.
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"count": 2, "failure_limit": 1, "consecutive_success_limit": 2, "interval": "1s"},
            "count (2) must be >= failureLimit + consecutiveSuccessLimit (1 + 2) if both >= 0",
        ),
        ({"count": 1, "failure_limit": -1, "consecutive_success_limit": 2}, "count must be >= consecutiveSuccessLimit"),
        ({"failure_limit": -1}, "failureLimit and consecutiveSuccessLimit cannot both be disabled"),
        ({"failure_limit": -2}, "failureLimit must be >= 0, or -1 to be disabled"),
        ({"count": 1, "inconclusive_limit": 2}, "count must be >= inconclusiveLimit"),
        ({"count": 2}, "interval must be specified when count > 1"),
        ({"interval": "5"}, 'invalid interval string: time: missing unit in duration "5"'),
        ({"interval": "1d"}, 'invalid interval string: time: unknown unit "d" in duration "1d"'),
        ({"interval": "soon"}, 'invalid interval string: time: invalid duration "soon"'),
        ({"initial_delay": "5"}, 'invalid startDelay string: time: missing unit in duration "5"'),
    ],
)
def test_contradictory_limits_end_a_run_in_argos_words(fields: dict[str, object], message: str) -> None:
    assert resolved_error(metric(**fields)) == f"Analysis spec invalid: metrics[0]: {message}"


def test_a_run_without_metrics_and_a_rule_about_no_metric_are_invalid() -> None:
    assert resolved_error() == "Analysis spec invalid: no metrics specified"
    assert (
        resolved_error(metric(), dry_run=("x",))
        == "Analysis spec invalid: dryRun[0]: Rule didn't match any metric name(s)"
    )


def test_a_rule_for_metrics_is_a_regular_expression() -> None:
    spec = combine([AnalysisTemplate(name="t", metrics=(metric("one"), metric("two")), dry_run=(".*",))], ())
    assert resolve(spec).dry_run == {"one", "two"}


def test_a_tag_that_nothing_fills_in_is_the_error_that_argo_shows() -> None:
    assert resolved_error(metric(success_condition="{{args.x}} {{ args.y }}")) == (
        "Unable to resolve metric arguments: failed to resolve {{ args.y }}"
    )


def test_of_several_missing_tags_the_last_in_the_order_of_argos_fields_is_told() -> None:
    # Argo's order: conditions, limits, provider, consecutiveSuccessLimit.
    provider = PrometheusProvider(query="{{args.query}}")
    both = metric(provider=provider, success_condition="{{args.condition}}")
    assert resolved_error(both).endswith("failed to resolve {{args.query}}")
    assert resolved_error(metric(provider=provider, consecutive_success_limit="{{args.n}}")).endswith("{{args.n}}")


def test_a_tag_is_told_as_it_stands_in_the_metrics_json() -> None:
    # Argo fills arguments in over the JSON that Go writes: quotes escaped, and < > & as code points.
    assert resolved_error(metric(success_condition='result[0] < 1 && {{ x "<" }}')).endswith(
        'failed to resolve {{ x \\"\\u003c\\" }}'
    )


# Go's expressions have no look-ahead and no possessive quantifier; what is no pattern matches nothing.
@pytest.mark.parametrize("rule", ["*", "(?=e)", "(?>err.*)", "err.*+", "(", "Err"])
def test_a_rule_that_go_does_not_match_is_invalid(rule: str) -> None:
    assert resolved_error(metric("errors"), dry_run=(rule,)).endswith("dryRun[0]: Rule didn't match any metric name(s)")


@pytest.mark.parametrize("rule", ["errors", "err", "^e.*s$", "(?i)ERR", "[[:alpha:]]+", "a|e", ""])
def test_a_rule_may_match_any_part_of_a_name(rule: str) -> None:
    spec = combine([AnalysisTemplate(name="t", metrics=(metric("errors"),), dry_run=(rule,))], ())
    assert resolve(spec).dry_run == {"errors"}


def test_a_measurement_retention_of_nought_is_the_default_and_not_none() -> None:
    rules = (MeasurementRetention(metric="a", limit=3), MeasurementRetention(metric="b", limit=0))
    template = AnalysisTemplate(name="t", metrics=(metric("a"), metric("b")), measurement_retention=rules)
    assert dict(resolve(combine([template], ())).retention) == {"a": 3}


DOCUMENT = (
    '{"metadata":{"name":"shop","uid":"u-1"},"spec":{"replicas":3,"paused":false,"progressDeadlineSeconds":1500000,'
    '"template":{"spec":{"containers":[{"image":"shop:1.2"}]}}}}'
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "shop"),
        ("metadata.namespace", "prod"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['region']", "eu"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'a="b\\"c"\nregion="eu"'),
        ("spec.replicas", "3"),
        ("spec.paused", "false"),
        ("spec.progressDeadlineSeconds", "1.5e+06"),  # as Go prints the numbers of JSON
        ("spec.template.spec.containers[0].image", "shop:1.2"),
    ],
)
def test_a_field_of_the_rollout_is_read_as_argo_reads_it(path: str, value: str) -> None:
    rollout = Rollout(name="shop", namespace="prod", labels=FrozenMap({"region": "eu", "a": 'b"c'}), document=DOCUMENT)
    assert rollout_field(rollout, path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("metadata.generation", "unsupported fieldPath: metadata.generation"),
        ("metadata.ownerReferences[0]", "unsupported fieldPath: metadata.ownerReferences[0]"),
        ("spec.nothing", "invalid path spec.nothing in rollout"),
        ("spec.replicas.x", "invalid path spec.replicas.x in rollout"),
        ("spec.template", "path spec.template in rollout must terminate in a primitive value"),
        ("spec.template.spec.containers[1].image", "index 1 out of range"),
        ("spec.template.spec.containers[a]", "invalid index 'a'"),
    ],
)
def test_a_field_that_is_not_there_is_the_error_that_argo_gives(path: str, message: str) -> None:
    with pytest.raises(ResolutionError) as caught:
        rollout_field(Rollout(name="shop", document=DOCUMENT), path)
    assert str(caught.value) == message


def test_an_argument_that_is_never_given_is_the_error_that_argo_shows() -> None:
    template = AnalysisTemplate(name="t", metrics=(metric(),), args=(TemplateArg(name="x"),))
    with pytest.raises(ResolutionError, match=r"^args\.x was not resolved$"):
        combine([template], ())


def test_defaults_that_contradict_each_other_are_refused() -> None:
    one = AnalysisTemplate(name="a", metrics=(metric("a"),), args=(TemplateArg(name="x", value="1"),))
    two = AnalysisTemplate(name="b", metrics=(metric("b"),), args=(TemplateArg(name="x", value="2"),))
    with pytest.raises(ResolutionError, match="Argument `x` specified multiple times with different values: '1', '2'"):
        combine([one, two], ())


def test_a_given_value_wins_over_a_default_and_undeclared_ones_are_dropped() -> None:
    template = AnalysisTemplate(name="t", metrics=(metric(),), args=(TemplateArg(name="x", value="1"),))
    spec = combine([template], [Argument(name="x", value="2"), Argument(name="y", value="3")])
    assert spec.args == (Argument(name="x", value="2"),)


def test_a_count_that_is_no_number_counts_as_nought_as_in_argo() -> None:
    template = AnalysisTemplate(
        name="t", metrics=(metric(count="{{args.n}}", interval="1s"),), args=(TemplateArg(name="n", value="three"),)
    )
    assert resolve(combine([template], ())).metrics[0].measurements_wanted is None


def test_values_inside_json_are_quoted() -> None:
    args = (TemplateArg(name="x", value='a"b'),)
    web = metric("w", provider=WebProvider(url="http://x/{{args.x}}", json_body='{"q":"{{args.x}}"}'))
    job = metric("j", provider=OtherProvider(kind="job", settings='{"a":"{{args.x}}"}'))
    found = resolve(combine([AnalysisTemplate(name="t", metrics=(web, job), args=args)], ())).metrics
    assert isinstance(found[0].provider, WebProvider)
    assert isinstance(found[1].provider, OtherProvider)
    assert found[0].provider.url == 'http://x/a"b'
    assert found[0].provider.json_body == '{"q":"a\\"b"}'
    assert found[1].provider.settings == '{"a":"a\\"b"}'


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("1.5m", 90), ("500ms", 0.5), ("0", 0), ("-2s", -2), (".5s", 0.5), ("1h1s", 3601)],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@given(st.text(max_size=20))
def test_a_text_is_a_duration_or_a_clear_error_and_nothing_else(text: str) -> None:
    with contextlib.suppress(DurationError):
        assert isinstance(duration_s(text), float)


# 25 % of 5 pods is 1.25: a surge is rounded up, unavailability down.
def test_percentages_of_pods_are_rounded_as_in_argo() -> None:
    quarter = Amount(number=25, percent=True)
    assert (quarter.of(5, round_up=True), quarter.of(5, round_up=False)) == (2, 1)
    assert Amount(number=3).of(5, round_up=True) == 3


def test_values_can_be_hashed_compared_and_sent_to_another_process() -> None:
    rollout = Rollout(name="x")
    assert pickle.loads(pickle.dumps(rollout)) == rollout
    assert hash(rollout) == hash(Rollout(name="x"))
