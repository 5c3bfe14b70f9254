"""`gamebird replay`: recorded requests sent again on their own clock, and whether the figures may be believed.

The only place of a replay that prints and exits. What is prepared, sent and judged is in `loadgen.replay`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gamebird.cli.exits import Exit, exits
from promql.parameters import BadParameter, duration_s

if TYPE_CHECKING:
    from loadgen.replay import Permitted, Prepared, Replay, Result, Wanted
    from loadgen.traces import Trace

_POLL_S = 0.2
_BY_SIGNAL = 128  # what shells add to a signal's number when it ended a command


class ReplayOptionError(ValueError):
    """Options that do not fit together or cannot be read."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a replay as Ctrl-C does: in order, and at once."""


def replay(
    files: Annotated[list[str], typer.Argument(metavar="TRACE...", help="a trace, or logs that gamebird trace reads")],
    target: Annotated[str, typer.Option(help="http(s)://HOST:PORT; this machine unless you say otherwise")],
    speed: Annotated[float, typer.Option(help="recorded seconds in a second of the wall")] = 1.0,
    rate: Annotated[float, typer.Option(help="how many times the recorded requests; 0.1 keeps a tenth")] = 1.0,
    for_: Annotated[
        str, typer.Option("--for", help="how long, by the wall; unless said, the recording once", show_default=False)
    ] = "",
    workers: Annotated[int, typer.Option(help="generator processes", min=1, max=64)] = 1,
    template: Annotated[
        list[str] | None,
        typer.Option(help="path:PATTERN=PATH or header:NAME=VALUE with {uuid}, {now}, {unix}, {n}, {1}"),
    ] = None,
    unsafe_methods: Annotated[bool, typer.Option("--unsafe-methods", help="send POST, PUT, PATCH, DELETE too")] = False,
    allow_list: Annotated[Path | None, typer.Option(help="a file of hosts and networks that may be sent to")] = None,
    owned: Annotated[bool, typer.Option("--i-own-this-target", help="send to another machine, which is yours")] = False,
    ca_file: Annotated[Path | None, typer.Option(help="PEM certificates to check an https target against")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="do not check an https target's certificate")] = False,
    rate_max: Annotated[float, typer.Option(help="most requests/s of the wall for each worker", min=1, max=5000)] = (
        1000.0
    ),
    connections: Annotated[
        int | None, typer.Option(help="connections of a worker at most; requests then wait for one", min=1)
    ] = None,
    timeout: Annotated[str, typer.Option(help="how long a user waits for an answer")] = "10s",
    slow_after: Annotated[
        str, typer.Option(help="a later answer is bad; unless said, none is", show_default=False)
    ] = "",
    report: Annotated[Path | None, typer.Option(help="keep records and summary.json in this new folder")] = None,
    web: Annotated[
        int | None, typer.Option(help="serve Locust's page on this port of the loopback", min=1, max=65535)
    ] = None,
    tag: Annotated[str, typer.Option(help="the header x-gamebird-load on every request")] = "gamebird-replay",
    seed: Annotated[int, typer.Option(help="same seed, same requests", min=0)] = 1,
    spread_seconds: Annotated[
        bool, typer.Option("--spread", help="give requests stamped with whole seconds an instant within their second")
    ] = False,
    format_name: Annotated[str, typer.Option("--format", help="as for gamebird trace")] = "auto",
    log_format: Annotated[str, typer.Option(help="nginx' log_format", show_default=False)] = "",
    output: Annotated[str, typer.Option(help="table or json")] = "table",
) -> None:
    """Send recorded requests at their recorded times, whether or not earlier ones were answered.

    Exit codes: 0 the figures may be believed, 2 the input is wrong, 3 they may not be believed, or the replay failed;
    130 after Ctrl-C, 143 after SIGTERM, with the figures up to then.

    Example: gamebird replay tuesday.parquet --target http://127.0.0.1:8080 --speed 2 --for 10m
    """
    from loadgen.openloop import LoadError, UnsafeTargetError
    from loadgen.replay import Pace, Replay, ReplayError, Wanted, permitted_target, read_templates
    from loadgen.traces import Keep, Reading, Trace, TraceError

    wrong = (TraceError, ReplayError, ReplayOptionError, UnsafeTargetError, BadParameter)
    with exits(wrong_input=wrong, world_failed=(LoadError,)), _heeding_sigterm(), _folder(report) as folder:
        if output not in ("table", "json"):
            raise ReplayOptionError(f"--output is {output!r}; it needs table or json")
        permitted = permitted_target(target, allow_list=allow_list, owned=owned, ca_file=ca_file, insecure=insecure)
        keep = Keep(bodies=unsafe_methods)
        trace = Trace(files, Reading(format=format_name, log_format=log_format or None, keep=keep))
        wanted = Wanted(
            host=permitted.host_header,
            pace=Pace(speed=speed, rate=rate, lasts_s=_span_s("--for", for_) if for_ else None, seed=seed),
            templates=read_templates(template or []),
            tag=_tag(tag),
            unsafe_methods=unsafe_methods,
            workers=workers,
            rps_max=rate_max,
        )
        prepared = _prepare(trace, wanted, folder / "score", spread=spread_seconds)
        _tell(prepared, trace, permitted, quiet=output == "json")
        player = Replay(
            prepared,
            permitted,
            folder,
            timeout_s=_span_s("--timeout", timeout),
            slow_after_s=_span_s("--slow-after", slow_after) if slow_after else None,
            connections_max=connections,
            web_port=web,
        )
        ended_by = _play(player, prepared, web)
        result = player.result()
        _finish(result, prepared, folder if report else None, output)
    if ended_by is not None:
        raise SystemExit(_BY_SIGNAL + ended_by)
    raise SystemExit(Exit.GOOD if result.evidence else Exit.WORLD)


@contextmanager
def _heeding_sigterm() -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _folder(report: Path | None) -> Iterator[Path]:
    """Give the folder of the replay: the report's, which must be new or empty, or one that is gone afterwards."""
    if report is None:
        from experiments.scratch import scratch_folder

        with scratch_folder() as scratch:
            yield scratch
        return
    if report.exists() and (not report.is_dir() or any(report.iterdir())):
        raise ReplayOptionError(f"--report {report}: it needs a folder that is empty, or not there yet")
    try:
        report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReplayOptionError(f"--report {report}: cannot be made: {error.strerror}") from error
    yield report.absolute()


def _span_s(option: str, text: str) -> float:
    try:
        found_s = duration_s(option, text)
    except BadParameter:
        found_s = 0.0
    if found_s <= 0:
        raise ReplayOptionError(f"{option} is {text!r}; it needs a duration such as 90s, 10m or 1h30m")
    return found_s


def _tag(tag: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", tag):
        raise ReplayOptionError(f"--tag is {tag!r}; it needs up to 64 letters, digits, dots, dashes and underscores")
    return tag


def _prepare(trace: Trace, wanted: Wanted, folder: Path, *, spread: bool) -> Prepared:
    from loadgen.replay import prepare
    from loadgen.traces.ordering import spread as spread_out

    folder.mkdir()
    prepared = prepare(spread_out(trace, seed=wanted.pace.seed) if spread else trace, wanted, folder)
    if spread:
        trace.tally.whole_seconds = False  # no longer, and nobody needs to be told how to change it
    return prepared


def _tell(prepared: Prepared, trace: Trace, permitted: Permitted, *, quiet: bool) -> None:
    """Say what is about to be sent, and what is not."""
    from gamebird.cli.trace_report import tell

    if not quiet:
        again = "" if prepared.passes == 1 else f", the recording {prepared.passes:,} times"
        print(
            f"{sum(prepared.shards):,} requests in {prepared.lasts_s:,.0f} s to {permitted.url}{again}; "
            f"{prepared.peak_rps:,.0f} in the busiest second",
            flush=True,
        )
    tell(trace.tally)
    for why, count in {**prepared.left_out, **prepared.altered}.items():
        print(f"{count:,} × {why}", file=sys.stderr)


def _play(player: Replay, prepared: Prepared, web: int | None) -> signal.Signals | None:
    """Play to the end or to Ctrl-C or SIGTERM; return which of them it was."""
    ended_by = None
    try:
        player.start()
        if web is not None:
            print(f"Locust's page: http://127.0.0.1:{web}", file=sys.stderr, flush=True)
        while player.running:
            _show(player, prepared)
            time.sleep(_POLL_S)
        player.look()
    except KeyboardInterrupt as asked:
        ended_by = signal.SIGTERM if isinstance(asked, _Terminated) else signal.SIGINT
        player.stop("somebody pressed Ctrl-C" if ended_by is signal.SIGINT else "it got SIGTERM")
        if not player.pids:
            raise
    finally:
        player.kill()
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return ended_by


def _show(player: Replay, prepared: Prepared) -> None:
    now = player.look()
    if not sys.stderr.isatty():
        return
    parts = [
        f"{now.at_s:,.0f} of {prepared.lasts_s:,.0f} s",
        f"{now.sent:,} of {sum(prepared.shards):,} sent",
        f"{now.in_flight:,} waiting",
    ]
    parts += [f"{now.dropped:,} dropped"] if now.dropped else []
    parts += [f"generator {shard + 1} is silent" for shard in now.silent]
    parts += [f"generator {shard + 1} is lost" for shard in now.lost]
    width = os.get_terminal_size(sys.stderr.fileno()).columns
    print(f"\r\x1b[K{' · '.join(parts)[: width - 1]}", end="", file=sys.stderr, flush=True)


def _finish(result: Result, prepared: Prepared, kept: Path | None, output: str) -> None:
    from gamebird.cli.replay_report import shown

    found = {**result.as_json(), "left_out": prepared.left_out, "altered": prepared.altered}
    if kept is not None:
        (kept / "summary.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if output == "json":
        print(json.dumps(found))
    else:
        print("\n".join(shown(result)))
