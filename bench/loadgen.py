"""How punctual the load generator is beside its target, and what a request costs it.

The target answers after 20 ms from another process on the same machine; both share its cores.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from loadgen.openloop import LoadProcess
from loadgen.traffic import Traffic

RATES_RPS = (200, 400, 1_000)
SECONDS = 8.0
ANSWER_AFTER_S = 0.02

_ANSWER = b"HTTP/1.1 200 OK\r\nx-gamebird-revision: bench\r\nx-gamebird-pod: bench-1\r\nContent-Length: 2\r\n\r\nok"


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(ANSWER_AFTER_S, self._transport.write, _ANSWER)


async def _serve(port: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0, backlog=4096)
    port.send(server.sockets[0].getsockname()[1])
    await asyncio.sleep(len(RATES_RPS) * (SECONDS + 30))


def _target(port: Connection) -> None:
    asyncio.run(_serve(port))


def main() -> None:
    """Print schedule error, CPU per request and the verdict at each rate."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    target = spawning.Process(target=_target, args=(theirs,), daemon=True)
    target.start()
    try:
        url = f"http://127.0.0.1:{ours.recv()}"
        print(
            f"{'real rps':>9} {'requests':>9} {'lag p50':>9} {'lag p99':>9} "
            f"{'service p95':>12} {'CPU/request':>12}  verdict"
        )
        for rate in RATES_RPS:
            print(_line(url, rate), flush=True)
    finally:
        target.kill()
        target.join()


def _line(url: str, rate: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        load = LoadProcess(Traffic(rps=rate), url, speed=1, duration_s=SECONDS, directory=Path(folder) / "run")
        load.start()
        load.wait(within_s=SECONDS + 30)
        summary = load.summary()
        beats = [event["cpu"] for event in load.run().events if event["event"] == "beat"]
    validity = summary["validity"]
    cpu_ms = 1e3 * (sum(beats) / len(beats)) * SECONDS / summary["requests"]
    verdict = ", ".join(f"{half} {validity[half]['outcome']}" for half in ("counts", "latency"))
    return (
        f"{rate:>9,} {summary['requests']:>9,} "
        f"{validity['lag_p50_s'] * 1e3:>6.2f} ms {validity['lag_p99_s'] * 1e3:>6.2f} ms "
        f"{validity['service_p95_s'] * 1e3:>9.2f} ms {cpu_ms:>9.3f} ms  {verdict}"
    )
