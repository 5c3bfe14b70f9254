"""What holds whatever the policy, the release and the answers: timelines add up, forks agree, invariants hold."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from controller.core.invariants import breaches
from controller.core.runs import AnalysisPhase
from controller.manifests.loading import ManifestError, load
from loadgen.traffic import Diurnal, Spike, Traffic
from sim.driving import VirtualDriver, prepare
from sim.releases import Leak, Release
from sim.scenarios import (
    Autoscaler,
    ControllerModel,
    Outage,
    PodStarts,
    Router,
    Scenario,
    Service,
    TrafficChange,
    Trigger,
)

PHASES = (
    AnalysisPhase.SUCCESSFUL,
    AnalysisPhase.SUCCESSFUL,
    AnalysisPhase.SUCCESSFUL,
    AnalysisPhase.FAILED,
    AnalysisPhase.ERROR,
    AnalysisPhase.INCONCLUSIVE,
)
RELEASES = (
    Release(),
    Release(crash_after_s=45.0),
    Release(crash_share=0.001),
    Release(never_ready=True),
    Release(hang_after_s=70.0),
    Release(unready_after_s=120.0),
    Release(memory_limit_bytes=300e6, leak=Leak(memory_bytes_per_minute=20e6)),
    Release(start_s=90.0),
)
CORPUS = Path(__file__).parents[4] / "shared" / "corpus"


def steps(chance: random.Random, *, routed: bool) -> str:
    weights = sorted(chance.sample(range(1, 100), chance.randint(1, 4)))
    found = []
    for weight in weights:
        found.append(f"{{setWeight: {weight}}}")
        if routed and chance.random() < 0.3:
            found.append(chance.choice(["{setCanaryScale: {weight: 50}}", "{setCanaryScale: {replicas: 2}}"]))
        if chance.random() < 0.7:
            found.append(f"{{pause: {{duration: {chance.choice([5, 30, 90])}}}}}")
        if chance.random() < 0.7:
            found.append("{analysis: {templates: [{templateName: errors}]}}")
    return f"[{', '.join(found)}]"


def scenario(chance: random.Random) -> Scenario:
    shape = chance.choice([Spike(to_rps=300.0, at_s=400.0, for_s=120.0), Diurnal(swing=0.8, day_s=1_000.0)])
    weight = Trigger(weight_at_least=20.0, after_s=chance.choice([0.0, 15.0]))
    return Scenario(
        traffic=Traffic(rps=100.0, shape=shape),
        release=chance.choice(RELEASES),
        pods=PodStarts(start_s=chance.choice([0.0, 2.0, 20.0]), sigma=chance.choice([0.0, 1.0])),
        router=Router(delay_s=chance.choice([0.0, 1.0, 10.0]), unevenness=chance.choice([0.0, 0.4])),
        controller=ControllerModel(
            delay_s=chance.choice([0.0, 0.1, 3.0]),
            restarts=(Outage(when=weight, for_s=40.0),) if chance.random() < 0.3 else (),
        ),
        service=Service(cpu_s_per_request=0.03),
        autoscaler=Autoscaler(min_replicas=2, max_replicas=12) if chance.random() < 0.3 else None,
        traffic_changes=(TrafficChange(when=weight, for_s=60.0, rps=20.0),) if chance.random() < 0.3 else (),
        bound_s=2_000.0,
    )


def driven(policy, how: Scenario, chance: random.Random, answers) -> VirtualDriver:
    """Play with random answers, and at one look with a fork that must come to the same end by the same answers."""
    driver = VirtualDriver(prepare(policy, how), seed=chance.randint(0, 99), cohort=chance.randint(0, 9), records=True)
    fork_at, given, twin = chance.randint(0, 4), [], None
    while (asking := driver.play()) is not None:
        if len(given) == fork_at:
            twin = driver.fork()
        phase = chance.choice(PHASES)
        given.append(answers(asking, phase))
        driver.answer(given[-1])
    if twin is not None:
        for answer in given[fork_at:]:
            twin.answer(answer)
            twin.play()
        assert twin.verdict == driver.verdict
        assert twin.key() == driver.key()
        assert twin.platform.timeline == driver.platform.timeline
    return driver


def timeline_adds_up(driver: VirtualDriver) -> None:
    platform = driver.platform
    stretches = (*platform.timeline, platform.current)
    assert stretches[0].from_s == 0.0
    for before, after in pairwise(stretches):
        assert before.until_s == after.from_s
    for stretch in stretches:
        assert stretch.from_s <= stretch.until_s
        assert sum(share for _, share in stretch.shares) + stretch.unserved == pytest.approx(1.0)
        for index, _ in stretch.shares:
            life = platform.lives[index]
            assert life.ready_s <= stretch.from_s
            assert stretch.until_s <= min(life.ended_s, life.unready_s) + 1e-9
        released = sum(share for index, share in stretch.shares if platform.lives[index].is_release)
        assert stretch.release_share == pytest.approx(released)
    assert driver.verdict.weight_max == pytest.approx(100 * max(stretch.release_share for stretch in stretches))
    seen = [stretch.from_s for stretch in stretches if stretch.release_share > 0]
    assert driver.verdict.first_canary_s == (seen[0] if seen else float("inf"))


@pytest.mark.parametrize("parity", ["strict", "off"])
@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_played_adds_up_and_breaks_no_invariant(policy_of, answers, seed, parity):
    chance = random.Random(seed)
    canary = chance.choice(
        ["", "      dynamicStableScale: true", "      maxSurge: 1\n      maxUnavailable: 0"],
    )
    routed = "dynamic" in canary or chance.random() < 0.6
    policy = policy_of(
        steps(chance, routed=routed),
        replicas=chance.choice([1, 4, 7]),
        routed=routed,
        canary=canary,
        spec=chance.choice(
            ["", "  minReadySeconds: 10", "  progressDeadlineSeconds: 120\n  progressDeadlineAbort: true"]
        ),
        parity=parity,
        more=chance.choice(["count: 1", "count: 3\n      failureLimit: 1", "count: 2\n      consecutiveErrorLimit: 1"]),
    )
    driver = driven(policy, scenario(chance), chance, answers)
    assert driver.verdict is not None
    timeline_adds_up(driver)
    assert [breach for breach in breaches(driver.history) if not breach.parity] == []
    if parity == "off":
        assert breaches(driver.history) == []


def policies():
    for file in sorted(CORPUS.glob("*.yaml")):
        try:
            manifests = load(file)
        except ManifestError:
            continue
        for rollout in manifests.rollouts:
            try:
                yield pytest.param(manifests.policy(rollout.name), id=f"{file.name[:3]}-{rollout.name}")
            except ManifestError:
                continue


@pytest.mark.usefixtures(
    "corpus"
)  # without the folder there are no parameters, and this says whether there may be none
@pytest.mark.parametrize("policy", list(policies()) or [None])
def test_every_real_policy_comes_to_a_verdict(policy, play):
    how = Scenario(traffic=Traffic(rps=50.0))
    for phase in (AnalysisPhase.SUCCESSFUL, AnalysisPhase.FAILED):
        driver = play(policy, how, phase)
        timeline_adds_up(driver)
        assert [breach for breach in breaches(driver.history) if not breach.parity] == []


@pytest.mark.parametrize(("parity", "weights"), [("strict", [0, 50, 0, 50]), ("off", [0, 50, 0])])
def test_a_canary_that_lost_its_pods_gets_its_weight_back_with_enough_of_them(policy_of, even, parity, weights):
    """Argo, and so strict parity, gives it back with the first pod: half of the users on one pod of two."""
    policy = policy_of("[{setWeight: 50}, {pause: {duration: 300}}]", parity=parity)
    driver = VirtualDriver(prepare(policy, even(release=Release(crash_after_s=60.0))), seed=1, cohort=0, records=True)
    # The two pods die together at 365.1; to have one of them back first, the other is held back by hand.
    driver.play(until_s=366.0)
    late = next(index for index, life in enumerate(driver.platform.lives) if life.ready_s > 366.0)
    driver.platform.lives[late] = replace(driver.platform.lives[late], ready_s=float("inf"))
    driver.play(until_s=400.0)
    found = [decision.status.weights.canary for t_s, _, decision in driver.history if t_s > 300.0]
    assert [weight for weight, _ in groupby(found)] == weights
    assert {(breach.invariant, breach.parity) for breach in breaches(driver.history)} == (
        {(2, True)} if parity == "strict" else set()
    )
