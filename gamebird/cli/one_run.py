"""One run of a simulation, watched: what was asked, measured and decided, and what came of it.

Played by the reference engine, request by request, because that is the engine to understand a run with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from controller.manifests.policies import Policy
from gamebird.api.specs import SpecError
from sim.autoscalers import with_autoscaler
from sim.outcomes.sentences import clock, count, share
from sim.outcomes.table import Outcome, RunTable
from sim.scenarios import Scenario

if TYPE_CHECKING:
    from gamebird.cli.simulate import Asked
    from sim.simpy_world import Trace


def show_run(policy: Policy, scenarios: Sequence[Scenario], asked: Asked) -> None:
    """Play one run, print what came of it, and what happened in it where that is wanted.

    Raises:
        SpecError: several releases; which of them is meant is not known.
        sim.autoscalers.AutoscalerError: an autoscaler that the model does not play.
        sim.metrics_model.PlanError: a query that the model cannot feed.
    """
    from sim.metrics_model import read_metrics_map
    from sim.simpy_world import play_run

    bad = [one for one in scenarios if one.kind == "bad"]
    chosen = scenarios if len(scenarios) == 1 else bad  # --canary-errors puts a good release beside the one it names
    if len(chosen) != 1:
        names = ", ".join(one.name for one in scenarios[:20])
        raise SpecError(f"--run shows one release and there are {len(scenarios)}: {names}; name one with --release")
    scenario = with_autoscaler(policy, chosen[0])
    trace = asked.trace
    if trace is not None and not trace.absolute().parent.is_dir():
        raise SpecError(f"--trace {trace}: there is no folder {trace.absolute().parent}")
    names_map = None if asked.metrics_map is None else read_metrics_map(asked.metrics_map)
    table, told = play_run(policy, scenario, seed=asked.seed, run=asked.run or 0, metrics_map=names_map)
    if asked.watch:
        print("\n".join(told.lines()))
        print()
    print(_ending(table, scenario, told))
    if trace is not None:
        trace.write_text(json.dumps(told.data(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _ending(table: RunTable, scenario: Scenario, told: Trace) -> str:
    """Return what came of the run, and which run it is, in three lines."""
    outcome = Outcome(int(table.outcome[0]))
    words = {
        Outcome.PROMOTED: "promoted",
        Outcome.ABORTED: "aborted",
        Outcome.PAUSED: "waits for a person",
        Outcome.STUCK: "still under way at the bound",
    }
    metric = int(table.metric[0])
    why = f" by {table.metrics[metric]}" if metric >= 0 else ""
    hurt = float(table.bad_requests[0]) / float(table.requests[0]) if table.requests[0] else 0.0
    when = clock(float(table.ended_s[0]))
    return (
        "Played request by request: a run of the same seed and world, but not the flock's run of that number.\n"
        f"Run {told.run} of {scenario.name} (seed {told.seed}): {words[outcome]} {when} after the deployment, "
        f"at step {table.step[0]}{why}.\n"
        f"{count(float(table.bad_requests[0]))} bad requests, {share(hurt)} of all; the canary got at most "
        f"{table.weight_max[0]:g} % of the traffic."
    )
