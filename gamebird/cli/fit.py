"""`gamebird fit`: what a service is like, from its access log or its Prometheus, as a file for the simulator.

The report says how well each part fits; warnings go to standard error and into the file.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gamebird.cli.exits import Exit, exits
from loadgen.traces import FORMATS, Keep, Reading, Tally, Trace, TraceError
from promql.parameters import BadParameter, duration_s, time_s

if TYPE_CHECKING:
    from sim.fit import Fit, Observed
    from sim.fit.rates import ShapeName

SHAPES = ("auto", "constant", "diurnal", "trace")


class FitOptionError(Exception):
    """Options that do not fit together or cannot be read."""


def fit(
    log: Annotated[
        list[str] | None, typer.Argument(help="access logs or traces; - for standard input", show_default=False)
    ] = None,
    prometheus: Annotated[str, typer.Option(help="ask this Prometheus instead, as in http://127.0.0.1:9090")] = "",
    service: Annotated[str, typer.Option(help="the service's name there (label service, job, app, …)")] = "",
    selector: Annotated[str, typer.Option(help="further matchers, as in '{namespace=\"shop\"}'")] = "",
    window: Annotated[str, typer.Option(help="how far back to ask")] = "1d",
    at: Annotated[str, typer.Option(help="until when: now, unix seconds or RFC 3339")] = "now",
    requests_metric: Annotated[str, typer.Option(help="the request counter, if not found by its name")] = "",
    durations_metric: Annotated[str, typer.Option(help="the histogram's buckets, if not found by their name")] = "",
    format_name: Annotated[str, typer.Option("--format", help=f"of the log: auto, or {', '.join(FORMATS)}")] = "auto",
    log_format: Annotated[str, typer.Option("--log-format", help="nginx' log_format")] = "",
    segment: Annotated[str, typer.Option("--segment", help="the header, variable or column that tells a segment")] = "",
    shape: Annotated[str, typer.Option(help=f"of the rate: {', '.join(SHAPES)}")] = "auto",
    name: Annotated[str, typer.Option(help="of the scenario; the service's name unless said")] = "",
    to: Annotated[Path | None, typer.Option("--to", help="write a scenario here, for simulate")] = None,
    traffic_to: Annotated[Path | None, typer.Option("--traffic-to", help="write the traffic alone here")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 when a part fits poorly")] = False,
    output: Annotated[str, typer.Option(help="table or json")] = "table",
) -> None:
    """Learn a service's rate, mix of routes, base errors and latencies, and say how well they fit.

    Exits with 2 when the log or the service cannot be read, 3 when the Prometheus does not answer.

    Example: gamebird fit access.log --to orders.yaml
    """
    from sim.fit import AskError, FitError
    from sim.fit import fit as fitted
    from sim.fit.writing import scenario_text, traffic_text, write

    wrong = (FitOptionError, FitError, TraceError, BadParameter)
    with exits(wrong_input=wrong, world_failed=(AskError,)):
        if output not in ("table", "json"):
            raise FitOptionError(f"--output is {output!r}; it needs table or json")
        if shape not in SHAPES:
            raise FitOptionError(f"--shape is {shape!r}; it needs one of {', '.join(SHAPES)}")
        if bool(log) == bool(prometheus):
            raise FitOptionError("name an access log or --prometheus URL, one of them and not both")
        if prometheus:
            seen, tally = _asked(prometheus, service, selector, window, at, requests_metric, durations_metric), None
        else:
            seen, tally = _read(log or [], format_name, log_format, segment)
        found = fitted(seen, shape=cast("ShapeName", shape))
        called = _scenario_name(name or service or "fitted")
        if to is not None:
            write(scenario_text(found, called), to)
        if traffic_to is not None:
            write(traffic_text(found), traffic_to)
    if output == "json":
        print(json.dumps(_as_json(found, called, tally)))
    else:
        print("\n".join(_report(found)))
    _tell(found, tally, [file for file in (to, traffic_to) if file is not None])
    if strict and found.warnings:
        raise SystemExit(Exit.NO)


def _read(log: list[str], format_name: str, log_format: str, segment: str) -> tuple[Observed, Tally]:
    from sim.fit import observe_trace

    keep = Keep(segment=segment or None)
    trace = Trace(log, Reading(format=format_name, log_format=log_format or None, keep=keep))
    source = ", ".join("standard input" if path == "-" else Path(path).name for path in log[:3])
    source += f" and {len(log) - 3} more" if len(log) > 3 else ""
    return observe_trace(trace, source, segment=segment.lower() or "segment"), trace.tally


def _asked(
    url: str, service: str, selector: str, window: str, at: str, requests_metric: str, durations_metric: str
) -> Observed:
    from sim.fit import Question, observe_prometheus

    window_s = duration_s("window", window)
    if not 300 <= window_s <= 366 * 86_400:
        raise FitOptionError(f"--window is {window!r}; it needs 5m to 366d")
    if not url.startswith(("http://", "https://")):
        raise FitOptionError(f"--prometheus is {url!r}; it needs a URL such as http://127.0.0.1:9090")
    return observe_prometheus(
        Question(
            url=url,
            service=service,
            selector=selector,
            window_s=window_s,
            end_s=time.time() if at == "now" else time_s("at", at),
            requests_metric=requests_metric,
            durations_metric=durations_metric,
        )
    )


def _scenario_name(text: str) -> str:
    """Return a name as scenarios have them: small letters, digits, dots and dashes."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in ".-") else "-" for letter in text)
    return plain.lower().strip("-.")[:80] or "fitted"


def _tell(found: Fit, tally: Tally | None, files: list[Path]) -> None:
    for warning in found.warnings:
        print(f"careful: {warning}", file=sys.stderr)
    if tally is not None and tally.bad_count:
        first = tally.examples[0].text
        print(f"{tally.bad_count:,} of {tally.lines:,} lines are no requests, first {first}", file=sys.stderr)
    if tally is not None and (tally.late or tally.gap_count):
        print(
            f"{tally.late:,} requests came too late to be sorted and were left out; "
            f"{tally.gap_count:,} silences were shortened",
            file=sys.stderr,
        )
    for file in files:
        print(f"wrote {file}", file=sys.stderr)


def _report(found: Fit) -> list[str]:
    seen, rate = found.seen, found.rate
    lines = [
        f"{seen.source}: {seen.requests.sum():,.0f} requests in {seen.duration_s:,.0f} s",
        "",
        f"rate        {rate.rps:.5g}/s ({rate.low:.5g} to {rate.high:.5g}), {_shape_text(found)}",
    ]
    if found.failures is not None:
        failures = found.failures
        lines.append(
            f"errors      {failures.share:.4%} ({failures.low:.4%} to {failures.high:.4%}; "
            f"{failures.failed:,.0f} failed, dispersion {failures.dispersion:.3g})"
        )
    if found.latency is not None:
        lines += _latency_lines(found)
    lines += ["", "routes"]
    total = sum(route.weight for route in found.traffic.routes)
    lines += [f"  {route.weight / total:7.2%}  {route.name}" for route in found.traffic.routes[:10]]
    if len(found.traffic.routes) > 10:
        lines.append(f"           … and {len(found.traffic.routes) - 10} more")
    return lines


def _shape_text(found: Fit) -> str:
    from loadgen.traffic import Constant, Diurnal

    rate = found.rate
    match rate.shape:
        case Constant():
            return f"constant (moves {rate.moves:.1%} beyond chance, p {rate.p:.3g})"
        case Diurnal(swing=swing, peak_at_s=peak_at_s):
            return (
                f"a day's swing of {swing:.0%}, peak {peak_at_s:,.0f} s after the beginning, "
                f"explains {rate.explained:.0%}"
            )
        case shape:
            bins = f"{len(shape.rates_rps)} bins of {shape.bin_s:g} s"
            return f"as recorded in {bins} (moves {rate.moves:.1%} beyond chance)"


def _latency_lines(found: Fit) -> list[str]:
    fitted = found.latency
    if fitted is None:
        return []
    latency = fitted.latency
    tail = f", {latency.tail_share:.3%} take {latency.tail_ms:.4g} ms longer" if latency.tail_share else ", no tail"
    lines = [
        f"latency     median {latency.median_ms:.4g} ms, sigma {latency.sigma:.4g}{tail} ({fitted.answers:,} answers)",
        f"  fit       KS {fitted.ks:.4f} at {fitted.ks_at_ms:.4g} ms; chi-square {fitted.chi_square:.4g} on "
        f"{fitted.degrees} degrees, p {fitted.p:.3g}",
    ]
    lines += [
        f"  p{each.q * 100:<8g} seen {each.seen_ms:9.4g} ms   fitted {each.fitted_ms:9.4g} ms"
        for each in fitted.quantiles
    ]
    return lines


def _as_json(found: Fit, name: str, tally: Tally | None) -> dict[str, Any]:
    from sim.fit.writing import scenario_value

    failures, latency = found.failures, found.latency
    return {
        "source": found.seen.source,
        "requests": float(found.seen.requests.sum()),
        "duration_s": found.seen.duration_s,
        "rate": {
            "rps": found.rate.rps,
            "low": found.rate.low,
            "high": found.rate.high,
            "shape": found.rate.shape.kind,
            "moves": found.rate.moves,
            "explained": found.rate.explained,
            "p_constant": found.rate.p,
        },
        "errors": None
        if failures is None
        else {
            "share": failures.share,
            "low": failures.low,
            "high": failures.high,
            "failed": failures.failed,
            "dispersion": failures.dispersion,
        },
        "latency": None
        if latency is None
        else {
            **latency.latency.model_dump(),
            "answers": latency.answers,
            "ks": latency.ks,
            "ks_at_ms": latency.ks_at_ms,
            "chi_square": latency.chi_square,
            "degrees": latency.degrees,
            "p": latency.p,
            "quantiles": [
                {"q": each.q, "seen_ms": each.seen_ms, "fitted_ms": each.fitted_ms} for each in latency.quantiles
            ],
        },
        "burstiness": found.seen.burstiness,
        "warnings": list(found.warnings),
        "scenario": scenario_value(found, name),
        "reading": None if tally is None else tally.as_json(),
    }
