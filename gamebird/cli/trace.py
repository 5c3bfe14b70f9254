"""`gamebird trace`: recorded traffic, from access logs to one canonical file, and what it looks like.

What reading left out is told on standard error in every case; `--strict` makes it an answer of no.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gamebird.cli.exits import Exit, exits
from gamebird.cli.trace_report import profile_json, shown, tell
from loadgen.traces import FORMATS, HEADERS_KEPT, Keep, Reading, Tally, Trace, TraceError
from promql.parameters import BadParameter, duration_s

if TYPE_CHECKING:
    import pyarrow as pa


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

KEY_VARIABLE = "GAMEBIRD_ANONYMISE_KEY"
_PROGRESS_AFTER_S = 2.0

Files = Annotated[list[str], typer.Argument(help="access logs, recordings or traces; gzip too; - for standard input")]
To = Annotated[Path, typer.Option("--to", help="the Parquet file to write", show_default=False)]
Format = Annotated[str, typer.Option("--format", help=f"auto, or one of {', '.join(FORMATS)}")]
LogFormat = Annotated[
    str, typer.Option("--log-format", help="nginx' log_format, as text or as the whole directive", show_default=False)
]
Columns = Annotated[
    str, typer.Option("--columns", help="for CSV: ours=theirs, as in time=ts,path=uri", show_default=False)
]
Segment = Annotated[
    str,
    typer.Option("--segment", help="the header, variable or column that tells a user's segment", show_default=False),
]
Window = Annotated[str, typer.Option("--window", help="how far out of order requests may come")]
GapMax = Annotated[str, typer.Option("--gap-max", help="silences are shortened to this; none to keep them")]
BadMax = Annotated[float, typer.Option("--bad-max", help="more bad lines than this share of all are an error")]
Strict = Annotated[bool, typer.Option("--strict", help="exit with 1 when a line is bad or was left out")]
Output = Annotated[str, typer.Option("--output", help="table or json")]


class TraceOptionError(Exception):
    """Options that do not fit together or cannot be read."""


_WRONG = (TraceError, TraceOptionError, BadParameter)


@app.callback()
def trace() -> None:
    """Recorded traffic: access logs and recordings as one canonical file."""


@app.command()
def convert(
    files: Files,
    to: To,
    format_name: Format = "auto",
    log_format: LogFormat = "",
    columns: Columns = "",
    keep_header: Annotated[
        list[str] | None, typer.Option(help=f"keep this header too, beside {', '.join(sorted(HEADERS_KEPT))}")
    ] = None,
    keep_bodies: Annotated[bool, typer.Option(help="keep bodies, and not only their size")] = False,
    keep_secrets: Annotated[
        bool, typer.Option("--keep-secrets", help="keep tokens, addresses and the like in paths and queries")
    ] = False,
    segment: Segment = "",
    window: Window = "60s",
    gap_max: GapMax = "1h",
    bad_max: BadMax = 0.5,
    spread_seconds: Annotated[
        bool, typer.Option("--spread", help="give requests stamped with whole seconds an instant within their second")
    ] = False,
    strict: Strict = False,
    output: Output = "table",
) -> None:
    """Turn logs and recordings into one Parquet file, in order of time.

    Cookies, authorization and every other header that is not on the list stay behind. In paths and queries, values that
    are named or look like secrets become hashes; the rest is kept as it is (see anonymise). Exits with 2 when a file
    cannot be read, or more than half of its lines are bad.

    Example: gamebird trace convert access.log.2.gz access.log --to tuesday.parquet
    """
    from loadgen.traces.secrets import Censor

    with exits(wrong_input=_WRONG):
        _check_output(output)
        keep = Keep(
            headers=HEADERS_KEPT | {name.lower() for name in keep_header or []},
            bodies=keep_bodies,
            segment=segment or None,
        )
        found = Trace(
            files, _reading(format_name, log_format, columns, keep, window, gap_max), bad_share_max=_share(bad_max)
        )
        tables: Iterable[pa.Table] = _progress(found)
        censor = None if keep_secrets else Censor()
        tables = tables if censor is None else censor.tables(tables)
        requests = _write(_spread(tables) if spread_seconds else tables, to, found.tally, spread=spread_seconds)
        if not requests:
            raise TraceOptionError(f"{', '.join(files)}: there is no request in it; {to} holds none")
    hid = 0 if censor is None else censor.requests
    note = f", {hid:,} of them with secrets that are hashed now (--keep-secrets keeps them)" if hid else ""
    _finish(found.tally, {"file": str(to), "censored": hid}, f"{to}: {requests:,} requests{note}", output)
    _strictly(strict, found.tally)


@app.command()
def show(
    files: Files,
    format_name: Format = "auto",
    log_format: LogFormat = "",
    columns: Columns = "",
    segment: Segment = "",
    window: Window = "60s",
    gap_max: GapMax = "1h",
    bad_max: BadMax = 0.5,
    ahead: Annotated[str, typer.Option("--ahead-of-utc", help="the day's hours, so far ahead of UTC (-5h behind)")] = (
        "0h"
    ),
    routes: Annotated[int, typer.Option(help="how many routes are shown", min=1)] = 15,
    strict: Strict = False,
    output: Output = "table",
) -> None:
    """Draw a trace: its rate over time, its mix of routes, the shape of its day.

    Example: gamebird trace show tuesday.parquet
    """
    from loadgen.traces.profile import profile_of

    with exits(wrong_input=_WRONG):
        _check_output(output)
        ahead_s = _signed_s(ahead)
        keep = Keep(segment=segment or None)
        found = Trace(
            files, _reading(format_name, log_format, columns, keep, window, gap_max), bad_share_max=_share(bad_max)
        )
        profile = profile_of(_progress(found))
        if not profile.requests:
            raise TraceOptionError(f"{', '.join(files)}: there is no request in it")
    if output == "json":
        print(json.dumps({**found.tally.as_json(), **profile_json(profile, ahead_s, routes)}))
    else:
        print("\n".join(shown(profile, ahead_s, routes)))
        tell(found.tally)
    _strictly(strict, found.tally)


@app.command()
def sample(
    files: Files,
    to: To,
    share: Annotated[float | None, typer.Option(help="keep each request with this probability")] = None,
    requests: Annotated[int | None, typer.Option(help="keep exactly so many, each as likely as any other")] = None,
    begin: Annotated[str, typer.Option("--from", help="begin so long after the first request")] = "0s",
    for_: Annotated[str, typer.Option("--for", help="end so long after that", show_default=False)] = "",
    seed: Annotated[int, typer.Option(help="same seed, same requests", min=0)] = 1,
    format_name: Format = "auto",
    log_format: LogFormat = "",
    columns: Columns = "",
    segment: Segment = "",
    output: Output = "table",
) -> None:
    """Write less of a trace: a stretch of its time, a share of its requests, or so many of them; secrets as in convert.

    Example: gamebird trace sample tuesday.parquet --from 9h --for 1h --share 0.1 --to morning.parquet
    """
    from loadgen.traces.sampling import so_many, stretch, thinned
    from loadgen.traces.secrets import Censor

    with exits(wrong_input=_WRONG):
        _check_output(output)
        if share is not None and requests is not None:
            raise TraceOptionError("--share and --requests exclude each other")
        found = Trace(files, _reading(format_name, log_format, columns, Keep(segment=segment or None)))
        for_s = _span_s("--for", for_) if for_ else None
        tables: Iterable[pa.Table] = Censor().tables(_progress(found))
        tables = stretch(tables, from_s=_span_s("--from", begin), for_s=for_s)
        if share is not None:
            tables = thinned(tables, share, seed=seed)
        if requests is not None:
            tables = so_many(tables, requests, seed=seed)
        kept = _write(tables, to, found.tally)
    _finish(found.tally, {"file": str(to), "kept": kept}, f"{to}: {kept:,} requests", output)


@app.command()
def anonymise(
    files: Files,
    to: To,
    key_file: Annotated[
        Path | None,
        typer.Option(help=f"a file with the key of the hash (or {KEY_VARIABLE}); a fresh one is forgotten afterwards"),
    ] = None,
    keep_header: Annotated[list[str] | None, typer.Option(help="keep this header too, its value hashed")] = None,
    keep_query: Annotated[
        list[str] | None, typer.Option(help="keep harmless values of this query parameter too")
    ] = None,
    format_name: Format = "auto",
    log_format: LogFormat = "",
    columns: Columns = "",
    segment: Segment = "",
    output: Output = "table",
) -> None:
    """Write a trace that tells nothing of who asked: identifiers, tokens and addresses become keyed hashes.

    The files are read twice (first for the words of their paths), so standard input will not do.

    Example: gamebird trace anonymise access.log --to shareable.parquet
    """
    from loadgen.traces.anonymising import HEADERS_ANONYMOUS, QUERY_HARMLESS, Anonymiser, Rules, Vocabulary

    with exits(wrong_input=_WRONG):
        _check_output(output)
        if "-" in files:
            raise TraceOptionError("anonymise reads a trace twice; convert standard input to a file first")
        headers = HEADERS_ANONYMOUS | {name.lower() for name in keep_header or []}
        rules = Rules(
            key=_key(key_file) or Rules.fresh().key,
            headers=headers,
            query=QUERY_HARMLESS | {name.lower() for name in keep_query or []},
        )
        reading = _reading(format_name, log_format, columns, Keep(headers=headers, segment=segment or None))
        words = Vocabulary()
        words.learn(_progress(Trace(files, reading)))
        found = Trace(files, reading)
        anonymiser = Anonymiser(rules, words)
        kept = _write(anonymiser.tables(_progress(found)), to, found.tally)
    _finish(
        found.tally,
        {"file": str(to), "hashed": anonymiser.hashed},
        f"{to}: {kept:,} requests, {anonymiser.hashed:,} values hashed",
        output,
    )


def _key(file: Path | None) -> bytes | None:
    try:
        text = file.read_bytes().strip() if file else os.environ.get(KEY_VARIABLE, "").encode()
    except OSError as error:
        raise TraceOptionError(f"{file}: cannot be read: {error.strerror}") from error
    if file and not text:
        raise TraceOptionError(f"{file}: is empty; it needs a key of 16 bytes or more")
    return text or None


def _check_output(output: str) -> None:
    if output not in ("table", "json"):
        raise TraceOptionError(f"--output is {output!r}; it needs table or json")


def _share(bad_max: float) -> float:
    if not 0 <= bad_max <= 1:
        raise TraceOptionError(f"--bad-max is {bad_max:g}; it needs a share from 0 to 1")
    return bad_max


def _span_s(option: str, text: str) -> float:
    try:
        found_s = duration_s(option, text)
    except BadParameter:
        found_s = -1.0
    if found_s < 0:
        raise TraceOptionError(f"{option} is {text!r}; it needs a duration such as 90s, 10m or 1h30m")
    return found_s


def _signed_s(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * _span_s("--ahead-of-utc", text.lstrip("+-"))


def _reading(
    format_name: str, log_format: str, columns: str, keep: Keep, window: str = "60s", gap_max: str = "1h"
) -> Reading:
    pairs = [pair.partition("=") for pair in columns.split(",") if pair]
    if bad := next((f"{a}{b}{c}" for a, b, c in pairs if not (a and c)), None):
        raise TraceOptionError(f"--columns has {bad!r}; it needs pairs such as time=ts,path=uri")
    return Reading(
        format=format_name,
        log_format=log_format or None,
        columns={ours.strip(): theirs.strip() for ours, _, theirs in pairs},
        keep=keep,
        window_s=_span_s("--window", window),
        gap_max_s=None if gap_max == "none" else _span_s("--gap-max", gap_max),
    )


def _write(tables: Iterable[pa.Table], to: Path, tally: Tally, **more: bool) -> int:
    """Write a trace; what is noted in the file holds counts and never a line of the log."""
    from loadgen.traces import write_parquet

    about: dict[str, Any] = {}

    def noting() -> Iterator[pa.Table]:
        yield from tables
        about.update(tally.as_json(), **more)
        for secret in ("bad_examples", "bad_reasons", "files"):
            about.pop(secret)

    return write_parquet(noting(), to, about=about)


def _spread(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    from loadgen.traces.ordering import spread

    return spread(tables)


def _progress(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Give the tables, and tell a waiting person how far they are."""
    begun_s, requests, shown = time.monotonic(), 0, False
    for table in tables:
        requests += table.num_rows
        if sys.stderr.isatty() and time.monotonic() - begun_s > _PROGRESS_AFTER_S:
            print(f"\r{requests:,} requests", end="", file=sys.stderr, flush=True)
            shown = True
        yield table
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _finish(tally: Tally, more: dict[str, Any], sentence: str, output: str) -> None:
    if output == "json":
        print(json.dumps({**tally.as_json(), **more}))
    else:
        print(sentence)
        tell(tally)


def _strictly(strict: bool, tally: Tally) -> None:
    if strict and (tally.bad_count or tally.late):
        raise SystemExit(Exit.NO)
