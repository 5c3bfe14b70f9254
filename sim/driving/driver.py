"""One rollout's controller in virtual time: it plays until something has to be measured, and can be forked there.

The driver decides nothing (`controller.core` does) and moves no traffic (`sim.platform` does). It does what the local
world's driver does, in the same order: decide until nothing changes, tend the analysis runs, ask what is due, judge
together what was asked together. Only time differs: it jumps to the next instant at which something that decides can
change. The caller measures, because runs of a flock that share a driver differ in what they measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from controller.core.actions import StartAnalysis
from controller.core.analysis import advance, due
from controller.core.decisions import Decision, decide
from controller.core.driving import PlatformLedger
from controller.core.operator import Word, ask
from controller.core.plan import plan_of
from controller.core.records import OperatorRecord
from controller.core.runs import AnalysisRun, AnalysisStatus, Measurement
from controller.core.snapshot import Snapshot
from controller.core.status import PauseReason, RolloutStatus
from controller.manifests.values import Rollout
from sim.driving.deployments import LOOKS_MAX, Deployment
from sim.driving.endings import failed_metric, run_key, waits_for_a_person
from sim.driving.verdicts import Asking, Question, Verdict
from sim.outcomes.table import Outcome
from sim.platform import NEVER, Births, Fates, Ground, Platform, begins_s

RECOVERY_MAX_S = 3_600.0  # how long an abort may take to reach the last user before the run is cut
SWITCH_MAX_S = 300.0  # how long a promoted release may take to get all users before the run ends all the same
WATCHED_PAUSE_S = 600.0  # how long a rollout that waits for a person goes on while an analysis still runs beside it

History = list[tuple[float, Snapshot, Decision]]


class VirtualDriver:
    """One release's rollout, from the first request to its verdict.

    Attributes:
        now_s: policy time, from the first request.
        verdict: what became of the release; None while it is under way.
        history: what was decided, for `controller.core.invariants`; None unless it is wanted.
    """

    __slots__ = (
        "_aborted_s",
        "_again_s",
        "_analyses",
        "_answered",
        "_asking",
        "_bound_s",
        "_deployed",
        "_deployment",
        "_failed",
        "_fates",
        "_generation",
        "_looked_s",
        "_looks",
        "_looks_now",
        "_message",
        "_noticed_s",
        "_promoted_s",
        "_rollout",
        "_runs_s",
        "_step",
        "_template_hash",
        "_waits_since_s",
        "history",
        "ledger",
        "now_s",
        "platform",
        "status",
        "verdict",
    )

    def __init__(
        self,
        deployment: Deployment,
        *,
        seed: int,
        cohort: int,
        records: bool = False,
        counts_requests: bool = True,
    ) -> None:
        scenario, rollout = deployment.scenario, deployment.release
        ground = Ground(
            scenario=scenario,
            births=Births(scenario, Fates(seed, cohort)),
            release_hash=deployment.release_hash,
            stable_hash=deployment.stable_hash,
            routed=plan_of(rollout).routed,
            by_hashes=not (rollout.strategy.canary_service and rollout.strategy.stable_service),
            min_ready_s=rollout.min_ready_s,
            keeps_pods=rollout.restart_at_s is not None,
            counts_requests=counts_requests,
        )
        self._deployment = deployment
        self._fates = ground.births.fates
        self.platform = Platform(ground, stable_pods=rollout.replicas)
        self._rollout: Rollout = deployment.before
        self._template_hash = deployment.stable_hash
        self._generation = deployment.generation
        self.status: RolloutStatus = deployment.status
        known = deployment.ledger
        self.ledger = PlatformLedger(
            replica_sets=dict(known.replica_sets), services=known.services, weight=known.weight, runs=dict(known.runs)
        )
        self.now_s = 0.0
        self.verdict: Verdict | None = None
        self.history: History | None = [] if records else None
        self._deployed = False
        self._noticed_s = NEVER  # since when something has changed that the controller has not looked at
        self._again_s = NEVER  # when the core wants to look again
        self._runs_s = NEVER  # when an analysis run is due
        self._looks = 0
        self._looked_s, self._looks_now = -1.0, 0
        self._asking: Asking | None = None
        self._answered = False
        self._analyses: dict[str, int] = {}
        self._step = 0
        self._failed: str | None = None
        self._message = ""
        self._aborted_s = NEVER
        self._promoted_s = NEVER
        self._waits_since_s = NEVER
        self._bound_s = deployment.bound_s

    # ---- playing

    def play(self, until_s: float = NEVER) -> Asking | None:
        """Go on until measurements are due, and return which; None once there is a verdict, or at `until_s`."""
        if self._asking is not None:
            raise RuntimeError("measurements are due that nobody has answered")
        while self.verdict is None:
            if self._answered:
                self._answered = False
                self._look(self.now_s)
            else:
                wake_s = self._wake_s()
                at_s = self._next_s(wake_s)
                if at_s > until_s:
                    self._go_on_to(until_s)
                    return None
                self._go_on_to(at_s)
                if wake_s <= at_s:
                    self._look(at_s)
                elif not self._deployed and self._deployment.deploy_s <= at_s:
                    self._deploy()
                elif self._person_s() <= at_s:
                    self.say(Word.PROMOTE)
            self._conclude()
            asking = self._due()
            if asking is not None:
                return asking
        return None

    def _due(self) -> Asking | None:
        """Return what is asked now; nothing is any more once there is a verdict."""
        if self.verdict is not None:
            self._asking = None
        return self._asking

    def answer(self, measurements: Mapping[tuple[str, str], Measurement], finished_s: float | None = None) -> None:
        """Give the measurements that were asked for, by run and metric; the controller looks at them at once.

        Args:
            finished_s: when it looks; None: when the scenario's metrics server has answered.
        """
        asking = self._asking
        if asking is None:
            raise RuntimeError("nothing was asked")
        self._asking = None
        self._go_on_to(asking.answered_s if finished_s is None else finished_s)
        names = dict.fromkeys(question.run for question in asking.questions)
        for name in names:
            run = self.ledger.runs[name]
            measured = {q.metric.name: measurements[q.key] for q in asking.questions if q.run == name}
            self._remember(run, advance(run, measured, self.now_s))
        self._answered = True

    def say(self, word: Word) -> OperatorRecord:
        """Carry out an operator's word; a rollout that waited for a person goes on with the next `play`."""
        asked = ask(word, self._rollout, self.status, self.now_s)
        if asked.rollout is not self._rollout:
            self._generation += 1
        self._rollout, self.status = asked.rollout, asked.status
        if self.verdict is not None and self.verdict.outcome is Outcome.PAUSED:
            self.verdict = None
        self._waits_since_s = NEVER
        self._noticed_s = min(self._noticed_s, self.now_s)
        return asked.record

    def crash(self, life: int) -> None:
        """End a pod's process now: the caller counts requests and has seen the one that kills it."""
        self.platform.crash(life)
        self._go_on_to(self.now_s)

    def next_s(self) -> float:
        """Return the next instant at which anything can change."""
        return self.now_s if self._answered else self._next_s(self._wake_s())

    def _next_s(self, wake_s: float) -> float:
        at_s = min(self.platform.next_s(), wake_s)
        if not self._deployed:
            return min(at_s, self._deployment.deploy_s)
        return min(at_s, self._cut_s(), self._person_s())

    def _cut_s(self) -> float:
        """Return when the run is cut, whatever it waits for."""
        if self._aborted_s < NEVER:
            return self._aborted_s + RECOVERY_MAX_S
        if self._promoted_s < NEVER:
            return self._promoted_s + SWITCH_MAX_S
        if self._person_s() < NEVER:
            return self._bound_s
        return min(self._bound_s, self._waits_since_s + WATCHED_PAUSE_S)

    def _person_s(self) -> float:
        """Return when a person promotes the rollout that waits at a pause step; inf: nobody does."""
        patience_s = self._deployment.scenario.promotes_after_s
        if patience_s is None or self._waits_since_s == NEVER or self._rollout.paused:
            return NEVER
        if self.status.pause(PauseReason.INCONCLUSIVE_ANALYSIS) is not None:
            return NEVER
        return self._waits_since_s + patience_s

    def _wake_s(self) -> float:
        """Return when the controller next looks: its delay after a cause, and not while it is away."""
        cause_s = min(self._noticed_s, self._again_s, self._runs_s)
        if cause_s == NEVER:
            return NEVER
        model = self._deployment.scenario.controller
        delay_s = self._fates.lognormal(model.delay_s, model.sigma, "controller delay", self._looks)
        at_s = max(cause_s + delay_s, self.now_s)
        for outage in model.restarts:
            begins = begins_s(outage, self.platform.instants)
            if begins <= at_s < begins + outage.for_s:
                at_s = begins + outage.for_s
        return at_s

    def _go_on_to(self, at_s: float) -> None:
        platform = self.platform
        if platform.advance(at_s):
            self._noticed_s = min(self._noticed_s, at_s)
            if platform.size != self._rollout.replicas:
                self._rollout = self._deployment.sized(self._rollout, platform.size)
                self._generation += 1
        self.now_s = at_s

    def _deploy(self) -> None:
        """Replace the spec, as `kubectl apply` does."""
        self._deployed = True
        size = self._rollout.replicas
        self._rollout = self._deployment.sized(self._deployment.release, size)
        self._template_hash = self._deployment.release_hash
        self._generation += 1
        self._noticed_s = min(self._noticed_s, self.now_s)

    # ---- one look

    def _look(self, now_s: float) -> None:
        """Decide until nothing changes, and ask what is due."""
        self._looks += 1
        self._looks_now = self._looks_now + 1 if now_s == self._looked_s else 1
        self._looked_s = now_s
        if self._looks_now > LOOKS_MAX:
            raise RuntimeError(f"{self._rollout.name}: {LOOKS_MAX} looks at {now_s} s and nothing moves")
        self._noticed_s = NEVER
        for _ in range(LOOKS_MAX):
            decided = self._decide(now_s)
            if not self._tend(now_s) and not decided:
                return
        raise RuntimeError(f"{self._rollout.name}: {LOOKS_MAX} decisions in a row and no fixed point")

    def _decide(self, now_s: float) -> bool:
        """Observe, decide, act, remember; True when the status changed."""
        before = self.status
        snapshot = self.ledger.snapshot(
            rollout=self._rollout,
            template_hash=self._template_hash,
            generation=self._generation,
            status=before,
            pods=self.platform.pod_counts(),
            templates=self._deployment.policy.templates,
        )
        decision = decide(snapshot, now_s)
        for action in decision.actions:
            self.platform.carry_out(action)
            self.ledger.apply(action, now_s)
            if isinstance(action, StartAnalysis):
                self._analyses.setdefault(action.run.name, len(self._analyses))
        if self.history is not None:
            self.history.append((now_s, snapshot, decision))
        after = self.status = decision.status
        self._again_s = NEVER if decision.look_again_s is None else decision.look_again_s
        if decision.changed and self._deployed:
            self._note(before, after, now_s)
        return decision.changed

    def _note(self, before: RolloutStatus, after: RolloutStatus, now_s: float) -> None:
        """Keep what the verdict will need of a change of the status."""
        if after.abort and not before.abort:
            self._aborted_s = now_s
            self._failed = failed_metric(self.ledger.runs, after, before)
            self._message = after.message
        elif not after.abort and after.step_index is not None and after.current_hash == self._template_hash:
            self._step = after.step_index
            self.platform.reached_step(after.step_index)

    def _tend(self, now_s: float) -> bool:
        """Advance the analysis runs and ask what is due; True when a run changed."""
        changed = False
        runs_s = NEVER
        questions: list[Question] = []
        for run in tuple(self.ledger.runs.values()):
            if run.status.phase.completed:
                continue
            changed |= self._remember(run, advance(run, {}, now_s))
            run = self.ledger.runs[run.name]
            names, again_s = due(run, now_s)
            number = self._analyses[run.name]
            questions += [Question(run=run.name, analysis=number, metric=run.metric(name)) for name in names]
            if again_s is not None and not names:
                runs_s = min(runs_s, again_s)
        self._runs_s = runs_s
        self._asking = self._ask(tuple(questions), now_s) if questions else None
        return changed

    def _ask(self, questions: tuple[Question, ...], now_s: float) -> Asking:
        model = self._deployment.scenario.prometheus
        delay_s = self._fates.lognormal(model.answer_s, model.answer_sigma, "answer delay", self._looks)
        return Asking(at_s=now_s, answered_s=now_s + delay_s, questions=questions)

    def _remember(self, run: AnalysisRun, status: AnalysisStatus) -> bool:
        if status == run.status:
            return False
        self.ledger.update_run(run.name, status)
        return True

    # ---- the end

    def _conclude(self) -> None:
        """Give the verdict once there is one."""
        if not self._deployed:
            return
        platform, status = self.platform, self.status
        if self._aborted_s < NEVER:
            if platform.is_away:
                recovered_s = max(0.0, platform.release_until_s - self._aborted_s)
                self._end(Outcome.ABORTED, self._aborted_s, self.now_s, recovered_s)
            elif self.now_s >= self._aborted_s + RECOVERY_MAX_S:
                self._end(Outcome.ABORTED, self._aborted_s, self.now_s, math.nan)
        elif status.stable_hash == self._deployment.release_hash:
            self._promoted_s = min(self._promoted_s, self.now_s)
            if platform.release_share == 1.0 or self.now_s >= self._promoted_s + SWITCH_MAX_S:
                self._end(Outcome.PROMOTED, self._promoted_s, self.now_s, math.nan)
        elif self.now_s >= self._bound_s:
            waits = self._waits_since_s < NEVER
            self._end(Outcome.PAUSED if waits else Outcome.STUCK, self.now_s, self.now_s, math.nan)
        else:
            self._conclude_pause()

    def _conclude_pause(self) -> None:
        if not waits_for_a_person(self._rollout, self.status):
            self._waits_since_s = NEVER
            return
        if self._waits_since_s == NEVER:
            self._waits_since_s = self.now_s
        if self._person_s() < NEVER:
            return
        watched = any(not run.status.phase.completed for run in self.ledger.runs.values())
        if not watched or self.now_s >= self._waits_since_s + WATCHED_PAUSE_S:
            self._failed = failed_metric(self.ledger.runs, self.status, self.status)
            self._end(Outcome.PAUSED, self._waits_since_s, self.now_s, math.nan)

    def _end(self, outcome: Outcome, at_s: float, until_s: float, recovered_s: float) -> None:
        platform = self.platform
        self.verdict = Verdict(
            outcome=outcome,
            at_s=at_s,
            until_s=until_s,
            step=self._step,
            metric=self._failed if outcome in (Outcome.ABORTED, Outcome.PAUSED) else None,
            first_canary_s=platform.release_first_s,
            ended_s=at_s - self._deployment.deploy_s,
            recovered_s=recovered_s,
            weight_max=100.0 * platform.release_share_max,
            message=self._message or self.status.message,
        )

    # ---- forks

    def fork(self) -> VirtualDriver:
        """Return a driver with the same past that goes its own way from here on."""
        twin = object.__new__(VirtualDriver)
        for name in VirtualDriver.__slots__:
            setattr(twin, name, getattr(self, name))
        known = self.ledger
        twin.ledger = PlatformLedger(
            replica_sets=known.replica_sets.copy(), services=known.services, weight=known.weight, runs=known.runs.copy()
        )
        twin.platform = self.platform.fork()
        twin._analyses = self._analyses.copy()
        twin.history = None if self.history is None else self.history.copy()
        return twin

    def key(self) -> tuple[object, ...]:
        """Return what decides the future: runs whose drivers have equal keys may go on as one.

        Two equal keys also have equal timelines of traffic behind them, and equal instants at which users first met
        the release; measurements, messages and values that no longer matter are left out.
        """
        ledger = self.ledger
        return (
            run_key(self.status, ledger),
            self._generation,
            self._rollout.replicas,
            self._rollout.paused,
            self.now_s,
            (self._noticed_s, self._again_s, self._runs_s, self._looks),
            (self._answered, self._asking is not None, self._deployed),
            (self._aborted_s, self._promoted_s, self._step, self._waits_since_s),
            tuple(self._analyses.items()),
            self.platform.key(),
        )
