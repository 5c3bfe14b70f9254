"""What a process pod is to run, read from pod objects."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.testbeds.cluster.pod_addresses import free_pod_ip, place_of
from experiments.testbeds.cluster.pod_specs import (
    ANNOTATION,
    PodSpecError,
    annotation_of,
    grace_s,
    port_of,
    probing_of,
    program_of,
)
from experiments.testbeds.local.places import Place
from experiments.testbeds.local.pods import Probing
from sim.releases import Release

Json = dict[str, Any]


def pod(annotation: str | None = None, **container: Any) -> Json:
    return {
        "metadata": {
            "name": "shop-abc123-x7k2p",
            "labels": {"rollouts-pod-template-hash": "abc123"},
            "annotations": {} if annotation is None else {ANNOTATION: annotation},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "shop-abc123", "controller": True}],
        },
        "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}], **container}]},
    }


def test_a_pod_plays_the_release_that_its_annotation_says_under_its_rollouts_name() -> None:
    release, routes = Release(errors=0.05), (("GET", "/"), ("POST", "/checkout"))
    program = program_of(pod(annotation_of(release, routes)))
    assert (program.release, program.routes, program.service) == (release, routes, "shop")


def test_a_pod_without_an_annotation_plays_a_good_release() -> None:
    assert program_of(pod()).release == Release()


def test_an_annotation_that_cannot_be_read_is_named_with_its_field() -> None:
    with pytest.raises(PodSpecError, match=r"gamebird.dev/demo.release.errors"):
        program_of(pod('{"release": {"errors": 7}}'))


def test_a_readiness_probe_keeps_its_periods_and_kubernetes_defaults() -> None:
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "initialDelaySeconds": 2}
    # Kubernetes asks every ten seconds and gives up after three failures unless the probe says otherwise.
    wanted = Probing(path="/ready", delay_s=2.0, unready_s=10.0, ready_s=10.0, failures=3)
    assert probing_of(pod(readinessProbe=probe)) == wanted
    assert program_of(pod(readinessProbe=probe)).ready_path == "/ready"
    assert probing_of(pod()).path is None


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"ports": []}, r"containers\[0\].ports is empty"),
        ({"ports": [{"containerPort": 80}]}, "containerPort is 80"),
        ({"readinessProbe": {"exec": {"command": ["true"]}}}, "has exec"),
    ],
)
def test_what_a_process_cannot_do_is_refused_by_name(container: Json, told: str) -> None:
    read = probing_of if "readinessProbe" in container else port_of
    with pytest.raises(PodSpecError, match=told):
        read(pod(**container))


def test_a_pods_grace_is_its_hooks_sleep() -> None:
    assert grace_s(pod(lifecycle={"preStop": {"sleep": {"seconds": 3}}})) == 3.0
    assert grace_s(pod()) == 0.0


def test_addresses_of_pods_have_a_twin_on_the_loopback_and_others_have_none() -> None:
    assert place_of("10.244.3.7", 8080) == Place("127.244.3.7", 8080)
    for address in ("192.168.0.1", "127.0.0.1", "::1"):
        with pytest.raises(ValueError, match="no pod of this machine"):
            place_of(address, 8080)


def test_two_pods_never_share_a_place() -> None:
    import socket

    address = free_pod_ip(18080)
    with socket.create_server(place_of(address, 18080)):
        assert address not in {free_pod_ip(18080) for _ in range(20)}
