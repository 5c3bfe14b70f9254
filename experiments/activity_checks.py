"""What can be wrong with the activities of a game day before anything runs: probes, tolerances, rollbacks, pauses.

Chaos Toolkit itself finds a misspelt probe only when its turn comes, with the world already up. Keeps out what our
actions' own arguments mean, which `gameday_files` reads by their models.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.manifests.documents import Document, FieldPath, Problem, nearest, shown
from experiments.chaos import probes

ACTIONS_MODULE = "experiments.chaos.actions"
CONTROL_MODULE = "experiments.chaos.control"
PROBES_MODULE = "experiments.chaos.probes"
_MODULES = (ACTIONS_MODULE, PROBES_MODULE)
_HYPOTHESIS: FieldPath = ("steady-state-hypothesis", "probes")


def activities(document: Document) -> Iterator[tuple[FieldPath, Mapping[str, Any]]]:
    """Yield every activity of an experiment with its place, as far as the experiment has the shape of one."""
    hypothesis = document.value.get("steady-state-hypothesis")
    parts: list[tuple[FieldPath, Any]] = [
        (_HYPOTHESIS, hypothesis.get("probes") if isinstance(hypothesis, dict) else None),
        (("method",), document.value.get("method")),
        (("rollbacks",), document.value.get("rollbacks")),
    ]
    for at, entries in parts:
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield (*at, index), entry


def activity_problems(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with probes, with functions that are not ours, and with tolerances."""
    for at, activity in activities(document):
        provider = activity.get("provider")
        if isinstance(provider, dict) and provider.get("type") == "python":
            yield from _provider_problems(document, (*at, "provider"), provider)
        if at[:2] == _HYPOTHESIS and "ref" not in activity:
            yield from _tolerance_problems(document, at, activity)


def configuration_problems(document: Document) -> Iterator[Problem]:
    """Yield what the experiment's configuration and secrets take from the environment, and is not there."""
    for part in ("configuration", "secrets"):
        yield from _environment_problems(document, (part,), document.value.get(part))


def _environment_problems(document: Document, at: FieldPath, value: Any) -> Iterator[Problem]:
    if not isinstance(value, dict):
        return
    key = value.get("key")
    if value.get("type") == "env" and isinstance(key, str):
        if value.get("default") is None and key not in os.environ:
            need = "that variable set, or a default beside the key"
            yield document.problem((*at, "key"), f"{key}, which the environment does not have", need)
        return
    for name, inner in value.items():
        yield from _environment_problems(document, (*at, name), inner)


def pauses_in(document: Document) -> Iterator[FieldPath]:
    """Yield the place of each of Chaos Toolkit's own pauses."""
    for at, activity in activities(document):
        if activity.get("pauses"):
            yield (*at, "pauses")


def _provider_problems(document: Document, at: FieldPath, provider: Mapping[str, Any]) -> Iterator[Problem]:
    module = provider.get("module")
    if module is None:
        yield document.problem((*at, "module"), "missing", f"a module, as {PROBES_MODULE}")
    elif isinstance(module, str) and module.startswith("experiments.") and module not in _MODULES:
        yield document.problem((*at, "module"), shown(module), _spelling(module, _MODULES))
    elif module == PROBES_MODULE:
        yield from _probe_problems(document, at, provider)


def _probe_problems(document: Document, at: FieldPath, provider: Mapping[str, Any]) -> Iterator[Problem]:
    func, arguments = provider.get("func"), provider.get("arguments") or {}
    if func not in probes.__all__:
        found = "missing" if func is None else shown(func)
        yield document.problem((*at, "func"), found, _spelling(str(func), probes.__all__))
        return
    if not isinstance(arguments, dict):
        yield document.problem((*at, "arguments"), shown(arguments), "a mapping")
        return
    known = tuple(inspect.signature(getattr(probes, func)).parameters)
    for name, value in arguments.items():
        if name not in known:
            need = _spelling(str(name), known) if known else f"to be left out: {func} takes no arguments"
            yield document.problem((*at, "arguments", name), "unknown", need)
        elif not _is_duration(value):
            yield document.problem((*at, "arguments", name), shown(value), "a number of seconds above 0")


def _is_duration(value: object) -> bool:
    """Whether it is one, or text into which Chaos Toolkit puts a value of the experiment's configuration."""
    if isinstance(value, str):
        return "${" in value
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 604_800


def _tolerance_problems(document: Document, at: FieldPath, activity: Mapping[str, Any]) -> Iterator[Problem]:
    from chaoslib.exceptions import ChaosException
    from chaoslib.hypothesis import ensure_hypothesis_tolerance_is_valid

    if "tolerance" not in activity:
        yield document.problem((*at, "tolerance"), "missing", "what the probe should return: a value, or a range")
        return
    tolerance = activity["tolerance"]
    try:
        ensure_hypothesis_tolerance_is_valid(tolerance)
    except (ChaosException, TypeError, ValueError, AttributeError, KeyError) as error:
        found = f"{shown(tolerance)} ({error})"
        yield document.problem((*at, "tolerance"), found, "a whole number, a text, true, false, a list, or a range")


def _spelling(word: str, known: Sequence[str]) -> str:
    meant = nearest(word, known)
    return f"to be spelled {meant}" if meant else f"one of {', '.join(known)}"
