"""One scenario, as one schema: the release under test and everything around it that a run of the model needs.

Files of the suite, the command line, notebooks and game days all become a `Scenario`; the SimPy world and the flock
read nothing else. Every part has defaults that describe a healthy platform, so that a scenario says only what is
unusual about it. Times are policy seconds; instants count from the first request (t = 0), not from the deployment.
docs/model.md says what each parameter means in the model and what is left out.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loadgen.traffic import Traffic
from sim.releases import Release

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Instant = Annotated[float, Field(ge=0, le=2_592_000, allow_inf_nan=False)]
Span = Annotated[float, Field(gt=0, le=2_592_000, allow_inf_nan=False)]
Delay = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Spread = Annotated[float, Field(ge=0, le=3, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,79}$")]
Side = Literal["stable", "canary", "both"]

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Service(_Value):
    """What both revisions have in common: how a pod serves, and what its metrics look like.

    Attributes:
        concurrency: requests that a pod works on at once; None: as many as come, so that nothing ever waits.
        queue_max: requests that wait in a pod before the next one is answered with a 503.
        warm_up_s: how long a new pod is slower, because its caches are cold.
        warm_up_factor: how much slower it is at first; falls in a straight line to 1.
        segments: label -> value -> share of the requests, for releases that break for some users only.
        buckets_s: upper bounds of the latency histogram, without +Inf.
        cpu_s_per_request: what the autoscaler and the CPU metrics see.
        cpu_request: the pod's request, in cores; the autoscaler's utilisation counts from it.
        memory_bytes: what a pod needs when it starts.
    """

    concurrency: Count | None = None
    queue_max: Annotated[int, Field(ge=0, le=1_000_000)] = 1_000
    warm_up_s: Delay = 0.0
    warm_up_factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 1.0
    segments: dict[str, dict[str, Share]] = Field(default_factory=dict)
    buckets_s: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)] = (
        BUCKETS_S
    )
    cpu_s_per_request: Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)] = 0.01
    cpu_request: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = 1.0
    memory_bytes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 256e6

    @model_validator(mode="after")
    def _possible(self) -> Service:
        if list(self.buckets_s) != sorted(set(self.buckets_s)):
            raise ValueError("buckets_s that increase")
        for label, values in self.segments.items():
            if not values or abs(sum(values.values()) - 1) > 1e-9:
                raise ValueError(f"shares of segment {label} that add up to 1")
        return self


class Trigger(_Value):
    """An instant that the rollout itself decides: the first at which what is named is true, plus `after_s`."""

    weight_at_least: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    step_at_least: Annotated[int, Field(ge=0, le=10_000)] | None = None
    after_s: Delay = 0.0

    @model_validator(mode="after")
    def _just_one(self) -> Trigger:
        if (self.weight_at_least is None) == (self.step_at_least is None):
            raise ValueError("exactly one of weight_at_least and step_at_least")
        return self


class Window(_Value):
    """A stretch of time, `for_s` long: from an instant that is known before, or from one that the rollout decides.

    The platform resolves `when` on each path of a run, so only what it says is in force; until then, nothing is.
    """

    from_s: Instant | None = None
    when: Trigger | None = None
    for_s: Span

    @model_validator(mode="after")
    def _one_beginning(self) -> Window:
        if (self.from_s is None) == (self.when is None):
            raise ValueError("a beginning: either from_s or when")
        return self


class Incident(Window):
    """Something outside the release that goes wrong for a while: a dependency fails, a neighbour is noisy.

    Attributes:
        side: whose requests meet it.
        errors: share of requests that the pods answer with a 500; their own counters show it.
        latency_factor: every latency of the pods times this.
        proxy_errors: share of requests that the proxy answers itself with a 503: users and the proxy's counters meet
            it, the pods never see the request.
        proxy_slow_share: share of requests that the proxy holds back `proxy_slow_by_s`, unseen by the pods.
    """

    side: Side = "both"
    errors: Share = 0.0
    latency_factor: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)] = 1.0
    proxy_errors: Share = 0.0
    proxy_slow_share: Share = 0.0
    proxy_slow_by_s: Delay = 0.0


class TrafficChange(Window):
    """Users send another number of requests for a while; afterwards as many as the traffic's shape says."""

    rps: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class PodStarts(_Value):
    """How pods come up: lognormal time until ready, then restarts with a back-off as a kubelet does.

    Attributes:
        start_s: median of the time from creation until the readiness probe passes, beside `Release.start_s`.
        sigma: standard deviation of its logarithm.
        backoff_s: wait before the first restart of a crashed pod; doubles up to five minutes.
        drain_s: how long a pod that ends is still scraped.
        probe_period_s, probe_timeout_s: of the readiness probe, Kubernetes' defaults.
        probe_retry_s: from the end of a failed probe to the next one; None: the period, whatever a probe takes.
    """

    start_s: Delay = 5.0
    sigma: Spread = 0.3
    backoff_s: Delay = 10.0
    drain_s: Delay = 5.0
    probe_period_s: Span = 10.0
    probe_timeout_s: Delay = 1.0
    probe_retry_s: Delay | None = None


class Router(_Value):
    """The data plane: when a new weight holds, and how evenly pods share.

    Attributes:
        delay_s: median time until a weight holds.
        sigma: standard deviation of its logarithm.
        unevenness: standard deviation of the pods' shares about equal ones, as a factor.
        picks: how the next pod of a revision is chosen: by chance, or in turns where the shares are even. Only the
            SimPy world knows single requests, so only there do turns make a pod's own count less random.
    """

    delay_s: Delay = 1.0
    sigma: Spread = 0.3
    unevenness: Spread = 0.0
    picks: Literal["random", "in-turns"] = "random"


class TargetLoss(Window):
    """Pods that Prometheus does not scrape for a while."""

    side: Side = "both"
    share: Share = 1.0  # of the pods of that side


class Scrapes(_Value):
    """How samples come about: every target at its own phase of the interval.

    Attributes:
        interval_s: between two scrapes of one target.
        jitter_s: a scrape's instant varies by up to so much either way.
        miss: share of scrapes that fail at random.
        losses: targets that are lost for a while.
    """

    interval_s: Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)] = 15.0
    jitter_s: Delay = 0.0
    miss: Share = 0.0
    losses: tuple[TargetLoss, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Scrapes:
        if self.jitter_s * 2 >= self.interval_s:
            raise ValueError("a jitter of less than half the interval, or scrapes would overtake one another")
        return self


class Outage(Window):
    """A stretch of time in which something does not answer."""


class Prometheus(_Value):
    """The metrics server.

    Attributes:
        lag_s: samples can be asked for so long after they were scraped.
        answer_s: median time until an answer is there, and has been judged; it speaks of the instant of the question.
        answer_sigma: standard deviation of its logarithm.
        outages: nothing answers.
    """

    lag_s: Delay = 0.0
    answer_s: Delay = 0.0
    answer_sigma: Spread = 0.0
    outages: tuple[Outage, ...] = ()


class Autoscaler(_Value):
    """A HorizontalPodAutoscaler on CPU, by Kubernetes' own algorithm and defaults."""

    min_replicas: Count = 1
    max_replicas: Count = 10
    target_utilisation: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 0.8
    sync_s: Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)] = 15.0
    tolerance: Share = 0.1
    scale_up_window_s: Delay = 0.0
    scale_down_window_s: Delay = 300.0
    scale_up_pods: Count = 4
    scale_up_percent: Count = 100
    scale_down_percent: Count = 100
    period_s: Annotated[float, Field(gt=0, le=1_800, allow_inf_nan=False)] = 15.0
    metrics_missing: tuple[Outage, ...] = ()


class ControllerModel(_Value):
    """The controller's own manners: from an event to its look, and when it is away."""

    delay_s: Delay = 0.1
    sigma: Spread = 0.3
    restarts: tuple[Outage, ...] = ()


class KillSwitch(Window):
    """Somebody turns `Release.behind_flag` off for a while; pods notice within the propagation delay."""

    propagation_s: Delay = 1.0


class Scenario(_Value):
    """A release under test and the world that it meets.

    Attributes:
        kind: whether the policy should promote the release or stop it. The suite's labels and scores come from it.
        deploy_s: when the release is deployed; None: after the longest window of the policy's queries, at least 300 s.
        promotes_after_s: a person promotes a rollout that has waited so long at a pause without a duration; None:
            nobody does, and the run ends there. Nobody promotes past an analysis that was inconclusive.
        slow_after_s: an answer later than this is a bad request; None: none is too slow.
        bound_s: a run that goes on for so long after the deployment is cut and counted as stuck; None: three times the
            longest that the policy can take when nothing is wrong, and at least an hour.
    """

    name: Name = "release"
    kind: Literal["good", "bad"] = "bad"
    about: str = ""
    release: Release = Field(default_factory=Release)
    stable: Release = Field(default_factory=Release)
    traffic: Traffic
    service: Service = Field(default_factory=Service)
    incidents: tuple[Incident, ...] = ()
    traffic_changes: tuple[TrafficChange, ...] = ()
    pods: PodStarts = Field(default_factory=PodStarts)
    router: Router = Field(default_factory=Router)
    scrapes: Scrapes = Field(default_factory=Scrapes)
    prometheus: Prometheus = Field(default_factory=Prometheus)
    autoscaler: Autoscaler | None = None
    controller: ControllerModel = Field(default_factory=ControllerModel)
    kill_switch: KillSwitch | None = None
    deploy_s: Instant | None = None
    promotes_after_s: Delay | None = None
    slow_after_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = 1.0
    bound_s: Span | None = None

    @model_validator(mode="after")
    def _whole(self) -> Scenario:
        if self.kill_switch is not None and self.release.behind_flag is None:
            raise ValueError("release.behind_flag: a kill switch without a flag turns nothing off")
        return self
