"""Who leads, on a real API server and on clocks that the test holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.kubernetes.api import ConflictError, Connection, UnavailableError, connect
from controller.kubernetes.api.leases import Lease, LostLeaseError, Terms
from controller.kubernetes.api.resources import LEASES, SERVICES
from experiments.testbeds.cluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

TERMS = Terms(duration_s=30.0, renew_s=4.0, margin_s=10.0)


class Clock:
    """A monotonic clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def candidate(connection: Connection, namespace: str) -> Callable[[str, Clock], Lease]:
    def make(identity: str, clock: Clock) -> Lease:
        return Lease(connection, namespace, "gamebird", identity, terms=TERMS, now_s=clock)

    return make


def test_one_of_two_leads_and_the_other_waits(candidate: Callable[[str, Clock], Lease]) -> None:
    clock = Clock()
    one, two = candidate("one", clock), candidate("two", clock)
    assert one.attempt()
    assert not two.attempt()
    assert (one.holds(), two.holds()) == (True, False)
    two_says = pytest.raises(LostLeaseError, match="two does not lead")
    one.guard()
    with two_says:
        two.guard()


def test_a_leader_stops_before_another_may_begin(candidate: Callable[[str, Clock], Lease]) -> None:
    clock = Clock()
    one, two = candidate("one", clock), candidate("two", clock)
    assert one.attempt()
    assert not two.attempt()
    # Good for 30 s with a margin of 10: the leader is sure for 20 s, the other sees it unchanged for 30 s first.
    clock.now_s += 19.9
    assert one.holds()
    clock.now_s += 0.2
    assert not one.holds()
    assert not two.attempt()
    clock.now_s += 9.9
    assert two.attempt()
    assert not one.attempt()


def test_a_renewed_lease_is_not_taken_however_long_the_other_has_waited(
    candidate: Callable[[str, Clock], Lease],
) -> None:
    clock = Clock()
    one, two = candidate("one", clock), candidate("two", clock)
    for _ in range(12):
        assert one.attempt()
        assert not two.attempt()
        clock.now_s += 9.0


def test_a_clock_that_is_years_ahead_steals_nothing(candidate: Callable[[str, Clock], Lease]) -> None:
    ahead = Clock()
    ahead.now_s = 1e9
    one, two = candidate("one", Clock()), candidate("two", ahead)
    assert one.attempt()
    assert not two.attempt()


def test_two_that_reach_for_a_free_lease_at_once_do_not_both_get_it(connection: Connection, namespace: str) -> None:
    clock = Clock()
    one = Lease(connection, namespace, "gamebird", "one", terms=TERMS, now_s=clock)
    two = Lease(connection, namespace, "gamebird", "two", terms=TERMS, now_s=clock)
    assert one.attempt()
    one.stop()  # given back: free for both
    seen_by_two = two._read()
    assert one.attempt()
    with pytest.raises(ConflictError):
        two._write(seen_by_two, holder="two")
    assert not two.holds()


def test_a_leader_that_stops_gives_the_lease_back(candidate: Callable[[str, Clock], Lease]) -> None:
    clock = Clock()
    one, two = candidate("one", clock), candidate("two", clock)
    assert one.attempt()
    assert not two.attempt()
    one.stop()
    assert two.attempt()


def test_a_leader_without_an_api_server_stops_leading_in_time_and_leads_again_afterwards(
    connection: Connection, namespace: str, control_plane: ControlPlane
) -> None:
    clock = Clock()
    one = Lease(connection, namespace, "gamebird", "one", terms=TERMS, now_s=clock)
    assert one.attempt()
    control_plane.stop_server()
    try:
        with pytest.raises(UnavailableError):
            one.attempt()
        assert one.holds()
        clock.now_s += 20.1
        assert not one.holds()
    finally:
        control_plane.start_server()
    assert one.attempt()
    assert one.holds()


def test_a_leader_that_lost_its_lease_writes_nothing(control_plane: ControlPlane, namespace: str) -> None:
    clock = Clock()
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    lease = Lease(connection, namespace, "gamebird", "one", terms=TERMS, now_s=clock)
    assert lease.attempt()
    connection.fence = lease.guard
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "orders-api"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "orders-api"}},
    }
    connection.create(SERVICES, namespace, service)
    clock.now_s += 25.0
    for write in (
        lambda: connection.patch(SERVICES, namespace, "orders-api", {"spec": {"selector": {"app": "other"}}}),
        lambda: connection.delete(SERVICES, namespace, "orders-api"),
    ):
        with pytest.raises(LostLeaseError):
            write()
    assert connection.get(SERVICES, namespace, "orders-api")["spec"]["selector"] == {"app": "orders-api"}
    assert lease.attempt()  # the lease itself is not behind the fence
    connection.patch(SERVICES, namespace, "orders-api", {"spec": {"selector": {"app": "other"}}})


def test_the_lease_tells_people_who_leads_and_how_often_it_has_changed(connection: Connection, namespace: str) -> None:
    clock = Clock()
    one = Lease(connection, namespace, "gamebird", "one", terms=TERMS, now_s=clock)
    two = Lease(connection, namespace, "gamebird", "two", terms=TERMS, now_s=clock)
    assert one.attempt()
    one.stop()
    assert two.attempt()
    spec = connection.get(LEASES, namespace, "gamebird")["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("two", 2, 30)
