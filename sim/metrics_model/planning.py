"""From queries to a plan: which series the service must have for them, and into which atoms they cut its requests."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from controller.manifests.values import Metric, OtherProvider, PrometheusProvider
from controller.metrics.counting import count_query, slow_query
from promql.syntax.reading import passes
from promql.syntax.tree import METRIC_NAME, MatchOp, VectorSelector
from sim.load.latencies import bin_means_s
from sim.metrics_model.asked import MetricAsked, asked_of
from sim.metrics_model.cells import CellSpace, End, Ending, endings_of, kinds_of
from sim.metrics_model.conventions import Counts, Family, Seen
from sim.metrics_model.errors import ProviderError
from sim.metrics_model.mapping import MetricsMap, family_of
from sim.metrics_model.naming import HASH_LABELS, Naming
from sim.metrics_model.options import (
    METHOD,
    POD,
    ROUTE,
    STATUS,
    Context,
    Option,
    Side,
    names_pods,
    options_for,
    words_for,
)
from sim.metrics_model.plan import Gauge, MetricsPlan, SeriesKind, SeriesPattern, SeriesSpec
from sim.scenarios import Scenario

Bools = NDArray[np.bool_]

TARGET_LABELS = ("instance", "job", "namespace", "pod", "pod_template_hash")
"""What a scrape of a pod adds to every series; the local world adds the same."""


_SIDES: tuple[Side, ...] = ("stable", "release")


def plan_metrics(
    metrics: Iterable[Metric], scenario: Scenario, naming: Naming, metrics_map: MetricsMap | None = None
) -> MetricsPlan:
    """Return the series that these metrics' queries need, and those that count the requests behind them.

    Raises:
        PlanError: a query that the model cannot feed, or a metric that asks no Prometheus.
        promql.syntax.PromQLSyntaxError: a query that is none.
    """
    asked = tuple(metrics)
    for metric in asked:
        _refuse_provider(metric)
    return plan_queries(queries_of(asked), scenario, naming, metrics_map)


def _refuse_provider(metric: Metric) -> None:
    provider = metric.provider
    if not isinstance(provider, PrometheusProvider):
        kind = provider.kind if isinstance(provider, OtherProvider) else "web"
        raise ProviderError(
            f"metric {metric.name} asks the provider {kind}, whose answers nobody here knows; the simulator answers "
            f"Prometheus queries"
        )
    if provider.range_query is not None:
        raise ProviderError(f"metric {metric.name} has a rangeQuery; the simulator answers instant queries")


def queries_of(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """Return the Prometheus queries of the metrics and the queries that count their requests, each once."""
    found: list[str] = []
    for metric in metrics:
        if isinstance(metric.provider, PrometheusProvider):
            found.append(metric.provider.query)
            counting = count_query(metric).query
            found += [query for query in (counting, slow_query(metric)) if query is not None]
    return tuple(dict.fromkeys(found))


def plan_queries(
    queries: Sequence[str], scenario: Scenario, naming: Naming, metrics_map: MetricsMap | None = None
) -> MetricsPlan:
    """Return the series that the queries need; see `plan_metrics`."""
    asked = asked_of(queries)
    families = {metric: _family(one, naming, metrics_map or {}) for metric, one in asked.items()}
    named = frozenset(label for one in asked.values() for label in one.labels)
    space = CellSpace(
        endings=endings_of(scenario, has_proxy=any(family.seen is Seen.PROXY for family in families.values())),
        edges_s=_edges(scenario, [(families[metric], one) for metric, one in asked.items()]),
        kinds=kinds_of(scenario, named),
    )
    context = Context(space=space, naming=naming)
    made = [
        series for metric, one in asked.items() for series in _Making(scenario, context, families[metric], one).series()
    ]
    bad = _bad_cells(space, scenario)
    atom_of, atoms = _atoms([one.counted for one in made], bad)
    ups: dict[Side, tuple[tuple[str, str], ...]] = {}
    for one in reversed([one for one in made if one.family.counts is Counts.UP]):
        ups |= dict.fromkeys(_SIDES if one.side is None else (one.side,), one.labels)
    return MetricsPlan(
        space=space,
        naming=naming,
        atom_of=atom_of,
        bad=np.array([bad.ravel()[place] for place in atoms], dtype=np.bool_),
        patterns=tuple(_pattern(one, scenario, space, atom_of) for one in made if one.family.counts is not Counts.UP),
        ups=ups,
        notes=tuple(context.notes),
    )


def _family(asked: MetricAsked, naming: Naming, metrics_map: MetricsMap) -> Family:
    return _seen_where_asked(family_of(asked.metric, metrics_map), asked, naming)


def _seen_where_asked(family: Family, asked: MetricAsked, naming: Naming) -> Family:
    """Return the family with the place of its counters as the labels that are asked for tell it."""
    if family.seen is Seen.PROXY and family.metric.startswith("envoy_"):
        per_pod = any(POD.match(label) or label in HASH_LABELS for label in asked.labels)
        return replace(family, seen=Seen.SIDECAR) if per_pod else family
    by_service = any(POD.match(label) and not names_pods(label, asked.of(label), naming) for label in asked.labels)
    if by_service and family.counts is not Counts.UP:
        return replace(family, seen=Seen.PROXY)  # scraped through a Service: one target that stands for its pods
    if family.seen is Seen.SIDECAR:
        at_source = any(
            (matcher.name, matcher.value) in (("reporter", "source"), ("direction", "outbound"))
            for selector in asked.selectors
            for matcher in selector.matchers
            if matcher.op is MatchOp.EQUAL
        )
        return replace(family, seen=Seen.PROXY) if at_source else family
    return family


def _edges(scenario: Scenario, families: Iterable[tuple[Family, MetricAsked]]) -> tuple[float, ...]:
    """Return the bounds of the latency bins: of all histograms that are asked for, and of what is too slow."""
    edges: set[float] = set()
    for family, asked in families:
        if family.counts is Counts.BUCKET:
            edges |= {bound * family.unit_s for bound in _bounds(family, asked, scenario)}
        elif family.counts is Counts.LATENCY_SUM:
            edges |= set(scenario.service.buckets_s)
    if scenario.slow_after_s is not None:
        edges.add(scenario.slow_after_s)
    edges |= {edge - held_s for edge in edges for held_s in _held_s(scenario) if edge > held_s}
    # Rounded, so that 250 ms of a mesh and 0.25 s of the service are one edge.
    return tuple(sorted({round(edge, 9) for edge in edges}))


def _held_s(scenario: Scenario) -> set[float]:
    """Return how long a proxy may hold an answer back: users and the proxy see the pod's time and that."""
    return {ending.held_s for ending in endings_of(scenario)} - {0.0}


def _bounds(family: Family, asked: MetricAsked, scenario: Scenario) -> dict[float, str]:
    """Return the bounds of a histogram's buckets in its own unit, with the text of each.

    A bound that a query asks for by name is one of them, whatever the service's others are.
    """
    own = family.bounds or [round(bound / family.unit_s, 9) for bound in scenario.service.buckets_s]
    bounds = {float(bound): repr(float(bound)) for bound in own}
    for matcher in (matcher for one in asked.of("le") for matcher in one):
        if matcher.op not in (MatchOp.EQUAL, MatchOp.MATCHES):
            continue
        for text in re.split(r"[|()^$?:]+", matcher.value.replace("\\", "")):
            if _is_bound(text) and passes(matcher, text):
                bounds[float(text)] = text
    return dict(sorted(bounds.items()))


def _bad_cells(space: CellSpace, scenario: Scenario) -> Bools:
    bad = np.zeros(space.shape, dtype=np.bool_)
    for place, ending in enumerate(space.endings):
        bad[place] = ending.is_bad
        if scenario.slow_after_s is not None and ending.end not in (End.INTERCEPTED, End.UNANSWERED):
            bad[place, _bins_within(space, scenario.slow_after_s, ending) :] = True
    return bad


def _bins_within(space: CellSpace, bound_s: float, ending: Ending) -> int:
    """Return how many latency bins of the pod lie within a bound on what its user waits."""
    if ending.held_s >= bound_s:
        return 0
    return space.edges_s.index(round(bound_s - ending.held_s, 9)) + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Series:
    """A series of a family with the cells that it counts: (endings, bins, kinds) 0 for none, else a bin's mark."""

    family: Family
    labels: tuple[tuple[str, str], ...]
    side: Side | None
    counted: NDArray[np.int16]
    statuses: frozenset[int]


class _Making:
    """Makes the series of one metric: every combination of its labels' values that a query can select."""

    def __init__(self, scenario: Scenario, context: Context, family: Family, asked: MetricAsked) -> None:
        self.scenario = scenario
        self.context = context
        self.space = context.space
        self.family = family
        self.asked = asked

    def series(self) -> Iterator[_Series]:
        labels = self._labels()
        options = [self._options(label) for label in labels]
        if self.family.counts is Counts.BUCKET:
            labels.append("le")
            options.append(self._buckets())
        for combination in itertools.product(*options):
            series = self._one(labels, combination)
            if series is not None and self._is_selected(series.labels):
                yield series

    def _options(self, label: str) -> tuple[Option, ...]:
        fixed, status = dict(self.family.fixed), self.family.status
        if label in fixed:
            return (Option(value=fixed[label]),)
        if status is not None and label == status[0]:
            return words_for(self.space, ok=status[1], failed=status[2])
        return options_for(label, self.asked.of(label), self.context, self.family.metric)

    def _labels(self) -> list[str]:
        """Return the labels of the metric: those that queries name, and its own that have no other name there."""
        named = [label for label in self.asked.labels if label != "le"]
        own = [*self.family.labels, *dict(self.family.fixed)]
        if self.family.status is not None:
            own = [label for label in own if label != "status"] + [self.family.status[0]]
        for role, names in ((STATUS, ("status",)), (ROUTE, ("route",)), (METHOD, ("method",))):
            if any(role.match(label) for label in named):
                own = [label for label in own if label not in names]
        if self._may_be_one():
            own = [label for label in own if not self._tells_kinds_apart(label)]
        targets = list(TARGET_LABELS) if self.family.seen is not Seen.PROXY else []
        if self.family.labels and self.family.labels[0] == "namespace":  # what the kubelet says of containers
            targets = []
        return list(dict.fromkeys([*own, *named, *targets]))

    def _may_be_one(self) -> bool:
        """Return whether series that no query tells apart may be one: all are summed, and all there from the start."""
        sides = (self.scenario.release, self.scenario.stable)
        born = all(side.series_5xx == "start" and side.error_status == 500 for side in sides)
        return self.asked.is_summed and born and not self.family.first_event

    def _tells_kinds_apart(self, label: str) -> bool:
        """Return whether a label that no query names has several values, one for each kind of request."""
        if label in self.asked.labels or not (ROUTE.match(label) or METHOD.match(label)):
            return False
        return len(self._options(label)) > 1

    def _buckets(self) -> tuple[Option, ...]:
        bounds = _bounds(self.family, self.asked, self.scenario)
        return (*(Option(value=text) for text in bounds.values()), Option(value="+Inf"))

    def _one(self, labels: Sequence[str], combination: Sequence[Option]) -> _Series | None:
        sides = {option.side for option in combination} - {None}
        if len(sides) > 1:
            return None
        counted = np.ones(self.space.shape, dtype=np.int16)
        statuses = set()
        for place, ending in enumerate(self.space.endings):
            if not self._counts_ending(place) or any(
                option.endings is not None and place not in option.endings for option in combination
            ):
                counted[place] = 0
            else:
                statuses.add(ending.status)
        for place in range(len(self.space.kinds)):
            if any(option.kinds is not None and place not in option.kinds for option in combination):
                counted[:, :, place] = 0
        if not counted.any():
            return None
        if self.family.counts is Counts.BUCKET and combination[-1].value != "+Inf":
            bound_s = float(combination[-1].value) * self.family.unit_s
            for place, ending in enumerate(self.space.endings):
                own = ending if self.family.seen is Seen.PROXY else replace(ending, held_s=0.0)
                counted[place, _bins_within(self.space, bound_s, own) :] = 0
        if self.family.counts is Counts.LATENCY_SUM:
            counted *= np.arange(1, self.space.shape[1] + 1, dtype=np.int16)[None, :, None]
        if self.family.counts in (Counts.MEMORY, Counts.RESTARTS, Counts.UP):
            counted[:] = 0
        named = [(METRIC_NAME, self.family.metric)]
        named += [(label, option.value) for label, option in zip(labels, combination, strict=True) if option.value]
        side = next(iter(sides), None)
        return _Series(
            family=self.family, labels=tuple(named), side=side, counted=counted, statuses=frozenset(statuses)
        )

    def _counts_ending(self, place: int) -> bool:
        ending, only = self.space.endings[place], self.family.only
        if self.family.seen is Seen.POD and not ending.is_seen_by_pod:
            return False
        if only in ("failed", "ok"):
            return (ending.status >= 400) == (only == "failed")
        if only.endswith("xx"):
            return str(ending.status)[0] == only[0]
        return not only or str(ending.status) == only

    def _is_selected(self, labels: Sequence[tuple[str, str]]) -> bool:
        return any(_selects(selector, dict(labels)) for selector in self.asked.selectors)


def _is_bound(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _selects(selector: VectorSelector, labels: dict[str, str]) -> bool:
    """Return whether the selector may select a series; a pod's name is not known yet."""
    return all(
        "{pod}" in labels.get(matcher.name, "") or passes(matcher, labels.get(matcher.name, ""))
        for matcher in selector.matchers
    )


def _atoms(counted: Sequence[NDArray[np.int16]], bad: Bools) -> tuple[NDArray[np.intp], list[int]]:
    """Return the atom of each cell, and a cell of each atom: cells that no series tells apart are one."""
    signatures = np.stack([bad.ravel().astype(np.int16), *(one.ravel() for one in counted)], axis=1)
    places: dict[bytes, int] = {}
    atom_of = np.empty(bad.size, dtype=np.intp)
    first: list[int] = []
    for cell in range(bad.size):
        key = signatures[cell].tobytes()
        if key not in places:
            places[key] = len(first)
            first.append(cell)
        atom_of[cell] = places[key]
    return atom_of.reshape(bad.shape), first


def _pattern(series: _Series, scenario: Scenario, space: CellSpace, atom_of: NDArray[np.intp]) -> SeriesPattern:
    family = series.family
    kind: SeriesKind = "count"
    gauge: Gauge | None = None
    weights = None
    atoms = np.unique(atom_of[series.counted > 0])
    if family.counts is Counts.CPU:
        kind, cost = "amount", scenario.service.cpu_s_per_request
        ones = np.ones(len(atoms))
        weights = (ones * cost * scenario.stable.cpu_factor, ones * cost * scenario.release.cpu_factor)
    elif family.counts is Counts.LATENCY_SUM:
        kind = "amount"
        weights = (
            _latency_weights(scenario, space, atom_of, atoms, family.unit_s, is_release=False),
            _latency_weights(scenario, space, atom_of, atoms, family.unit_s, is_release=True),
        )
    elif family.counts is Counts.MEMORY:
        kind, gauge = "gauge", "memory_bytes"
    elif family.counts is Counts.RESTARTS:
        kind, gauge = "gauge", "restarts"
    spec = SeriesSpec(
        labels=(),
        kind=kind,
        atoms=atoms,
        weights=weights,
        gauge=gauge,
        whose="own" if family.seen is not Seen.PROXY else series.side or "both",
        born=_born(series, scenario),
    )
    return SeriesPattern(labels=series.labels, side=series.side, is_proxy=family.seen is Seen.PROXY, spec=spec)


def _born(series: _Series, scenario: Scenario) -> Literal["start", "first-event"]:
    """Return when the series comes about. As the demo service does it: 200 and 500 at the start, others when met."""
    if series.family.first_event:
        return "first-event"
    if 200 in series.statuses:
        return "start"
    owner = scenario.release if series.side == "release" else scenario.stable
    return "start" if 500 in series.statuses and owner.series_5xx == "start" else "first-event"


def _latency_weights(
    scenario: Scenario,
    space: CellSpace,
    atom_of: NDArray[np.intp],
    atoms: NDArray[np.intp],
    unit_s: float,
    *,
    is_release: bool,
) -> NDArray[np.float64]:
    """Return (atoms,) what one request adds to a sum of latencies: the mean of its bin, in the metric's unit."""
    owner = scenario.release if is_release else scenario.stable
    means_s = bin_means_s(owner.latency, np.array(space.edges_s))
    bins = np.broadcast_to(np.arange(space.shape[1])[None, :, None], space.shape)
    return np.array([means_s[bins[atom_of == atom][0]] / unit_s for atom in atoms])
