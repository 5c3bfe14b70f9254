"""What Gamebird adds to a policy, in annotations under `gamebird.dev/`: the same YAML stays valid for Argo.

Pure values and their defaults; reading them from annotations is `loading`'s work. Annotations may
stand on the Rollout (for everything) and on an AnalysisTemplate (for its metrics, where it wins).
Relied on by the decision core's evidence rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from controller.manifests.values.amounts import FrozenMap
from controller.manifests.values.promises import Promises

DEFAULT_ODDS = 0.001  # how unlikely a good release must make what was seen before a floor is passed over


class Parity(Enum):
    """Whether decisions follow Argo Rollouts to the letter."""

    STRICT = "strict"
    OFF = "off"


class EvidenceAction(Enum):
    """What is done when evidence is missing."""

    WAIT = "wait"  # ask again, until the deadline; then `on_deadline`
    PAUSE = "pause"  # Inconclusive
    PASS = "pass"  # Successful; every report states it
    FAIL = "fail"  # Failed


class Missing(Enum):
    """The ways in which evidence can be missing."""

    NO_DATA = "no-data"  # the provider answered with nothing at all
    EMPTY = "empty"  # a vector without a sample
    NAN = "nan"  # a sample that is not a number
    ERROR = "error"  # the provider did not answer
    TOO_FEW = "too-few"  # fewer requests than the floor


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRules:
    """What holds for one metric once all annotations are merged."""

    parity: Parity = Parity.STRICT
    requests_min: int | None = None  # None: no floor
    requests_query: str | None = None  # None: derived from the metric's own query
    deadline_s: float | None = None  # None: twice the longest window, at least ten minutes
    on_deadline: EvidenceAction = EvidenceAction.PAUSE
    odds: float | None = DEFAULT_ODDS  # None: no verdict below the floor, however clear
    on_missing: FrozenMap[EvidenceAction] = field(default_factory=FrozenMap)  # Missing.value -> action
    consecutive_limits: bool = False

    def action_for(self, missing: Missing) -> EvidenceAction:
        """Return what the user named for this kind of missing evidence; waiting unless they did."""
        return self.on_missing.get(missing.value, EvidenceAction.WAIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """The annotations of one object; None and absent keys mean that it says nothing."""

    parity: Parity | None = None  # gamebird.dev/parity
    requests_min: int | None = None  # gamebird.dev/min-requests
    requests_min_by_metric: FrozenMap[int] = field(default_factory=FrozenMap)  # min-requests.<metric>
    requests_queries: FrozenMap[str] = field(default_factory=FrozenMap)  # requests.<metric>
    deadline_s: float | None = None  # gamebird.dev/evidence-deadline
    on_deadline: EvidenceAction | None = None  # gamebird.dev/on-deadline
    odds: float | None = None  # gamebird.dev/odds; 0 switches the rule off
    on_missing: FrozenMap[EvidenceAction] = field(default_factory=FrozenMap)  # gamebird.dev/on-<kind>
    consecutive_limits: bool | None = None  # gamebird.dev/limits: total | consecutive
    promises: Promises = field(default_factory=Promises)  # of the Rollout alone

    def over(self, base: Extensions) -> Extensions:
        """Return these annotations with `base` for whatever they leave unsaid."""
        return Extensions(
            parity=self.parity or base.parity,
            requests_min=base.requests_min if self.requests_min is None else self.requests_min,
            requests_min_by_metric=FrozenMap({**base.requests_min_by_metric, **self.requests_min_by_metric}),
            requests_queries=FrozenMap({**base.requests_queries, **self.requests_queries}),
            deadline_s=base.deadline_s if self.deadline_s is None else self.deadline_s,
            on_deadline=self.on_deadline or base.on_deadline,
            odds=base.odds if self.odds is None else self.odds,
            on_missing=FrozenMap({**base.on_missing, **self.on_missing}),
            consecutive_limits=(
                base.consecutive_limits if self.consecutive_limits is None else self.consecutive_limits
            ),
            promises=base.promises,
        )

    def rules_for(self, metric: str) -> EvidenceRules:
        """Return what holds for one metric, defaults filled in."""
        odds = DEFAULT_ODDS if self.odds is None else self.odds
        return EvidenceRules(
            parity=self.parity or Parity.STRICT,
            requests_min=self.requests_min_by_metric.get(metric, self.requests_min),
            requests_query=self.requests_queries.get(metric),
            deadline_s=self.deadline_s,
            on_deadline=self.on_deadline or EvidenceAction.PAUSE,
            odds=odds or None,
            on_missing=self.on_missing,
            consecutive_limits=bool(self.consecutive_limits),
        )
