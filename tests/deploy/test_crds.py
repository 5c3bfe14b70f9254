"""The custom resources of `gamebird controller crds`, as a real API server takes them."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_server import define, undefine

from controller.kubernetes.api import ApiError, Connection, InvalidError, Resource, connect
from controller.kubernetes.api.resources import (
    ANALYSIS_RUNS,
    ANALYSIS_TEMPLATES,
    CLUSTER_ANALYSIS_TEMPLATES,
    CRDS,
    ROLLOUTS,
)
from controller.kubernetes.crds import custom_resources
from controller.manifests.reading.fields import BLOCKS
from experiments.testbeds.cluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

Json = dict[str, Any]
KINDS = {each.kind: each for each in (ROLLOUTS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, ANALYSIS_RUNS)}
HPAS = Resource(group="autoscaling", version="v2", plural="horizontalpodautoscalers", kind="HorizontalPodAutoscaler")
POD = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}
ROLLOUT: Json = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "a"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "a"}},
        "template": POD,
        "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {"duration": "1m"}}]}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def served(control_plane: ControlPlane) -> Iterator[None]:
    """The kinds as they are printed."""
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    define(connection, custom_resources())
    yield
    undefine(connection, custom_resources())


def create(connection: Connection, namespace: str, item: Json, *, strict: bool = False) -> Json:
    """Let the server judge an object without keeping it; `strict` also refuses fields that it would drop."""
    resource = KINDS[item["kind"]]
    query = {"dryRun": "All", "fieldValidation": "Strict" if strict else "Ignore"}
    item = copy.deepcopy(item)
    item["metadata"].pop("namespace", None)
    return connection.call("POST", resource.path(namespace), query=query, body=item, resource=resource)


def objects_in(file: Path) -> list[Json]:
    return [each for each in yaml.safe_load_all(file.read_text("utf-8")) if each and each.get("kind") in KINDS]


def changed(path: str, value: Any) -> Json:
    """Return the rollout with another value at a path as spec.replicas or spec.strategy.canary.steps.0.setWeight."""
    item: Any = copy.deepcopy(ROLLOUT)
    *way, last = path.split(".")
    place = item
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    place[last] = value
    found: Json = item
    return found


def test_the_definitions_are_structural_and_established(connection: Connection) -> None:
    for definition in custom_resources():
        name = definition["metadata"]["name"]
        await_condition(connection, CRDS, None, name, "Established")
        assert _condition(connection.get(CRDS, None, name), "NonStructuralSchema") is None


def test_the_example_is_accepted_and_no_field_of_it_is_dropped(
    connection: Connection, namespace: str, root: Path
) -> None:
    for name in ("rollout.yaml", "analysis-template.yaml"):
        for item in objects_in(root / "examples" / "orders-api" / name):
            create(connection, namespace, item, strict=True)


def test_the_real_manifests_that_are_not_bad_on_purpose_are_accepted(
    connection: Connection, namespace: str, corpus: Path
) -> None:
    judged = 0
    refused: dict[str, str] = {}
    for file in sorted(corpus.glob("*.yaml")):
        if "-bad-" in file.name:
            continue
        try:
            items = objects_in(file)
        except yaml.YAMLError:
            continue
        for item in (each for each in items if each["apiVersion"] == "argoproj.io/v1alpha1"):
            if "generateName" not in item["metadata"] and not re.fullmatch(r"[a-z0-9.-]+", item["metadata"]["name"]):
                continue  # a template's placeholder in the place of a name
            judged += 1
            try:
                create(connection, namespace, item)
            except ApiError as error:
                refused[file.name] = error.message
    assert judged >= 90
    # Argo's own definitions demand the same: two subsets' names, and metrics in the place of analysisSpec.
    assert {name[:3]: says.rsplit(": ", 1)[-1] for name, says in refused.items()} == {
        "023": "Required value]",
        "031": "Required value",
    }


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.replicas", "3", 'spec.replicas: Invalid value: "string"'),
        ("spec.strategy.canary.steps.0.setWeight", "10%", "steps[0].setWeight: Invalid value"),
        ("spec.strategy.canary.steps.0.setWeight", -1, "should be greater than or equal to 0"),
        ("spec.strategy.canary.steps", {"setWeight": 10}, "spec.strategy.canary.steps: Invalid value"),
        ("spec.strategy.canary.analysis", {"templates": "slo"}, "canary.analysis.templates: Invalid value"),
        ("spec.strategy.canary.analysis", {"args": [{"value": "x"}]}, "args[0].name: Required value"),
        ("spec.strategy.canary.analysis", {"args": [{"name": "x", "value": 5}]}, "args[0].value: Invalid value"),
        ("spec.template.spec", {}, "spec.template.spec.containers: Required value"),
        ("spec.restartAt", "tomorrow", "spec.restartAt: Invalid value"),
    ],
)
def test_the_server_itself_refuses_a_wrong_type_and_names_the_field(
    connection: Connection, namespace: str, path: str, value: Any, says: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        create(connection, namespace, changed(path, value))
    assert says in refused.value.message


def test_an_amount_may_be_a_number_or_a_text(connection: Connection, namespace: str) -> None:
    for amount in (1, "25%", "1"):
        create(connection, namespace, changed("spec.strategy.canary.maxSurge", amount), strict=True)


def test_a_field_that_nobody_knows_is_dropped_and_named_and_a_pods_are_kept(
    connection: Connection, namespace: str
) -> None:
    misspelt = changed("spec.strategy.canary.maxSurges", 1)
    with pytest.raises(InvalidError) as refused:
        create(connection, namespace, misspelt, strict=True)
    assert 'unknown field "spec.strategy.canary.maxSurges"' in refused.value.message
    assert "maxSurges" not in create(connection, namespace, misspelt)["spec"]["strategy"]["canary"]
    own = {"argoproj-labs/gatewayAPI": {"httpRoute": "a", "namespace": "n"}}
    stored = create(connection, namespace, changed("spec.strategy.canary.trafficRouting", {"plugins": own}))
    assert stored["spec"]["strategy"]["canary"]["trafficRouting"]["plugins"] == own
    stored = create(connection, namespace, changed("spec.template.spec.someFieldOfTomorrow", {"x": 1}))
    assert stored["spec"]["template"]["spec"]["someFieldOfTomorrow"] == {"x": 1}


def test_a_status_is_written_apart_from_the_spec_and_a_runs_with_it_as_argos_are(
    connection: Connection, namespace: str
) -> None:
    connection.create(ROLLOUTS, namespace, ROLLOUT)
    status = {"status": {"phase": "Paused", "ourOwn": 1}, "spec": {"replicas": 9}}
    connection.patch(ROLLOUTS, namespace, "a", status, subresource="status")
    connection.patch(ROLLOUTS, namespace, "a", {"status": {"phase": "Healthy"}})
    stored = connection.get(ROLLOUTS, namespace, "a")
    assert (stored["status"], stored["spec"]["replicas"]) == ({"phase": "Paused"}, 3)
    run = {"metrics": [{"name": "m", "provider": {"prometheus": {"query": "up"}}}]}
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "r"}, "spec": run}
    connection.create(ANALYSIS_RUNS, namespace, body)
    connection.patch(ANALYSIS_RUNS, namespace, "r", {"status": {"phase": "Running"}})
    assert connection.get(ANALYSIS_RUNS, namespace, "r")["status"] == {"phase": "Running"}


def test_an_autoscaler_reads_and_writes_the_scale_and_the_real_one_finds_it(
    connection: Connection, namespace: str
) -> None:
    connection.create(ROLLOUTS, namespace, ROLLOUT)
    told = {"status": {"HPAReplicas": 2, "selector": "app=a"}}
    connection.patch(ROLLOUTS, namespace, "a", told, subresource="status")
    path = ROLLOUTS.path(namespace, "a", "scale")
    scale = connection.call("GET", path)
    assert (scale["kind"], scale["spec"], scale["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 2, "selector": "app=a"},
    )
    connection.call("PUT", path, body={**scale, "spec": {"replicas": 5}})
    assert connection.get(ROLLOUTS, namespace, "a")["spec"]["replicas"] == 5
    target = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "a"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}, "spec": spec}
    connection.create(HPAS, namespace, body)
    await_condition(connection, HPAS, namespace, "a", "AbleToScale")  # it looks for new kinds every half a minute


def await_condition(connection: Connection, resource: Resource, namespace: str | None, name: str, kind: str) -> None:
    deadline_s = time.monotonic() + 90.0
    while (found := _condition(connection.get(resource, namespace, name), kind) or {}).get("status") != "True":
        assert time.monotonic() < deadline_s, f"{name} is not {kind} in 90 s: {found}"
        time.sleep(0.2)


def _condition(item: Json, kind: str) -> Json | None:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), None)


def test_every_field_says_what_it_is_where_people_ask_for_it(connection: Connection) -> None:
    # What `kubectl explain rollout.spec.strategy.canary.steps` reads.
    told = connection.call("GET", "/openapi/v3/apis/argoproj.io/v1alpha1")["components"]["schemas"]
    rollout = next(each for name, each in told.items() if name.endswith(".Rollout"))
    steps = rollout["properties"]["spec"]["properties"]["strategy"]["properties"]["canary"]["properties"]["steps"]
    assert steps["items"]["properties"]["setWeight"]["description"].startswith("Percent of the traffic for the canary")
    for definition in custom_resources():
        (version,) = definition["spec"]["versions"]
        for path, schema in _fields(version["schema"]["openAPIV3Schema"], ""):
            assert schema.get("description"), f"{definition['metadata']['name']} {path} says nothing"


def _fields(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    for name, each in (schema.get("properties") or {}).items():
        if not path and name == "metadata":  # the server's own
            continue
        yield f"{path}.{name}", each
        yield from _fields(each, f"{path}.{name}")
    if "items" in schema:
        yield from _fields(schema["items"], f"{path}[]")


def test_every_field_that_gamebird_reads_is_in_a_definition() -> None:
    known = json.dumps(custom_resources())
    own = [block for block in BLOCKS.values() if block.home.startswith("spec") and "template.spec" not in block.home]
    missing = {
        f"{block.home}.{name}"
        for block in own
        if not any(
            router in block.home for router in (".alb", ".smi", ".ambassador", ".traefik", ".apisix", ".appMesh")
        )
        and not block.home.endswith("Execution")
        for name in block.fields
        if f'"{name}"' not in known
    }
    assert missing - {f"spec.template.metadata.{name}" for name in ("creationTimestamp", "namespace")} == {
        # inside of blocks that are kept as they were written
        f"spec.strategy.canary.antiAffinity.{when}DuringSchedulingIgnoredDuringExecution"
        for when in ("preferred", "required")
    }
