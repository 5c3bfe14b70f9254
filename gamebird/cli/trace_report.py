"""What `gamebird trace` shows: a profile as a picture or as JSON, and what reading left out or changed."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadgen.traces import Tally
    from loadgen.traces.profile import Profile


def tell(tally: Tally) -> None:
    """Say on standard error what was left out or changed, with lines and times."""
    lines = []
    if tally.bad_count:
        lines.append(f"{tally.bad_count:,} of {tally.lines:,} lines are no requests:")
        lines += [f"  {count:,} × {why}" for why, count in tally.bad.most_common()]
        lines += [f"  {bad.text}" for bad in tally.examples]
    if tally.late:
        lines.append(f"{tally.late:,} requests came later than --window reaches back and were left out:")
        lines += [f"  {example}" for example in tally.late_examples]
    if tally.sorted:
        lines.append(f"{tally.sorted:,} requests came out of order and were sorted")
    if tally.gap_count:
        lines.append(f"{tally.gap_count:,} silences were shortened (--gap-max none keeps them):")
        lines += [f"  {_stamp(gap.at_s)}: {gap.was_s:,.0f} s became {gap.became_s:,.0f} s" for gap in tally.gaps[:10]]
    if tally.whole_seconds and tally.requests > 1:
        lines.append(
            "every stamp is a whole second: bursts within a second are not known (convert --spread makes some up)"
        )
    if lines:
        print("\n".join(lines), file=sys.stderr)


def _stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def shown(profile: Profile, ahead_s: float, routes: int) -> list[str]:
    """Return a profile as people read it: figures, the rate over time, routes, segments, the day."""
    from loadgen.traces.drawing import answers_line, day_picture, mix_picture, rate_picture

    peak = float(profile.rates(max(profile.bin_s(), 1.0)).max())
    head = (
        f"{profile.requests:,} requests in {_duration(profile.duration_s)}: {profile.rate_rps:.4g}/s on average, "
        f"{peak:.4g}/s at the peak ({profile.bin_s():g} s bins)"
    )
    lines = [head, *answers_line(profile), "", "requests/s over time", *rate_picture(profile, ahead_s=ahead_s)]
    lines += ["", "routes", *mix_picture(profile, routes)]
    if profile.segments:
        lines += ["", "segments"]
        lines += [f"{name}  {count / profile.requests:.2%}" for name, count in profile.segments.most_common(routes)]
    return [*lines, "", "the day's shape, requests/s in each hour", *day_picture(profile, ahead_s=ahead_s)]


def _duration(seconds: float) -> str:
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


def profile_json(profile: Profile, ahead_s: float, routes: int) -> dict[str, Any]:
    """Return a profile as programs read it."""
    bin_s = profile.bin_s()
    known = profile.durations.sum() > 0
    return {
        "rate_rps": profile.rate_rps,
        "bin_s": bin_s,
        "rates_rps": profile.rates(bin_s).tolist(),
        "routes": [
            {"method": method, "route": route, "requests": counts.requests, "failed": counts.failed}
            for method, route, counts in profile.mix()[:routes]
        ],
        "statuses": {str(status): count for status, count in sorted(profile.statuses.items()) if status},
        "segments": dict(profile.segments),
        "duration_ms": {f"p{q * 100:g}": profile.quantile_s(q) * 1000 for q in (0.5, 0.9, 0.95, 0.99)}
        if known
        else None,
        "day_rps": [None if rate != rate else rate for rate in profile.day(ahead_s).tolist()],
    }
