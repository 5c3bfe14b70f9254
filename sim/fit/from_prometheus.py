"""A service as its Prometheus tells it: request counters and latency histograms, by the names that the model knows.

Counts are `increase` over windows that touch, so they add up and survive restarts; Prometheus extrapolates them to
the windows' edges, which is why they are no whole numbers. Nothing is asked for that the service does not have.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.fit.asking import Prometheus, Row
from sim.fit.observed import Counts, Durations, FitError, Floats, Observed, RouteSeen
from sim.metrics_model.conventions import Counts as Kind
from sim.metrics_model.conventions import recognise

SERVICE_LABELS = ("service", "job", "app", "destination_service_name", "exported_service", "service_name", "container")
STATUS_LABELS = ("status", "code", "status_code", "response_code", "http_status_code", "http_response_status_code")
ROUTE_LABELS = ("route", "handler", "http_route", "path", "uri", "endpoint", "url")
METHOD_LABELS = ("method", "request_method", "http_method", "http_request_method", "verb")
CPU_METRICS = ("container_cpu_usage_seconds_total", "process_cpu_seconds_total")
MEMORY_METRICS = ("container_memory_working_set_bytes", "process_resident_memory_bytes")
BINS_MAX = 1_440
PARTS = 24
"""A long window is asked for in so many parts, so that no question reads more than a server is willing to."""

_SELECTOR = re.compile(r"\{(.*)\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to learn, and of whom.

    Attributes:
        url: of the Prometheus.
        service: value of a label that names services (service, job, app, …); "" for all that the server knows.
        selector: further matchers, as in {namespace="shop"}; it may stand for `service`.
        window_s: how far back.
        end_s: until when, Unix s.
        requests_metric, durations_metric: the counter and the histogram's buckets; "" to find them by their names.
    """

    url: str
    service: str = ""
    selector: str = ""
    window_s: float = 86_400.0
    end_s: float
    requests_metric: str = ""
    durations_metric: str = ""

    @property
    def begin_s(self) -> float:
        """Since when, Unix s."""
        return self.end_s - self.window_s


def observe_prometheus(question: Question) -> Observed:
    """Return what a Prometheus tells of a service.

    Raises:
        FitError: it does not know the service, or no request counter of it.
        AskError: it does not answer.
    """
    with Prometheus(question.url) as server:
        return _Asking(server, question).observed()


class _Asking:
    """One round of questions; each method asks one thing."""

    def __init__(self, server: Prometheus, question: Question) -> None:
        self._server = server
        self._question = question
        self._span = (question.begin_s, question.end_s)
        self._remarks: list[str] = []

    def observed(self) -> Observed:
        matchers, names = self._matchers()
        requests = self._chosen(self._question.requests_metric, names, Kind.REQUESTS, "request counter")
        if not requests:
            raise FitError(
                f"{self._question.url} has no request counter of {matchers or 'any service'} that is known by its "
                f"name, among {', '.join(sorted(names)[:8])}{' …' if len(names) > 8 else ''}; name it with "
                "--requests-metric"
            )
        buckets = self._chosen(self._question.durations_metric, names, Kind.BUCKET, "histogram")
        labels = self._labels(requests, matchers)
        interval_s = self._interval_s(requests, matchers)
        step_s = self._step_s(interval_s)
        status = next((label for label in STATUS_LABELS if label in labels), None)
        selected = f"{requests}{{{matchers}}}"
        failed_only = f'{status}=~"5.."'
        failing = f"{requests}{{{_joined(matchers, failed_only)}}}" if status else ""
        counts, known = self._bins(f"sum(increase({selected}[{_span(step_s)}]))", step_s)
        if not known.any() or counts.sum() <= 0:
            raise FitError(
                f"{self._question.url}: no request to {selected} in the last {_span(self._question.window_s)}"
            )
        failed = np.zeros(len(counts))
        if failing:
            failed, _ = self._bins(f"sum(increase({failing}[{_span(step_s)}]))", step_s)
        begin = int(np.argmax(known))
        self._missing(known[begin:], begin, step_s)
        counts, failed = _filled(counts[begin:], known[begin:]), np.minimum(failed, counts)[begin:]
        durations, bounds_s = self._durations(buckets, matchers)
        return Observed(
            source=f"{self._question.url} {selected}",
            begin_s=self._question.end_s - step_s * len(counts),
            bin_s=step_s,
            requests=counts,
            failed=failed,
            last_bin_s=step_s,
            has_status=status is not None,
            routes=self._routes(selected, failing, labels),
            durations=durations,
            buckets_s=bounds_s,
            scrape_interval_s=interval_s,
            cpu_s=self._cpu_s(names, matchers),
            memory_bytes=self._memory_bytes(names, matchers),
            remarks=tuple(self._remarks),
        )

    def _matchers(self) -> tuple[str, list[str]]:
        """Return the matchers of the service, without braces, and the names of its metrics."""
        question = self._question
        given = question.selector.strip()
        inner = _SELECTOR.fullmatch(given)
        if given and inner is None:
            raise FitError(f'the selector is {given!r}; it needs braces, as in {{namespace="shop"}}')
        further = inner[1].strip().rstrip(",") if inner else ""
        if not question.service:
            matchers = further or '__name__!=""'
            names = self._server.names(f"{{{matchers}}}", *self._span)
            return further, names
        value = question.service.replace("\\", "\\\\").replace('"', '\\"')
        for label in SERVICE_LABELS:
            matchers = _joined(further, f'{label}="{value}"')
            names = self._server.names(f"{{{matchers}}}", *self._span)
            if any(_is(name, Kind.REQUESTS) for name in names) or question.requests_metric in names:
                return matchers, names
        raise FitError(
            f"{question.url} knows no request counter with {', '.join(SERVICE_LABELS)} = {question.service!r} in the "
            f"last {_span(question.window_s)}; say which series are meant with --selector"
        )

    def _chosen(self, wanted: str, names: Sequence[str], kind: Kind, what: str) -> str:
        """Return the metric to use: the one that was named, else the one that stands nearest to the application."""
        if wanted:
            if wanted not in names:
                raise FitError(f"{self._question.url} has no metric {wanted!r} of this service")
            return wanted
        found = [(family.seen.value, name) for name in names if (family := recognise(name)) and _is(name, kind)]
        if not found:
            return ""
        found.sort(key=lambda each: (each[0], not each[1].startswith("http"), each[1].endswith("_count"), each[1]))
        if len(found) > 1:
            others = ", ".join(name for _, name in found[1:4])
            self._remarks.append(f"the {what} is {found[0][1]}; there are {others} as well")
        return found[0][1]

    def _labels(self, metric: str, matchers: str) -> set[str]:
        return {label for each in self._server.series(f"{metric}{{{matchers}}}", *self._span) for label in each}

    def _interval_s(self, metric: str, matchers: str) -> float | None:
        """Return how often the service is scraped: the median distance of samples in the last ten minutes."""
        rows = self._server.instant(f"{metric}{{{matchers}}}[10m]", self._question.end_s)
        gaps = [gap for row in rows for gap in np.diff([at_s for at_s, _ in row.samples]).tolist()]
        return float(round(float(np.median(gaps)), 3)) if gaps else None

    def _step_s(self, interval_s: float | None) -> float:
        """Return the width of bins: four scrapes at least, so that each bin's increase rests on several samples."""
        least = max(4 * (interval_s or 15.0), self._question.window_s / BINS_MAX, 60.0)
        return min(math.ceil(least / 60) * 60.0, self._question.window_s)

    def _bins(self, query: str, step_s: float) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Return (bins,) increases, one after the other up to the end, and which of them are known."""
        bins = max(int(self._question.window_s // step_s), 1)
        first_s = self._question.end_s - step_s * (bins - 1)
        counts, known = np.zeros(bins), np.zeros(bins, dtype=np.bool_)
        for row in self._server.range(query, first_s, self._question.end_s, step_s):
            for at_s, value in row.samples:
                at = round((at_s - first_s) / step_s)
                if 0 <= at < bins:
                    counts[at], known[at] = max(value, 0.0), True
        return counts, known

    def _missing(self, known: np.ndarray[tuple[int], np.dtype[np.bool_]], begin: int, step_s: float) -> None:
        if begin:
            self._remarks.append(f"the service is known for the last {_span(step_s * len(known))} only")
        if missing := int((~known).sum()):
            self._remarks.append(
                f"{missing} of {len(known)} bins of {_span(step_s)} have no samples; filled from beside"
            )

    def _sums(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and total of `query` over the window, where `query` holds %s for the width of a part."""
        part_s = max(math.ceil(self._question.window_s / PARTS), 1)
        parts = max(round(self._question.window_s / part_s), 1)
        first_s = self._question.end_s - part_s * (parts - 1)
        rows: list[Row] = self._server.range(query % f"{part_s}s", first_s, self._question.end_s, part_s)
        return [(dict(row.labels), sum(max(value, 0.0) for _, value in row.samples)) for row in rows]

    def _durations(self, metric: str, matchers: str) -> tuple[Durations | None, tuple[float, ...]]:
        family = recognise(metric) if metric else None
        if not metric:
            return None, ()
        unit_s = family.unit_s if family else 1.0
        found: defaultdict[float, float] = defaultdict(float)
        for labels, total in self._sums(f"sum by (le) (increase({metric}{{{matchers}}}[%s]))"):
            found[float(labels.get("le", "nan"))] += total
        bounds = sorted(bound for bound in found if not math.isnan(bound))
        if len(bounds) < 2 or found[bounds[-1]] <= 0:
            self._remarks.append(f"{metric} has no buckets with answers in them")
            return None, ()
        # Buckets that were extrapolated apart may cross by a hair; a cumulative count never falls.
        cumulative = np.maximum.accumulate([found[bound] for bound in bounds])
        counts: Counts = np.rint(np.diff(np.concatenate([[0.0], cumulative]))).astype(np.int64)
        edges_s = np.array([0.0, *(bound * unit_s for bound in bounds)])
        finite = tuple(float(f"{bound * unit_s:.6g}") for bound in bounds if math.isfinite(bound) and bound > 0)
        return Durations(edges_s=edges_s, counts=counts, is_coarse=True), finite

    def _cpu_s(self, names: Sequence[str], matchers: str) -> float | None:
        """Return the CPU time of the service's pods over the window."""
        metric = next((name for name in CPU_METRICS if name in names), None)
        if metric is None:
            return None
        return (
            sum(total for _, total in self._sums(f"sum(increase({metric}{{{_pods(metric, matchers)}}}[%s]))")) or None
        )

    def _memory_bytes(self, names: Sequence[str], matchers: str) -> float | None:
        """Return what a pod holds at the end, on average."""
        metric = next((name for name in MEMORY_METRICS if name in names), None)
        if metric is None:
            return None
        rows = self._server.instant(f"avg({metric}{{{_pods(metric, matchers)}}})", self._question.end_s)
        return next((row.samples[0][1] for row in rows if row.samples and row.samples[0][1] > 0), None)

    def _routes(self, selected: str, failing: str, labels: set[str]) -> tuple[RouteSeen, ...]:
        route = next((label for label in ROUTE_LABELS if label in labels), None)
        method = next((label for label in METHOD_LABELS if label in labels), None)
        by = ", ".join(label for label in (route, method) if label)
        if not by:
            return ()

        def key(found: dict[str, str]) -> tuple[str, str]:
            name = found.get(route or "", "") or "/"
            return (found.get(method or "", "") or "GET").upper(), name

        bad: defaultdict[tuple[str, str], float] = defaultdict(float)
        if failing:
            for each, total in self._sums(f"sum by ({by}) (increase({failing}[%s]))"):
                bad[key(each)] += total
        seen = [
            RouteSeen(method=key(each)[0], name=key(each)[1], target=_target(key(each)[1]), requests=total,
                      failed=min(bad[key(each)], total))
            for each, total in self._sums(f"sum by ({by}) (increase({selected}[%s]))")
            if total > 0
        ]  # fmt: skip
        return tuple(sorted(seen, key=lambda each: (-each.requests, each.name)))


def _pods(metric: str, matchers: str) -> str:
    """Return matchers that leave out what the kubelet counts twice: the pod as a whole and its pause container."""
    return _joined(matchers, 'container!="",container!="POD"') if metric.startswith("container_") else matchers


def _is(name: str, kind: Kind) -> bool:
    family = recognise(name)
    return family is not None and family.counts is kind and not family.only and not family.fixed


def _joined(*matchers: str) -> str:
    return ",".join(each for each in matchers if each)


def _span(seconds: float) -> str:
    whole = round(seconds)
    units = ((86_400, "d"), (3_600, "h"), (60, "m"))
    return next((f"{whole // unit_s}{name}" for unit_s, name in units if whole % unit_s == 0), f"{whole}s")


def _filled(counts: Floats, known: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    at = np.arange(len(counts))
    return np.asarray(np.interp(at, at[known], counts[known]), dtype=np.float64)


def _target(route: str) -> str:
    """Return a path that can be asked for in place of a route's template; "/" for names that are no path."""
    path = re.sub(r"[^!-~]|[\"<>\\^`{|}]", "", re.sub(r"\{[^}]*\}|:[A-Za-z_]\w*|<[^>]*>|\*", "1", route))
    return "/" + path.lstrip("/") if route.startswith("/") else "/"
