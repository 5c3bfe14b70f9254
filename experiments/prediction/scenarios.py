"""Turn a game day into a scenario of the simulator: the same file, read once more.

What the simulator cannot play is refused by name, never left out: a prediction of another drill than the one that is
rehearsed would be worse than none. Instants of a game day and of a scenario both count from the first request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from controller.manifests.documents import read_documents
from controller.manifests.problems import ManifestError, Problem
from experiments.faults import ControllerKilled, ScrapeLost
from experiments.gameday_files import GameDay
from experiments.method import (
    AwaitVerdict,
    ChangeTraffic,
    DeployRelease,
    Fault,
    PrometheusGone,
    ProxyDelay,
    ProxyErrors,
    SetFlag,
    When,
)
from experiments.prediction.pace import (
    ANSWER,
    LOOK,
    POD_START,
    PROBE_RETRY_S,
    PROBE_TIMEOUT_WALL_S,
    SCRAPE_LATE_WALL_S,
)
from sim.scenarios import (
    ControllerModel,
    Incident,
    KillSwitch,
    Outage,
    PodStarts,
    Prometheus,
    Router,
    Scenario,
    Scrapes,
    Side,
    TargetLoss,
    TrafficChange,
    Trigger,
)


def scenario_of(game_day: GameDay, *, speed: float) -> Scenario:
    """Return the scenario that this game day is, in a local world at `speed`.

    Raises:
        ManifestError: the method has an action that the simulator does not play.
    """
    setup = game_day.setup
    refused = _refused(game_day)
    if refused:
        raise ManifestError(refused)
    faults = [entry.action for entry in game_day.method if isinstance(entry.action, Fault)]
    return Scenario(
        name=game_day.name,
        kind="good" if all(expected.verdict == "promoted" for expected in setup.expect.values()) else "bad",
        about=game_day.title,
        release=setup.release,
        stable=setup.stable,
        traffic=setup.traffic,
        incidents=tuple(_incident(fault) for fault in faults if isinstance(fault, ProxyErrors | ProxyDelay)),
        traffic_changes=tuple(
            TrafficChange(**_window(fault), rps=fault.rps) for fault in faults if isinstance(fault, ChangeTraffic)
        ),
        pods=PodStarts(
            start_s=POD_START.median_wall_s * speed,
            sigma=POD_START.sigma,
            drain_s=0.0,
            probe_timeout_s=PROBE_TIMEOUT_WALL_S * speed,
            probe_retry_s=PROBE_RETRY_S,
        ),
        # The local controller goes on when the router has acknowledged, so in its eyes a weight holds at once.
        router=Router(delay_s=0.0, picks="in-turns"),
        scrapes=Scrapes(
            interval_s=setup.scrape_s,
            jitter_s=min(SCRAPE_LATE_WALL_S * speed, setup.scrape_s / 4),
            losses=tuple(
                TargetLoss(**_window(f), side=_side(f.side), share=f.share) for f in faults if isinstance(f, ScrapeLost)
            ),
        ),
        prometheus=Prometheus(
            answer_s=ANSWER.median_wall_s * speed,
            answer_sigma=ANSWER.sigma,
            outages=tuple(Outage(**_window(f)) for f in faults if isinstance(f, PrometheusGone)),
        ),
        controller=ControllerModel(
            delay_s=LOOK.median_wall_s * speed,
            sigma=LOOK.sigma,
            restarts=tuple(Outage(**_window(f)) for f in faults if isinstance(f, ControllerKilled)),
        ),
        kill_switch=_kill_switch(faults),
        deploy_s=_deploy_s(game_day),
        slow_after_s=setup.slow_after_s,
        bound_s=next(entry.action.within_s for entry in game_day.method if isinstance(entry.action, AwaitVerdict)),
    )


def _deploy_s(game_day: GameDay) -> float:
    deploy = next(entry.action for entry in game_day.method if isinstance(entry.action, DeployRelease))
    return deploy.at_s or 0.0


def _window(fault: Fault) -> dict[str, Any]:
    return {"from_s": fault.at_s, "when": _trigger(fault.when), "for_s": fault.for_s}


def _trigger(when: When | None) -> Trigger | None:
    if when is None:
        return None
    return Trigger(weight_at_least=when.weight_at_least, step_at_least=when.step_at_least, after_s=when.after_s)


def _incident(fault: ProxyErrors | ProxyDelay) -> Incident:
    side = _side(fault.side)
    if isinstance(fault, ProxyErrors):
        return Incident(**_window(fault), side=side, proxy_errors=fault.share)
    return Incident(**_window(fault), side=side, proxy_slow_share=fault.share, proxy_slow_by_s=fault.delay_s)


def _side(side: str) -> Side:
    return "canary" if side == "canary" else "stable" if side == "stable" else "both"


def _kill_switch(faults: Sequence[Fault]) -> KillSwitch | None:
    turned_off = [fault for fault in faults if isinstance(fault, SetFlag) and not fault.on]
    return KillSwitch(**_window(turned_off[0])) if turned_off else None


def _refused(game_day: GameDay) -> list[Problem]:
    document = read_documents(game_day.path)[0]
    problems = []
    flag = game_day.setup.release.behind_flag
    flags_set = 0
    for index, entry in enumerate(game_day.method):
        action, at = entry.action, ("method", index, "provider")
        if action is None:
            provider = document.value["method"][index].get("provider", {})
            name = f"{provider.get('module', provider.get('type'))}.{provider.get('func', '')}".rstrip(".")
            problems.append(document.problem(at, f"{name} of another extension", "an action that the simulator plays"))
        elif isinstance(action, DeployRelease):
            if action.when is not None:
                problems.append(document.problem(at, "deploy_release with when", "at_s, which the simulator knows"))
        elif isinstance(action, SetFlag):
            flags_set += 1
            if action.on or action.flag != flag or flags_set > 1:
                need = f"the release's own flag ({flag or 'it has none'}), turned off once"
                problems.append(document.problem(at, f"set_flag of {action.flag}", need))
        elif isinstance(action, Fault):
            if action.not_in_sim:
                need = f"another world: {action.not_in_sim}"
                problems.append(document.problem((*at, "func"), f"{action.func} in the simulator", need))
            if action.when is not None and action.when.phase is not None:
                problems.append(
                    document.problem(at, f"{action.func} when the phase is reached", "at_s, a weight or a step")
                )
        elif not isinstance(action, AwaitVerdict):
            problems.append(document.problem(at, action.func, "only faults that end by themselves before the verdict"))
    if game_day.setup.command is not None:
        own = document.value["extensions"].index(
            next(e for e in document.value["extensions"] if e.get("name") == "gamebird")
        )
        need = "the demo service, whose numbers the simulator knows"
        problems.append(document.problem(("extensions", own, "command"), "a program of your own", need))
    return problems
