"""The simulator's driver takes the steps that Argo Rollouts took, at the times at which it took them.

Recordings in which a person acts are left to the core's own replay. Compared are phase, step, weight, abort and pauses,
each change of them in order. Argo counts in whole seconds and the simulator does not, so each look may come up to a
second later here than there, and each waits for the one before.
"""

from __future__ import annotations

from typing import Any

from controller.core.measuring import Answer, measure_metric
from controller.manifests.policies import Policy
from loadgen.traffic import Traffic
from sim.driving import DrivingError, VirtualDriver, prepare
from sim.releases import Release
from sim.scenarios import ControllerModel, PodStarts, Router, Scenario

DEPLOY_S = 300.0
LATE_S = 1.2  # a look that waits for a time: its whole second, and the recording's own reaction
NUMBERS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def answer_of(told: Any, at_s: float) -> Answer:
    if told == "error":
        return Answer(error="server_error: server error: 500", started_s=at_s, finished_s=at_s)
    requests = None
    value: Any
    if isinstance(told, dict) and "requests" in told:
        value, requests = (float(told["value"]),), float(told["requests"])
    elif isinstance(told, dict):
        value = float(told["scalar"])
    elif told == "empty":
        value = ()
    else:
        listed = told if isinstance(told, list) else [told]
        value = tuple(float(NUMBERS.get(number, number)) for number in listed)
    return Answer(value=value, requests=requests, started_s=at_s, finished_s=at_s)


def played(recording: dict[str, Any], policy_maker) -> VirtualDriver:
    scenario = recording["scenario"]
    never = "never-ready" in scenario["name"] or bool(scenario.get("never_ready"))
    rollout, templates = policy_maker(scenario)
    world = Scenario(
        traffic=Traffic(rps=10.0),
        release=Release(never_ready=never),
        pods=PodStarts(start_s=0.53, sigma=0.0),
        router=Router(delay_s=0.0, sigma=0.0),
        controller=ControllerModel(delay_s=0.01, sigma=0.0),
        deploy_s=DEPLOY_S,
    )
    deployment = prepare(Policy(rollout=rollout, templates=tuple(templates.values())), world)
    driver = VirtualDriver(deployment, seed=1, cohort=0, records=True)
    asked: dict[str, int] = {}
    ends_s = DEPLOY_S + recording["trace"][-1]["t"] + LATE_S * (1 + len(rollout.strategy.steps))
    while (asking := driver.play(until_s=ends_s)) is not None:
        answers = {}
        for question in asking.questions:
            script, name = scenario["script"][question.metric.name], question.metric.name
            told = script[min(asked.get(name, 0), len(script) - 1)]
            asked[name] = asked.get(name, 0) + 1
            answers[question.key] = measure_metric(question.metric, answer_of(told, asking.at_s))
        driver.answer(answers)
    return driver


def changes(entries: list[tuple[float, tuple[Any, ...]]]) -> list[tuple[float, tuple[Any, ...]]]:
    return [entry for place, entry in enumerate(entries) if place == 0 or entries[place - 1][1] != entry[1]]


def taken(driver: VirtualDriver) -> list[tuple[float, tuple[Any, ...]]]:
    found = []
    for t_s, snapshot, decision in driver.history or []:
        status = decision.status
        if t_s >= DEPLOY_S and status.current_hash == snapshot.template_hash:
            pauses = tuple(pause.reason.value for pause in status.pauses)
            weight = status.weights.canary if status.weights else None
            found.append((t_s - DEPLOY_S, (status.phase.value, status.step_index, weight, status.abort, pauses)))
    return changes(found)


def recorded_steps(recording: dict[str, Any]) -> list[tuple[float, tuple[Any, ...]]]:
    seen = [(entry["t"], entry["rollout"]) for entry in recording["trace"] if "rollout" in entry]
    return changes([(t_s, (s["phase"], s["step"], s["weight"], s["abort"], tuple(s["pause"]))) for t_s, s in seen])


def test_the_simulator_takes_argos_steps_at_argos_times(recorded, policy_maker):
    compared, refused = 0, []
    for recording in recorded:
        name = recording["scenario"]["name"]
        if recording["scenario"]["operator"]:
            continue
        try:
            driver = played(recording, policy_maker)
        except DrivingError:
            refused.append(name)
            continue
        expected, found = recorded_steps(recording), taken(driver)
        # Once there is a verdict the simulator has no more to say; the recordings go on until old pods are gone.
        known = expected if driver.verdict is None else expected[: len(found)]
        assert [state for _, state in found[: len(known)]] == [state for _, state in known], name
        if driver.verdict is not None:
            assert len(expected) - len(found) <= 1, name
        for place, ((told_s, _), (came_s, _)) in enumerate(zip(known, found, strict=False)):
            assert -1.0 < came_s - told_s < LATE_S * (1 + place), (name, place)
        compared += 1
    print(f"\n{compared} recordings taken step by step, refused: {refused}")
    assert compared > 60
    assert refused == ["consecutive-success-limit"]
