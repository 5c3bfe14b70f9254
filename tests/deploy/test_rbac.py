"""The chart's roles: enough for everything that the controller does, and each verb of them is needed.

Each verb is really taken away from a service account of its own on a real API server, in a namespace of its own, and
the rollouts of `EveryRight` are played there until the server refuses the controller just that. A verb that nobody
misses would be one too many, so this also proves that none is.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from api_server import create_namespace, undefine
from every_right import SECRET, EveryRight
from routing_kinds import routing_definitions
from scripted_prometheus import OneValue

from controller.kubernetes.api import ApiError, Connection, Resource, connect
from controller.kubernetes.api.leases import Lease, Terms
from controller.kubernetes.api.resources import DESTINATION_RULES
from controller.kubernetes.crds import custom_resources
from controller.kubernetes.running import Controller, Settings
from controller.metrics.asking import ask_metric
from controller.metrics.prometheus import PrometheusClient
from experiments.testbeds.cluster.control_plane import ControlPlane
from experiments.testbeds.cluster.kinds import define_kinds
from experiments.testbeds.cluster.kubelet import InstantKubelet

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster, pytest.mark.timeout(1500)]

Json = dict[str, Any]
AT_ONCE = 4
WITHIN_S = 400.0  # a life takes eight seconds alone; on a loaded machine four at once take minutes
RBAC = "rbac.authorization.k8s.io"
ACCOUNTS = Resource(group="", version="v1", plural="serviceaccounts", kind="ServiceAccount")
ROLES = {
    kind: Resource(group=RBAC, version="v1", plural=plural, kind=kind, namespaced=not kind.startswith("Cluster"))
    for kind, plural in (
        ("Role", "roles"),
        ("RoleBinding", "rolebindings"),
        ("ClusterRole", "clusterroles"),
        ("ClusterRoleBinding", "clusterrolebindings"),
    )
}
VALUES = {"secrets.names": [SECRET]}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}.{self.group}".rstrip(".")


@dataclass(slots=True)
class Told:
    """What a controller said of refusals, by namespace; the server's words name the account, and so the namespace."""

    refusals: dict[str, set[Right]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, text: str) -> None:
        for found in _REFUSED.finditer(text):
            right = Right(found["group"], found["resource"], found["verb"])
            with self.lock:
                self.refusals.setdefault(found["namespace"], set()).add(right)


_REFUSED = re.compile(
    r'User "system:serviceaccount:(?P<namespace>[^:]+):[^"]+" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" '
    r'in API group "(?P<group>[^"]*)"'
)


class _Listener(logging.Handler):
    """Hears what controllers log: the text and what stands beside it."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        said = (getattr(record, name, "") for name in ("why", "error"))
        self._told.hear(" ".join([record.getMessage(), *map(str, said)]))


@pytest.fixture
def told() -> Iterator[Told]:
    """What all controllers of this process say of refusals."""
    found = Told()
    listener, logger = _Listener(found), logging.getLogger("controller")
    logger.addHandler(listener)
    yield found
    logger.removeHandler(listener)


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> Iterator[None]:
    """Every kind that the controller knows: Argo's, and those of two routers."""
    connection, _ = connect(kubeconfig=control_plane.kubeconfig)
    every = [*custom_resources(), *routing_definitions()]
    define_kinds(connection, every, last=DESTINATION_RULES)
    yield
    undefine(connection, every)


def rights_of(rendered: list[Json]) -> list[Right]:
    """Return every right that rendered roles grant."""
    found = {
        Right(group, resource, verb)
        for item in rendered
        if item["kind"] in ("Role", "ClusterRole")
        for rule in item["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    return sorted(found)


def without(rendered: list[Json], right: Right) -> list[Json]:
    """Return the objects with one right taken from every rule."""
    found = copy.deepcopy(rendered)
    for item in found:
        rules = []
        for rule in item.get("rules", ()):
            others = [each for each in rule["resources"] if each != right.resource]
            if right.group not in rule["apiGroups"] or len(others) == len(rule["resources"]):
                rules.append(rule)
                continue
            verbs = [verb for verb in rule["verbs"] if verb != right.verb]
            rules += [{**rule, "resources": others}] if others else []
            rules += [{**rule, "resources": [right.resource], "verbs": verbs}] if verbs else []
        if "rules" in item:
            item["rules"] = rules
    return found


class Stage:
    """A namespace with the chart's account and roles, and a controller that has nothing else."""

    def __init__(self, plane: ControlPlane, folder: Path, namespace: str, rendered: list[Json], told: Told) -> None:
        self._admin, _ = connect(kubeconfig=plane.kubeconfig)
        self._plane, self._folder, self._namespace, self._told = plane, folder, namespace, told
        create_namespace(self._admin, namespace)
        for item in rendered:
            if item["kind"] in ROLES or item["kind"] == "ServiceAccount":
                resource = ROLES.get(item["kind"], ACCOUNTS)
                self._admin.create(resource, item["metadata"].get("namespace"), item)

    def play(self, prometheus: str, missed: Callable[[], bool] | None = None) -> bool:
        """Let a controller look after the rollouts until something is missed, or to their end; return whether it was.

        Args:
            missed: whether it was; None: nothing will be, so the end is waited for.
        """
        connection = self._connection()
        lease = Lease(connection, self._namespace, "gamebird-controller", "one", terms=_QUICK)
        client = PrometheusClient()
        controller = Controller(
            connection,
            Settings(namespace=self._namespace, workers=2),
            ask=lambda metric, secrets: ask_metric(client, metric, time.time, secrets),
            lease=lease,
        )
        starting = threading.Thread(target=self._start, args=(controller,), daemon=True)
        starting.start()

        def over() -> bool:
            for copied in controller.cluster.copies.values():
                self._told.hear(str(copied.problem))
            self._told.hear(str(lease.problem))
            return rollouts.ended if missed is None else missed()

        rollouts = EveryRight(self._admin, self._namespace, prometheus)
        try:
            return rollouts.play(over, within_s=WITHIN_S)
        finally:
            controller.stop()
            starting.join()

    def _start(self, controller: Controller) -> None:
        try:
            controller.start()
        except ApiError as error:
            self._told.hear(str(error))

    def _connection(self) -> Connection:
        """Return a connection as the account, by a token that the server itself gives out."""
        path = ACCOUNTS.path(self._namespace, "gamebird", "token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self._admin.call("POST", path, body=body)["status"]["token"]
        file = self._plane.write_kubeconfig(self._folder / self._namespace, token, namespace=self._namespace)
        found, _ = connect(kubeconfig=file)
        return found


_QUICK = Terms(duration_s=6.0, renew_s=0.5, margin_s=3.0)


@pytest.fixture
def stage(
    control_plane: ControlPlane,
    kinds: None,
    kubelet: InstantKubelet,
    tmp_path: Path,
    told: Told,
    render: Callable[..., list[Json]],
) -> Callable[[str, Right | None], Stage]:
    """Return a function that sets a namespace up, with one right taken away."""

    def make(namespace: str, right: Right | None) -> Stage:
        # One rendering for all, of a namespace whose name stands nowhere else.
        one = json.dumps(render(VALUES | {"controller.namespace": "some-place"}, namespace="some-place"))
        rendered: list[Json] = json.loads(one.replace("some-place", namespace))
        kept = rendered if right is None else without(rendered, right)
        return Stage(control_plane, tmp_path, namespace, kept, told)

    return make


def test_with_the_roles_as_they_are_everything_is_done_and_nothing_is_refused(
    stage: Callable[[str, Right | None], Stage], told: Told, prometheus_that_says: OneValue
) -> None:
    assert stage("all-rights", None).play(prometheus_that_says.address)
    assert told.refusals == {}


def test_each_verb_that_the_roles_grant_is_missed_by_name_when_it_is_taken_away(
    stage: Callable[[str, Right | None], Stage],
    told: Told,
    prometheus_that_says: OneValue,
    render: Callable[..., list[Json]],
) -> None:
    rights = rights_of(render(VALUES | {"controller.namespace": "some-place"}, namespace="some-place"))
    # Those that are refused at once last, so that the others' lives run side by side.
    rights.sort(key=lambda right: right.verb in ("list", "watch"))

    def missed(number: int, right: Right) -> bool:
        name = f"without-{number}"
        return stage(name, right).play(prometheus_that_says.address, lambda: right in told.refusals.get(name, set()))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(missed, range(len(rights)), rights))
    never = [str(right) for right, was in zip(rights, found, strict=True) if not was]
    assert never == []
    # And nothing else was refused: a right that was taken is the only one that was lacking.
    others = {name: rest for name, seen in told.refusals.items() if (rest := seen - {rights[int(name.split("-")[1])]})}
    assert others == {}
