"""Why a bad release is missed, as far as that can be read off the policy's own queries and weights.

Only what was checked is said. A query mixes the canary with stable if every one of its selectors is seen to select
both; a label that this module does not know makes it silent, not bold. Whoever writes the sentence on top of a report
relies on that: a wrong cause would send a team to repair what is not broken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from controller.core.conditions import ConditionError, compile_condition, fails_when
from controller.core.plan import plan_of
from controller.manifests.policies import LATEST_HASH, STABLE_HASH, Policy, PolicyAnalysis
from controller.manifests.values import Metric, PrometheusProvider
from promql.syntax import PromQLSyntaxError, QuantileShape, RatioShape, parse, ratio_shape, selectors
from promql.syntax.reading import passes
from promql.syntax.tree import METRIC_NAME, Matcher, VectorSelector

Side = Literal["canary", "stable", "both"]

HASH_LABELS = ("rollouts_pod_template_hash", "pod_template_hash", "label_rollouts_pod_template_hash")
STATUS_LABELS = ("status", "code", "status_code", "response_code", "http_status_code", "http_response_status_code")
POD_LABELS = ("pod", "pod_name", "kubernetes_pod_name")
SERVICE_LABELS = (
    "service", "service_name", "exported_service", "destination_service", "destination_service_name", "app",
    "destination_workload", "destination_app", "deployment", "workload",
)  # fmt: skip
INGRESS_LABELS = ("ingress", "exported_ingress")
SHARED_LABELS = (
    METRIC_NAME, *STATUS_LABELS, "le", "job", "namespace", "exported_namespace", "kubernetes_namespace",
    "destination_service_namespace", "destination_workload_namespace", "method", "route", "handler", "path", "uri",
    "host", "status_class", "outcome", "reporter", "container", "cluster", "env", "environment",
)  # fmt: skip


def side_of(selector: VectorSelector, policy: Policy) -> Side | None:
    """Return whose series a selector can select, or None where that is not seen."""
    sides: set[Side] = set()
    for matcher in selector.matchers:
        side = _side_by(matcher, policy)
        if side is None:
            return None
        sides.add(side)
    apart = sides - {"both"}
    if len(apart) > 1:
        return None
    return apart.pop() if apart else "both"


def _side_by(matcher: Matcher, policy: Policy) -> Side | None:
    """Return whose series pass one matcher; None where the label says nothing that this module knows."""
    if LATEST_HASH in matcher.value or STABLE_HASH in matcher.value:
        return _hash_side(matcher)
    name = matcher.name
    if name in SHARED_LABELS:
        return "both"
    if name in POD_LABELS:
        pods = (f"{policy.rollout.name}-{one}-abcde" for one in (LATEST_HASH, STABLE_HASH))
        return _side(*(passes(matcher, pod) for pod in pods))
    if name in SERVICE_LABELS:
        return _service_side(matcher, policy)
    if name in INGRESS_LABELS:
        return _ingress_side(matcher, policy)
    return None


def _side(canary: bool, stable: bool) -> Side | None:
    if canary and stable:
        return "both"
    return "canary" if canary else "stable" if stable else None


def _hash_side(matcher: Matcher) -> Side | None:
    if matcher.name in HASH_LABELS:
        return _side(passes(matcher, LATEST_HASH), passes(matcher, STABLE_HASH))
    return "canary" if LATEST_HASH in matcher.value and STABLE_HASH not in matcher.value else None


def _service_side(matcher: Matcher, policy: Policy) -> Side | None:
    """Return the side of a service's name. One that is neither Service of the rollout names the application itself."""
    strategy = policy.rollout.strategy
    if not strategy.canary_service or not strategy.stable_service:
        return "both"
    full = f".{policy.rollout.namespace}.svc.cluster.local"
    for suffix in ("", full):
        side = _side(
            passes(matcher, strategy.canary_service + suffix), passes(matcher, strategy.stable_service + suffix)
        )
        if side is not None:
            return side
    return "both"


def _ingress_side(matcher: Matcher, policy: Policy) -> Side | None:
    routing = policy.rollout.strategy.traffic_routing
    if routing is None or routing.nginx is None:
        return None
    sides = {
        _side(passes(matcher, f"{policy.rollout.name}-{stable}-canary"), passes(matcher, stable))
        for stable in routing.nginx.stable_ingresses
    }
    return sides.pop() if len(sides) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLook:
    """How one metric looks at errors.

    Attributes:
        mixes: the query selects stable and canary alike.
        threshold: the error ratio from which on a measurement fails.
        weight_max: the canary's largest share of the traffic while the metric is measured.
    """

    metric: str
    mixes: bool
    threshold: float
    weight_max: float

    def blind_to(self, errors: float, base_errors: float) -> bool:
        """Whether a canary that fails this share is over the threshold, and the mixture never is."""
        mixed = self.weight_max * errors + base_errors
        return self.mixes and errors + base_errors >= self.threshold > mixed


def error_looks(policy: Policy) -> tuple[ErrorLook, ...] | None:
    """Return how each metric that can see errors looks at them; None where one is not understood."""
    looks: list[ErrorLook] = []
    for analysis in policy.analyses:
        for metric in analysis.resolved.metrics:
            if metric.name in analysis.resolved.dry_run:
                continue
            found = _look(metric, analysis, policy)
            if found is None:
                return None
            looks += found
    return tuple(looks)


def _look(metric: Metric, analysis: PolicyAnalysis, policy: Policy) -> list[ErrorLook] | None:
    """Return the look of one metric, none for a quantile of latencies, None for what is not understood."""
    if not isinstance(metric.provider, PrometheusProvider):
        return None
    try:
        expr = parse(metric.provider.query)
    except PromQLSyntaxError:
        return None
    shape = ratio_shape(expr)
    if not isinstance(shape, RatioShape):
        return [] if isinstance(shape, QuantileShape) else None
    threshold = _threshold(metric, shape)
    sides = {side_of(one, policy) for one in selectors(expr)}
    if threshold is None or None in sides or not _sees_500(shape):
        return None
    weight = _weight_max(analysis, policy)
    return [ErrorLook(metric=metric.name, mixes=sides == {"both"}, threshold=threshold, weight_max=weight)]


def _threshold(metric: Metric, shape: RatioShape) -> float | None:
    try:
        success, failure = (
            compile_condition(text) if text else None for text in (metric.success_condition, metric.failure_condition)
        )
    except ConditionError:
        return None
    region = fails_when(success, failure)
    if region is None or region.op not in (("<", "<=") if shape.complemented else (">", ">=")):
        return None
    ratio = region.constant / shape.scale
    return 1 - ratio if shape.complemented else ratio


def _sees_500(shape: RatioShape) -> bool:
    """Whether a 500 is counted above and below, by every matcher on a label that holds a status."""
    parts = (*selectors(shape.numerator), *selectors(shape.denominator))
    above = [one for one in selectors(shape.numerator) if any(m.name in STATUS_LABELS for m in one.matchers)]
    seen = all(passes(m, "500") for one in parts for m in one.matchers if m.name in STATUS_LABELS)
    return bool(above) and seen != shape.complemented


def _weight_max(analysis: PolicyAnalysis, policy: Policy) -> float:
    plan = plan_of(policy.rollout)
    weights: Iterable[int] = plan.weight_at if analysis.step_index is None else (plan.weight_at[analysis.step_index],)
    return max(weights, default=0) / plan.total_weight


def why_missed(policy: Policy, errors: float, base_errors: float) -> str:
    """Return why errors of this size are missed, as the end of a sentence; "" where that was not seen."""
    if not policy.analyses:
        return "no analysis looks at it"
    looks = error_looks(policy)
    if looks is None:
        return ""
    if not looks:
        return "none of your queries counts failed requests"
    if all(look.blind_to(errors, base_errors) for look in looks):
        return (
            "your query mixes it with stable"
            if len({look.metric for look in looks}) == 1
            else ("your queries mix it with stable")
        )
    if all(errors + base_errors < look.threshold for look in looks):
        lowest = min(look.threshold for look in looks)
        return f"it is below your threshold of {lowest * 100:g} %"
    return ""
