"""The copy of a cluster's objects, against a real API server that restarts, forgets and refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from patience import eventually

from controller.kubernetes.api import (
    ConflictError,
    Connection,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    connect,
)
from controller.kubernetes.api.resources import SERVICES, Resource
from controller.kubernetes.api.watching import Key, Reflector
from experiments.testbeds.cluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
WIDGETS = Resource(group="example.test", version="v1", plural="widgets", kind="Widget")
WITHIN_S = 20.0


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def watched(connection: Connection, namespace: str) -> Iterator[Reflector]:
    reflector = Reflector(connection, CONFIG_MAPS, namespace=namespace)
    reflector.start()
    assert reflector.wait_synced(WITHIN_S)
    yield reflector
    reflector.stop()
    assert reflector.failure is None


def test_the_copy_follows_what_is_created_changed_and_deleted(
    watched: Reflector, connection: Connection, namespace: str
) -> None:
    key = Key(namespace, "a")
    connection.create(CONFIG_MAPS, namespace, config_map("a", x="1"))
    eventually(lambda: watched.get(key) is not None, "created")
    connection.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "2"}})
    eventually(lambda: (watched.get(key) or {}).get("data") == {"x": "2"}, "changed")
    connection.delete(CONFIG_MAPS, namespace, "a")
    eventually(lambda: watched.get(key) is None, "deleted")
    assert watched.lists == 1


def test_the_copy_is_right_again_after_the_api_server_was_away(
    watched: Reflector, connection: Connection, namespace: str, restarted: Callable[[], None]
) -> None:
    connection.create(CONFIG_MAPS, namespace, config_map("before", x="1"))
    restarted()
    connection.create(CONFIG_MAPS, namespace, config_map("after", x="1"))
    names = lambda: {item["metadata"]["name"] for item in watched.all()}  # noqa: E731
    eventually(lambda: names() == {"before", "after"}, "both objects are in the copy")
    connection.delete(CONFIG_MAPS, namespace, "before")
    eventually(lambda: names() == {"after"}, "the watch goes on")


def test_a_change_that_nobody_saw_is_told_from_the_next_list(connection: Connection, namespace: str) -> None:
    told: list[tuple[str | None, str | None]] = []

    def changed(before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        told.append((before and before["metadata"]["name"], after and after["metadata"]["name"]))

    connection.create(CONFIG_MAPS, namespace, config_map("kept", x="1"))
    connection.create(CONFIG_MAPS, namespace, config_map("lost", x="1"))
    reflector = Reflector(connection, CONFIG_MAPS, namespace=namespace, changed=changed)
    reflector._list()
    assert sorted(told, key=str) == [(None, "kept"), (None, "lost")]
    connection.delete(CONFIG_MAPS, namespace, "lost")
    connection.create(CONFIG_MAPS, namespace, config_map("new", x="1"))
    told.clear()
    reflector._list()
    # What is in the list as it was is no change.
    assert sorted(told, key=str) == [("lost", None), (None, "new")]


def test_history_that_the_server_has_forgotten_is_answered_by_a_new_list(
    connection: Connection, namespace: str
) -> None:
    from controller.kubernetes.api import GoneError

    with pytest.raises(GoneError):
        list(connection.watch(CONFIG_MAPS, namespace, {"resourceVersion": "1", "timeoutSeconds": "5"}, quiet_s=10.0))


def test_an_event_that_was_overtaken_does_not_take_the_copy_back(
    watched: Reflector, connection: Connection, namespace: str
) -> None:
    old = connection.create(CONFIG_MAPS, namespace, config_map("a", x="1"))
    new = connection.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "2"}})
    watched.learn(new)
    watched.learn(old)
    assert (watched.get(Key(namespace, "a")) or {})["data"] == {"x": "2"}
    connection.delete(CONFIG_MAPS, namespace, "a")
    eventually(lambda: watched.get(Key(namespace, "a")) is None, "deleted")
    watched.learn(new)
    assert watched.get(Key(namespace, "a")) is None


def test_stopping_ends_a_watch_that_waits_for_an_event_at_once(connection: Connection, namespace: str) -> None:
    reflector = Reflector(connection, CONFIG_MAPS, namespace=namespace)
    reflector.start()
    assert reflector.wait_synced(WITHIN_S)
    time.sleep(0.3)  # the watch is open and nothing happens
    began_s = time.monotonic()
    reflector.stop()
    assert time.monotonic() - began_s < 2.0
    assert reflector.failure is None


def test_a_kind_that_the_cluster_does_not_have_is_told_and_waited_for(connection: Connection) -> None:
    reflector = Reflector(connection, WIDGETS)
    reflector.start()
    eventually(lambda: reflector.problem is not None, "the problem is told")
    assert isinstance(reflector.problem, NotFoundError)
    assert not reflector.synced
    reflector.stop()


def test_what_the_credentials_do_not_allow_is_named(control_plane: ControlPlane, namespace: str) -> None:
    stranger = control_plane.write_kubeconfig(control_plane.folder / "stranger", "no-such-token")
    connection, _ = connect(kubeconfig=stranger)
    with pytest.raises(ForbiddenError):
        connection.list_all(SERVICES, namespace)


def test_a_write_that_somebody_else_overtook_is_a_conflict_and_changes_nothing(
    connection: Connection, namespace: str
) -> None:
    mine = connection.create(CONFIG_MAPS, namespace, config_map("a", x="1"))
    connection.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "theirs"}})
    with pytest.raises(ConflictError):
        connection.replace(CONFIG_MAPS, namespace, {**mine, "data": {"x": "mine"}})
    assert connection.get(CONFIG_MAPS, namespace, "a")["data"] == {"x": "theirs"}


def test_a_server_that_is_away_is_an_error_of_its_own(connection: Connection, control_plane: ControlPlane) -> None:
    control_plane.stop_server()
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            connection.list_all(SERVICES, "default")
    finally:
        control_plane.start_server()


def test_a_long_list_is_read_page_by_page(connection: Connection, namespace: str) -> None:
    for number in range(7):
        connection.create(CONFIG_MAPS, namespace, config_map(f"m{number}"))
    found = connection.list_all(CONFIG_MAPS, namespace, page=3)
    assert [item["metadata"]["name"] for item in found["items"]] == [f"m{number}" for number in range(7)]
