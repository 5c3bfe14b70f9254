"""The windows of a scenario that touch requests, with the instants at which they begin on one path of a run.

A window that waits for a trigger is not there until the platform says when the trigger went off. What a later instant
adds changes nothing before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadgen.traffic import Change
from sim.load.pods import Pod
from sim.scenarios import Incident, Scenario, Trigger, Window


@dataclass(frozen=True, slots=True)
class Happening:
    """An incident, from when until when."""

    incident: Incident
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """The release's flag is off from one instant to another; each pod notices both a little later."""

    from_s: float
    until_s: float
    propagation_s: float

    def noticed_by(self, pod: Pod) -> tuple[float, float]:
        """Return when a pod notices: pods are spread evenly over the propagation delay, by their ordinals."""
        late_s = self.propagation_s * ((0.5 + 0.6180339887498949 * pod.ordinal) % 1.0)
        return self.from_s + late_s, self.until_s + late_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """Everything that begins and ends: incidents, changes of the traffic, the kill switch."""

    incidents: tuple[Happening, ...] = ()
    changes: tuple[Change, ...] = ()
    switched_off: SwitchedOff | None = None


def happenings_of(scenario: Scenario, instants: Mapping[Trigger, float]) -> Happenings:
    """Return what is in force on the path whose triggers went off at these instants."""
    switch = scenario.kill_switch
    switch_s = None if switch is None else _begins_s(switch, instants)
    return Happenings(
        incidents=tuple(
            Happening(one, from_s, from_s + one.for_s)
            for one in scenario.incidents
            if (from_s := _begins_s(one, instants)) is not None
        ),
        changes=tuple(
            Change(from_s=from_s, until_s=from_s + one.for_s, rps=one.rps)
            for one in scenario.traffic_changes
            if (from_s := _begins_s(one, instants)) is not None
        ),
        switched_off=None
        if switch is None or switch_s is None
        else SwitchedOff(switch_s, switch_s + switch.for_s, switch.propagation_s),
    )


def _begins_s(window: Window, instants: Mapping[Trigger, float]) -> float | None:
    if window.from_s is not None:
        return window.from_s
    return None if window.when is None else instants.get(window.when)
