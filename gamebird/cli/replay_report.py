"""What `gamebird replay` shows of a replay that has ended: totals, latencies, who answered, and what to believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadgen.openloop.figures import Quantiles, UsersSaw
    from loadgen.replay import Result

ROUTES_SHOWN = 12


def shown(result: Result) -> list[str]:
    """Return the result as people read it; figures that may not be believed are said to be none."""
    totals = ", ".join(
        f"{result.total(name):,} {word}"
        for name, word in (
            ("due", "due"),
            ("sent", "sent"),
            ("answered", "answered"),
            ("dropped", "dropped"),
            ("cut_off", "cut off"),
            ("unaccounted", "without a record"),
        )
        if name in ("due", "sent", "answered") or result.total(name)
    )
    statuses = ", ".join(f"{status} × {count:,}" for status, count in result.statuses.items()) or "none"
    lines = [
        f"{result.traffic_s:,.1f} s, ended because {result.ended}",
        f"requests  {result.planned:,} planned, {totals}; {result.bad:,} bad",
        f"answers   {statuses}",
        "",
        f"{'':<34}{'requests':>10}{'bad':>8}{'p50':>10}{'p95':>10}{'p99':>10}{'max':>10}",
        _line("all, from the intended instant", result.total("answered"), result.bad, result.corrected),
        _line("all, from the sent instant", result.total("answered"), result.bad, result.uncorrected),
    ]
    lines += [_seen(f"revision {seen.name}" if seen.name else "no revision", seen) for seen in result.revisions]
    worst = sorted(result.routes, key=lambda seen: (-seen.bad, -seen.requests))
    lines += [_seen(seen.name, seen) for seen in worst[:ROUTES_SHOWN]]
    if len(worst) > ROUTES_SHOWN:
        lines.append(f"and {len(worst) - ROUTES_SHOWN:,} routes more (--output json has all)")
    if len(result.shards) > 1:
        lines += ["", *_shards(result)]
    return [*lines, "", *_verdict(result)]


def _shards(result: Result) -> list[str]:
    lines = [f"{'generator':<12}{'planned':>10}{'due':>10}{'recorded':>10}{'sent':>10}  ended"]
    for shard in result.shards:
        ended = shard.ended or f"lost, exit code {shard.exit_code}"
        lines.append(
            f"{shard.shard + 1:<12}{shard.planned:>10,}{shard.due:>10,}{shard.recorded:>10,}{shard.sent:>10,}  {ended}"
        )
    return lines


def _verdict(result: Result) -> list[str]:
    validity = result.validity
    lines = [
        f"lag of the generator: p50 {validity.lag_p50_s * 1e3:.2f} ms, p99 {validity.lag_p99_s * 1e3:.2f} ms; "
        f"CPU at most {validity.cpu_peak_share:.0%} of a core; machine {validity.machine_busy_share:.0%} busy"
    ]
    for name, half in (("counts", validity.counts), ("latencies", validity.latency)):
        reasons = "".join(f"\n  {reason}" for reason in dict.fromkeys(half.reasons))
        lines.append(f"{name}: {half.outcome}{reasons}")
    if not result.evidence:
        held = ", though its counts hold" if validity.counts.outcome == "valid" else ""
        lines.append(f"This run is no evidence{held}.")
    return lines


def _seen(name: str, seen: UsersSaw) -> str:
    return _line(name, seen.requests, seen.bad, seen.latency)


def _line(name: str, requests: int, bad: int, latency: Quantiles) -> str:
    cells = [latency.p50_s, latency.p95_s, latency.p99_s, latency.max_s]
    times = "".join(f"{'–' if cell != cell else f'{cell * 1e3:.1f} ms':>10}" for cell in cells)
    return f"{name[:33]:<34}{requests:>10,}{bad:>8,}{times}"
