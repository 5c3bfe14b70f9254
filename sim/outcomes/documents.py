"""A simulation as plain data: the JSON that programs read, and one flat row a release for tables.

docs/simulate.md is the schema. Same seed, same bytes: no clock, no path of a machine, no number of workers is in it,
and numbers are rounded to nine significant digits, beyond which the order of a sum could show.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sim.outcomes.figures import Figures, Spread
from sim.outcomes.intervals import Estimate

SCHEMA = "gamebird.dev/simulation/v1"


def release_as_json(figures: Figures) -> dict[str, Any]:
    """Return one entry of `releases`."""
    hurt, bad = figures.users_hurt, figures.bad_requests
    return {
        "name": figures.name,
        "kind": figures.kind,
        "about": figures.about,
        "release": figures.release,
        "runs": figures.runs,
        "cohorts": figures.cohorts,
        "caught": _share(figures.caught),
        "outcomes": {name: _number(one.value) for name, one in figures.outcomes.items()},
        "outcome_intervals": {name: _ends(one) for name, one in figures.outcomes.items()},
        "by_step": {str(step): _share(one) for step, one in figures.by_step.items()},
        "by_metric": {name: _share(one) for name, one in figures.by_metric.items()},
        "detection_s": _spread(figures.detection_s),
        "recovery_s": _spread(figures.recovery_s),
        "to_promote_s": _spread(figures.to_promote_s),
        "bad_requests": {
            "mean": _number(bad.mean.value),
            "p95": _number(bad.p95.value),
            "worst": _number(bad.worst),
            "intervals": {"mean": _ends(bad.mean), "p95": _ends(bad.p95)},
        },
        "users_hurt": {
            "mean": _number(hurt.mean.value),
            "p95": _number(hurt.p95.value),
            "worst": _number(hurt.worst),
            "weight_max": _number(hurt.weight_max),
            "intervals": {"mean": _ends(hurt.mean), "p95": _ends(hurt.p95)},
        },
        "requests": {
            "mean": _number(figures.requests_mean.value),
            "canary_mean": _number(figures.canary_requests_mean.value),
        },
    }


def _share(one: Estimate) -> dict[str, Any]:
    return {"share": _number(one.value), "low": _number(one.low), "high": _number(one.high)}


def _ends(one: Estimate) -> list[float | None]:
    return [_number(one.low), _number(one.high)]


def _spread(one: Spread | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "median": _number(one.median.value),
        "p95": _number(one.p95.value),
        "intervals": {"median": _ends(one.median), "p95": _ends(one.p95)},
    }


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.9g}")


def text_of(document: Mapping[str, Any]) -> str:
    """Return the JSON text, with a line end."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def row_of(figures: Figures) -> dict[str, Any]:
    """Return one flat row, for data frames, CSV and Parquet; NaN where a number does not exist."""
    row: dict[str, Any] = {
        "name": figures.name,
        "kind": figures.kind,
        "release": figures.release,
        "runs": figures.runs,
        "cohorts": figures.cohorts,
        **_columns("caught", figures.caught),
    }
    for name, one in figures.outcomes.items():
        row |= _columns(name, one)
    for what, spread in (
        ("detection_s", figures.detection_s),
        ("recovery_s", figures.recovery_s),
        ("to_promote_s", figures.to_promote_s),
    ):
        row |= _columns(f"{what}_median", spread.median if spread else None)
        row |= _columns(f"{what}_p95", spread.p95 if spread else None)
    row |= _columns("bad_requests_mean", figures.bad_requests.mean)
    row |= _columns("bad_requests_p95", figures.bad_requests.p95)
    row["bad_requests_worst"] = _cell(figures.bad_requests.worst)
    row |= _columns("users_hurt_mean", figures.users_hurt.mean)
    row |= _columns("users_hurt_p95", figures.users_hurt.p95)
    row["users_hurt_worst"] = _cell(figures.users_hurt.worst)
    row["weight_max"] = _cell(figures.users_hurt.weight_max)
    row["step"] = _most(figures.by_step, math.nan)
    row["metric"] = _most(figures.by_metric, "")
    return row


def _columns(name: str, one: Estimate | None) -> dict[str, float]:
    if one is None:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    return {name: _cell(one.value), f"{name}_low": _cell(one.low), f"{name}_high": _cell(one.high)}


def _cell(value: float | None) -> float:
    found = _number(value)
    return math.nan if found is None else found


def _most(shares: Mapping[Any, Estimate], nowhere: Any) -> Any:
    """Return where most aborts were."""
    return max(shares, key=lambda key: shares[key].value, default=nowhere)
