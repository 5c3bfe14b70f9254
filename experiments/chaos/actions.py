"""Chaos Toolkit actions: what a game day does to a rollout and its world.

One function per model of `experiments.method`, with the same name and arguments; the models say what the arguments
mean, check them, and are what the simulator reads. Each waits for its instant (policy time), acts, and returns what
it did, for Chaos Toolkit's journal. Every fault ends by itself after `for_s`.
"""

from __future__ import annotations

from typing import Any

from experiments.chaos.faults import (
    api_conflicts,
    api_server_restart,
    clock_step,
    controller_killed,
    flag_source_broken,
    freeze_pods,
    hpa_flapping,
    kill_pods,
    label_renamed,
    metric_lies,
    prometheus_slow,
    prometheus_stale,
    scrape_lost,
    second_controller,
    stuck_weight,
    unequal_split,
)
from experiments.chaos.stage import current
from experiments.method import (
    LEASE_S,
    AwaitVerdict,
    ChangeTraffic,
    DeployRelease,
    PrometheusGone,
    ProxyDelay,
    ProxyErrors,
    SetFlag,
)

__all__ = [
    "api_conflicts",
    "api_server_restart",
    "await_verdict",
    "change_traffic",
    "clock_step",
    "controller_killed",
    "deploy_release",
    "flag_source_broken",
    "freeze_pods",
    "hpa_flapping",
    "kill_pods",
    "label_renamed",
    "metric_lies",
    "prometheus_gone",
    "prometheus_slow",
    "prometheus_stale",
    "proxy_delay",
    "proxy_errors",
    "restore_everything",
    "scrape_lost",
    "second_controller",
    "set_flag",
    "stuck_weight",
    "unequal_split",
]


def deploy_release(at_s: float | None = None, when: dict[str, Any] | None = None) -> dict[str, Any]:
    """Hand the release under test to the controller."""
    return current().deploy_release(DeployRelease.model_validate({"at_s": at_s, "when": when}))


def await_verdict(within_s: float) -> dict[str, Any]:
    """Wait until the rollout has converged, or `within_s` seconds of policy time have passed."""
    return current().await_verdict(AwaitVerdict(within_s=within_s))


def prometheus_gone(
    at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let nobody answer at Prometheus' address."""
    return current().inject(PrometheusGone.model_validate({"at_s": at_s, "when": when, "for_s": for_s}))


def proxy_errors(
    share: float,
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    status: int = 503,
    side: str = "canary",
) -> dict[str, Any]:
    """Let the proxy answer a share of the requests to one side (canary, stable, all) with an error."""
    return current().inject(
        ProxyErrors.model_validate(
            {"at_s": at_s, "when": when, "for_s": for_s, "share": share, "status": status, "side": side}
        )
    )


def proxy_delay(
    delay_s: float,
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    share: float = 1.0,
    side: str = "canary",
) -> dict[str, Any]:
    """Let the proxy hold a share of the requests to one side back, for `delay_s` seconds of the wall."""
    return current().inject(
        ProxyDelay.model_validate(
            {"at_s": at_s, "when": when, "for_s": for_s, "share": share, "delay_s": delay_s, "side": side}
        )
    )


def change_traffic(
    rps: float, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let users send another number of requests per second of policy time."""
    return current().inject(ChangeTraffic.model_validate({"at_s": at_s, "when": when, "for_s": for_s, "rps": rps}))


def set_flag(
    on: bool,
    flag: str = "recommender-v2-enabled",
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
) -> dict[str, Any]:
    """Let a feature flag be on, or off, for everybody."""
    return current().inject(
        SetFlag.model_validate({"at_s": at_s, "when": when, "for_s": for_s, "flag": flag, "on": on})
    )


def restore_everything() -> dict[str, Any]:
    """End every fault that is still in force. Safe to repeat; the end of a game day does it in any case."""
    return current().restore_everything()
