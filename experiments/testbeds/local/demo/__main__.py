"""Serve one pod until SIGTERM: then no new connection is taken and those in flight are answered."""

from __future__ import annotations

import asyncio
import os
import signal

from experiments.testbeds.local.demo.http1 import Server
from experiments.testbeds.local.demo.identity import VARIABLE, Identity
from experiments.testbeds.local.demo.service import Pod

DRAIN_S = 2.0
PARENT_POLL_S = 0.5


async def serve(identity: Identity) -> None:
    """Listen until the process is told to end."""
    pod = Pod(identity)
    server = Server(pod.handle)
    await server.start(identity.port, identity.host)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    tasks = [asyncio.create_task(pod.live()), asyncio.create_task(_follow_parent(told))]
    await told.wait()
    for task in tasks:
        task.cancel()
    await server.drain(DRAIN_S)


async def _follow_parent(told: asyncio.Event) -> None:
    """End with the process that started this one. Linux does that by itself; elsewhere nobody would."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_POLL_S)
    told.set()


def main() -> None:
    """Read who this pod is from the environment, and serve."""
    asyncio.run(serve(Identity.model_validate_json(os.environ[VARIABLE])))


if __name__ == "__main__":
    main()
