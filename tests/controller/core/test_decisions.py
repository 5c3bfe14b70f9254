"""What one decision asks for, at moments that recordings do not single out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.actions import (
    RemoveManagedRoutes,
    ScaleReplicaSet,
    SelectService,
    SetScaleDownDeadline,
    SetWeight,
    StartAnalysis,
)
from controller.core.actions import SetHeaderRoute as SetRoute
from controller.core.decisions import decide
from controller.core.driving import PlatformLedger, PodCounts
from controller.core.operator import Word, ask
from controller.core.runs import AnalysisPhase
from controller.core.services import names_by_role
from controller.core.status import PauseReason, Phase, RolloutStatus
from controller.manifests.values import (
    Amount,
    AnalysisTemplate,
    BackgroundAnalysis,
    CanaryStrategy,
    Extensions,
    FrozenMap,
    HeaderMatch,
    MetricTemplate,
    NginxRouting,
    Parity,
    Pause,
    PingPong,
    PodMetadata,
    PodTemplate,
    PrometheusProvider,
    Rollout,
    RolloutAnalysis,
    SetHeaderRoute,
    Step,
    StringMatch,
    TemplateRef,
    TrafficRouting,
)

V1, V2 = PodTemplate(canonical="1"), PodTemplate(canonical="2")
SLO = AnalysisTemplate(
    name="slo",
    metrics=(
        MetricTemplate(
            name="errors",
            provider=PrometheusProvider(query="errors"),
            interval="1m",
            count=3,
            success_condition="result[0] < 0.01",
        ),
    ),
)


def rollout_of(*steps, template=V1, replicas=6, parity=None, **canary):
    strategy = CanaryStrategy(
        steps=steps,
        canary_service="canary",
        stable_service="stable",
        traffic_routing=TrafficRouting(nginx=NginxRouting(stable_ingresses=("web",))),
        **canary,
    )
    extensions = Extensions(parity=parity)
    return Rollout(name="shop", replicas=replicas, template=template, strategy=strategy, extensions=extensions)


class Stage:
    """A platform on which every pod is available at once, unless told otherwise, and time stands until moved."""

    def __init__(self, rollout):
        self.rollout, self.generation, self.now_s = rollout, 1, 0.0
        self.status, self.ledger = RolloutStatus(), PlatformLedger.empty()
        self.acknowledged = None
        self.broken = set()  # hashes whose pods never become available
        self.history = []

    def look(self):
        counts = {
            pod_hash: PodCounts(created=seen.wanted)
            if pod_hash in self.broken
            else PodCounts(created=seen.wanted, ready=seen.wanted, available=seen.wanted)
            for pod_hash, seen in self.ledger.replica_sets.items()
        }
        snapshot = self.ledger.snapshot(
            rollout=self.rollout,
            template_hash=self.rollout.template.pod_hash,
            generation=self.generation,
            status=self.status,
            pods=counts,
            acknowledged_weight=self.acknowledged,
            templates=(SLO,),
        )
        decision = decide(snapshot, self.now_s)
        for action in decision.actions:
            self.ledger.apply(action, self.now_s)
        self.status = decision.status
        self.history.append(decision)
        return decision

    def rest(self):
        """Look until there is nothing to do, and return what was done."""
        done = []
        for _ in range(100):
            decision = self.look()
            done += decision.actions
            if not decision.changed and not decision.actions:
                return done
        raise AssertionError("no rest")

    def change(self, **changes):
        self.rollout = replace(self.rollout, **changes)
        self.generation += 1

    def say(self, word):
        asked = ask(word, self.rollout, self.status, self.now_s)
        if asked.rollout is not self.rollout:
            self.generation += 1
        self.rollout, self.status = asked.rollout, asked.status
        return asked.record

    def finish_run(self, phase):
        name = self.status.step_run.name
        run = self.ledger.runs[name]
        self.ledger.update_run(name, replace(run.status, phase=phase, message="because"))


def in_canary(*steps, **canary):
    """Return a stage on which v1 is stable and v2 has gone as far as it can."""
    stage = Stage(rollout_of(*steps, **canary))
    stage.rest()
    assert stage.status.phase is Phase.HEALTHY
    stage.change(template=V2)
    stage.rest()
    return stage


GATE = Step(analysis=RolloutAnalysis(templates=(TemplateRef(name="slo"),)))
WAIT = Step(pause=Pause())


def test_a_first_deployment_skips_the_steps_and_takes_all_pods():
    stage = Stage(rollout_of(Step(set_weight=20), WAIT))
    stage.rest()
    assert (stage.status.phase, stage.status.step_index, stage.status.updated_replicas) == (Phase.HEALTHY, 2, 6)
    assert stage.status.weights.canary == 0


def test_ten_percent_of_six_pods_are_one_pod_and_stable_stays_whole():
    stage = in_canary(Step(set_weight=10), WAIT)
    wanted = {pod_hash: seen.wanted for pod_hash, seen in stage.ledger.replica_sets.items()}
    assert wanted == {V1.pod_hash: 6, V2.pod_hash: 1}
    assert stage.ledger.weight == SetWeight(canary=10, total=100, canary_hash=V2.pod_hash, stable_hash=V1.pod_hash)
    assert [pause.reason for pause in stage.status.pauses] == [PauseReason.CANARY_PAUSE_STEP]


def test_a_timed_pause_ends_by_the_clock_and_says_when():
    stage = in_canary(Step(set_weight=10), Step(pause=Pause(duration_s=180.0)), WAIT)
    assert stage.history[-1].look_again_s == 180.0
    stage.now_s = 179.9
    assert stage.look().status.step_index == 1
    stage.now_s = 180.0
    stage.rest()
    assert stage.status.step_index == 2


def test_a_failed_analysis_moves_the_router_before_anything_else_is_said():
    stage = in_canary(Step(set_weight=10), GATE)
    stage.finish_run(AnalysisPhase.FAILED)
    decision = stage.look()
    assert decision.actions[0] == SetWeight(canary=0, total=100, canary_hash=V2.pod_hash, stable_hash=V1.pod_hash)
    assert (decision.status.abort, decision.status.phase) == (True, Phase.DEGRADED)
    assert decision.status.message.endswith("Step-based analysis phase error/failed: because")


TESTERS = Step(
    set_header_route=SetHeaderRoute(
        name="testers", matches=(HeaderMatch(header="x-tester", value=StringMatch(exact="yes")),)
    )
)


def test_a_failed_analysis_takes_the_steps_routes_from_the_router_with_the_weight():
    # Whoever carries the header meets the canary at every weight, so this is as urgent.
    stage = in_canary(Step(set_weight=10), TESTERS, GATE)
    assert stage.status.routes == ("testers@1",)
    stage.finish_run(AnalysisPhase.FAILED)
    weight = SetWeight(canary=0, total=100, canary_hash=V2.pod_hash, stable_hash=V1.pod_hash)
    assert stage.look().actions[:2] == (weight, RemoveManagedRoutes())
    assert RemoveManagedRoutes() in stage.rest()  # said again by the next decision, which notes it
    assert stage.status.routes == ()


def test_a_persons_abort_takes_the_steps_routes_from_the_router_right_after_the_weight():
    metadata = PodMetadata(labels=FrozenMap({"role": "canary"}))
    stage = in_canary(Step(set_weight=10), TESTERS, WAIT, canary_metadata=metadata)
    stage.say(Word.ABORT)
    assert [type(action) for action in stage.rest()][:3] == [SetWeight, RemoveManagedRoutes, SelectService]


@pytest.mark.parametrize("steps", [(TESTERS, Step(set_weight=10), WAIT), (TESTERS, WAIT)])
def test_an_abort_goes_back_to_the_first_step_without_its_route(steps):
    stage = in_canary(*steps)
    stage.say(Word.ABORT)
    done = stage.rest()  # it comes to rest: a route that goes and comes at every look would be written for ever
    assert not any(isinstance(action, SetRoute) for action in done)
    assert stage.status.routes == ()


def test_the_canary_service_is_moved_once_after_an_abort_and_never_back():
    stage = in_canary(Step(set_weight=10), WAIT)
    stage.say(Word.ABORT)
    done = stage.rest()
    stage.change(replicas=4)  # an autoscaler meddles while the canary's pods still count down
    done += stage.rest()
    moves = [action.pod_hash for action in done if isinstance(action, SelectService)]
    assert moves == [V1.pod_hash]
    assert stage.ledger.weight.canary == 0


def test_an_aborted_canary_keeps_its_pods_for_the_delay_and_then_has_none():
    stage = in_canary(Step(set_weight=50), WAIT, abort_scale_down_delay_s=30.0)
    stage.say(Word.ABORT)
    done = stage.rest()
    assert SetScaleDownDeadline(pod_hash=V2.pod_hash, at_s=30.0) in done
    assert stage.ledger.replica_sets[V2.pod_hash].wanted == 3
    assert stage.history[-1].look_again_s == 30.0
    stage.now_s = 30.0
    stage.rest()
    assert stage.ledger.replica_sets[V2.pod_hash].wanted == 0


def test_stable_that_cannot_take_all_traffic_keeps_the_weight_where_it_is():
    stage = in_canary(Step(set_weight=50), WAIT)
    stage.broken.add(V1.pod_hash)
    stage.say(Word.ABORT)
    stage.rest()
    assert stage.ledger.weight.canary == 50
    stage.broken.clear()
    stage.rest()
    assert stage.ledger.weight.canary == 0


def test_a_router_that_answers_is_waited_for_at_a_weight_step():
    stage = Stage(rollout_of(Step(set_weight=10), WAIT))
    stage.acknowledged = 0
    stage.rest()
    stage.change(template=V2)
    for _ in range(20):
        stage.look()
    assert (stage.status.step_index, stage.status.weights.verified) == (0, False)
    stage.acknowledged = 10
    stage.rest()
    assert stage.status.step_index == 1


def test_an_inconclusive_analysis_pauses_and_a_person_may_go_on():
    stage = in_canary(Step(set_weight=10), GATE, Step(set_weight=50), WAIT)
    stage.finish_run(AnalysisPhase.INCONCLUSIVE)
    stage.rest()
    assert [pause.reason for pause in stage.status.pauses] == [PauseReason.INCONCLUSIVE_ANALYSIS]
    assert stage.say(Word.PROMOTE).word == "promote"
    stage.rest()
    assert (stage.status.step_index, stage.ledger.weight.canary) == (3, 50)


def test_a_retry_starts_at_the_first_step_with_a_new_run():
    stage = in_canary(Step(set_weight=10), GATE)
    stage.finish_run(AnalysisPhase.FAILED)
    stage.rest()
    stage.say(Word.RETRY)
    done = stage.rest()
    started = [action.run.name for action in done if isinstance(action, StartAnalysis)]
    assert started == [f"shop-{V2.pod_hash}-2-1.1"]


def test_going_back_to_stable_is_healthy_at_once_and_takes_the_weight_away():
    stage = in_canary(Step(set_weight=50), WAIT)
    stage.change(template=V1)
    stage.rest()
    assert (stage.status.phase, stage.status.revision, stage.ledger.weight.canary) == (Phase.HEALTHY, 3, 0)


def test_no_pod_ready_is_degraded_at_the_progress_deadline_also_when_pods_stand_still():
    stage = Stage(replace(rollout_of(Step(set_weight=10), WAIT), progress_deadline_s=60.0))
    stage.rest()
    stage.broken.add(V2.pod_hash)
    stage.change(template=V2)
    stage.rest()
    stage.now_s = stage.history[-1].look_again_s
    assert stage.now_s == 60.0
    stage.rest()
    assert (
        stage.status.message == f'ProgressDeadlineExceeded: ReplicaSet "shop-{V2.pod_hash}" has timed out progressing.'
    )


@pytest.mark.parametrize(("parity", "left"), [(None, 6), (Parity.OFF, 0)])
def test_a_delay_of_zero_keeps_old_pods_for_ever_in_parity_and_ends_them_at_once_without(parity, left):
    stage = in_canary(Step(set_weight=50), parity=parity, scale_down_delay_s=0.0)
    assert stage.status.phase is Phase.HEALTHY
    assert stage.ledger.replica_sets[V1.pod_hash].wanted == left


@pytest.mark.parametrize(("parity", "left"), [(None, 0), (Parity.OFF, 3)])
def test_argo_does_not_wait_for_a_countdown_longer_than_its_resync(parity, left):
    stage = in_canary(Step(set_weight=50), WAIT, parity=parity, abort_scale_down_delay_s=1000.0)
    stage.say(Word.ABORT)
    stage.rest()
    assert stage.ledger.replica_sets[V2.pod_hash].wanted == left


def test_pods_carry_the_labels_of_the_role_that_they_play():
    canary, stable = (
        PodMetadata(labels=FrozenMap({"role": "canary"})),
        PodMetadata(labels=FrozenMap({"role": "stable"})),
    )
    stage = in_canary(Step(set_weight=50), WAIT, canary_metadata=canary, stable_metadata=stable)
    sets = stage.ledger.replica_sets
    assert (sets[V1.pod_hash].metadata, sets[V2.pod_hash].metadata) == (stable, canary)
    stage.say(Word.PROMOTE)
    stage.rest()
    assert (sets[V1.pod_hash].metadata, sets[V2.pod_hash].metadata) == (PodMetadata(), stable)


def test_a_paused_spec_holds_the_steps_but_not_the_analysis():
    stage = in_canary(Step(set_weight=10), GATE, WAIT)
    stage.say(Word.PAUSE)
    stage.rest()
    stage.finish_run(AnalysisPhase.SUCCESSFUL)
    stage.rest()
    assert (stage.status.step_index, stage.status.message) == (1, "manually paused")
    stage.say(Word.RESUME)
    stage.rest()
    assert stage.status.step_index == 2


def test_a_record_says_what_an_abort_rested_on():
    stage = in_canary(Step(set_weight=10), GATE)
    stage.finish_run(AnalysisPhase.FAILED)
    record = stage.look().records[0]
    assert record.rule == "step-based analysis failed"
    assert ("weight_before", 10) in record.numbers


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), (2, 1)])
def test_without_a_router_the_ratio_of_pods_is_the_ratio_of_traffic(surge, unavailable):
    # 40 % of five pods are two.
    strategy = CanaryStrategy(
        steps=(Step(set_weight=40), WAIT),
        max_surge=Amount(number=surge),
        max_unavailable=Amount(number=unavailable),
    )
    stage = Stage(Rollout(name="shop", replicas=5, template=V1, strategy=strategy))
    stage.rest()
    stage.change(template=V2)
    sizes = {V1.pod_hash: 5}
    for action in stage.rest():
        if isinstance(action, ScaleReplicaSet):
            sizes[action.pod_hash] = action.replicas
            assert 5 - unavailable <= sum(sizes.values()) <= 5 + surge
    assert sizes == {V1.pod_hash: 3, V2.pod_hash: 2}


def test_a_promotion_waits_until_the_router_confirms_all_traffic():
    stage = Stage(rollout_of(Step(set_weight=50)))
    stage.acknowledged = 0
    stage.rest()
    stage.change(template=V2)
    for acknowledged, weight in ((0, 50), (50, 100), (50, 100)):
        stage.acknowledged = acknowledged
        for _ in range(10):
            stage.look()
        assert (stage.ledger.weight.canary, stage.status.stable_hash) == (weight, V1.pod_hash)
    stage.acknowledged = 100
    stage.look()
    assert stage.status.stable_hash == V2.pod_hash


def test_ping_pong_services_swap_their_roles_and_stables_is_never_moved():
    pair = PingPong(ping_service="ping", pong_service="pong")
    strategy = CanaryStrategy(
        steps=(Step(set_weight=20), WAIT),
        ping_pong=pair,
        traffic_routing=TrafficRouting(plugins=FrozenMap({"p": "{}"})),
    )
    stage = Stage(Rollout(name="shop", replicas=6, template=V1, strategy=strategy))
    moved = [(a.service, a.pod_hash) for a in stage.rest() if isinstance(a, SelectService)]
    assert (moved, stage.status.stable_ping_pong) == ([("ping", V1.pod_hash)], "ping")
    stage.change(template=V2)
    moved = [(a.service, a.pod_hash) for a in stage.rest() if isinstance(a, SelectService)]
    assert (moved, stage.status.stable_ping_pong) == ([("pong", V2.pod_hash)], "ping")
    stage.say(Word.ABORT)
    assert not any(isinstance(action, SelectService) for action in stage.rest())
    stage.say(Word.PROMOTE_FULL)
    assert not any(isinstance(action, SelectService) for action in stage.rest())
    assert (stage.status.stable_hash, stage.status.stable_ping_pong) == (V2.pod_hash, "pong")
    stage.change(template=V1)
    moved = [(a.service, a.pod_hash) for a in stage.rest() if isinstance(a, SelectService)]
    assert moved == [("ping", V1.pod_hash)]


@pytest.mark.parametrize(("parity", "stays_full"), [(None, True), (Parity.OFF, False)])
def test_a_deadline_aborts_a_full_promotion_and_only_in_argo_is_the_promotion_kept(parity, stays_full):
    # In Argo the next change of pods lifts the abort again, the canary grows, and at the next deadline it is aborted
    # once more, and so on for ever.
    stage = in_canary(Step(set_weight=20), WAIT, parity=parity)
    stage.change(progress_deadline_abort=True)
    stage.broken.add(V2.pod_hash)
    stage.say(Word.PROMOTE_FULL)
    stage.rest()
    stage.now_s += 601.0
    stage.look()
    assert (stage.status.abort, stage.status.promote_full) == (True, stays_full)
    assert stage.status.message.startswith("ProgressDeadlineExceeded: ReplicaSet")


@pytest.mark.parametrize(("parity", "aborted"), [(None, False), (Parity.OFF, True)])
def test_in_argo_nobody_can_abort_a_full_promotion(parity, aborted):
    stage = in_canary(Step(set_weight=20), WAIT, parity=parity)
    stage.broken.add(V2.pod_hash)
    stage.say(Word.PROMOTE_FULL)
    stage.rest()
    stage.say(Word.ABORT)
    stage.rest()
    assert stage.status.abort is aborted


@pytest.mark.parametrize(("parity", "reasons"), [(None, 2), (Parity.OFF, 1)])
def test_two_inconclusive_analyses_met_at_once_are_two_pauses_in_argo(parity, reasons):
    background = BackgroundAnalysis(analysis=GATE.analysis)
    stage = in_canary(Step(set_weight=10), GATE, parity=parity, analysis=background)
    for name in (stage.status.step_run.name, stage.status.background_run.name):
        run = stage.ledger.runs[name]
        stage.ledger.update_run(name, replace(run.status, phase=AnalysisPhase.INCONCLUSIVE))
    stage.look()
    assert [pause.reason for pause in stage.status.pauses] == [PauseReason.INCONCLUSIVE_ANALYSIS] * reasons


def test_a_revision_whose_making_was_forgotten_is_found_and_its_deadline_runs():
    stage = Stage(rollout_of(Step(set_weight=10)))
    stage.broken.add(V1.pod_hash)
    stage.look()
    stage.status = RolloutStatus()  # the decision's actions were carried out, and its status was lost
    stage.look()
    (condition,) = stage.status.conditions
    assert (condition.reason, condition.message) == (
        "FoundNewReplicaSet",
        f'Found new replica set "shop-{V1.pod_hash}"',
    )


def test_an_invalid_spec_is_told_until_it_was_looked_at_whole():
    # Argo follows a new size before it takes the fault back, so one status more tells of it.
    stage = in_canary(Step(set_weight=10), WAIT)
    valid = stage.rollout.strategy
    stage.change(strategy=replace(valid, canary_service="stable"))
    stage.rest()
    assert stage.status.message.startswith('InvalidSpec: The Rollout "shop" is invalid: spec.strategy.stableService')
    stage.change(strategy=valid, replicas=8)
    stage.look()
    assert (stage.ledger.replica_sets[V1.pod_hash].wanted, stage.status.phase) == (8, Phase.DEGRADED)
    stage.rest()
    assert stage.status.phase is Phase.PAUSED


def test_a_run_of_other_rules_is_not_taken_for_the_one_that_is_to_begin():
    stage = in_canary(Step(set_weight=10), GATE)
    lost = replace(stage.status, step_run=None)
    dry = replace(GATE.analysis, dry_run=("errors",))
    stage.change(strategy=replace(stage.rollout.strategy, steps=(Step(set_weight=10), Step(analysis=dry))))
    stage.status = replace(lost, step_hash="")
    begun = [action.run for action in stage.rest() if isinstance(action, StartAnalysis)]
    assert [(run.name.rpartition("-")[2], set(run.dry_run)) for run in begun] == [("1.1", {"errors"})]


def test_unready_pods_of_older_sets_go_up_to_the_first_set_that_is_still_shrinking():
    # Three sets of two older revisions cannot be counted on: the oldest has one pod that is not ready, the next more
    # available pods than it is to have. The first loses its unready pod, and nothing else happens.
    stage = in_canary(Step(set_weight=50), WAIT)
    for pod_hash, wanted in (("a", 2), ("b", 1)):
        like = stage.ledger.replica_sets[V1.pod_hash]
        older = replace(like, pod_hash=pod_hash, wanted=wanted, created_s=-2.0 if pod_hash == "a" else -1.0)
        stage.ledger.replica_sets[pod_hash] = older
    counts = {"a": PodCounts(created=2, ready=1, available=1), "b": PodCounts(created=2, ready=2, available=2)}
    for role in (V1, V2):
        wanted = stage.ledger.replica_sets[role.pod_hash].wanted
        counts[role.pod_hash] = PodCounts(created=wanted, ready=wanted, available=wanted)
    snapshot = stage.ledger.snapshot(
        rollout=stage.rollout,
        template_hash=V2.pod_hash,
        generation=stage.generation,
        status=stage.status,
        pods=counts,
        templates=(SLO,),
    )
    scaled = [(a.pod_hash, a.replicas) for a in decide(snapshot, 0.0).actions if isinstance(a, ScaleReplicaSet)]
    assert scaled == [("a", 1)]


def test_a_routing_without_a_router_sizes_pods_as_under_one_and_asks_no_one_for_a_weight():
    # Ten pods, a step of 20 %: without a trafficRouting 2 and 8 of them (surge 25 %: 3 more for a while), with an
    # empty one 2 beside a whole stable.
    stage = Stage(rollout_of(Step(set_weight=20), WAIT, replicas=10))
    stage.change(strategy=replace(stage.rollout.strategy, traffic_routing=TrafficRouting()))
    stage.rest()
    stage.change(template=V2)
    actions = stage.rest()
    assert not [action for action in actions if isinstance(action, SetWeight)]
    assert stage.status.weights is None
    assert [stage.ledger.replica_sets[role.pod_hash].wanted for role in (V1, V2)] == [10, 2]
    stage.say(Word.ABORT)
    stage.rest()
    assert stage.status.phase is Phase.DEGRADED
    assert [stage.ledger.replica_sets[role.pod_hash].wanted for role in (V1, V2)] == [10, 2]  # kept for the delay


def test_swapping_services_have_the_roles_of_the_last_promotion_and_ping_is_the_first_canarys():
    pair = CanaryStrategy(ping_pong=PingPong(ping_service="a", pong_service="b"))
    assert [names_by_role(pair, word) for word in ("", "ping", "pong")] == [("b", "a"), ("a", "b"), ("b", "a")]
    fixed = CanaryStrategy(canary_service="c", stable_service="s")
    assert names_by_role(fixed, "") == ("s", "c")
