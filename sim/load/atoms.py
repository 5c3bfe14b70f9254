"""How likely each atom is for one request of one side's pods, under the conditions that it meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim.load.conditions import Conditions, Side
from sim.load.flows import Flows
from sim.load.happenings import Happenings
from sim.load.latencies import Waits, bin_shares, mean_s, second_moment_s2, without_fault
from sim.load.pods import Pod
from sim.load.queueing import Queues, wait_points_s
from sim.metrics_model.cells import End, reaches
from sim.metrics_model.plan import MetricsPlan
from sim.releases import Latency
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
        self._reach = sum(kind.share for kind, met in zip(space.kinds, reached, strict=True) if met)
        self._latency = self.side.release.latency
        self._sound = without_fault(self._latency, scenario.stable.latency if is_release else Latency())
        self._queues = self._queues_of(scenario)
        self._known: dict[bytes, Floats] = {}
        self.steady = self.shares(self.side.conditions(NOBODY, np.zeros(1), np.zeros(1)))[0]

    def _queues_of(self, scenario: Scenario) -> Queues | None:
        service = scenario.service
        if service.concurrency is None:
            return None
        fault = self._reach if self.side.has_fault else 0.0
        mean = fault * mean_s(self._latency) + (1 - fault) * mean_s(self._sound)
        square = fault * second_moment_s2(self._latency) + (1 - fault) * second_moment_s2(self._sound)
        # (1 + cv²)/2 with cv² = E[S²]/E[S]² - 1
        return Queues(service.concurrency, service.queue_max, square / mean**2 / 2)

    def with_waiting(self, pod: Pod, flows: Flows, place: int, edges_s: Floats, met: Conditions) -> Conditions:
        """Return the conditions with what waiting in the pod does.

        Args:
            edges_s: (pieces + 1,) of the pieces that `met` is of, from the pod's first request on.
        """
        if self._queues is None:
            return met
        service_s = self.service_s(met)
        middle_s = (edges_s[:-1] + edges_s[1:]) / 2
        rps = flows.rps_at(place, middle_s) * (1 - met.intercepted)
        key = (pod.name, pod.created_s)
        found = self._queues.followed(key, edges_s, rps, service_s)
        return replace(met, rejected=found.rejected, waits=found.waits, wait_s=found.wait_s, wait_cv2=found.wait_cv2)

    def service_s(self, met: Conditions) -> Floats:
        """Return (pieces,) how long a pod works on a request on average, without waiting."""
        fault = met.fault * self._reach
        faulty_s = mean_s(self._latency) + met.leaked_s
        return np.asarray(met.slowness * (fault * faulty_s + (1 - fault) * mean_s(self._sound)))

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
        waits = Waits(met.waits, wait_points_s(met)) if self.side.has_queue else None

        def bins(latency: Latency, leaked_s: Floats) -> Floats:
            return bin_shares(latency, self._edges_s, slowness=met.slowness, leaked_s=leaked_s, waits=waits)

        faulty = self._cells(self._ends(met, met.faulty_errors, met.wrong), bins(self._latency, met.leaked_s))
        plain = self._cells(self._ends(met, nothing, nothing), bins(self._sound, nothing))
        mixed = met.fault[:, None] * faulty + (1 - met.fault)[:, None] * plain
        return np.asarray(mixed @ self._reached + plain @ self._others)

    def _ends(self, met: Conditions, faulty: Floats, wrong: Floats) -> Floats:
        """Return (pieces, endings) how requests end: by the proxy, in a pod that hangs or is full, by the fault, by
        what fails anyway, in this order; of what is left, the proxy may hold some back."""
        arrives = 1 - met.intercepted
        taken = arrives * (1 - met.unanswered)
        answered = taken * (1 - met.rejected)
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
                case End.REJECTED:
                    found[:, place] = taken * met.rejected
                case End.FAULTY:
                    pass  # below: it may be counted with others
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

    def by_count(self, found: Floats, before: Floats, until: Floats) -> Floats:
        """Return (spans, atoms) expected requests with those that fail by their number.

        The n-th request falls into a span with the probability that a Poisson process has its n-th point there. It is
        taken from the span's requests as they are, and fails instead.

        Args:
            found: (spans, atoms) expected requests without such failures.
            before, until: (spans,) expected requests of the pod up to the span's beginning and end.
        """
        from scipy.special import gammainc

        table = self.side.conditions(NOBODY, np.zeros(1), np.zeros(1)).table()
        table[:, :2] = 1.0  # the fault is met, and fails
        failed = self._worked_out(Conditions.of_table(table))[0]
        chance = np.zeros(len(until))
        for ordinal in self.side.release.errors_at:
            chance += gammainc(ordinal, until) - gammainc(ordinal, before)
        requests = np.maximum(until - before, 1e-300)
        kept = np.maximum(1 - chance / requests, 0.0)
        return np.asarray(found * kept[:, None] + chance[:, None] * failed)


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
