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
        fails_by_count: whether certain requests fail by their number.
        is_plain: steady and not by number: expected requests are the rate's integral times `steady`.
    """

    def __init__(self, scenario: Scenario, happenings: Happenings, plan: MetricsPlan, *, is_release: bool) -> None:
        self.side = Side(scenario, happenings, is_release=is_release)
        self.is_steady = self.side.is_steady
        self.fails_by_count = bool(self.side.release.errors_at)
        self.is_plain = self.is_steady and not self.fails_by_count
        space = plan.space
        self._edges_s = np.array(space.edges_s)
        self._endings = space.endings
        reached = [reaches(self.side.release, kind) for kind in space.kinds]
        self._reached = _into_atoms(plan, [kind.share * met for kind, met in zip(space.kinds, reached, strict=True)])
        self._others = _into_atoms(
            plan, [kind.share * (not met) for kind, met in zip(space.kinds, reached, strict=True)]
        )
        self._known: dict[bytes, Floats] = {}
        self.steady = self.shares(self.side.conditions(NOBODY, np.zeros(1), np.zeros(1)))[0]

    def shares(self, conditions: Conditions) -> Floats:
        """Return (pieces, atoms) the probability of each atom in each piece."""
        table, back = np.unique(conditions.table(), axis=0, return_inverse=True)
        key = table.tobytes()
        found = self._known.get(key)
        if found is None:
            found = self._worked_out(Conditions.of_table(table))
            if len(self._known) < _KNOWN_MAX:
                self._known[key] = found
        return np.asarray(found[back.ravel()])

    def _worked_out(self, met: Conditions) -> Floats:
        nothing = np.zeros_like(met.fault)
        latency = self.side.release.latency
        faulty = self._cells(
            self._ends(met, met.faulty_errors, met.wrong),
            bin_shares(latency, self._edges_s, is_faulty=True, slowness=met.slowness, leaked_s=met.leaked_s),
        )
        plain = self._cells(
            self._ends(met, nothing, nothing),
            bin_shares(latency, self._edges_s, is_faulty=False, slowness=met.slowness, leaked_s=nothing),
        )
        mixed = met.fault[:, None] * faulty + (1 - met.fault)[:, None] * plain
        return np.asarray(mixed @ self._reached + plain @ self._others)

    def _ends(self, met: Conditions, faulty: Floats, wrong: Floats) -> Floats:
        """Return (pieces, endings) how requests end: the proxy first, then a pod that hangs, then the fault, then what
        fails anyway; of what is left, the proxy may hold some back."""
        arrives = 1 - met.intercepted
        answered = arrives * (1 - met.unanswered)
        sound = answered * (1 - faulty)
        fine = sound * (1 - met.errors)
        good = fine * (1 - wrong)
        found = np.zeros((len(faulty), len(self._endings)))
        for place, ending in enumerate(self._endings):
            match ending.end:
                case End.INTERCEPTED:
                    found[:, place] = met.intercepted
                case End.UNANSWERED:
                    found[:, place] = arrives * met.unanswered
                case End.FAILED:
                    found[:, place] = sound * met.errors
                case End.WRONG:
                    found[:, place] = fine * wrong
                case End.OK:
                    found[:, place] = good * (1 - met.held.sum(axis=1))
                case End.HELD:
                    found[:, place] = good * met.held[:, self.side.delays_s.index(ending.held_s)]
                case End.FAULTY | End.REJECTED:
                    pass  # below, and where queues are
        found[:, self._faulty_place()] += answered * faulty
        return found

    def _faulty_place(self) -> int:
        """Return where failures by the fault are counted: with other failures if they are answered alike."""
        status = self.side.release.error_status
        return next(
            place
            for place, ending in enumerate(self._endings)
            if ending.end in (End.FAILED, End.FAULTY) and ending.status == status
        )

    def _cells(self, ends: Floats, bins: Floats) -> Floats:
        """Return (pieces, endings × bins) the share of each cell.

        Once it is known whether a request meets the fault, how it ends and how long it takes are independent. What no
        pod answers has no latency; it stands in the last bin, as a proxy that waits for it would have it.
        """
        cells = np.asarray(ends[:, :, None] * bins[:, None, :])
        for place, ending in enumerate(self._endings):
            if ending.end in (End.UNANSWERED, End.INTERCEPTED, End.REJECTED):
                cells[:, place] = 0.0
                cells[:, place, -1 if ending.end is End.UNANSWERED else 0] = ends[:, place]
        return cells.reshape(len(ends), -1)

    def by_count(self, before: Floats, until: Floats) -> Floats:
        """Return (spans, atoms) what failing at given ordinals adds: the n-th request falls into a span with the
        probability that a Poisson process has its n-th point there.

        Args:
            before, until: (spans,) expected requests of the pod up to the span's beginning and end.
        """
        table = self.side.conditions(NOBODY, np.zeros(1), np.zeros(1)).table()
        table[:, :2] = 1.0  # the fault is met, and fails
        moved = self._worked_out(Conditions.of_table(table))[0] - self.steady
        chance = np.zeros(len(until))
        for ordinal in self.side.release.errors_at:
            chance += gammainc(ordinal, until) - gammainc(ordinal, before)
        return np.asarray(chance[:, None] * moved)


def _into_atoms(plan: MetricsPlan, shares: Sequence[float]) -> Floats:
    """Return (endings × bins, atoms) how a cell without its kind spreads over the atoms, by the kinds' shares."""
    endings, bins, _ = plan.space.shape
    into = np.zeros((endings * bins, plan.atoms))
    rows = np.arange(endings * bins)
    for kind, share in enumerate(shares):
        np.add.at(into, (rows, plan.atom_of[:, :, kind].ravel()), share)
    return into


class _Nobody:
    """A pod of no age, for chances that do not hang on the pod."""

    name = pod_hash = ""
    is_release = False
    ordinal = 0
    created_s = ready_s = 0.0
    ended_s = float("inf")


NOBODY = _Nobody()
