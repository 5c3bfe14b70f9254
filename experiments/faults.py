"""Faults of the machinery that decides: its pods, its evidence, its own process, its flags, its platform.

Faults of the release are fields of `sim.releases.Release`; those of the proxy and of the traffic are in `method`. Each
ends by itself. Most the simulator does not play, and says so by name: a prediction of another drill is worse than none.
Some only a cluster can have, and every other world refuses them before it starts. This module does nothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from experiments.instants import Fault, Share, Side

_CLUSTER = frozenset({"cluster"})
_LOCAL = frozenset({"local"})
_Count = Annotated[int, Field(strict=True, ge=1, le=1000)]
_Label = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
_Metric = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]


class UnequalSplit(Fault):
    """The router acknowledges each weight and gives the canary `factor` times as much, 100 % at most."""

    func: ClassVar[str] = "unequal_split"
    worlds = _LOCAL
    not_in_sim = "the model's router gives what it was told"
    factor: Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]


class StuckWeight(Fault):
    """The router acknowledges each new weight and keeps the one that it has, an abort's too."""

    func: ClassVar[str] = "stuck_weight"
    worlds = _LOCAL
    not_in_sim = "the model's router gives what it was told"


class KillPods(Fault):
    """Pods of one side, `count` of them or all there are, are ended by SIGKILL, once.

    A kubelet, or the fleet, starts them again after its back-off.
    """

    func: ClassVar[str] = "kill_pods"
    worlds = _LOCAL
    not_in_sim = "its pods end by their release's own doing only"
    count: _Count = 1
    side: Side = "canary"


class FreezePods(Fault):
    """Pods of one side, `count` of them or all there are, stand still (SIGSTOP) until the fault ends.

    Connections are taken and nothing answers.
    """

    func: ClassVar[str] = "freeze_pods"
    worlds = _LOCAL
    not_in_sim = "its pods hang by their release's own doing only (hang_after_s)"
    count: _Count = 1
    side: Side = "canary"


class PrometheusSlow(Fault):
    """Each answer of Prometheus takes `delay_s` longer, in seconds of the wall."""

    func: ClassVar[str] = "prometheus_slow"
    worlds = _LOCAL
    not_in_sim = "its Prometheus answers at once"
    delay_s: Annotated[float, Field(strict=True, gt=0, le=60)]


class PrometheusStale(Fault):
    """Prometheus answers and takes no new sample: old series stand until they leave the window."""

    func: ClassVar[str] = "prometheus_stale"
    worlds = _LOCAL
    not_in_sim = "a target that it does not scrape ends its series at once, while those of a stale Prometheus linger"


class ScrapeLost(Fault):
    """A share of the pods of one side, one at least, is not scraped: `up` is 0 and their series end."""

    func: ClassVar[str] = "scrape_lost"
    worlds = _LOCAL
    share: Share = 1.0
    side: Side = "canary"


class LabelRenamed(Fault):
    """A label of every sample has another name, as after an upgrade of the exporter."""

    func: ClassVar[str] = "label_renamed"
    worlds = _LOCAL
    not_in_sim = "its samples have the labels that the service gives them"
    label: _Label
    to: _Label


class MetricLies(Fault):
    """The series of one metric stand still: whatever happens, each keeps the value that it had, or 0 if it is new."""

    func: ClassVar[str] = "metric_lies"
    worlds = _LOCAL
    not_in_sim = "its counters count"
    metric: _Metric
    labels: dict[_Label, str] | None = None


class ControllerKilled(Fault):
    """The controller ends in the middle of whatever it does; another starts from what is stored when the fault ends."""

    func: ClassVar[str] = "controller_killed"
    worlds = _LOCAL


class ClockStep(Fault):
    """The controller's clock is `step_s` ahead (or, below 0, behind)."""

    func: ClassVar[str] = "clock_step"
    worlds = _LOCAL
    not_in_sim = "everything in it has one clock"
    step_s: Annotated[float, Field(strict=True, ge=-86_400, le=86_400, allow_inf_nan=False)]


class FlagSourceBroken(Fault):
    """The source of the feature flags is gone, keeps old values, or holds texts where booleans are asked for."""

    func: ClassVar[str] = "flag_source_broken"
    worlds = _LOCAL
    not_in_sim = "its flags have no source"
    how: Literal["gone", "stale", "wrong-type"]


class ApiServerRestart(Fault):
    """The API server is gone for a while."""

    func: ClassVar[str] = "api_server_restart"
    worlds = _CLUSTER
    not_in_sim = "it has no API server"


class ApiConflicts(Fault):
    """A share of the controller's writes meets a conflict, because somebody else wrote first."""

    func: ClassVar[str] = "api_conflicts"
    worlds = _CLUSTER
    not_in_sim = "it has no API server"
    share: Share


class HpaFlapping(Fault):
    """An autoscaler changes the rollout's replicas to and fro, each `period_s`."""

    func: ClassVar[str] = "hpa_flapping"
    worlds = _CLUSTER
    not_in_sim = "its autoscaler follows load and nobody's whim"
    low: _Count
    high: _Count
    period_s: Annotated[float, Field(strict=True, gt=0, le=3600)] = 30.0


class SecondController(Fault):
    """A second controller runs beside the first one and believes that it leads."""

    func: ClassVar[str] = "second_controller"
    worlds = _CLUSTER
    not_in_sim = "it has one controller"


MACHINERY: tuple[type[Fault], ...] = (
    UnequalSplit,
    StuckWeight,
    KillPods,
    FreezePods,
    PrometheusSlow,
    PrometheusStale,
    ScrapeLost,
    LabelRenamed,
    MetricLies,
    ControllerKilled,
    ClockStep,
    FlagSourceBroken,
    ApiServerRestart,
    ApiConflicts,
    HpaFlapping,
    SecondController,
)
"""Every fault of this module."""
