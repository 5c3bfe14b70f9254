"""Read exposition text that was recorded: a sample a line, each with its time, in any order.

Scrapes are read by prometheus-client, which also holds OpenMetrics to its rules of grouping. Recorded files often do
not keep to these: promtool and exporters of series write one series after the other, a histogram's buckets far
apart. Prometheus reads such files line by line when it backfills, and so does this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from promql.go_numbers import bound_text, go_float
from promql.storage.exposition import Exposition, ExpositionError, Family, ScrapedSample
from promql.storage.labels import METRIC_NAME, labels_of

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# promtool dumps dotted names without the quotes that they need elsewhere.
_NAME = re.compile(r'[^\s{}"#=,0-9][^\s{}"#=,]*')
_PAIR = re.compile(rf"\s*(?:([^\s{{}}\"#=,0-9][^\s{{}}\"#=,]*|{_QUOTED})\s*=\s*({_QUOTED})|({_QUOTED}))\s*(,|(?=\}}))")
_COMMENT = re.compile(rf"#\s*(HELP|TYPE|UNIT)\s+({_QUOTED}|\S+)\s?(.*)")
_ESCAPES = {"n": "\n"}
_BOUNDED = {"histogram": "le", "summary": "quantile"}
_WORDS_AFTER_MAX = 2


def read_lines(text: str, *, in_seconds: bool) -> Exposition:
    """Return the samples and what is said of their metrics.

    Args:
        in_seconds: times are seconds, as in OpenMetrics; else milliseconds.
    Raises:
        ExpositionError: a line is no sample; the text names it.
    """
    samples: list[ScrapedSample] = []
    said: dict[str, dict[str, str]] = {}
    kind = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if line.startswith("#"):
            if (comment := _COMMENT.match(line)) is not None:
                word, name, rest = comment.groups()
                said.setdefault(_plain(name), {})[word] = rest.strip()
                kind = rest.strip() if word == "TYPE" else kind
            continue
        try:
            samples.append(_sample(line, _BOUNDED.get(kind, ""), 1.0 if in_seconds else 1000.0))
        except ValueError as error:
            raise ExpositionError(f"line {number}: {error}: {line[:100]}") from None
    return Exposition(samples=tuple(samples), families=tuple(_families(said)))


def _families(said: dict[str, dict[str, str]]) -> Iterator[Family]:
    for name, words in said.items():
        help_text = _unescaped(words.get("HELP", ""))
        yield Family(name=name, kind=words.get("TYPE", "unknown"), help=help_text, unit=words.get("UNIT", ""))


def _sample(line: str, bounded: str, per_second: float) -> ScrapedSample:
    named = _NAME.match(line)
    pairs = {METRIC_NAME: named.group()} if named else {}
    place = named.end() if named else 0
    place += len(line[place:]) - len(line[place:].lstrip())
    if line[place : place + 1] == "{":
        place = _labels(line, place + 1, pairs)
    if not pairs.get(METRIC_NAME):
        raise ValueError("a sample without a metric's name")
    if bounded in pairs:
        pairs[bounded] = bound_text(pairs[bounded])
    words = line[place:].split("#", 1)[0].split()
    value = go_float(words[0]) if words else None
    if value is None or len(words) > _WORDS_AFTER_MAX:
        raise ValueError("a sample needs a value and a time after its labels")
    time = go_float(words[1]) if len(words) > 1 else None
    if len(words) > 1 and (time is None or time != time or abs(time) == float("inf")):
        raise ValueError(f"{words[1]} is no time")
    t_s = None if time is None else time / per_second
    return ScrapedSample(labels=labels_of(pairs), value=value, t_s=t_s)


def _labels(line: str, place: int, pairs: dict[str, str]) -> int:
    """Read pairs up to the closing brace; a quoted text alone is the metric's name. Return the place behind it."""
    while True:
        rest = line[place:].lstrip()
        if rest.startswith("}"):
            return len(line) - len(rest) + 1
        pair = _PAIR.match(line, place)
        if pair is None:
            raise ValueError("labels that cannot be read")
        name, value, metric = pair.group(1), pair.group(2), pair.group(3)
        own, text = (METRIC_NAME, metric) if metric is not None else (_plain(name), value)
        if own in pairs:
            raise ValueError(f"the label {own} twice")
        pairs[own] = _plain(text)
        place = pair.end()


def _plain(text: str) -> str:
    return _unescaped(text[1:-1]) if text.startswith('"') else text


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), text) if "\\" in text else text
