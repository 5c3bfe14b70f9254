"""`gamebird gameday --world cluster`: which cluster, which namespace, and what is refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiments.gameday_files import GameDay
    from experiments.testbeds.cluster.world import Venue


def venue_of(game_day: GameDay, *, kubeconfig: Path | None, context: str | None, namespace: str, target: str) -> Venue:
    """Return where the game day is played: the named namespace, else the manifests' own, else the context's.

    Raises:
        UsageError: an option, or the game day, does not fit a cluster.
        ApiError: there are no credentials.
    """
    from controller.kubernetes.api import connect
    from experiments.testbeds.cluster.world import Venue
    from gamebird.cli.gameday_choice import UsageError
    from loadgen.openloop.safety import UnsafeTargetError, loopback_target

    if kubeconfig is not None and not kubeconfig.is_file():
        raise UsageError(f"--kubeconfig {kubeconfig}: there is no such file")
    if target:
        try:
            loopback_target(target)
        except UnsafeTargetError as error:
            raise UsageError(f"--target: {error}. kubectl port-forward makes an ingress one of this machine") from error
    if game_day.setup.command is not None:
        raise UsageError(
            f"{game_day.path}: command names a program of this machine; in a cluster, the pods' own image runs"
        )
    connection, home = connect(kubeconfig=kubeconfig, context=context)
    own = next(iter(game_day.policies.values())).rollout.namespace
    return Venue(connection=connection, namespace=namespace or (own if own != "default" else home), target=target)
