"""From what was seen to what the model takes, with how well it fits and where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadgen.traffic import Route, Traffic
from loadgen.traffic.recorded import METHODS
from sim.fit.failures import FailureFit, fit_failures
from sim.fit.latencies import LatencyFit, fit_latency
from sim.fit.observed import FitError, Observed, RouteSeen
from sim.fit.rates import RateFit, ShapeName, fit_rate
from sim.releases import Latency, Release
from sim.scenarios import BUCKETS_S, Scenario, Scrapes, Service

KS_POOR = 0.03
"""At a distance beyond this, 3 % of the requests lie on the wrong side of some threshold."""

QUANTILE_POOR = 0.15
DISPERSION_POOR = 3.0
BURSTINESS_POOR = 1.5
ROUTES_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A service's parameters, and how far to trust them.

    Attributes:
        seen: what they were learnt from.
        rate, failures, latency: each part's own fit; failures and latency None where nothing tells them.
        warnings: where the fit is poor, and what that means for a simulation.
    """

    seen: Observed
    rate: RateFit
    failures: FailureFit | None
    latency: LatencyFit | None
    traffic: Traffic
    service: Service
    stable: Release
    scrapes: Scrapes
    warnings: tuple[str, ...]

    def scenario(self, name: str = "fitted") -> Scenario:
        """Return the service as a scenario whose release is like stable: a good one, until something is changed."""
        return Scenario(
            name=name,
            kind="good",
            about=f"Fitted from {self.seen.source}.",
            traffic=self.traffic,
            service=self.service,
            stable=self.stable,
            release=self.stable,
            scrapes=self.scrapes,
        )


def fit(seen: Observed, *, shape: ShapeName = "auto") -> Fit:
    """Return the parameters of a service that was seen.

    Args:
        shape: of the rate; `auto` takes the simplest that explains it.

    Raises:
        FitError: too little was seen.
    """
    rate = fit_rate(seen, shape)
    failures = fit_failures(seen) if seen.has_status else None
    buckets_s = seen.buckets_s or BUCKETS_S
    warnings = list(seen.remarks)
    latency = None
    if seen.durations is None:
        warnings.append("nothing tells how long answers took; the latency is the model's default, not this service's")
    else:
        try:
            latency = fit_latency(seen.durations, buckets_s)
        except FitError as error:
            warnings.append(f"the latency is the model's default, not this service's: {error}")
    if failures is None:
        warnings.append("nothing tells which requests failed; base_errors is 0 because nobody knows")
    traffic = Traffic(rps=rate.rps, shape=rate.shape, routes=_routes(seen.routes))
    stable = Release(
        base_errors=float(f"{failures.share:.4g}") if failures else 0.0,
        latency=latency.latency if latency else Latency(),
        series_5xx="start" if failures is None or failures.failed else "first-error",
    )
    return Fit(
        seen=seen,
        rate=rate,
        failures=failures,
        latency=latency,
        traffic=traffic,
        service=_service(seen),
        stable=stable,
        scrapes=Scrapes(interval_s=seen.scrape_interval_s) if seen.scrape_interval_s else Scrapes(),
        warnings=(*warnings, *_rate_warnings(seen, rate), *_failure_warnings(seen, failures), *_slow(seen, latency)),
    )


def _service(seen: Observed) -> Service:
    fields: dict[str, Any] = {}
    if seen.buckets_s:
        fields["buckets_s"] = seen.buckets_s
    if seen.segments:
        fields["segments"] = {label: _shares(values) for label, values in seen.segments.items()}
    if seen.cpu_s is not None:
        fields["cpu_s_per_request"] = float(f"{seen.cpu_s / float(seen.requests.sum()):.4g}")
    if seen.memory_bytes is not None:
        fields["memory_bytes"] = float(f"{seen.memory_bytes:.4g}")
    return Service.model_validate(fields)


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    """Return shares of six digits that add up to 1: the largest takes what rounding leaves."""
    total = sum(values.values())
    shares = {name: round(value / total, 6) for name, value in values.items()}
    largest = max(shares, key=lambda name: shares[name])
    shares[largest] = round(1 - sum(share for name, share in shares.items() if name != largest), 6)
    return shares


def _routes(seen: tuple[RouteSeen, ...]) -> tuple[Route, ...]:
    routes = []
    for each in seen[:ROUTES_MAX]:
        if each.method not in METHODS or each.requests <= 0 or not each.target.startswith("/"):
            continue
        fields: dict[str, Any] = {"method": each.method, "path": each.target, "weight": float(f"{each.requests:.6g}")}
        routes.append(Route.model_validate(fields))
    return tuple(routes) or (Route(path="/"),)


def _rate_warnings(seen: Observed, rate: RateFit) -> list[str]:
    found = []
    if rate.explained < 0.9:
        found.append(
            f"the shape of the rate explains {rate.explained:.0%} of how it moved beyond chance; --shape trace takes "
            "it as recorded"
        )
    if seen.burstiness is not None and seen.burstiness > BURSTINESS_POOR:
        found.append(
            f"requests come {seen.burstiness:.2g} times as burstily as Poisson's within seconds; the model has them "
            "come independently, so it underestimates queues and the spread of counts"
        )
    if len(seen.requests) > 1 and (empty := int((seen.requests == 0).sum())):
        found.append(f"{empty} of {len(seen.requests)} bins of {seen.bin_s:g} s are empty; they count as no traffic")
    if dropped := [each for each in seen.routes[:ROUTES_MAX] if each.method not in METHODS]:
        found.append(f"routes by {', '.join(sorted({each.method for each in dropped}))} are left out of the mix")
    if len(seen.routes) > ROUTES_MAX:
        rest = sum(each.requests for each in seen.routes[ROUTES_MAX:]) / max(float(seen.requests.sum()), 1.0)
        found.append(
            f"the mix keeps {ROUTES_MAX} of {len(seen.routes)} routes; {rest:.2%} of the requests went to the rest"
        )
    return found


def _failure_warnings(seen: Observed, failures: FailureFit | None) -> list[str]:
    if failures is None:
        return []
    found = []
    if failures.dispersion > DISPERSION_POOR:
        found.append(
            f"failures come in bursts (variance {failures.dispersion:.3g} times that of independent ones; at its "
            f"worst {failures.worst_share:.3%} for {failures.worst_for_s:g} s, {failures.worst_from_s:g} s after the "
            "beginning); base_errors spreads them evenly, an incident in the scenario would not"
        )
    if failures.failed == 0:
        found.append("no request failed, so base_errors is 0 and 5xx series are taken to be born with the first 5xx")
    if (uneven := _uneven(seen, failures)) is not None:
        found.append(
            f"{uneven.method} {uneven.name} fails {uneven.failed / uneven.requests:.3%} of its requests and the "
            f"service {failures.share:.3%}; base_errors knows no routes"
        )
    return found


def _uneven(seen: Observed, failures: FailureFit) -> RouteSeen | None:
    """Return the route that fails most beyond what the service's share would bring it, by more than chance and by
    more than twice; None where there is none."""
    known = [each for each in seen.routes if each.requests * failures.share >= 5]
    share = failures.share
    scores = [
        (each.failed - share * each.requests) / np.sqrt(share * (1 - share) * each.requests * failures.dispersion)
        for each in known
        if share < 1
    ]
    if not scores:
        return None
    worst = int(np.argmax(scores))
    each = known[worst]
    return each if scores[worst] > 5 and each.failed > 2 * share * each.requests else None


def _slow(seen: Observed, latency: LatencyFit | None) -> list[str]:
    if latency is None or seen.durations is None:
        return []
    found = []
    if latency.ks > KS_POOR:
        found.append(
            f"latencies do not look like a lognormal body with a tail: at {latency.ks_at_ms:.4g} ms the fit is wrong "
            f"about {latency.ks:.1%} of the requests"
        )
    counts = seen.durations.counts
    if seen.durations.is_coarse:
        if (most := float(counts.max() / seen.durations.total)) > 0.8:
            found.append(f"{most:.0%} of the answers fall into one bucket; median and spread are hardly known")
        if (beyond := float(counts[-1] / seen.durations.total)) > 0.01:
            found.append(f"{beyond:.1%} of the answers took longer than the last bucket; the tail is hardly known")
    poor = [
        f"p{each.q * 100:g} seen {each.seen_ms:.4g} ms, fitted {each.fitted_ms:.4g} ms"
        for each in latency.quantiles
        if abs(each.fitted_ms / max(each.seen_ms, 1e-9) - 1) > QUANTILE_POOR
    ]
    if poor and not seen.durations.is_coarse:
        found.append(f"{'; '.join(poor)}: a threshold there is not judged as the service would be")
    return found
