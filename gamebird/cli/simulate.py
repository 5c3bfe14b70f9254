"""`gamebird simulate`: what this policy does to every kind of release, many thousand times, in seconds.

Options become scenarios and an engine, the result becomes what was asked for: a table, JSON, CSV, Parquet, a page.
Nothing is worked out here; docs/simulate.md defines every figure.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gamebird.cli.exits import Exit, exits

if TYPE_CHECKING:
    from controller.manifests.policies import Policy
    from sim.outcomes.result import SimulationResult
    from sim.scenarios import Scenario
    from sim.suite.scoring import Score

INTERRUPTED = 130
SUITE_COHORTS = 10
"""Platform histories of each scenario of the suite: its score is a mean over many, and needs no narrow intervals."""


class Output(StrEnum):
    """What standard output gets."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class EngineName(StrEnum):
    """What plays the runs."""

    FLOCK = "flock"
    SIMPY = "simpy"


class UsageError(ValueError):
    """Options that do not fit together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options, as they were typed."""

    files: tuple[Path, ...]
    release: tuple[str, ...]
    suite: bool
    traffic: str
    rps: float | None
    base_errors: float
    canary_errors: str
    canary_latency: str
    min_requests: int | None
    runs: int | None
    seed: int
    workers: int | None
    cohorts: int | None
    dask: str
    engine: EngineName
    rollout: str
    metrics_map: Path | None
    run: int | None
    watch: bool
    trace: Path | None
    output: Output
    html: Path | None


def simulate(
    files: Annotated[
        list[Path],
        typer.Argument(help="Manifests: a Rollout and the AnalysisTemplates that it names.", metavar="FILES"),
    ],
    release: Annotated[
        list[str] | None,
        typer.Option(help="A release: errors=5%, latency=x2, good, suite:NAME, or a file. May be given again."),
    ] = None,
    suite: Annotated[bool, typer.Option("--suite", help="Every labelled release and condition, and a score.")] = False,
    traffic: Annotated[str, typer.Option(help="Requests/s, rps=50,shape.kind=…, or a file.")] = "",
    rps: Annotated[float | None, typer.Option(min=0, help="Requests per second; 100 unless said.")] = None,
    base_errors: Annotated[
        float, typer.Option(min=0, max=1, help="Share of requests that fail in both revisions alike.")
    ] = 0.0,
    canary_errors: Annotated[str, typer.Option(help="Share of requests that the release fails: 0.05 or 5%.")] = "",
    canary_latency: Annotated[str, typer.Option(help="How much slower the release answers: x2.")] = "",
    min_requests: Annotated[
        int | None, typer.Option(min=0, help="Try a floor for every metric, in place of the annotations.")
    ] = None,
    runs: Annotated[int | None, typer.Option(min=1, help="Runs of each release; 1,000 unless said.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Chance: the same seed, the same bytes.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core unless said.")] = None,
    cohorts: Annotated[
        int | None,
        typer.Option(min=1, help="Platform histories that runs share; 40 to 100 unless said, 10 in a suite."),
    ] = None,
    dask: Annotated[str, typer.Option(help="Address of a Dask scheduler whose workers play instead.")] = "",
    engine: Annotated[
        EngineName, typer.Option(help="flock; or simpy, which plays each request and is far slower.")
    ] = EngineName.FLOCK,
    rollout: Annotated[str, typer.Option(help="Which Rollout, where the files hold several.")] = "",
    metrics_map: Annotated[
        Path | None, typer.Option(help="YAML that names metrics of yours as ones that the model knows.")
    ] = None,
    run: Annotated[
        int | None, typer.Option(min=0, help="One run alone, by its number and request by request; needs one release.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="With --run: print what happens, in order.")] = False,
    trace: Annotated[Path | None, typer.Option(help="With --run: write what happens as JSON.")] = None,
    output: Annotated[Output, typer.Option(help="What standard output gets.")] = Output.TABLE,
    html: Annotated[Path | None, typer.Option(help="Write a report as one page.")] = None,
) -> None:
    """Simulate what a policy does to good and bad releases: caught, missed, aborted by mistake, users hurt.

    Without --release, --suite or --canary-…, a good release meets the policy, errors from 0.1 % to 100 %, and answers
    1.5 and 2 times as slow. Exit codes: 0 simulated, 2 the input is wrong, 130 interrupted (what is known is printed).

    Example: gamebird simulate rollout.yaml analysis-template.yaml --rps 100 --canary-errors 0.05
    """
    asked = Asked(
        files=tuple(files),
        release=tuple(release or ()),
        suite=suite,
        traffic=traffic,
        rps=rps,
        base_errors=base_errors,
        canary_errors=canary_errors,
        canary_latency=canary_latency,
        min_requests=min_requests,
        runs=runs,
        seed=seed,
        workers=workers,
        cohorts=cohorts,
        dask=dask,
        engine=engine,
        rollout=rollout,
        metrics_map=metrics_map,
        run=run,
        watch=watch,
        trace=trace,
        output=output,
        html=html,
    )
    try:
        code = _simulate(asked)
    except KeyboardInterrupt:
        print("interrupted before the first runs were finished; nothing is known yet", file=sys.stderr)
        code = INTERRUPTED
    raise SystemExit(code)


def _simulate(asked: Asked) -> int:
    """Simulate and show what came out; return the exit code."""
    from controller.manifests.problems import ManifestError
    from gamebird.api.engines import engine_of
    from gamebird.api.specs import SpecError
    from gamebird.cli.progress import showing_progress
    from loadgen.traffic import TrafficError
    from sim.simulating import RUNS, SimulateError, refusals, simulate
    from sim.suite.loading import SuiteError

    wrong = (ManifestError, SpecError, TrafficError, SuiteError, SimulateError, UsageError, *refusals())
    with exits(wrong_input=wrong, world_failed=(OSError,)):
        _check(asked)
        page = None if asked.html is None else _page_file(asked.html)
        policy = _policy(asked)
        scenarios = _scenarios(asked)
        if asked.run is not None:
            from gamebird.cli.one_run import show_run

            show_run(policy, scenarios, asked)
            return Exit.GOOD
        runs = RUNS if asked.runs is None else asked.runs
        cohorts = SUITE_COHORTS if asked.suite and asked.cohorts is None else asked.cohorts
        with (
            engine_of(
                asked.engine.value,
                workers=asked.workers,
                cohorts=cohorts,
                dask=asked.dask or None,
                metrics_map=asked.metrics_map,
            ) as engine,
            showing_progress(len(scenarios) * runs) as progress,
        ):
            result = simulate(policy, scenarios, engine=engine, runs=runs, seed=asked.seed, progress=progress)
        score = result.score() if asked.suite else None
        if page is not None:
            _write_page(result, page, score)
        _show(result, asked.output, score)
    return Exit.GOOD if result.complete else INTERRUPTED


def _check(asked: Asked) -> None:
    if asked.run is None and (asked.watch or asked.trace is not None):
        raise UsageError("--watch and --trace show one run; name it with --run N")
    if asked.output is Output.PARQUET and sys.stdout.isatty():
        raise UsageError("--output parquet is no text; send it to a file: … --output parquet > releases.parquet")


def _policy(asked: Asked) -> Policy:
    from controller.manifests.loading import load
    from gamebird.api.floors import with_floor

    policy = load([str(file) for file in asked.files]).policy(asked.rollout or None)
    for notice in policy.warnings:
        print(f"warning: {notice}", file=sys.stderr)
    return policy if asked.min_requests is None else with_floor(policy, asked.min_requests)


def _scenarios(asked: Asked) -> tuple[Scenario, ...]:
    """Return the scenarios that the options name."""
    from gamebird.api.specs import RPS, default_scenarios, scenarios_from, traffic_from
    from loadgen.traffic import Traffic
    from sim.suite.loading import suite

    quick = _quick_specs(asked)
    if asked.suite:
        if asked.release or quick or asked.traffic or asked.rps is not None or asked.base_errors:
            raise UsageError("--suite brings its own releases and traffic; leave out what names others")
        return suite()
    if asked.release and quick:
        raise UsageError("--release and --canary-errors or --canary-latency both name a release; use one of the two")
    if asked.traffic and asked.rps is not None:
        raise UsageError("--traffic and --rps both name the traffic; use one of the two")
    met = traffic_from(asked.traffic) if asked.traffic else Traffic(rps=RPS if asked.rps is None else asked.rps)
    specs = asked.release or quick
    if not specs:
        return default_scenarios(traffic=met, base_errors=asked.base_errors)
    return scenarios_from(specs, traffic=met, base_errors=asked.base_errors)


def _quick_specs(asked: Asked) -> tuple[str, ...]:
    """Return the release that --canary-errors and --canary-latency make together, and a good one beside it."""
    parts = []
    if asked.canary_errors:
        parts.append(f"errors={asked.canary_errors}")
    if asked.canary_latency:
        factor = asked.canary_latency.lstrip("x×")
        parts.append(f"latency.factor={factor}")
    return (",".join(parts), "good") if parts else ()


def _show(result: SimulationResult, output: Output, score: Score | None) -> None:
    match output:
        case Output.JSON:
            from sim.suite.scoring import score_as_json

            document = result.to_dict() if score is None else {**result.to_dict(), "score": score_as_json(score)}
            print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        case Output.CSV:
            print(result.summary().to_csv(lineterminator="\n"), end="")
        case Output.PARQUET:
            result.summary().to_parquet(sys.stdout.buffer)
        case Output.TABLE:
            from gamebird.cli.simulation_tables import print_result

            print_result(result, score)


def _page_file(named: Path) -> Path:
    """Return where the page goes, and refuse a place that cannot be before anything is played."""
    target = named if named.suffix else named.with_suffix(".html")
    if target.is_dir() or target.suffix not in (".html", ".htm"):
        raise UsageError(f"--html {named}: it needs the name of a file that ends in .html, or in nothing")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"--html {named}: there is no folder {target.absolute().parent}")
    return target


def _write_page(result: SimulationResult, target: Path, score: Score | None) -> None:
    """Write the page whole or not at all."""
    from sim.outcomes.page import page

    text = page(result, score=score, command=shlex.join(["gamebird", *sys.argv[1:]]))
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.absolute().parent, delete=False) as draft:
        draft.write(text)
    Path(draft.name).chmod(0o644)
    Path(draft.name).replace(target)
    print(f"Report: {target}", file=sys.stderr)
