"""`gamebird query`: PromQL on recorded series, and what a query reads and rests on.

Prints for people by default, the HTTP API's JSON with `--output json`. The language itself lives in `promql`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gamebird.cli.exits import Exit, exits
from gamebird.cli.series_files import instant_s, loaded
from promql.engine import ErrorKind, PromQLError, RangeResult, Result, ResultType, evaluate, evaluate_range
from promql.go_numbers import api_text
from promql.parameters import BadParameter, duration_s
from promql.storage import Labels, SeriesFileError
from promql.storage.labels import labels_text
from promql.syntax import Expr, PromQLSyntaxError, parse
from promql.syntax.explaining import explain
from promql.wire import data_of, seconds


class QueryInputError(Exception):
    """Options that do not fit together."""


def query(
    expression: Annotated[str, typer.Argument(help="the query, as in PromQL", show_default=False)],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="a file or folder of recorded series: JSON, exposition text with times, or either in .gz"),
    ] = None,
    time: Annotated[
        str, typer.Option(help='when to evaluate: unix seconds, RFC 3339, "now", or "end" for the newest sample')
    ] = "end",
    start: Annotated[str, typer.Option(help="evaluate a range: its start; --end and --step go with it")] = "",
    end: Annotated[str, typer.Option(help="the range's end, as --time")] = "end",
    step: Annotated[str, typer.Option(help="the range's step, such as 15s or 1m")] = "1m",
    explained: Annotated[
        bool, typer.Option("--explain", help="say what the query reads and how many requests stand behind it")
    ] = False,
    output: Annotated[str, typer.Option(help="table or json")] = "table",
) -> None:
    """Evaluate PromQL on recorded series with the answers that Prometheus 3 gives.

    Exits with 0 when there is an answer, be it empty, and with 2 when the query, the data or the options are wrong.

    Example: gamebird query 'sum(rate(http_requests_total[1m]))' --data series.json
    """
    with exits(wrong_input=(QueryInputError, SeriesFileError, BadParameter, PromQLSyntaxError)):
        if output not in ("table", "json"):
            raise QueryInputError(f"--output is {output!r}; it needs table or json")
        expr = parse(expression)
        if explained:
            print(_explained(expr))
        if not data:
            if explained:
                return
            raise QueryInputError("--data is missing; it needs a file or folder of recorded series (or use --explain)")
        store = loaded(data)
        try:
            if start:
                limits_s = instant_s(start, store), instant_s(end, store)
                result: Result | RangeResult = evaluate_range(expression, *limits_s, duration_s("step", step), store)
            else:
                result = evaluate(expression, instant_s(time, store), store)
        except PromQLError as error:
            print(error, file=sys.stderr)
            raise SystemExit(Exit.WORLD if error.kind is ErrorKind.TIMEOUT else Exit.INPUT) from None
    if explained:
        print()
    for remark in (*result.annotations.warnings, *result.annotations.infos):
        print(remark, file=sys.stderr)
    if output == "json":
        print(json.dumps(data_of(result)[0]))
    else:
        print(_table(result))


def _explained(expr: Expr) -> str:
    known = explain(expr)
    lines = [f"reads     {one}" for one in known.reads] or ["reads     nothing"]
    lines += [f"divides   {one}" for one in known.divides]
    lines += [f"requests  {known.requests}", *([f"          {known.count}"] if known.count else [])]
    lines.append(f"is        {known.shape}")
    return "\n".join(lines)


def _table(result: Result | RangeResult) -> str:
    """Return one line per series, or per sample where a series has many."""
    if isinstance(result, RangeResult):
        there = result.present[0]
        rows = [
            (
                labels,
                [(t, v) for t, v, p in zip(result.times_ms, result.values[0, index], there[index], strict=True) if p],
            )
            for index, labels in enumerate(result.labels)
        ]
        return _samples(rows)
    match result.type:
        case ResultType.SCALAR:
            return api_text(result.scalar())
        case ResultType.STRING:
            return result.text
        case ResultType.MATRIX:
            return _samples(
                [
                    (
                        each.labels,
                        [(t, v) for t, v, p in zip(each.times_ms, each.values[0], each.present[0], strict=True) if p],
                    )
                    for each in result.series
                ]
            )
        case ResultType.VECTOR:
            vector = [(labels_text(labels), api_text(value)) for labels, value in result.vector()]
            if not vector:
                return "no series"
            width = max(len(labels) for labels, _ in vector)
            return "\n".join(f"{labels:<{width}}  {value}" for labels, value in vector)


def _samples(rows: list[tuple[Labels, list[tuple[int, float]]]]) -> str:
    if not rows:
        return "no series"
    lines = []
    for labels, samples in rows:
        lines.append(labels_text(labels))
        lines.extend(f"  {seconds(int(t))}  {api_text(float(v))}" for t, v in samples)
    return "\n".join(lines)
