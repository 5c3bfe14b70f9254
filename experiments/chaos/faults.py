"""Chaos Toolkit actions for the faults of the machinery that decides; `actions` has the others.

One function per model of `experiments.faults`, with the same name and arguments, which that model checks. Each waits
for its instant, puts the fault in force and returns what it did, for Chaos Toolkit's journal.
"""

from __future__ import annotations

from typing import Any

from experiments.chaos.stage import current
from experiments.faults import (
    ApiConflicts,
    ApiServerRestart,
    ClockStep,
    ControllerKilled,
    FlagSourceBroken,
    FreezePods,
    HpaFlapping,
    KillPods,
    LabelRenamed,
    MetricLies,
    PrometheusSlow,
    PrometheusStale,
    ScrapeLost,
    SecondController,
    StuckWeight,
    UnequalSplit,
)
from experiments.instants import LEASE_S, Fault


def _inject(model: type[Fault], **arguments: Any) -> dict[str, Any]:
    return current().inject(model.model_validate(arguments))


def unequal_split(
    factor: float, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let the router acknowledge each weight and give the canary `factor` times as much."""
    return _inject(UnequalSplit, factor=factor, at_s=at_s, when=when, for_s=for_s)


def stuck_weight(
    at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let the router acknowledge each new weight and keep the one that it has."""
    return _inject(StuckWeight, at_s=at_s, when=when, for_s=for_s)


def kill_pods(
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    count: int = 1,
    side: str = "canary",
) -> dict[str, Any]:
    """End pods of one side by SIGKILL, once."""
    return _inject(KillPods, at_s=at_s, when=when, for_s=for_s, count=count, side=side)


def freeze_pods(
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    count: int = 1,
    side: str = "canary",
) -> dict[str, Any]:
    """Let pods of one side stand still."""
    return _inject(FreezePods, at_s=at_s, when=when, for_s=for_s, count=count, side=side)


def prometheus_slow(
    delay_s: float, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let each answer of Prometheus take `delay_s` seconds of the wall longer."""
    return _inject(PrometheusSlow, delay_s=delay_s, at_s=at_s, when=when, for_s=for_s)


def prometheus_stale(
    at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let Prometheus answer and take no new sample."""
    return _inject(PrometheusStale, at_s=at_s, when=when, for_s=for_s)


def scrape_lost(
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    share: float = 1.0,
    side: str = "canary",
) -> dict[str, Any]:
    """Let a share of the pods of one side not be scraped."""
    return _inject(ScrapeLost, at_s=at_s, when=when, for_s=for_s, share=share, side=side)


def label_renamed(
    label: str, to: str, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let a label of every sample have another name."""
    return _inject(LabelRenamed, label=label, to=to, at_s=at_s, when=when, for_s=for_s)


def metric_lies(
    metric: str,
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Let the series of one metric stand still, whatever happens."""
    return _inject(MetricLies, metric=metric, at_s=at_s, when=when, for_s=for_s, labels=labels)


def controller_killed(
    at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """End the controller in the middle of what it does; another one starts when the fault ends."""
    return _inject(ControllerKilled, at_s=at_s, when=when, for_s=for_s)


def clock_step(
    step_s: float, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let the controller's clock be ahead by `step_s`, or behind."""
    return _inject(ClockStep, step_s=step_s, at_s=at_s, when=when, for_s=for_s)


def flag_source_broken(
    how: str, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let the source of the feature flags be gone, stale or of the wrong-type."""
    return _inject(FlagSourceBroken, how=how, at_s=at_s, when=when, for_s=for_s)


def api_server_restart(
    at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let the API server be gone for a while. Only a cluster can have it."""
    return _inject(ApiServerRestart, at_s=at_s, when=when, for_s=for_s)


def api_conflicts(
    share: float, at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let a share of the controller's writes meet a conflict. Only a cluster can have it."""
    return _inject(ApiConflicts, share=share, at_s=at_s, when=when, for_s=for_s)


def hpa_flapping(
    low: int,
    high: int,
    at_s: float | None = None,
    when: dict[str, Any] | None = None,
    for_s: float = LEASE_S,
    period_s: float = 30.0,
) -> dict[str, Any]:
    """Let an autoscaler change the rollout's replicas to and fro. Only a cluster can have it."""
    return _inject(HpaFlapping, low=low, high=high, at_s=at_s, when=when, for_s=for_s, period_s=period_s)


def second_controller(
    at_s: float | None = None, when: dict[str, Any] | None = None, for_s: float = LEASE_S
) -> dict[str, Any]:
    """Let a second controller run that believes that it leads. Only a cluster can have it."""
    return _inject(SecondController, at_s=at_s, when=when, for_s=for_s)
