"""Read scraped text into samples, and keep a scraped target's series alive or stale as Prometheus does.

The text exposition format and OpenMetrics are parsed by prometheus-client. `Target` is one scraped process: what
was in its last scrape and is missing from this one gets a staleness marker, and so does everything when a scrape
fails. Fetching the text is the scraper's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promql.go_numbers import bound_text
from promql.storage.blocks import STALE_NAN
from promql.storage.labels import METRIC_NAME, Labels, labels_of
from promql.storage.memory import Appended, MemoryStore


class ExpositionError(ValueError):
    """Text that is neither the exposition format nor OpenMetrics; the message says what was met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapedSample:
    """One line of a scrape; `t_s` is None if the line gave no time."""

    labels: Labels
    value: float
    t_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the text says of a metric: its type and help."""

    name: str
    kind: str
    help: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    samples: tuple[ScrapedSample, ...]
    families: tuple[Family, ...]


def is_openmetrics(text: str, content_type: str = "") -> bool:
    """Return whether the text is OpenMetrics: by its content type, or by the line that must end it."""
    return "openmetrics-text" in content_type or text.rstrip().endswith("# EOF")


def read_exposition(text: str, *, content_type: str = "") -> Exposition:
    """Return the samples of a scrape. Samples called *_created are kept, as Prometheus keeps them.

    Raises:
        ExpositionError: the text cannot be parsed.
    """
    # Loaded here because it brings an HTTP server along, which whoever only evaluates need not wait for.
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
    from prometheus_client.parser import text_string_to_metric_families as text_families

    parse = openmetrics_families if is_openmetrics(text, content_type) else text_families
    samples, families = [], []
    try:
        for family in parse(text):
            kind = str(family.type)
            name = family.name
            if parse is text_families and any(sample.name == f"{name}_total" for sample in family.samples):
                name += "_total"  # the parser takes it off counters; in this format the name was written with it
            families.append(Family(name=name, kind=kind, help=family.documentation, unit=family.unit))
            for sample in family.samples:
                if getattr(sample, "native_histogram", None) is not None:
                    raise ExpositionError(f"{sample.name} is a native histogram; only classic ones are held here")
                labels = labels_of({**_with_bounds(kind, sample.labels), METRIC_NAME: sample.name})
                t_s = None if sample.timestamp is None else float(sample.timestamp)
                samples.append(ScrapedSample(labels=labels, value=float(sample.value), t_s=t_s))
    except ExpositionError:
        raise
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, StopIteration) as error:
        raise ExpositionError(f"the exposition text cannot be read: {error}") from error
    return Exposition(samples=tuple(samples), families=tuple(families))


_BOUNDS = {"histogram": "le", "summary": "quantile"}


def _with_bounds(kind: str, labels: Mapping[str, str]) -> Mapping[str, str]:
    """Return the labels with a bound written as Prometheus 3 writes it when it scrapes, `1` as `1.0`."""
    name = _BOUNDS.get(kind, "")
    return {**labels, name: bound_text(labels[name])} if name in labels else labels


class Target:
    """One scraped process and the labels that its series carry.

    Args:
        store: where its samples go.
        labels: target labels such as job and instance. They win over scraped labels of the same name, which are
            kept as `exported_<name>`.
    """

    def __init__(self, store: MemoryStore, labels: Mapping[str, str]) -> None:
        self._store = store
        self._labels = dict(labels)
        self._alive: set[Labels] = set()

    def scraped(self, text: str, t_s: float, *, content_type: str = "") -> int:
        """Store a scrape's samples at their own times or at `t_s`, mark what is gone as stale, set `up` to 1.

        Returns:
            how many samples were refused.
        Raises:
            ExpositionError: nothing was stored; count the scrape as `failed`.
        """
        exposition = read_exposition(text, content_type=content_type)
        refused = 0
        alive: set[Labels] = set()
        for sample in exposition.samples:
            labels = self._labelled(sample.labels)
            at_s = t_s if sample.t_s is None else sample.t_s
            outcome = self._store.append(labels, at_s, sample.value)
            refused += outcome not in (Appended.STORED, Appended.SAME)
            # A series with times of its own is not marked stale: the target says itself when it was sampled.
            if sample.t_s is None:
                alive.add(labels)
        self._mark_stale(self._alive - alive, t_s)
        self._alive = alive
        self._store.append(self._labelled(((METRIC_NAME, "up"),)), t_s, 1.0)
        return refused

    def failed(self, t_s: float) -> None:
        """Say that a scrape failed: every series goes stale, `up` is 0."""
        self._mark_stale(self._alive, t_s)
        self._alive = set()
        self._store.append(self._labelled(((METRIC_NAME, "up"),)), t_s, 0.0)

    def removed(self, t_s: float) -> None:
        """Say that the target is gone: every series goes stale, `up` too."""
        self._mark_stale(self._alive | {self._labelled(((METRIC_NAME, "up"),))}, t_s)
        self._alive = set()

    def _mark_stale(self, series: set[Labels], t_s: float) -> None:
        for labels in sorted(series):
            self._store.append(labels, t_s, STALE_NAN)

    def _labelled(self, scraped: Labels) -> Labels:
        merged = {(f"exported_{name}" if name in self._labels else name): value for name, value in scraped}
        return labels_of({**merged, **self._labels})
