"""Expected requests of each pod, atom by atom, over any spans of time: the numbers that the flock draws around.

Requests are Poisson; a pod gets its share of them; what becomes of each is drawn for itself. So the number in each
atom is Poisson too, with the mean that is worked out here: the exact integral of the rate times the probability of
the atom, split where that jumps, and taken at the middle of short pieces where it changes smoothly. Pure numbers: no
randomness, no samples. docs/model.md has the formulas and what they leave out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.load.atoms import Atoms
from sim.load.conditions import Conditions, grid_s
from sim.load.demand import Demand
from sim.load.flows import Flows
from sim.load.happenings import happenings_of
from sim.load.pods import Pod, Stretch
from sim.metrics_model.plan import MetricsPlan, SeriesSpec
from sim.scenarios import Scenario, Trigger

Floats = NDArray[np.float64]

_JUST_BEFORE_S = 1e-6  # a pod that dies has lost its share at the very instant


class LoadModel:
    """What one scenario's traffic does to pods, in the atoms of one plan.

    Args:
        instants: when the triggers of the scenario's windows went off, as far as they did.
    """

    def __init__(
        self, scenario: Scenario, plan: MetricsPlan, *, instants: Mapping[Trigger, float] | None = None
    ) -> None:
        self.plan = plan
        self._scenario = scenario
        self._paths: dict[frozenset[tuple[Trigger, float]], LoadModel] = {}
        happenings = happenings_of(scenario, instants or {})
        self.demand = Demand(scenario.traffic, happenings.changes)
        self._sides = (
            Atoms(scenario, happenings, plan, is_release=False),
            Atoms(scenario, happenings, plan, is_release=True),
        )

    def on_path(self, instants: Mapping[Trigger, float]) -> LoadModel:
        """Return the model in which the scenario's triggers went off at these instants; the same object each time.

        What lies before an instant is the same in both, so a path may go on with the new model at any time.
        """
        if not instants:
            return self
        key = frozenset(instants.items())
        if key not in self._paths:
            self._paths[key] = LoadModel(self._scenario, self.plan, instants=instants)
        return self._paths[key]

    def rps_at(self, t_s: float) -> float:
        """Return the rate of all traffic, requests/s."""
        return self.demand.rps_at(t_s)

    def requests(self, from_s: float, to_s: float) -> float:
        """Return the expected number of all requests of a span."""
        return self.demand.requests(from_s, to_s)

    def expected(self, pod: Pod, share: float, from_s: float, to_s: float) -> Floats:
        """Return (atoms,) the expected requests of a pod whose share of all traffic is constant."""
        flows = Flows(self.demand, np.array([from_s]), np.array([[share]]))
        return Spans(self, (pod,), flows).of(0, np.array([from_s]), np.array([to_s])).reshape(-1)

    def spans(self, pods: Sequence[Pod], stretches: Sequence[Stretch]) -> Spans:
        """Return what answers for any spans of a platform's timeline, as far as it is known now.

        Args:
            pods: what the stretches' shares point into.
            stretches: in order of time; before the first nobody serves, and the last goes on.
        """
        return Spans(self, pods, Flows.of(self.demand, pods, stretches))

    def expected_many(self, pods: Sequence[Pod], stretches: Sequence[Stretch], edges_s: Floats) -> Floats:
        """Return (pods, intervals, atoms) the expected requests of every pod between the edges.

        Args:
            edges_s: (intervals + 1,) or (pods, intervals + 1), increasing along the last axis.
        """
        own = np.broadcast_to(edges_s, (len(pods), edges_s.shape[-1]))
        places = np.repeat(np.arange(len(pods)), own.shape[1] - 1)
        found = self.spans(pods, stretches).means(places, own[:, :-1].ravel(), own[:, 1:].ravel())
        return found.reshape(len(pods), own.shape[1] - 1, self.plan.atoms)

    def level(self, spec: SeriesSpec, pod: Pod, t_s: float) -> float:
        """Return the value of a gauge of a pod's target at an instant."""
        owner = self._scenario.release if pod.is_release else self._scenario.stable
        if spec.gauge == "restarts":
            return float(getattr(pod, "incarnation", 0))
        grown = owner.leak.memory_bytes_per_minute * max(t_s - pod.created_s, 0.0) / 60
        memory = self._scenario.service.memory_bytes + grown
        return memory if owner.memory_limit_bytes is None else min(memory, owner.memory_limit_bytes)

    def side(self, pod: Pod) -> Atoms:
        """Return the chances of the requests of a pod's side."""
        return self._sides[pod.is_release]


class Spans:
    """Expected requests over any spans of one timeline. Cheap: make a new one when the timeline has grown."""

    __slots__ = ("_flows", "_model", "_plain", "_pods", "_released", "_steady")

    def __init__(self, model: LoadModel, pods: Sequence[Pod], flows: Flows) -> None:
        self._model = model
        self._pods = pods
        self._flows = flows
        sides = model._sides
        self._plain = np.array([sides[pod.is_release].is_plain for pod in pods], dtype=np.bool_)
        self._released = np.array([pod.is_release for pod in pods], dtype=np.intp)
        self._steady = np.stack([sides[False].steady, sides[True].steady])

    def means(self, places: NDArray[np.intp], from_s: Floats, to_s: Floats) -> Floats:
        """Return (spans, atoms) the expected requests of the pods at these places, each from one instant to another."""
        plain = self._plain[places]
        if plain.all():
            requests = self._flows.until(places, to_s) - self._flows.until(places, from_s)
            return np.asarray(requests[:, None] * self._steady[self._released[places]])
        found = np.empty((len(places), self._model.plan.atoms))
        if plain.any():
            where = places[plain]
            requests = self._flows.until(where, to_s[plain]) - self._flows.until(where, from_s[plain])
            found[plain] = requests[:, None] * self._steady[self._released[where]]
        for place in np.unique(places[~plain]):
            own = places == place
            found[own] = self.of(int(place), from_s[own], to_s[own])
        return found

    def unserved(self, from_s: Floats, to_s: Floats, *, is_release: bool) -> Floats:
        """Return (spans, atoms) the requests meant for a side that had no pod, as a proxy in front counts them."""
        atoms = self._model.plan.unserved
        nobody = len(self._pods) + is_release
        requests = self._flows.until(nobody, to_s) - self._flows.until(nobody, from_s)
        return requests[:, None] * (np.zeros(self._model.plan.atoms) if atoms is None else atoms)

    def under_way(self, place: int, at_s: float) -> float:
        """Return how many requests a pod is expected to be working on just before an instant (Little's law)."""
        just_before_s = np.array([at_s - _JUST_BEFORE_S])
        side, rps = self._model.side(self._pods[place]), self._flows.rps_at(place, just_before_s)
        met = side.side.conditions(self._pods[place], just_before_s, rps)
        return float((rps * (1 - met.intercepted) * side.service_s(met))[0])

    def of(self, place: int, from_s: Floats, to_s: Floats) -> Floats:
        """Return (spans, atoms) the expected requests of one pod in spans that may overlap."""
        pod, flows = self._pods[place], self._flows
        side = self._model.side(pod)
        if side.is_steady:
            found = (flows.until(place, to_s) - flows.until(place, from_s))[:, None] * side.steady
        else:
            found = self._varying(place, from_s, to_s)
        if side.fails_by_count and pod.ordinal == 0:
            found = side.by_count(found, flows.until(place, from_s), flows.until(place, to_s))
        return np.asarray(found)

    def _varying(self, place: int, from_s: Floats, to_s: Floats) -> Floats:
        """Cut time where something changes, and add the pieces up again.

        What requests meet is worked out for the pieces between cuts that hang on the pod and the scenario alone, so
        the same instant has the same chances whoever asks for which span.
        """
        flows, side = self._flows, self._model.side(self._pods[place])
        first_s, last_s = float(from_s.min()), float(to_s.max())
        cuts_s = self._cuts_s(place, first_s, last_s)
        inner_s = cuts_s[(cuts_s > first_s) & (cuts_s < last_s)]
        edges_s = np.unique(np.concatenate([from_s, to_s, inner_s]))
        middle_s = (edges_s[:-1] + edges_s[1:]) / 2
        met, piece = self._met(place, middle_s, cuts_s)
        pieces = np.diff(flows.until(place, edges_s))[:, None] * side.shares(met)[piece]
        totals = np.concatenate([np.zeros((1, pieces.shape[1])), np.cumsum(pieces, axis=0)])
        found = totals[np.searchsorted(edges_s, to_s)] - totals[np.searchsorted(edges_s, from_s)]
        return np.asarray(np.maximum(found, 0.0))  # what nothing falls into must not be a little less than nothing

    def _met(self, place: int, at_s: Floats, cuts_s: Floats) -> tuple[Conditions, NDArray[np.intp]]:
        """Return what requests meet in the pieces that instants fall into, and the piece of each instant."""
        pod, flows, side = self._pods[place], self._flows, self._model.side(self._pods[place])
        if side.side.has_queue:
            # A queue is what came before, so every piece is followed from the pod's first request on.
            began_s = flows.begins_s(place)
            cuts_s = np.concatenate([[began_s], cuts_s[cuts_s > began_s]])
        outer_s = np.concatenate([cuts_s[:1] - 1.0, cuts_s, cuts_s[-1:] + 1.0])
        middle_s = (outer_s[:-1] + outer_s[1:]) / 2
        pieces, back = np.unique(np.searchsorted(cuts_s, at_s, side="right"), return_inverse=True)
        if not side.side.has_queue:
            middle_s = middle_s[pieces]
            return side.side.conditions(pod, middle_s, flows.rps_at(place, middle_s)), back.ravel()
        met = side.side.conditions(pod, middle_s, flows.rps_at(place, middle_s))
        met = side.with_waiting(pod, flows, place, outer_s, met)
        return met.of_pieces(pieces), back.ravel()

    def _cuts_s(self, place: int, first_s: float, last_s: float) -> Floats:
        """Return where what a pod's requests meet changes: within a span, and on both sides of it where it grows."""
        pod, flows, side = self._pods[place], self._flows, self._model.side(self._pods[place])
        begins_s = flows.begins_s(place) if side.side.has_queue else first_s
        cuts = [side.side.edges_s(pod, min(begins_s, first_s), last_s), np.array([begins_s])]
        if side.side.hangs_on_rate:
            cuts += [flows.starts_s, self._model.demand.edges_s[1:-1]]
            if side.side.has_queue or not self._model.demand.is_flat:
                cuts.append(grid_s(0.0, min(begins_s, first_s), last_s))
        joined = np.unique(np.concatenate(cuts))
        # A queue is followed through every piece, so none is made that lies ahead of all that is asked.
        return joined[: np.searchsorted(joined, last_s) + 1] if side.side.has_queue else joined
