"""How likely each atom is for one request of one side's pods, under the conditions that it meets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from sim.load.conditions import Conditions, Side
from sim.load.happenings import Happenings
from sim.load.latencies import bin_shares
from sim.metrics_model.cells import End, reaches
from sim.metrics_model.plan import MetricsPlan
from sim.scenarios import Scenario

Floats = NDArray[np.float64]

_KNOWN_MAX = 4096


class Atoms:
    """Chances of one side's requests.

    Attributes:
        steady: (atoms,) the chances where nothing changes with time.
        is_steady: whether nothing ever does.
    """

    def __init__(self, scenario: Scenario, happenings: Happenings, plan: MetricsPlan, *, is_release: bool) -> None:
        self.side = Side(scenario, happenings, is_release=is_release)
        self.is_steady = self.side.is_steady
        self.fails_by_count = bool(self.side.release.errors_at)
        self.is_plain = self.is_steady and not self.fails_by_count
        space = plan.space
        self._edges_s = np.array(space.edges_s)
        self._ends = [ending.end for ending in space.endings]
        self._statuses = [ending.status for ending in space.endings]
        reached = [reaches(self.side.release, kind) for kind in space.kinds]
        self._reached = _into_atoms(plan, [kind.share * met for kind, met in zip(space.kinds, reached, strict=True)])
        self._others = _into_atoms(
            plan, [kind.share * (not met) for kind, met in zip(space.kinds, reached, strict=True)]
        )
        self._known: dict[bytes, Floats] = {}
        self.steady = self.shares(self.side.conditions(_NOBODY, np.zeros(1), np.zeros(1)))[0]

    def shares(self, conditions: Conditions) -> Floats:
        """Return (pieces, atoms) the probability of each atom in each piece."""
        table, back = np.unique(conditions.stacked(), axis=0, return_inverse=True)
        key = table.tobytes()
        found = self._known.get(key)
        if found is None:
            found = self._worked_out(*table.T)
            if len(self._known) < _KNOWN_MAX:
                self._known[key] = found
        return np.asarray(found[back.ravel()])

    def _worked_out(
        self,
        fault: Floats,
        faulty_errors: Floats,
        wrong: Floats,
        errors: Floats,
        slowness: Floats,
        leaked_s: Floats,
        unanswered: Floats,
    ) -> Floats:
        nothing = np.zeros_like(fault)
        latency = self.side.release.latency
        faulty = self._cells(
            self._endings(faulty_errors, wrong, errors, unanswered),
            bin_shares(latency, self._edges_s, is_faulty=True, slowness=slowness, leaked_s=leaked_s),
        )
        plain = self._cells(
            self._endings(nothing, nothing, errors, unanswered),
            bin_shares(latency, self._edges_s, is_faulty=False, slowness=slowness, leaked_s=nothing),
        )
        met = fault[:, None] * faulty + (1 - fault)[:, None] * plain
        return np.asarray(met @ self._reached + plain @ self._others)

    def _endings(self, faulty: Floats, wrong: Floats, errors: Floats, unanswered: Floats) -> Floats:
        """Return (pieces, endings) how requests end: the fault speaks first, then what fails anyway."""
        answered = 1 - unanswered
        by_end = {
            End.UNANSWERED: unanswered,
            End.FAULTY: answered * faulty,
            End.FAILED: answered * (1 - faulty) * errors,
            End.WRONG: answered * (1 - faulty) * (1 - errors) * wrong,
            End.OK: answered * (1 - faulty) * (1 - errors) * (1 - wrong),
            End.REJECTED: np.zeros_like(faulty),
        }
        found = np.zeros((len(faulty), len(self._ends)))
        for end, share in by_end.items():
            found[:, self._place(end)] += share
        return found

    def _place(self, end: End) -> int:
        """Return where requests of an end are counted; a fault that answers 500 is counted with other failures."""
        if end is End.FAULTY:
            status = self.side.release.error_status
            places = [
                place
                for place, (own, answer) in enumerate(zip(self._ends, self._statuses, strict=True))
                if own in (End.FAILED, End.FAULTY) and answer == status
            ]
            return places[0]
        return self._ends.index(end) if end in self._ends else 0

    def _cells(self, endings: Floats, bins: Floats) -> Floats:
        """Return (pieces, endings × bins) the share of each cell; how a request ends and how long it takes are
        independent once it is known whether it meets the fault."""
        return np.asarray(endings[:, :, None] * bins[:, None, :]).reshape(len(endings), -1)

    def by_count(self, before: Floats, until: Floats) -> Floats:
        """Return (spans, atoms) what failing at given ordinals adds: the n-th request falls into a span with the
        probability that a Poisson process has its n-th point there.

        Args:
            before, until: (spans,) expected requests of the pod up to the span's beginning and end.
        """
        failed = self._worked_out(*_one(fault=1.0, faulty_errors=1.0))[0]
        moved = failed - self.steady
        chance = np.zeros(len(until))
        for ordinal in self.side.release.errors_at:
            chance += gammainc(ordinal, until) - gammainc(ordinal, before)
        return np.asarray(chance[:, None] * moved)


def _one(*, fault: float, faulty_errors: float) -> list[Floats]:
    return [np.array([value]) for value in (fault, faulty_errors, 0.0, 0.0, 1.0, 0.0, 0.0)]


def _into_atoms(plan: MetricsPlan, shares: Sequence[float]) -> Floats:
    """Return (endings × bins, atoms) how a cell without its kind spreads over the atoms, by the kinds' shares."""
    endings, bins, _ = plan.space.shape
    into = np.zeros((endings * bins, plan.atoms))
    rows = np.arange(endings * bins)
    for kind, share in enumerate(shares):
        np.add.at(into, (rows, plan.atom_of[:, :, kind].ravel()), share)
    return into


class _Nobody:
    """A pod of no age, for probabilities that do not hang on the pod."""

    name = pod_hash = ""
    is_release = False
    ordinal = 0
    created_s = ready_s = 0.0
    ended_s = float("inf")


_NOBODY = _Nobody()
