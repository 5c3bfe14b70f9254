"""A Rollout as the decision core sees it: how many pods, which steps, which analyses, which limits.

Pure values, no reading of files. Defaults are Argo Rollouts' own, so that a value built by hand in
a test means what the same manifest means. Seconds are floats, weights are whole percentages (or
whole parts of `TrafficRouting.total_weight`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from controller.manifests.values.amounts import Amount, FrozenMap
from controller.manifests.values.analysis import BackgroundAnalysis, RolloutAnalysis
from controller.manifests.values.extensions import Extensions
from controller.manifests.values.routing import TrafficRouting

POD_HASH_LABEL = "rollouts-pod-template-hash"
DEFAULT_SCALE_DOWN_DELAY_S = 30.0  # with traffic routing, for both delays, when the manifest is silent
DEFAULT_QUARTER = Amount(number=25, percent=True)
_SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # what Kubernetes writes hashes in: no vowels, no words


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelExpression:
    """One line of `matchExpressions`."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    match_labels: FrozenMap[str] = field(default_factory=FrozenMap)
    match_expressions: tuple[LabelExpression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMetadata:
    """Labels and annotations that are put on pods while they play a role (canary or stable)."""

    labels: FrozenMap[str] = field(default_factory=FrozenMap)
    annotations: FrozenMap[str] = field(default_factory=FrozenMap)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTemplate:
    """A pod template as one canonical text: equal texts are one revision."""

    canonical: str  # JSON with sorted keys
    labels: FrozenMap[str] = field(default_factory=FrozenMap)
    annotations: FrozenMap[str] = field(default_factory=FrozenMap)

    def data(self) -> dict[str, Any]:
        """Return the template as plain data, a fresh copy each time."""
        data: dict[str, Any] = json.loads(self.canonical)
        return data

    @property
    def pod_hash(self) -> str:
        """A short name for this template. On a cluster it has the name that Argo gives it instead."""
        number = int.from_bytes(hashlib.sha256(self.canonical.encode()).digest()[:8], "big")
        letters = []
        for _ in range(10):
            number, letter = divmod(number, len(_SAFE_LETTERS))
            letters.append(_SAFE_LETTERS[letter])
        return "".join(letters)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRef:
    """A Deployment (or ReplicaSet, PodTemplate) whose pod template the rollout uses instead of its own."""

    api_version: str = "apps/v1"
    kind: str = "Deployment"
    name: str
    scale_down: Literal["", "never", "onsuccess", "progressively"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause step; None waits for a person."""

    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCanaryScale:
    """Fix the canary's pods apart from its weight; exactly one of the three is set."""

    replicas: int | None = None
    weight_percent: int | None = None
    match_traffic_weight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StringMatch:
    """Exactly one of the three is not empty."""

    exact: str = ""
    prefix: str = ""
    regex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMatch:
    header: str
    value: StringMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHeaderRoute:
    """Send requests with these headers to the canary; no matches: remove the route of that name."""

    name: str
    matches: tuple[HeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMatch:
    method: StringMatch | None = None
    path: StringMatch | None = None
    headers: FrozenMap[StringMatch] = field(default_factory=FrozenMap)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMirrorRoute:
    """Copy matching requests to the canary; no matches: remove the route of that name."""

    name: str
    matches: tuple[RouteMatch, ...] = ()
    percentage: int | None = None  # None: all that match


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One canary step. It may hold several fields: a scale or a route beside a weight or a pause.

    At most one of set_weight, pause and analysis is set, as in Argo. Experiments and plugin steps decide
    by means that Gamebird does not have; loading refuses them.
    """

    set_weight: int | None = None
    pause: Pause | None = None
    analysis: RolloutAnalysis | None = None
    set_canary_scale: SetCanaryScale | None = None
    set_header_route: SetHeaderRoute | None = None
    set_mirror_route: SetMirrorRoute | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PingPong:
    """Two Services that swap the roles of canary and stable at each promotion."""

    ping_service: str
    pong_service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AntiAffinity:
    """Keep pods of two revisions off the same node; a weight means preferred, None means required."""

    preferred_weight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaProgressThreshold:
    """How many of a step's pods must be available before the step counts as done."""

    kind: Literal["Percent", "Pods"]
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStrategy:
    """The canary block."""

    steps: tuple[Step, ...] = ()
    canary_service: str = ""  # "": none
    stable_service: str = ""
    traffic_routing: TrafficRouting | None = None  # None: the ratio of pods is the ratio of traffic
    max_surge: Amount = DEFAULT_QUARTER
    max_unavailable: Amount = DEFAULT_QUARTER
    analysis: BackgroundAnalysis | None = None
    anti_affinity: AntiAffinity | None = None
    canary_metadata: PodMetadata | None = None
    stable_metadata: PodMetadata | None = None
    scale_down_delay_s: float | None = None  # None: 30 s with traffic routing
    scale_down_delay_revision_limit: int | None = None
    abort_scale_down_delay_s: float | None = None  # None: 30 s; 0: at once (Argo's documentation says never)
    dynamic_stable_scale: bool = False
    ping_pong: PingPong | None = None
    min_pods_per_replica_set: int | None = None
    replica_progress_threshold: ReplicaProgressThreshold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A Rollout with a canary strategy."""

    name: str
    namespace: str = "default"
    labels: FrozenMap[str] = field(default_factory=FrozenMap)
    annotations: FrozenMap[str] = field(default_factory=FrozenMap)
    replicas: int = 1
    selector: LabelSelector | None = None  # None only with a workload_ref
    template: PodTemplate | None = None  # None only with a workload_ref whose workload was not given
    workload_ref: WorkloadRef | None = None
    min_ready_s: float = 0.0
    revision_history_limit: int = 10
    progress_deadline_s: float = 600.0
    progress_deadline_abort: bool = False
    paused: bool = False
    restart_at_s: float | None = None  # seconds since 1970
    rollback_window_revisions: int | None = None
    successful_run_history_limit: int = 5
    unsuccessful_run_history_limit: int = 5
    strategy: CanaryStrategy = field(default_factory=CanaryStrategy)
    extensions: Extensions = field(default_factory=Extensions)
    document: str = field(default="{}", repr=False)  # the whole object as JSON, for fieldRef arguments

    @property
    def total_weight(self) -> int:
        """The weight that means all traffic: 100 unless the routing says otherwise."""
        routing = self.strategy.traffic_routing
        return 100 if routing is None else routing.total_weight
