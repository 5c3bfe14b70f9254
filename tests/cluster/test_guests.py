"""The objects that a game day brings into a namespace of a real API server, and that all of them leave again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.kubernetes.api import Connection
from controller.kubernetes.api.resources import ANALYSIS_TEMPLATES, INGRESSES, ROLLOUTS, SERVICES
from experiments.testbeds.cluster.guests import MARK, GuestError, Guests, Revision, read_guests
from experiments.testbeds.cluster.notes import CONFIG_MAPS
from experiments.testbeds.cluster.pod_specs import ANNOTATION
from sim.releases import Release

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster, pytest.mark.usefixtures("custom_kinds")]

Json = dict[str, Any]
KINDS = (ROLLOUTS, ANALYSIS_TEMPLATES, SERVICES, INGRESSES)
GOOD, BAD = Revision(release=Release()), Revision(release=Release(errors=0.2), images={"app": "example.test/drill:2"})


@pytest.fixture
def guests(connection: Connection, namespace: str, root: Path) -> Callable[[], Guests]:
    """Make a game day's objects: those of the drill for clusters."""
    folder = root / "examples" / "cluster-drill"
    objects = read_guests(folder / name for name in ("rollout.yaml", "analysis-template.yaml", "routing.yaml"))

    def make() -> Guests:
        return Guests(
            connection=connection, namespace=namespace, rollout="drill", objects=objects, routes=(("GET", "/"),)
        )

    return make


def names(connection: Connection, namespace: str) -> list[str]:
    return [
        f"{kind.kind} {item['metadata']['name']}"
        for kind in KINDS
        for item in connection.list_all(kind, namespace)["items"]
    ]


def template(connection: Connection, namespace: str) -> Json:
    found: Json = connection.get(ROLLOUTS, namespace, "drill")["spec"]["template"]
    return found


def test_a_policy_is_brought_along_and_taken_away_as_a_whole(
    connection: Connection, namespace: str, guests: Callable[[], Guests]
) -> None:
    ours = guests()
    ours.enter(GOOD)
    brought = ["Rollout drill", "AnalysisTemplate drill-errors", "Service drill-canary", "Service drill-stable"]
    assert names(connection, namespace) == [*brought, "Ingress drill"]
    ours.leave()
    ours.leave()  # may be repeated
    assert names(connection, namespace) == []
    assert connection.list_all(CONFIG_MAPS, namespace)["items"] == []


def test_the_release_under_test_is_the_manifest_with_an_annotation_and_its_images(
    connection: Connection, namespace: str, guests: Callable[[], Guests]
) -> None:
    ours = guests()
    ours.enter(GOOD)
    before = template(connection, namespace)
    ours.deploy(BAD)
    after = template(connection, namespace)
    assert json.loads(before["metadata"]["annotations"][ANNOTATION]) == {}
    assert json.loads(after["metadata"]["annotations"][ANNOTATION]) == {"release": {"errors": 0.2}}
    (container,) = after["spec"]["containers"]
    assert container["image"] == "example.test/drill:2"
    assert {**container, "image": ""} == {**before["spec"]["containers"][0], "image": ""}
    ours.leave()


def test_an_image_for_a_container_that_is_not_there_is_refused(
    connection: Connection, namespace: str, guests: Callable[[], Guests]
) -> None:
    ours = guests()
    with pytest.raises(GuestError, match="container sidecar; the Rollout has app"):
        ours.enter(Revision(release=Release(), images={"sidecar": "example.test/x:1"}))
    ours.leave()
    assert names(connection, namespace) == []


def test_two_game_days_in_one_namespace_do_not_meet(
    connection: Connection, namespace: str, guests: Callable[[], Guests]
) -> None:
    first, second = guests(), guests()
    first.enter(GOOD)
    with pytest.raises(GuestError, match=f"kubectl -n {namespace} delete configmap {MARK} removes"):
        second.enter(GOOD)
    second.leave()  # it brought nothing, so it takes nothing
    assert "Rollout drill" in names(connection, namespace)
    first.leave()


def test_what_was_there_before_stays_as_it_was(
    connection: Connection, namespace: str, guests: Callable[[], Guests]
) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "drill-stable"},
        "spec": {"ports": [{"port": 1}]},
    }
    connection.create(SERVICES, namespace, body)
    ours = guests()
    with pytest.raises(GuestError, match=f"Service drill-stable is in the namespace {namespace} already"):
        ours.enter(GOOD)
    ours.leave()
    assert names(connection, namespace) == ["Service drill-stable"]
    assert connection.get(SERVICES, namespace, "drill-stable")["spec"]["ports"][0]["port"] == 1


def test_the_mark_takes_everything_with_it_after_a_game_day_that_was_killed(
    connection: Connection, namespace: str, guests: Callable[[], Guests]
) -> None:
    guests().enter(GOOD)  # and nobody is left to call leave
    connection.delete(CONFIG_MAPS, namespace, MARK)
    ends = time.monotonic() + 60.0
    while names(connection, namespace):
        assert time.monotonic() < ends, names(connection, namespace)
        time.sleep(0.2)
