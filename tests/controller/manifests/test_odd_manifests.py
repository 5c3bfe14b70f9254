"""Manifests as odd as people's tools make them: each is read as Kubernetes reads it, or told in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.manifests.loading import Manifests, load, read_object
from controller.manifests.values import AnalysisRunManifest

Loading = Callable[..., Manifests]
Found = Callable[..., list[str]]
ROUTER = "      trafficRouting:\n        nginx:\n          stableIngress: shop\n"
SERVICES = "      canaryService: shop-canary\n      stableService: shop-stable\n"


def listed(kind: str, *items: str, bare: bool = False) -> str:
    values: list[dict[str, Any]] = [yaml.safe_load(item) for item in items]
    for value in values if bare else ():
        del value["kind"], value["apiVersion"]
    version = "v1" if kind == "List" else "argoproj.io/v1alpha1"
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "metadata": {}, "items": values})


# What stands in the good manifests, what is put in its place ("" in front: at the beginning of the file).
SAME = {
    "an anchor used in a list": ("        - setWeight: 20\n", "        - &w {setWeight: 20}\n        - *w\n"),
    "a merge key": ("  name: shop\n  namespace: prod\n", "  <<: {namespace: prod}\n  name: shop\n"),
    "a tab after a colon": ("replicas: 4", "replicas:\t4"),
    "a tab before a remark": ("replicas: 4", "replicas: 4\t# four"),
    "a directive": ("apiVersion", "%YAML 1.1\n---\napiVersion"),
    "a status beside it": ("spec:\n  replicas", "status: {phase: Healthy, foo: [1]}\nspec:\n  replicas"),
    "a whole number with a point": ("replicas: 4", "replicas: 4.0"),
    "an old octal number": ("replicas: 4", "replicas: 004"),
    "seconds in quotes": ("duration: 60", "duration: '60'"),
    "minutes with a fraction": ("duration: 60", "duration: 1.0m"),
    "fields that are null": ("      steps:", "      maxSurge: null\n      analysis: ~\n      steps:"),
    "an empty status of a pod template": ("      containers:", "      nodeName:\n      containers:"),
}
OTHER = {
    "one step as a mapping": ("- setWeight: 20\n        - pause: {duration: 60}", "{setWeight: 20}", "not YAML"),
    "a step that is a text": ("- setWeight: 20", "- setWeight=20", "steps[0] is 'setWeight=20'; it needs a mapping"),
    "a pause of nothing": ("pause: {duration: 60}", "pause:", "steps[1] is empty"),
    "a pause in days": ("duration: 60", "duration: 1d", "steps[1].pause.duration is '1d'"),
    "one step for many": (
        "      steps:",
        "      step:",
        "strategy.canary.step is an unknown field; it needs to be spelled",
    ),
    "many weights for one": ("setWeight: 20", "setWeights: 20", "steps[0].setWeights is an unknown field"),
    "a surge in lower case": ("      steps:", "      maxsurge: 1\n      steps:", "to be spelled maxSurge"),
    "one and a half pods": ("      steps:", "      maxSurge: 1.5\n      steps:", "canary.maxSurge is 1.5"),
    "more pods than there are numbers": ("replicas: 4", "replicas: 4294967296", "number from 0 to 2147483647"),
    "a name that is a number": (
        "  name: shop",
        "  name: 123",
        "metadata.name is 123; it needs a text; write it in quotes",
    ),
    "a yes in an argument": ("value: shop-canary", "value: yes", "YAML reads bare words such as yes"),
    "a canary that is null": ("    canary:\n", "    canary:\n    other:\n", "spec.strategy is without canary"),
    "a misspelled group": ("argoproj.io", "argoprj.io", "it needs to be spelled argoproj.io/v1alpha1"),
    "a misspelled version": ("v1alpha1", "v1aplha1", "apiVersion is 'argoproj.io/v1aplha1'"),
    "a kind in lower case": ("kind: Rollout", "kind: rollout", "to be spelled Rollout"),
    "a kind with a blank": ("kind: Rollout", "kind: 'Rollout '", "to be spelled Rollout"),
    "a word of kustomize": ("  replicas: 4", "  $patch: replace\n  replicas: 4", "it needs to be rendered first"),
    "a value of Helm": ("replicas: 4", "replicas: {{ .Values.n }}", "it needs to be rendered first"),
    "a quoted value of Helm": ("shop-canary\n      st", "'{{ .Values.s }}'\n      st", "it needs to be rendered first"),
    "a block of Helm": (
        "labels: {app: shop}\n    spec",
        "labels:\n        {{- include 'l' . | nindent 8 }}\n    spec",
        "helm template",
    ),
    "a tab that indents": ("  replicas: 4", "\treplicas: 4", "blanks instead of tabs"),
    "a blank that is none": ("  replicas: 4", "\u00a0 replicas: 4", "not YAML"),
    "a key twice": ("  replicas: 4", "  replicas: 4\n  replicas: 5", "spec.replicas is given twice, first in line 8"),
    "two Services that swap without a router": (
        SERVICES + ROUTER,
        "      pingPong: {pingService: a, pongService: b}\n      trafficRouting: {}\n",
        "canary.pingPong is used with no router; it needs alb, istio or a plugin",
    ),
}
WHOLE = {
    "a JSON patch": ("- op: replace\n  path: /spec/replicas\n  value: 3\n", "the document is a JSON patch"),
    "a kustomization without a kind": (
        "resources: [a.yaml]\n",
        "a kustomization (it has no kind); it needs to be rend",
    ),
    "a strategic patch": (
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec: {}\n",
        "kustomize patch",
    ),
    "a spec that is a list": (
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec: []\n",
        "a list of 0",
    ),
    "a text": ("hello\n", "a manifest with apiVersion and kind"),
}


def same_rollout(loaded: Manifests, good: Manifests) -> bool:
    """Say whether the one rollout of both is the same, but for a step that an anchor repeats."""
    return loaded.rollouts[0].replicas == good.rollouts[0].replicas and (
        set(loaded.rollouts[0].strategy.steps) == set(good.rollouts[0].strategy.steps)
        and loaded.rollouts[0].namespace == good.rollouts[0].namespace
    )


@pytest.mark.parametrize("case", SAME)
def test_an_odd_spelling_of_the_same_is_the_same(case: str, rollout: str, template: str, load_texts: Loading) -> None:
    good, odd = SAME[case]
    assert good in rollout
    loaded = load_texts(rollout.replace(good, odd, 1), template)
    assert same_rollout(loaded, load_texts(rollout, template))
    assert loaded.policy().rollout == loaded.rollouts[0]


@pytest.mark.parametrize("case", OTHER)
def test_what_means_something_else_is_told(case: str, rollout: str, template: str, problems: Found) -> None:
    good, bad, told = OTHER[case]
    assert good in rollout
    if case == "a canary that is null":
        rollout = rollout.partition(good)[0] + good
        bad = good
    assert told in "\n".join(problems(rollout.replace(good, bad, 1), template))


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_no_manifest_is_told(case: str, problems: Found) -> None:
    text, told = WHOLE[case]
    assert told in "\n".join(problems(text))


def test_line_ends_and_marks_of_all_systems_are_read(rollout: str, template: str, tmp_path: Path) -> None:
    both = f"{rollout}---\n{template}"
    good = load_bytes(tmp_path, both.encode())
    for data in (
        both.replace("\n", "\r\n").encode(),
        both.replace("\n", "\r").encode(),
        f"\ufeff{rollout}---\n\ufeff{template}".encode(),  # two files of Windows, put one behind the other
        f"\ufeff{rollout}---\n\ufeff{template}".replace("\n", "\r\n").encode(),
        f"{rollout}...\n---\n\n---\n# nothing\n---\n{template}...\n".encode(),
    ):
        assert objects(load_bytes(tmp_path, data)) == objects(good)


def objects(manifests: Manifests) -> tuple[Any, ...]:
    manifests.policy()
    return manifests.rollouts, manifests.templates


def load_bytes(folder: Path, data: bytes) -> Manifests:
    path = folder / "all.yaml"
    path.write_bytes(data)
    return load(path)


def test_lists_and_json_are_read_as_their_items(rollout: str, template: str, load_texts: Loading) -> None:
    good = load_texts(rollout, template)
    for texts in (
        (listed("List", rollout, template),),
        (listed("List", listed("List", rollout), template),),
        (listed("RolloutList", rollout, bare=True), listed("AnalysisTemplateList", template, bare=True)),
        (json.dumps(yaml.safe_load(rollout)), template),
        (json.dumps(yaml.safe_load(rollout), indent="\t"), template),
    ):
        assert objects(load_texts(*texts)) == objects(good)


def test_a_routing_without_a_router_is_a_routing(rollout: str, template: str, load_texts: Loading) -> None:
    # Argo sizes pods as under a router then; controller/core's tests say how many.
    (read,) = load_texts(rollout.replace(ROUTER, "      trafficRouting: {}\n"), template).rollouts
    assert read.strategy.traffic_routing is not None
    assert read.strategy.traffic_routing.routers == ()


def test_a_limit_of_one_with_a_point_is_one(rollout: str, template: str, load_texts: Loading) -> None:
    limited = template.replace("count: 3", "count: 3.0\n      failureLimit: 1.0")
    (metric,) = load_texts(rollout, limited).templates[0].metrics
    assert (metric.count, metric.failure_limit) == (3, 1)


def test_the_empty_ways_to_authenticate_that_argo_stores_in_its_runs_ask_for_nothing() -> None:
    authentication: dict[str, Any] = {"basicAuth": {}, "oauth2": {}, "sigv4": {}}
    provider = {"prometheus": {"address": "http://p:9090", "query": "up", "authentication": authentication}}
    run = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "run", "namespace": "default"},
        "spec": {"metrics": [{"name": "errors", "successCondition": "result[0] < 1", "provider": provider}]},
    }
    loaded = read_object(run, "AnalysisRun run")
    assert loaded is not None
    assert isinstance(loaded.value, AnalysisRunManifest)
    assert [metric.name for metric in loaded.value.metrics] == ["errors"]
