"""label_replace and label_join: they look at label sets only, never at values."""

from __future__ import annotations

import re
from dataclasses import replace

from promql.engine.errors import ErrorKind, PromQLError
from promql.engine.values import Evaluation, Vector, merged
from promql.storage.label_sets import LabelSets
from promql.storage.labels import value_of, with_label
from promql.syntax.regexes import Match, RegexError, compile_regex

_PLACE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def _refuse(message: str) -> PromQLError:
    return PromQLError(ErrorKind.EXECUTION, message)


def _is_name(text: str) -> bool:
    """Whether a label may be called so: anything but nothing, and bytes that are no UTF-8 (lone surrogates)."""
    return bool(text) and not any("\ud800" <= character <= "\udfff" for character in text)


def label_replace(
    vector: Vector, target: str, template: str, source: str, pattern: str, evaluation: Evaluation
) -> Vector:
    """Set a label from a template where the source label matches the anchored pattern."""
    try:
        regex = compile_regex(pattern)
    except RegexError:
        raise _refuse(f"invalid regular expression in label_replace(): {pattern}") from None
    if not _is_name(target):
        raise _refuse(f"invalid destination label name in label_replace(): {target}")
    labels = []
    for each in vector.labels:
        found = regex.fullmatch(value_of(each, source))
        labels.append(each if found is None else with_label(each, target, _filled(template, found, regex.groupindex)))
    return merged(replace(vector, labels=LabelSets(labels)), evaluation)


def _filled(template: str, found: Match, names: dict[str, int]) -> str:
    """Fill in `$1`, `${1}`, `$name` and `${name}`; a group that is not there is empty, `$$` is a dollar."""

    def fill(place: re.Match[str]) -> str:
        if place.group() == "$$":
            return "$"
        name = place.group(1) or place.group(2)
        key: int | str = name
        if name == "0" or (name.isascii() and name.isdigit() and name[0] != "0"):
            key = int(name)
        elif name not in names:
            return ""
        try:
            return found.group(key) or ""
        except (IndexError, KeyError, re.error):
            return ""

    return _PLACE.sub(fill, template)


def label_join(vector: Vector, target: str, separator: str, sources: list[str], evaluation: Evaluation) -> Vector:
    """Set a label to the values of others, joined."""
    for source in sources:
        if not _is_name(source):
            raise _refuse(f"invalid source label name in label_join(): {source}")
    if not _is_name(target):
        raise _refuse(f"invalid destination label name in label_join(): {target}")
    labels = LabelSets(
        with_label(each, target, separator.join(value_of(each, source) for source in sources)) for each in vector.labels
    )
    return merged(replace(vector, labels=labels), evaluation)
