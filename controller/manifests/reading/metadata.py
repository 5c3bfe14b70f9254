"""Names, labels and annotations of an object, and Gamebird's own annotations among them.

An annotation under `gamebird.dev/` that is not known is an error: a guard that is misspelled would
guard nothing, and nobody would notice. Who else reads annotations: nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.manifests.problems import nearest, shown
from controller.manifests.reading.promises import NAMES as PROMISES
from controller.manifests.reading.promises import read_promises
from controller.manifests.reading.reader import Place, Reader
from controller.manifests.values import (
    DurationError,
    EvidenceAction,
    Extensions,
    FrozenMap,
    Missing,
    Parity,
    duration_s,
)

PREFIX = "gamebird.dev/"
_PLAIN_NAMES = (
    "parity",
    "min-requests",
    "evidence-deadline",
    "on-deadline",
    "odds",
    "limits",
    *(f"on-{missing.value}" for missing in Missing),
    *PROMISES,
)
_PER_METRIC = ("min-requests.", "requests.")
# What pages for people read off the Rollout's annotations as it stands; nothing is decided by it.
_FOR_PEOPLE = ("dashboards",)
# What the controller and its commands write for themselves and for people: no setting, and no mistake either.
_WRITTEN = ("override", "resolved-run")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What an object is called, and what is written on it."""

    name: str
    namespace: str  # "" if the manifest does not say
    labels: FrozenMap[str]
    annotations: FrozenMap[str]


def read_metadata(reader: Reader, *, generated: bool = False) -> Metadata:
    """Return the metadata of the object that `reader` looks at.

    Args:
        generated: whether generateName will do in place of a name.
    """
    inner = reader.child("metadata", "metadata", required=True)
    if inner is None:
        return Metadata(name="", namespace="", labels=FrozenMap(), annotations=FrozenMap())
    name = inner.text("name")
    if not name and generated:
        name = inner.text("generateName").rstrip("-")
    if not name:
        if not inner.value.get("name"):  # a name that is no text has been told
            inner.fail("missing", "a name", "name")
    elif not _NAME.fullmatch(name):
        inner.fail(shown(name), "lower-case letters, digits, '-' and '.', with a letter or digit at both ends", "name")
    return Metadata(
        name=name,
        namespace=inner.text("namespace"),
        labels=inner.text_map("labels"),
        annotations=inner.text_map("annotations"),
    )


class _Annotations:
    """The annotations of one object under Gamebird's prefix, read one by one."""

    def __init__(self, reader: Reader, annotations: FrozenMap[str]) -> None:
        self.reader = reader
        self.own = {
            key.removeprefix(PREFIX): text.strip() for key, text in annotations.items() if key.startswith(PREFIX)
        }
        for name in self.own:
            if name not in (*_PLAIN_NAMES, *_FOR_PEOPLE, *_WRITTEN) and not name.startswith(_PER_METRIC):
                meant = nearest(name, [*_PLAIN_NAMES, *_FOR_PEOPLE, *(f"{stem}METRIC" for stem in _PER_METRIC)])
                known = ", ".join((*_PLAIN_NAMES, *_FOR_PEOPLE, "min-requests.METRIC", "requests.METRIC"))
                self.fail(name, "an unknown annotation", f"to be {PREFIX}{meant}" if meant else f"one of: {known}")

    def fail(self, name: str, found: str, need: str) -> None:
        self.reader.fail(found, need, "metadata", "annotations", PREFIX + name)

    def choice(self, name: str, options: tuple[str, ...]) -> str | None:
        text = self.own.get(name)
        if text is None or text in options:
            return text
        self.fail(name, shown(text), "one of: " + ", ".join(options))
        return None

    def whole(self, name: str) -> int | None:
        text = self.own.get(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", text):
            self.fail(name, shown(text), "a whole number of requests, 0 or more")
            return None
        return int(text)

    def duration(self, name: str) -> float | None:
        text = self.own.get(name)
        if text is None:
            return None
        try:
            seconds = duration_s(text)
        except DurationError:
            seconds = -1.0
        if seconds <= 0:
            self.fail(name, shown(text), "a duration such as 10m")
            return None
        return seconds

    def odds(self, name: str) -> float | None:
        text = self.own.get(name)
        if text is None:
            return None
        if text == "off":
            return 0.0
        fraction = re.fullmatch(r"1/([1-9][0-9]{0,8})", text) or re.fullmatch(r"1 in ([1-9][0-9]{0,8})", text)
        number = 1 / int(fraction[1]) if fraction else None
        if number is None and re.fullmatch(r"0?\.[0-9]{1,12}", text):
            number = float(text)
        if number is None or not 0 < number < 0.5:
            self.fail(name, shown(text), "a probability such as 0.001 or 1/1000, below one half, or off")
            return None
        return number

    def by_metric(self, stem: str) -> dict[str, str]:
        return {name.removeprefix(stem): text for name, text in self.own.items() if name.startswith(stem)}


def read_extensions(reader: Reader, metadata: Metadata) -> Extensions:
    """Return what the annotations under gamebird.dev/ say."""
    notes = _Annotations(reader, metadata.annotations)
    if not notes.own:
        return Extensions()
    floors = {metric: notes.whole(f"min-requests.{metric}") for metric in notes.by_metric("min-requests.")}
    queries = notes.by_metric("requests.")
    for metric, query in queries.items():
        if not query:
            notes.fail(f"requests.{metric}", "empty", "a PromQL query that counts the requests behind the metric")
    if reader.value.get("kind") != "Rollout":
        for name in PROMISES:
            if name in notes.own:
                notes.fail(name, "a promise about a rollout", "to stand on the Rollout")
    parity = notes.choice("parity", tuple(item.value for item in Parity))
    on_deadline = notes.choice("on-deadline", ("pause", "fail", "pass"))
    limits = notes.choice("limits", ("total", "consecutive"))
    actions = tuple(item.value for item in EvidenceAction)
    on_missing = {missing.value: notes.choice(f"on-{missing.value}", actions) for missing in Missing}
    return Extensions(
        parity=None if parity is None else Parity(parity),
        requests_min=notes.whole("min-requests"),
        requests_min_by_metric=FrozenMap({m: floor for m, floor in floors.items() if floor is not None}),
        requests_queries=FrozenMap({metric: query for metric, query in queries.items() if query}),
        deadline_s=notes.duration("evidence-deadline"),
        on_deadline=None if on_deadline is None else EvidenceAction(on_deadline),
        odds=notes.odds("odds"),
        on_missing=FrozenMap({kind: EvidenceAction(text) for kind, text in on_missing.items() if text is not None}),
        consecutive_limits=None if limits is None else limits == "consecutive",
        promises=read_promises(notes.own, notes.fail),
    )


def named_metrics(extensions: Extensions) -> frozenset[str]:
    """Return the metrics that annotations name, so that a name of nothing can be told."""
    return frozenset(extensions.requests_min_by_metric) | frozenset(extensions.requests_queries)


def annotation_place(reader_place: Place, extensions: Extensions, metric: str) -> Place:
    """Return where the annotation that names a metric stands."""
    stem = "min-requests" if metric in extensions.requests_min_by_metric else "requests"
    return reader_place.below("metadata", "annotations", f"{PREFIX}{stem}.{metric}")
