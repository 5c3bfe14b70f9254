"""Puts what happens in a run into words and numbers, as the events of its trace."""

from __future__ import annotations

from controller.core.actions import ScaleReplicaSet, SelectService, SetWeight
from controller.core.records import TransitionRecord
from controller.core.runs import Measurement
from sim.driving import Question, Verdict, VirtualDriver
from sim.outcomes.table import Outcome
from sim.platform import NEVER, PodLife, Stretch
from sim.simpy_world.traces import Event

_WORDS = {
    Outcome.PROMOTED: "promoted",
    Outcome.ABORTED: "aborted",
    Outcome.PAUSED: "waits for a person",
    Outcome.STUCK: "still under way at the bound",
}


class Teller:
    """Gathers the events of one run. It looks at the driver and never asks anything of it."""

    def __init__(self, deploy_s: float) -> None:
        self._events: list[Event] = []
        self._deploy_s = deploy_s
        self._decisions = 0
        self._lives: list[PodLife] = []
        self._stretches = 0
        self._sums = (0, 0, 0)

    def told(self) -> tuple[Event, ...]:
        """Return the events in the order of time."""
        self._tell(self._deploy_s, "deployed", "the release is deployed")
        return tuple(sorted(self._events, key=lambda event: event.t_s))

    def _tell(self, t_s: float, kind: str, text: str, **data: object) -> None:
        self._events.append(Event(t_s=t_s, kind=kind, text=text, data=tuple(data.items())))

    def follow(self, driver: VirtualDriver) -> None:
        """Note what the driver has decided, and what became of pods and traffic, since the last time."""
        for t_s, _, decision in (driver.history or [])[self._decisions :]:
            for record in decision.records:
                if isinstance(record, TransitionRecord):
                    self._tell(t_s, "decided", f"{record.rule}: {record.before} -> {record.after}", rule=record.rule)
            for action in decision.actions:
                self._act(t_s, action)
        self._decisions = len(driver.history or [])
        for index, life in enumerate(driver.platform.lives):
            known = self._lives[index] if index < len(self._lives) else None
            if known is not life:
                self._pod(life, is_new=known is None)
        self._lives = list(driver.platform.lives)
        timeline = driver.platform.timeline
        if len(timeline) != self._stretches:
            self._stretches = len(timeline)
            self._traffic(driver.platform.current)

    def _act(self, t_s: float, action: object) -> None:
        match action:
            case SetWeight():
                share = 100 * action.canary / action.total
                self._tell(t_s, "acted", f"weight {share:g} % asked for", weight_percent=share)
            case ScaleReplicaSet():
                text = f"{action.pod_hash} scaled to {action.replicas}"
                self._tell(t_s, "acted", text, pod_hash=action.pod_hash, replicas=action.replicas)
            case SelectService():
                self._tell(t_s, "acted", f"{action.role} Service selects {action.pod_hash}", role=action.role)
            case _:
                pass

    def _pod(self, life: PodLife, *, is_new: bool) -> None:
        if life.ended_s < NEVER:
            died = life.gone_s == life.ended_s
            self._tell(life.ended_s, "pods", f"{life.name} {'dies' if died else 'is told to end'}", pod=life.name)
        elif is_new and life.created_s > 0.0:
            again = f", start {life.incarnation + 1}" if life.incarnation else ""
            ready = "never ready" if life.ready_s == NEVER else f"ready at {life.ready_s - self._deploy_s:.1f} s"
            self._tell(life.created_s, "pods", f"{life.name} starts{again}, {ready}", pod=life.name)

    def _traffic(self, stretch: Stretch) -> None:
        text = f"{100 * stretch.release_share:.1f} % of users meet the release"
        if stretch.unserved:
            text += f", {100 * stretch.unserved:.1f} % meet nobody"
        self._tell(
            stretch.from_s,
            "traffic",
            text,
            release_share=stretch.release_share,
            unserved=stretch.unserved,
            pods=len(stretch.shares),
        )

    def measured(self, t_s: float, question: Question, measurement: Measurement) -> None:
        """Note a measurement."""
        value = measurement.value
        shown = ", ".join(f"{number:.4g}" for number in value) if isinstance(value, tuple) else f"{value}"
        behind = "" if measurement.requests is None else f" over {measurement.requests:.0f} requests"
        self._tell(
            t_s,
            "measured",
            f"{question.metric.name} is {shown or 'empty'}{behind}: {measurement.phase}",
            metric=question.metric.name,
            analysis=question.analysis,
            value=list(value) if isinstance(value, tuple) else value,
            requests=measurement.requests,
            phase=str(measurement.phase),
            reason=measurement.reason,
            message=measurement.message,
        )

    def tally(self, t_s: float, sums: tuple[int, int, int], unserved: int) -> None:
        """Note how many requests there were since the last time."""
        total, canary, bad = (now - before for now, before in zip(sums, self._sums, strict=True))
        self._sums = sums
        self._tell(
            t_s,
            "tally",
            f"{total} requests, {canary} of them to the release, {bad} of those bad",
            requests=total,
            canary_requests=canary,
            bad_requests=bad,
            unserved_so_far=unserved,
        )

    def ended(self, verdict: Verdict) -> None:
        """Note the verdict."""
        text = _WORDS[verdict.outcome] + (f" because of {verdict.metric}" if verdict.metric else "")
        self._tell(verdict.at_s, "verdict", text, outcome=verdict.outcome.name.lower(), step=verdict.step)
