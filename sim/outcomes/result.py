"""What a simulation returns: the runs of every release, and what can be asked of them.

Data frames for notebooks, JSON for programs, pictures for people. pandas and matplotlib are imported where they are
used, because a command that prints a table needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.core.conditions import PHASES
from controller.manifests.policies import Policy
from sim.outcomes.documents import SCHEMA, release_as_json, row_of, text_of
from sim.outcomes.figures import Figures, figures_of
from sim.outcomes.notes import notes
from sim.outcomes.rejudging import Rejudged, rejudge
from sim.outcomes.sentences import Pair, sentences
from sim.outcomes.table import MeasurementTable, Outcome, RunTable
from sim.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sim.suite.scoring import Score

PHASE_NAMES = (*(phase.value for phase in PHASES), "MissingEvidence")


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedRelease:
    """One release and its runs.

    Attributes:
        measurements: None where they were not recorded.
        assumed: what the model took to be so of labels and metrics, although nothing says it.
    """

    scenario: Scenario
    table: RunTable
    measurements: MeasurementTable | None = None
    assumed: tuple[str, ...] = ()

    @cached_property
    def figures(self) -> Figures:
        """The figures of these runs."""
        one = self.scenario
        return figures_of(self.table, name=one.name, kind=one.kind, about=one.about, release=one.release.text)


class NotRecorded(ValueError):
    """Measurements were asked for that the simulation did not keep."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulationResult:
    """Many runs of one policy under one or more releases.

    Attributes:
        runs: how many were asked for, of each release.
        wanted: how many releases were asked for.
        engine: which engine played them.
        versions: of the packages whose numbers these are.
    """

    policy: Policy
    releases: tuple[SimulatedRelease, ...]
    runs: int
    wanted: int
    seed: int
    engine: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every run that was asked for was finished."""
        return len(self.releases) == self.wanted and all(len(one.table) == self.runs for one in self.releases)

    @property
    def figures(self) -> tuple[Figures, ...]:
        """The figures of each release."""
        return tuple(one.figures for one in self.releases)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each release's scenario with its figures."""
        return tuple((one.scenario, one.figures) for one in self.releases)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """What came out, in plain words, the most important first, and last what the model plays otherwise."""
        told = notes(self.policy, [one.scenario for one in self.releases], engine=self.engine)
        return (*sentences(self.policy, self.pairs), *told)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What the model took to be so of the policy's labels and metrics, each once: the reader's to check."""
        return tuple(dict.fromkeys(text for one in self.releases for text in one.assumed))

    def summary(self) -> pd.DataFrame:
        """Return one row a release: every figure with the ends of its 95 % interval, NaN where it does not exist."""
        import pandas as pd

        return pd.DataFrame([row_of(one) for one in self.figures]).set_index("name")

    @property
    def runs_table(self) -> pd.DataFrame:
        """One row a run: release, run, cohort, outcome, times, step, metric, requests."""
        import pandas as pd

        return pd.concat([_runs(one) for one in self.releases], ignore_index=True)

    @property
    def measurements(self) -> pd.DataFrame:
        """One row a measurement: release, run, metric, analysis, t_s (since the deployment), value, requests, phase.

        Raises:
            NotRecorded: the simulation did not keep them.
        """
        import pandas as pd

        return pd.concat([_measurements(one) for one in self.releases], ignore_index=True)

    def rejudge(
        self,
        *,
        metric: str | None = None,
        success: str | None = None,
        failure: str | None = None,
        requests_min: int | None = None,
    ) -> Rejudged:
        """Return what other conditions or a floor would have made of the same measurements.

        No run is played again. Where the new verdict would have led a run to where the old one never was, its outcome
        is open: it is counted as such, and `Rejudged.summary()` gives the share caught from "none of those" to "all".

        Args:
            metric: which metric is judged anew; None: every one, by the floor alone.
            success, failure: conditions in place of the manifest's; None leaves it, "" takes it away.
            requests_min: a floor in place of the policy's.

        Raises:
            NotRecorded: the simulation did not keep its measurements.
            RejudgeError: a metric that the policy does not have, or a condition that cannot be read.
        """
        tables = {}
        for one in self.releases:
            if one.measurements is None:
                raise NotRecorded(_NOT_RECORDED)
            tables[one.scenario.name] = (one.scenario, one.table, one.measurements)
        return rejudge(self.policy, tables, metric=metric, success=success, failure=failure, requests_min=requests_min)

    def score(self) -> Score:
        """Return the confusion matrix and the score of these releases; docs/simulate.md says how they are counted."""
        from sim.suite.scoring import score_of

        return score_of(self.figures)

    def plot_detection(self) -> Figure:
        """Return the share caught against the size of the fault, as a picture."""
        from sim.outcomes.pictures import detection

        return detection(self.pairs)

    def plot_timeline(self) -> Figure:
        """Return when each release is aborted or promoted, as a picture."""
        from sim.outcomes.pictures import timeline

        return timeline([(one.scenario, one.table) for one in self.releases])

    def plot_bad_requests(self) -> Figure:
        """Return the bad requests of each release, as a picture."""
        from sim.outcomes.pictures import bad_requests

        return bad_requests(self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data; docs/simulate.md is its schema."""
        return {
            "schema": SCHEMA,
            "rollout": self.policy.rollout.name,
            "sentences": list(self.sentences),
            "assumed": list(self.assumed),
            "releases": [release_as_json(one) for one in self.figures],
            "runs": self.runs,
            "complete": self.complete,
            "seed": self.seed,
            "engine": self.engine,
            "versions": dict(self.versions),
        }

    def to_json(self) -> str:
        """Return the result as JSON: the same bytes for the same seed, whatever the number of workers."""
        return text_of(self.to_dict())


_NOT_RECORDED = "the measurements were not recorded; simulate with measurements=True"


def _runs(one: SimulatedRelease) -> pd.DataFrame:
    import pandas as pd

    table = one.table
    return pd.DataFrame(
        {
            "release": one.scenario.name,
            "run": table.run,
            "cohort": table.cohort,
            "outcome": np.array([outcome.name.lower() for outcome in Outcome])[table.outcome],
            "ended_s": table.ended_s,
            "detected_s": table.detected_s,
            "recovered_s": table.recovered_s,
            "step": table.step,
            "metric": np.array([*table.metrics, ""], dtype=object)[table.metric],
            "weight_max": table.weight_max,
            "canary_requests": table.canary_requests,
            "requests": table.requests,
            "bad_requests": table.bad_requests,
        }
    )


def _measurements(one: SimulatedRelease) -> pd.DataFrame:
    import pandas as pd

    kept = one.measurements
    if kept is None:
        raise NotRecorded(_NOT_RECORDED)
    return pd.DataFrame(
        {
            "release": one.scenario.name,
            "run": kept.run,
            "metric": np.array(kept.metrics, dtype=object)[kept.metric],
            "analysis": kept.analysis,
            "t_s": kept.t_s,
            "value": kept.value,
            "requests": kept.requests,
            "phase": np.array(PHASE_NAMES, dtype=object)[kept.phase],
        }
    )
