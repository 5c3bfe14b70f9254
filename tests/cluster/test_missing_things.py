"""What a rollout names and the cluster lacks is named, waited for, and taken up when it appears."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from small_canary import create, create_missing, deploy, status_of

from controller.kubernetes.api import Connection

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

WITHIN_S = 30.0


def await_status(connection: Connection, namespace: str, seen: Callable[[dict[str, Any]], bool], what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not seen(status_of(connection, namespace)):
        status = status_of(connection, namespace)
        assert time.monotonic() < deadline_s, f"not within {WITHIN_S:g} s: {what}; {status.get('message')}"
        time.sleep(0.05)


@pytest.mark.parametrize(("kind", "named"), [("Service", "canary"), ("Ingress", "a"), ("AnalysisTemplate", "slo")])
def test_what_is_missing_is_named_and_taken_up_when_it_appears(
    running_controller: None,
    connection: Connection,
    namespace: str,
    prometheus_that_says: Any,
    kind: str,
    named: str,
) -> None:
    prometheus_that_says.value = 0.001
    create(connection, namespace, prometheus_that_says.address, without=kind)

    def is_named(status: dict[str, Any]) -> bool:
        message = status.get("message") or ""
        return status.get("phase") == "Degraded" and named in message and "not found" in message

    await_status(connection, namespace, is_named, f"the missing {kind} is named")
    create_missing(connection, namespace, prometheus_that_says.address, kind)
    await_status(connection, namespace, lambda status: status.get("phase") == "Healthy", "it is taken up")
    deploy(connection, namespace, "2")
    await_status(connection, namespace, lambda status: (status.get("currentStepIndex") or 0) > 2, "it goes on")
