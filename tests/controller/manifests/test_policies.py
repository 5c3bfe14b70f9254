"""References and arguments: what an analysis measures once everything is followed and filled in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.manifests.loading import ManifestError, Manifests
from controller.manifests.values import PrometheusProvider, SecretKeyRef, reveal

Load = Callable[..., Manifests]


def query_of(manifests: Manifests, *, latest: str = "new", stable: str = "old") -> str:
    policy = manifests.policy()
    resolved = policy.resolve(policy.analyses[0].analysis, latest_hash=latest, stable_hash=stable)
    provider = resolved.metrics[0].provider
    assert isinstance(provider, PrometheusProvider)
    return provider.query


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{podTemplateHashValue: Latest}", "new"),
        ("{podTemplateHashValue: Stable}", "old"),
        ("{fieldRef: {fieldPath: metadata.name}}", "shop"),
        ("{fieldRef: {fieldPath: metadata.namespace}}", "prod"),
        ("{fieldRef: {fieldPath: \"metadata.labels['team']\"}}", "blue"),
        ("{fieldRef: {fieldPath: \"metadata.labels['none']\"}}", ""),
        ("{fieldRef: {fieldPath: 'spec.template.spec.containers[0].image'}}", "shop:1"),
        ("{fieldRef: {fieldPath: spec.replicas}}", "4"),
    ],
)
def test_an_argument_comes_from_where_the_rollout_says(
    source: str, value: str, rollout: str, template: str, load_texts: Load
) -> None:
    text = rollout.replace("value: shop-canary", f"valueFrom: {source}")
    assert f'service="{value}"' in query_of(load_texts(text, template))


def test_a_secret_is_marked_never_held_and_revealed_only_at_the_end(
    rollout: str, template: str, load_texts: Load
) -> None:
    text = template.replace(
        "  metrics:\n",
        "    - name: token\n      valueFrom: {secretKeyRef: {name: prom, key: token}}\n  metrics:\n",
    ).replace(
        "          query:",
        '          headers: [{key: Authorization, value: "Bearer {{args.token}}"}]\n          query:',
    )
    policy = load_texts(rollout, text).policy()
    provider = policy.analyses[0].resolved.metrics[0].provider
    assert isinstance(provider, PrometheusProvider)
    assert "s3cr3t" not in repr(policy)
    shown = reveal(provider, {SecretKeyRef(name="prom", key="token"): "s3cr3t"})
    assert isinstance(shown, PrometheusProvider)
    assert shown.headers[0].value == "Bearer s3cr3t"
    with pytest.raises(KeyError):
        reveal(provider, {})


NESTED = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: all, namespace: prod}
spec:
  templates:
    - templateName: errors
    - templateName: everywhere
      clusterScope: true
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterAnalysisTemplate
metadata: {name: everywhere}
spec:
  metrics:
    - name: up
      count: 1
      successCondition: result[0] == 1
      provider: {prometheus: {query: up}}
"""


def test_templates_of_templates_and_cluster_templates_are_followed(
    rollout: str, template: str, load_texts: Load
) -> None:
    text = rollout.replace("templateName: errors", "templateName: all")
    policy = load_texts(text, template, NESTED).policy()
    assert [metric.name for metric in policy.analyses[0].resolved.metrics] == ["error-rate", "up"]
    assert {item.name for item in policy.templates} == {"all", "errors", "everywhere"}


def test_templates_that_name_each_other_in_a_circle_end(rollout: str, template: str, load_texts: Load) -> None:
    text = template.replace("  metrics:\n", "  templates: [{templateName: errors}]\n  metrics:\n")
    assert len(load_texts(rollout, text).policy().analyses[0].resolved.metrics) == 1


def test_a_template_that_a_template_names_and_that_is_not_there_is_told_at_its_place(
    rollout: str, template: str, load_texts: Load
) -> None:
    text = rollout.replace("templateName: errors", "templateName: all")
    with pytest.raises(ManifestError) as caught:
        load_texts(text, template, NESTED.partition("---")[0]).policy()
    (problem,) = caught.value.problems
    assert str(problem).startswith("c.yaml:7:7: spec.templates[1].templateName is 'everywhere', a template that is not")


def test_two_metrics_of_one_name_in_two_templates_are_refused(rollout: str, template: str, load_texts: Load) -> None:
    text = rollout.replace("- templateName: errors", "- templateName: errors\n              - templateName: more")
    with pytest.raises(ManifestError, match="two metrics have the same name 'error-rate'"):
        load_texts(text, template, template.replace("name: errors", "name: more")).policy()


def test_an_argument_that_no_template_declares_is_dropped_with_a_warning(
    rollout: str, template: str, load_texts: Load
) -> None:
    text = rollout + "              - name: region\n                value: eu\n"
    warnings = load_texts(text, template).policy().warnings
    assert any("region is declared by no template here, so it is dropped" in notice.text for notice in warnings)


def test_arguments_in_every_field_become_numbers(rollout: str, template: str, load_texts: Load) -> None:
    text = template.replace(
        "    - name: service\n", "    - name: service\n    - {name: times, value: '4'}\n    - {name: t, value: 90s}\n"
    )
    text = text.replace("interval: 30s", 'interval: "{{args.t}}"').replace("count: 3", 'count: "{{ args.times }}"')
    text = text.replace("successCondition: result[0] < 0.05", 'successCondition: "result[0] < 0.{{args.times}}"')
    text = text.replace("[1m]", "[{{args.t}}]")
    (metric,) = load_texts(rollout, text).policy().analyses[0].resolved.metrics
    assert (metric.interval_s, metric.count, metric.success_condition) == (90.0, 4, "result[0] < 0.4")


def test_a_background_analysis_may_run_without_end(rollout: str, template: str, load_texts: Load) -> None:
    text = rollout.replace("        - analysis:\n", "      analysis:\n").replace(
        "            templates", "        templates"
    )
    text = text.replace("            args:\n", "        args:\n")
    policy = load_texts(text, template.replace("      count: 3\n", "")).policy()
    assert policy.analyses[0].step_index is None
    assert policy.analyses[0].resolved.metrics[0].measurements_wanted is None


def test_limits_that_end_every_run_in_error_are_a_warning_in_argos_words(
    rollout: str, template: str, load_texts: Load
) -> None:
    text = template.replace("count: 3\n", "count: 3\n      failureLimit: 2\n      consecutiveSuccessLimit: 2\n")
    manifests = load_texts(rollout, text)
    expected = "Analysis spec invalid: metrics[0]: count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2)"
    assert any(expected in notice.text for notice in manifests.warnings)
    assert any(expected in notice.text for notice in manifests.policy().warnings)


def test_annotations_of_a_template_win_over_the_rollouts(rollout: str, template: str, load_texts: Load) -> None:
    note = (
        "  annotations: {gamebird.dev/min-requests: '100', gamebird.dev/on-deadline: fail, gamebird.dev/odds: 1/500}\n"
    )
    own = "  annotations: {gamebird.dev/min-requests.error-rate: '300', gamebird.dev/on-empty: pass}\n"
    manifests = load_texts(
        rollout.replace("  namespace: prod\n", "  namespace: prod\n" + note, 1),
        template.replace("  namespace: prod\n", "  namespace: prod\n" + own, 1),
    )
    rules = manifests.policy().analyses[0].resolved.metrics[0].evidence
    assert rules.requests_min == 300
    assert rules.on_deadline.value == "fail"
    assert rules.odds == 0.002
    assert {kind: action.value for kind, action in rules.on_missing.items()} == {"empty": "pass"}


def test_a_query_that_counts_requests_may_hold_arguments(rollout: str, template: str, load_texts: Load) -> None:
    own = '  annotations:\n    gamebird.dev/requests.error-rate: sum(increase(all{service="{{args.service}}"}[1m]))\n'
    policy = load_texts(rollout, template.replace("  namespace: prod\n", "  namespace: prod\n" + own, 1)).policy()
    rules = policy.analyses[0].resolved.metrics[0].evidence
    assert rules.requests_query == 'sum(increase(all{service="shop-canary"}[1m]))'


def test_objects_without_a_namespace_fit_any(rollout: str, template: str, load_texts: Load) -> None:
    assert load_texts(rollout, template.replace("  namespace: prod\n", "")).policy().templates
