"""`gamebird prometheus`: recorded series behind Prometheus' HTTP API, for Grafana, promtool or an analysis."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from gamebird.cli.exits import exits
from gamebird.cli.series_files import families_of, instant_s, loaded
from promql.http import create_app
from promql.parameters import BadParameter
from promql.serve import QueryServer, ServerError
from promql.storage import SeriesFileError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


class ListenError(Exception):
    """An address that cannot be listened on as it is written."""


@app.callback()
def prometheus() -> None:
    """Recorded series behind Prometheus' HTTP API."""


@app.command()
def serve(
    data: Annotated[
        list[Path],
        typer.Option(help="a file or folder of recorded series: JSON, exposition text with times, or either in .gz"),
    ],
    listen: Annotated[
        str, typer.Option(help="where to listen; only on this machine unless you name another address")
    ] = "127.0.0.1:9090",
    now: Annotated[
        str,
        typer.Option(help='when queries without a time are evaluated: "now", "end" for the newest sample, or a time'),
    ] = "now",
) -> None:
    """Serve recorded series until interrupted.

    Prints the address once requests are answered; port 0 takes a free one.

    Example: gamebird prometheus serve --data series.json --listen 127.0.0.1:9090 --now end
    """
    with exits(wrong_input=(SeriesFileError, BadParameter, ListenError), world_failed=(ServerError,)):
        host, port = _address(listen)
        store = loaded(data)
        at_s = instant_s(now, store)
        clock: Callable[[], float] = time.time if now == "now" else lambda: at_s
        server = QueryServer(create_app(store, now_s=clock, families=families_of(data)), port, host=host)
        done = threading.Event()

        def end(_signal: int, _frame: FrameType | None) -> None:
            done.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        with server:
            print(f"listening on {server.address}", flush=True)
            done.wait()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ListenError(f"--listen is {text!r}; it needs an address and a port, such as 127.0.0.1:9090")
    return host.removeprefix("[").removesuffix("]"), int(port)
