"""A trace's profile as text for a terminal: the rate over time, the mix of routes, the shape of the day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from loadgen.traces.profile import Floats, Profile

WIDTH = 72
HEIGHT = 8
ROUTES_SHOWN = 15
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def rate_picture(profile: Profile, *, ahead_s: float = 0.0) -> list[str]:
    """Return the rate over time as columns, with its scale and its first and last instant."""
    rates = _columns(profile, WIDTH)
    top = float(rates.max(initial=0.0))
    scale = _round_up(top)
    lines = []
    for level in range(HEIGHT, 0, -1):
        filled = np.clip((rates / scale * HEIGHT - (level - 1)) * 8, 0, 8) if scale else np.zeros(len(rates))
        label = f"{scale * level / HEIGHT:>8.4g}" if level in (HEIGHT, HEIGHT // 2) else " " * 8
        lines.append(f"{label} ┤" + "".join(_EIGHTHS[math.ceil(each - 1e-9)] for each in filled))
    zone = timezone(timedelta(seconds=ahead_s)) if ahead_s else UTC
    begin, end = (
        datetime.fromtimestamp(at_s, zone).strftime("%Y-%m-%d %H:%M:%S")
        for at_s in (profile.begin_s, profile.begin_s + profile.duration_s)
    )
    lines.append(f"{0:>8} └" + "─" * len(rates))
    lines.append(" " * 10 + begin + end.rjust(max(len(rates) - len(begin), len(end) + 1)))
    return lines


def _columns(profile: Profile, columns: int) -> Floats:
    """Return the rate in each column, requests/s; a column is a whole number of the profile's units wide."""
    width_s = max(1.0, math.ceil(profile.duration_s / columns))
    return profile.rates(width_s)[:columns]


def _round_up(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, whichever is the next above."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= value * (1 - 1e-12))


def mix_picture(profile: Profile, shown: int = ROUTES_SHOWN) -> list[str]:
    """Return the routes, the most asked for first, with share, requests and share of failures."""
    mix = profile.mix()
    names = [f"{method} {route}" for method, route, _ in mix[:shown]]
    width = min(max(map(len, names), default=0), 60)
    lines = []
    for name, (_, _, counts) in zip(names, mix[:shown], strict=False):
        share = counts.requests / profile.requests
        failed = f"{counts.failed / counts.requests:8.3%} failed" if profile.with_status else ""
        shown_name = name if len(name) <= width else name[: width - 1] + "…"
        lines.append(f"{shown_name:<{width}}  {share:7.2%} {counts.requests:>10,}  {failed} {_bar(share, 20)}".rstrip())
    if len(mix) > shown:
        rest = sum(counts.requests for _, _, counts in mix[shown:])
        lines.append(f"{f'… and {len(mix) - shown:,} more':<{width}}  {rest / profile.requests:7.2%} {rest:>10,}")
    return lines


def day_picture(profile: Profile, *, ahead_s: float = 0.0) -> list[str]:
    """Return the rate in each hour of the day; how many hours the trace does not touch is said."""
    rates = profile.day(ahead_s)
    top = float(np.nanmax(rates)) if np.isfinite(rates).any() else 0.0
    lines = [
        f"{hour:02}:00 {rate:9.4g}/s {_bar(rate / top if top else 0.0, 40)}".rstrip()
        for hour, rate in enumerate(rates.tolist())
        if not math.isnan(rate)
    ]
    unknown = int(np.isnan(rates).sum())
    return [*lines, f"{unknown} hours of the day are not in the trace"] if unknown else lines


def _bar(share: float, width: int) -> str:
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + ("" if eighths % 8 == 0 else "▏▎▍▌▋▊▉"[eighths % 8 - 1])


def answers_line(profile: Profile, quantiles: Sequence[float] = (0.5, 0.9, 0.95, 0.99)) -> list[str]:
    """Return what was answered and how fast, or that it is not recorded."""
    lines = []
    if profile.with_status:
        classes = dict.fromkeys("12345", 0)
        for status, count in profile.statuses.items():
            if status:
                classes[str(status)[0]] = classes.get(str(status)[0], 0) + count
        parts = [f"{kind}xx {count / profile.with_status:.3%}" for kind, count in classes.items() if count]
        lines.append(f"answers    {', '.join(parts)}")
    if profile.durations.sum():
        parts = [f"p{q * 100:g} {profile.quantile_s(q) * 1000:.4g} ms" for q in quantiles]
        lines.append(f"durations  {', '.join(parts)}")
    return lines
