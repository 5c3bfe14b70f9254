"""A whole test cluster until Ctrl-C, on the loopback: an API server, pods as processes, a router, a Prometheus.

It prints the kubeconfig to use and where Prometheus is. No controller of Rollouts runs in it: start the one that is to
be rehearsed. Argo Rollouts' own definitions are used where a folder with them is named, ours otherwise.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import yaml

from controller.kubernetes.api import ApiError, Connection, connect
from controller.kubernetes.api.resources import CRDS
from controller.kubernetes.crds import custom_resources
from experiments.scratch import scratch_folder
from experiments.testbeds.cluster.control_plane import ControlPlane, find_programs
from experiments.testbeds.cluster.data_plane import SCRAPE_S, DataPlane
from experiments.testbeds.cluster.gateway_api import http_route_definition
from experiments.testbeds.local.children import WorldError

Json = dict[str, Any]

LOOK_S = 0.5
WORLD_FAILED = 3


def main() -> int:
    """Run a test cluster and return the exit code: 0 it was told to end, 3 it failed."""
    options = _options()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    programs = find_programs()
    if programs is None:
        sys.stderr.write("there is no API server here; tools/build_cluster.sh builds one (six minutes, needs Go)\n")
        return WORLD_FAILED
    try:
        with scratch_folder() as folder:
            _run(programs, folder, options, ended)
    except (WorldError, ApiError) as error:
        sys.stderr.write(f"the test cluster failed: {error}\n")
        return WORLD_FAILED
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.testbeds.cluster", description=__doc__)
    parser.add_argument("--prometheus", type=Path, required=True, help="a Prometheus 3 binary")
    parser.add_argument("--scrape-s", type=float, default=SCRAPE_S, help="seconds between two scrapes of a pod")
    parser.add_argument("--definitions", type=Path, help="a folder with the CRDs of Argo Rollouts, instead of ours")
    return parser.parse_args()


def _run(programs: Path, folder: Path, options: argparse.Namespace, ended: threading.Event) -> None:
    control, data = folder / "control-plane", folder / "data-plane"
    control.mkdir()
    data.mkdir()
    plane = ControlPlane(programs=programs, folder=control).start()
    try:
        connection, _ = connect(kubeconfig=plane.kubeconfig)
        define(connection, options.definitions)
        pods = DataPlane(plane.kubeconfig, data, prometheus=options.prometheus, scrape_s=options.scrape_s)
        pods.start()
        try:
            place = pods.metrics_place
            sys.stdout.write(f"export KUBECONFIG={plane.kubeconfig}\n# Prometheus is at {place}\n")
            sys.stdout.flush()
            while not ended.wait(LOOK_S):
                if pods.failure is not None:
                    raise WorldError(f"a part of it met a bug: {pods.failure}") from pods.failure
        finally:
            pods.stop()
    finally:
        plane.stop()


def define(connection: Connection, folder: Path | None = None) -> None:
    """Let the API server know Rollouts, analyses and HTTPRoutes.

    Args:
        folder: Argo Rollouts' own definitions; None for ours.
    """
    definitions = custom_resources() if folder is None else _definitions_in(folder)
    for definition in (*definitions, http_route_definition()):
        connection.create(CRDS, None, definition)


def _definitions_in(folder: Path) -> list[Json]:
    items = [item for file in sorted(folder.glob("*.yaml")) for item in yaml.safe_load_all(file.read_text("utf-8"))]
    found = [item for item in items if isinstance(item, dict) and item.get("kind") == CRDS.kind]
    if not found:
        raise WorldError(f"{folder} holds no {CRDS.kind}")
    return found


if __name__ == "__main__":
    sys.exit(main())
