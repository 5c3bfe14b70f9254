"""`gamebird controller`: run canaries on a cluster, and print the custom resources that it needs."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gamebird.cli.exits import Exit, exits

if TYPE_CHECKING:
    from controller.kubernetes.analyses import Ask
    from controller.kubernetes.permissions import Missing
    from controller.kubernetes.running import Controller
    from controller.metrics.addresses import AddressMap

LEASE_NAME = "gamebird-controller"
HEALTH_LOOK_S = 1.0

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Run canaries on a cluster, from the manifests that Argo Rollouts runs.",
)


class Form(StrEnum):
    """How definitions are printed."""

    YAML = "yaml"
    JSON = "json"


@app.callback()
def _group() -> None:
    """Run canaries on a cluster, from the manifests that Argo Rollouts runs."""


@app.command(epilog="Example: gamebird controller crds | kubectl apply -f -")
def crds(output: Annotated[Form, typer.Option(help="How to print them.")] = Form.YAML) -> None:
    """Print the custom resources, for a cluster that does not have Argo Rollouts' own."""
    import json

    import yaml

    from controller.kubernetes.crds import custom_resources

    found = custom_resources()
    if output is Form.JSON:
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": found}, indent=2))
    else:
        print(yaml.safe_dump_all(found, sort_keys=False), end="")


@app.command(epilog="Example: gamebird controller run --namespace production --listen 127.0.0.1:8090")
def run(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="The only namespace to look after.")] = "",
    instance_id: Annotated[
        str, typer.Option(help="Look after objects with this label of Argo Rollouts' and no others.")
    ] = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Rollouts, and runs, looked at at once.")] = 4,
    listen: Annotated[str, typer.Option(help="HOST:PORT of /metrics, /healthz and /readyz.")] = "127.0.0.1:8090",
    prometheus: Annotated[str, typer.Option(help="Where metrics that name no address are asked.")] = "",
    address: Annotated[
        list[str] | None, typer.Option(help="NAMED=REAL, each HOST:PORT: ask REAL where a metric names NAMED.")
    ] = None,
    leader_elect: Annotated[
        bool, typer.Option("--leader-elect", help="Let one of several controllers lead, by a Lease.")
    ] = False,
    kubeconfig: Annotated[Path | None, typer.Option(help="Instead of $KUBECONFIG or ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Look after the rollouts of a cluster until SIGTERM or Ctrl-C.

    Exit codes: 0 it was told to end, 2 the options are wrong, 3 the cluster cannot be reached or lacks something.
    """
    from controller.kubernetes.api import ApiError, connect
    from controller.kubernetes.api.leases import Lease
    from controller.kubernetes.permissions import require
    from controller.kubernetes.running import Controller, Settings
    from controller.kubernetes.telling import Teller

    with exits(wrong_input=(UsageError,), world_failed=(ApiError, OSError)):
        host, port = _address(listen)
        addresses = _addresses(address or [])
        _log_as_json(log_level)
        teller = Teller()
        connection, home = connect(kubeconfig=kubeconfig, context=context, counter=teller)
        lease_name = f"{LEASE_NAME}-{instance_id}" if instance_id else LEASE_NAME  # two that share no object both lead
        place = (namespace or home, lease_name) if leader_elect else None
        _say_what_is_missing(require(connection, namespace or None, lease=place))
        lease = None
        if place is not None:
            lease = Lease(connection, *place, identity=f"{socket.gethostname()}-{os.getpid()}")
        settings = Settings(namespace=namespace or None, instance_id=instance_id, workers=workers)
        controller = Controller(connection, settings, ask=_asker(prometheus, addresses), lease=lease, teller=teller)
        raise SystemExit(_run(controller, host, port))


def _say_what_is_missing(missing: Missing) -> None:
    import logging

    if missing.others:
        what = ", ".join(str(need) for need in missing.others)
        logging.getLogger(__name__).warning("rights are missing that some rollouts need: %s", what)


class UsageError(ValueError):
    """An option that cannot be followed."""


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {listen}: it needs HOST:PORT, as 127.0.0.1:8090")
    return host, int(port)


def _addresses(pairs: list[str]) -> AddressMap:
    from controller.metrics.addresses import AddressMap

    places = {}
    for pair in pairs:
        named, _, real = pair.partition("=")
        if not named or not real or "/" in pair:
            raise UsageError(f"--address {pair}: it needs NAMED=REAL, as prometheus.monitoring:9090=127.0.0.1:9090")
        places[named] = real
    return AddressMap(places=places)


def _log_as_json(level: str) -> None:
    import logging

    from controller.kubernetes.telling import JsonLines

    known = {"debug", "info", "warning", "error"}
    if level not in known:
        raise UsageError(f"--log-level {level}: it needs one of {', '.join(sorted(known))}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each question says nothing new, and URLs


def _asker(prometheus: str, addresses: AddressMap) -> Ask:
    import time
    from dataclasses import replace

    from controller.manifests.values import PrometheusProvider
    from controller.metrics.asking import ask_metric
    from controller.metrics.prometheus import PrometheusClient

    client = PrometheusClient(addresses=addresses)

    def ask(metric: Any, secrets: Any) -> Any:
        provider = metric.provider
        if prometheus and isinstance(provider, PrometheusProvider) and not provider.address:
            metric = replace(metric, provider=replace(provider, address=prometheus))
        return ask_metric(client, metric, time.time, secrets)

    return ask


def _run(controller: Controller, host: str, port: int) -> int:
    from controller.kubernetes.serving import StatusServer

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())

    def healthy() -> str:
        failure = controller.failure
        return f"a thread has ended: {failure}" if failure is not None else ""

    def ready() -> str:
        waiting = [
            str(copy.problem or copy.resource.text) for copy in controller.cluster.copies.values() if not copy.synced
        ]
        return f"not in yet: {'; '.join(waiting)}" if waiting else ""

    server = StatusServer(host, port, registry=controller.teller.registry, healthy=healthy, ready=ready)
    server.start()
    try:
        controller.start()
        while not ended.wait(HEALTH_LOOK_S):
            if controller.failure is not None:
                print(f"gamebird controller: {controller.failure}", file=sys.stderr)
                return Exit.WORLD
        return Exit.GOOD
    finally:
        controller.stop()
        server.stop()
