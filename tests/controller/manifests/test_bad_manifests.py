"""Bad input: each mistake is told with file, line, field path, what was found and what would do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Found = Callable[..., list[str]]

MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text())


@pytest.mark.parametrize("case", MISTAKES["rollout"], ids=lambda case: case["mistake"])
def test_a_mistake_in_a_rollout_is_told(case: dict[str, str], rollout: str, template: str, problems: Found) -> None:
    assert case["good"] in rollout
    told = problems(rollout.replace(case["good"], case["bad"]), template)
    assert any(case["told"] in problem for problem in told), "\n".join(told)


def test_the_rollout_that_is_broken_in_these_tests_is_good(rollout: str, template: str, problems: Found) -> None:
    assert problems(rollout, template) == []


@pytest.mark.parametrize("case", MISTAKES["template"], ids=lambda case: case["mistake"])
def test_a_mistake_in_a_template_is_told(case: dict[str, str], rollout: str, template: str, problems: Found) -> None:
    assert case["good"] in template
    told = problems(rollout, template.replace(case["good"], case["bad"]))
    assert any(case["told"] in problem for problem in told), "\n".join(told)


@pytest.mark.parametrize("case", MISTAKES["annotation"], ids=lambda case: case["key"])
def test_a_mistake_in_an_annotation_is_told(case: dict[str, str], rollout: str, template: str, problems: Found) -> None:
    note = f'  annotations: {{{case["key"]}: "{case["value"]}"}}'
    told = problems(rollout, template.replace("  namespace: prod\n", f"  namespace: prod\n{note}\n", 1))
    where = f"b.yaml:6:17: metadata.annotations['{case['key']}'] is "
    assert any(problem.startswith(where) and case["told"] in problem for problem in told), told


def test_a_metric_that_the_rollouts_annotation_names_must_exist(rollout: str, template: str, problems: Found) -> None:
    annotated = rollout.replace(
        "  namespace: prod\n", "  namespace: prod\n  annotations: {gamebird.dev/min-requests.p95: '9'}\n", 1
    )
    (told,) = problems(annotated, template)
    assert "about a metric 'p95' that none of the templates has; it needs one of: error-rate" in told


def test_all_problems_of_all_files_are_told_at_once(rollout: str, template: str, problems: Found) -> None:
    bad_rollout = rollout.replace("setWeight: 20", "setWeight: 140").replace("duration: 60", "duration: -60")
    bad_rollout = bad_rollout.replace("              - name: service\n", "              - name: servce\n")
    told = problems(bad_rollout, template.replace("[1m]))", "[1m])").replace("count: 3", "count: x"))
    # the weight, the pause, the argument that is not given; the query, the count
    assert len(told) == 5
    assert sorted(problem[:6] for problem in told) == ["a.yaml", "a.yaml", "a.yaml", "b.yaml", "b.yaml"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty; it needs at least one manifest"),
        ("just words\n", "is 'just words'; it needs a manifest with apiVersion and kind"),
        ("- a\n- b\n", "is a list of 2; it needs a manifest"),
        ("a: 1\n", "is without a kind; it needs a manifest"),
        ("a: [1\n", "is not YAML"),
        ("{{- if .Values.x }}\n", "it needs to be rendered first, for example: helm template"),
    ],
)
def test_a_file_that_holds_no_manifest_is_refused(text: str, expected: str, problems: Found) -> None:
    (told,) = problems(text)
    assert expected in told


def test_a_kustomize_patch_is_recognised_and_not_picked_apart(problems: Found) -> None:
    patch = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: shop}\nspec: {replicas: 3}\n"
    (told,) = problems(patch)
    assert "a kustomize patch or base" in told
    assert "kubectl kustomize" in told


def test_the_same_object_twice_is_told_with_both_places(rollout: str, template: str, problems: Found) -> None:
    (told,) = problems(rollout, template, template)
    assert told.startswith("c.yaml:4:3: metadata.name is 'errors' a second time, first in b.yaml:1;")


SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: prod}
spec:
  selector: {app: APP}
  ports: [{port: 80}]
"""


def service(name: str, app: str = "shop") -> str:
    return SERVICE.replace("NAME", name).replace("APP", app)


def test_a_service_that_selects_other_pods_is_told(rollout: str, template: str, problems: Found) -> None:
    told = problems(rollout, template, service("shop-canary"), service("shop-stable", "stop"))
    assert len(told) == 1
    assert "'shop-stable', whose selector app=stop fits none of the rollout's pods (they have app=shop)" in told[0]


def test_a_named_service_that_is_missing_among_services_is_told(rollout: str, template: str, problems: Found) -> None:
    (told,) = problems(rollout, template, service("shop-stabel"), service("shop-canary"))
    assert "'shop-stable', a Service that is not there" in told
    assert "was shop-stabel meant?" in told


def test_an_ingress_that_does_not_send_to_stable_is_told(rollout: str, template: str, problems: Found) -> None:
    ingress = (
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop}\nspec:\n"
        "  defaultBackend: {service: {name: other, port: {number: 80}}}\n"
    )
    (told,) = problems(rollout, template, ingress)
    assert "'shop', an Ingress that sends to other; it needs a rule that sends to shop-stable" in told


def test_lists_inside_lists_are_bounded_too(problems: Found) -> None:
    nested = "apiVersion: v1\nkind: List\nitems:\n" + "".join(
        "  " * depth + "- kind: List\n" + "  " * depth + "  items:\n" for depth in range(1, 40)
    )
    (told,) = problems(nested)
    assert "nested deeper than 64 levels" in told


def test_of_very_many_problems_the_first_are_told(rollout: str, template: str, problems: Found) -> None:
    many = "".join(f"  field{index}: 1\n" for index in range(5000))
    told = problems(rollout.replace("  replicas: 4\n", many), template)
    assert len(told) == 201
    assert "not looked at after 200 problems" in told[-1]


def test_a_long_chain_of_templates_that_each_name_two_is_followed_once(rollout: str, problems: Found) -> None:
    chain = "---\n".join(
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\n"
        f"metadata: {{name: t{index}}}\n"
        f"spec: {{templates: [{{templateName: t{index + 1}}}, {{templateName: t{index + 2}}}]}}\n"
        for index in range(2000)
    )
    told = problems(rollout.replace("templateName: errors", "templateName: t0"), chain)
    # The chain ends in names of nothing: the last names one of them, the last but one as well.
    assert [problem.partition(" is ")[2][:6] for problem in told] == ["'t2000", "'t2000", "'t2001"]


def test_numbers_that_are_none_are_problems_and_no_crash(rollout: str, template: str, problems: Found) -> None:
    text = rollout.replace("duration: 60", "duration: .inf").replace("replicas: 4", "replicas: .nan")
    told = problems(text.replace("setWeight: 20", f"setWeight: {'9' * 70}"), template)
    assert len(told) == 3
