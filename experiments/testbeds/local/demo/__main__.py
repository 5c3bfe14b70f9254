"""Serve one pod until SIGTERM: then no new connection is taken and those in flight are answered."""

from __future__ import annotations

import asyncio
import os
import signal

from aiohttp import web

from experiments.testbeds.local.demo.identity import VARIABLE, Identity
from experiments.testbeds.local.demo.service import Pod

DRAIN_S = 2.0
PARENT_POLL_S = 0.5


async def serve(identity: Identity) -> None:
    """Listen until the process is told to end."""
    pod = Pod(identity)
    runner = web.AppRunner(pod.app(), access_log=None, shutdown_timeout=DRAIN_S)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", identity.port, backlog=1024).start()
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    tasks = [asyncio.create_task(pod.live()), asyncio.create_task(_follow_parent(told))]
    await told.wait()
    for task in tasks:
        task.cancel()
    await runner.cleanup()


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
