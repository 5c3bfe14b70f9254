"""Windows of a scenario whose beginning the rollout decides: when each begins, on the path that a history takes.

`Window.when` names a weight or a step; the first instant at which it is reached, plus its delay, is the beginning. A
window of a known beginning needs nothing of this but `begins_s`, which reads both kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sim.scenarios import Scenario, Trigger, Window

NEVER = float("inf")


def triggers(scenario: Scenario) -> tuple[Trigger, ...]:
    """Return every trigger of a scenario, each once."""
    found = {window.when: None for window in _windows(scenario) if window.when is not None}
    return tuple(found)


def begins_s(window: Window, instants: Mapping[Trigger, float]) -> float:
    """Return when a window begins: an instant, or inf while nothing has set it off."""
    if window.from_s is not None:
        return window.from_s
    if not instants or window.when is None:
        return NEVER
    return instants.get(window.when, NEVER)


def _windows(scenario: Scenario) -> Iterator[Window]:
    yield from scenario.incidents
    yield from scenario.traffic_changes
    yield from scenario.scrapes.losses
    yield from scenario.prometheus.outages
    yield from scenario.controller.restarts
    if scenario.autoscaler is not None:
        yield from scenario.autoscaler.metrics_missing
    if scenario.kill_switch is not None:
        yield scenario.kill_switch
