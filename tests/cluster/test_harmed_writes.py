"""The controller is harmed at each write that it makes: killed before or after it, refused, left without an answer.

Whatever it was and whenever, the rollout ends as it should: weights never overtake pods or steps, an analysis is begun
once, an aborted canary gets nothing any more, and everything comes to rest. A few writes for every change, each of them
in `make fuzz`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from api_proxy import ApiProxy
from harmed_canary import Harm, HarmedCanary
from scripted_prometheus import OneValue

from controller.kubernetes.api import Connection
from experiments.testbeds.cluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.needs_cluster]

FEW = (
    (False, Harm.KILLED_BEFORE, 1),
    (False, Harm.KILLED_AFTER, 4),
    (False, Harm.KILLED_BEFORE, 9),
    (False, Harm.KILLED_AFTER, 14),
    (False, Harm.CONFLICT, 6),
    (True, Harm.KILLED_AFTER, 2),
    (True, Harm.KILLED_BEFORE, 7),
    (True, Harm.KILLED_AFTER, 11),
    (True, Harm.UNANSWERED, 12),
    (True, Harm.KILLED_BEFORE, 13),
)
AT_ONCE = 5
MANY_AT_ONCE = 20


@pytest.fixture
def canary(
    control_plane: ControlPlane,
    connection: Connection,
    controller_process: Callable[..., subprocess.Popen[bytes]],
    kubelet: Any,
    tmp_path: Path,
) -> Iterator[Callable[[bool, Harm, int], HarmedCanary]]:
    """Return a function that makes a canary ready to be played."""
    proxy = ApiProxy(control_plane.address, control_plane.certificate)
    servers = {False: OneValue(), True: OneValue()}
    for bad, server in servers.items():
        server.value = 0.5 if bad else 0.001
        server.start()

    def made(bad: bool, harm: Harm, at_write: int) -> HarmedCanary:
        return HarmedCanary(
            connection=connection,
            plane=control_plane,
            proxy=proxy,
            start=controller_process,
            folder=tmp_path,
            prometheus=servers[bad].address,
            bad=bad,
            harm=harm,
            at_write=at_write,
        )

    yield made
    for server in servers.values():
        server.stop()
    proxy.stop()


def _played(canaries: list[HarmedCanary], at_once: int) -> list[str]:
    with ThreadPoolExecutor(at_once) as players:
        return [broken for each in players.map(HarmedCanary.play, canaries) for broken in each]


@pytest.mark.timeout(300)
def test_a_rollout_ends_as_it_should_whichever_write_its_controller_is_harmed_at(
    canary: Callable[[bool, Harm, int], HarmedCanary],
) -> None:
    canaries = [canary(*each) for each in FEW]
    assert _played(canaries, AT_ONCE) == []
    assert [each.namespace for each in canaries if not each.harmed] == []


@pytest.mark.fuzz
@pytest.mark.timeout(3_000)
@pytest.mark.skipif(not os.environ.get("GAMEBIRD_FUZZ"), reason="plays two hundred rollouts; `make fuzz` runs it")
@pytest.mark.parametrize("bad", [False, True])
def test_a_rollout_ends_as_it_should_at_every_single_write(
    canary: Callable[[bool, Harm, int], HarmedCanary], bad: bool
) -> None:
    alone = canary(bad, Harm.NONE, 0)
    assert alone.play() == []
    harms = [harm for harm in Harm if harm is not Harm.NONE]
    canaries = [canary(bad, harm, number) for harm in harms for number in range(1, alone.writes + 1)]
    assert _played(canaries, MANY_AT_ONCE) == []
    # A run may need a write less than the other, as two changes are seen at once; hardly ever more than that.
    assert sum(not each.harmed for each in canaries) <= 2 * len(harms)
