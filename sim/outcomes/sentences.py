"""What came out, in plain words: the sentences on top of every report. They say what the figures say and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from controller.manifests.policies import Policy
from loadgen.traffic import Constant
from sim.outcomes.causes import why_missed
from sim.outcomes.figures import Figures
from sim.releases import Release
from sim.scenarios import Scenario

NEVER, ALWAYS = 0.05, 0.95
"""A release is called missed if it is promoted in more runs than the second, and caught if it is aborted in more."""

TOLD_MAX = 3
"""Of releases that differ in more than one size so many are told one by one; the table has them all."""

Pair = tuple[Scenario, Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A release that differs from a good one in one number only."""

    size: float
    scenario: Scenario
    figures: Figures


def sentences(policy: Policy, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return what came out, the most important first; at least one sentence if there is a release."""
    if len(pairs) == 1:
        return (_of_one(*pairs[0]),)
    errors, slow = errors_by_size(pairs), latencies_by_size(pairs)
    found = [*_of_errors(policy, errors), *_of_latency(slow)]
    if not found:
        found = [_of_one(*pair) for pair in pairs if pair[0].kind == "bad"][:TOLD_MAX]
    return (*found, *_of_good(pairs))


def errors_by_size(pairs: Sequence[Pair]) -> list[Sized]:
    """Return the bad releases that fail requests and are like stable in all else, small ones first."""
    return _by_size(
        Sized(size=one.release.errors, scenario=one, figures=figures)
        for one, figures in pairs
        if one.release.model_copy(update={"errors": one.stable.errors, "base_errors": one.stable.base_errors})
        == one.stable
        and one.release.base_errors <= one.stable.base_errors  # where everything fails, nothing is left for these
    )


def latencies_by_size(pairs: Sequence[Pair]) -> list[Sized]:
    """Return the bad releases that are slower by a factor and are like stable in all else, small ones first."""
    return _by_size(
        Sized(size=one.release.latency.factor, scenario=one, figures=figures)
        for one, figures in pairs
        if one.release.model_copy(update={"latency": one.stable.latency}) == one.stable
        and one.release.latency.model_copy(update={"factor": one.stable.latency.factor}) == one.stable.latency
        and one.release.latency.factor > one.stable.latency.factor
    )


def _by_size(found: Iterable[Sized]) -> list[Sized]:
    """Return those that are bad and undisturbed, each size once: of those that share one world, the most numerous."""
    worlds: dict[str, dict[float, Sized]] = {}
    for one in sorted(found, key=lambda one: one.size):
        if one.scenario.kind == "bad" and one.size > 0 and not _disturbed(one.scenario):
            same = one.scenario.model_copy(update={"name": "same", "about": "", "release": Release()})
            worlds.setdefault(same.model_dump_json(), {})[one.size] = one
    return list(max(worlds.values(), key=len, default={}).values())


def _disturbed(scenario: Scenario) -> bool:
    """Whether something beside the release goes wrong, so that its size is not all that there is to it."""
    return bool(
        scenario.incidents
        or scenario.traffic_changes
        or scenario.kill_switch
        or scenario.autoscaler
        or scenario.prometheus.outages
        or scenario.scrapes.losses
        or scenario.controller.restarts
    )


def _of_errors(policy: Policy, sized: Sequence[Sized]) -> Iterator[str]:
    missed = [one for one in sized if _is_missed(one)]
    caught = [one for one in sized if one.figures.caught.value > ALWAYS]
    between = [one for one in sized if one not in missed and one not in caught]
    said = False
    for one in missed[-1:]:
        why = why_missed(policy, one.size, one.scenario.release.base_errors)
        yield f"{_fails(one, said)} is {_often(one.figures)}{rate(one.scenario)}{f': {why}' if why else ''}."
        said = True
    for one in between[-1:]:
        where = "" if said else rate(one.scenario)
        yield f"{_fails(one, said)} is {_how_often(one)}{where}{_waits(one)}."
        said = True
    for one in caught[:1]:
        yield _caught(one, _fails(one, said), "" if said else rate(one.scenario))


def _fails(one: Sized, said: bool) -> str:
    """Return the release as the subject of a sentence, after the first one in short."""
    what = "every request" if one.size == 1 else f"{percent(one.size)}{'' if said else ' of requests'}"
    return f"{'One' if said else 'A canary'} that fails {what}"


def _of_latency(sized: Sequence[Sized]) -> Iterator[str]:
    missed = [one for one in sized if _is_missed(one)]
    if missed:
        worst = missed[-1]
        yield f"A canary that answers {worst.size:g} times as slowly is {_often(worst.figures)}{rate(worst.scenario)}."
    else:
        for one in sized[:1]:
            what = f"A canary that answers {one.size:g} times as slowly"
            yield f"{what} is {_how_often(one)}{_waits(one)}."


def _how_often(one: Sized) -> str:
    return "never caught" if one.figures.caught.value == 0 else f"caught in {interval(one.figures)} of the runs"


def _is_missed(one: Sized) -> bool:
    return one.figures.outcomes["promoted"].value > ALWAYS


def _waits(one: Sized) -> str:
    waits = one.figures.outcomes["paused"].value + one.figures.outcomes["stuck"].value
    return f", but waits for a person or does not finish in {share(waits)} of the runs" if waits > NEVER else ""


def _often(figures: Figures) -> str:
    if figures.caught.value == 0:
        return "never caught"
    return f"caught in only {share(figures.caught.value)} of the runs"


def _caught(one: Sized, who: str, where: str) -> str:
    figures = one.figures
    when = f", after {seconds(figures.detection_s.median.value)} (median)" if figures.detection_s else ""
    return (
        f"{who} is caught in {interval(figures)} of the runs{where}{when} "
        f"and {count(figures.bad_requests.mean.value)} bad requests on average."
    )


def _of_good(pairs: Sequence[Pair]) -> Iterator[str]:
    good = [(scenario, figures) for scenario, figures in pairs if scenario.kind == "good"]
    if not good:
        return
    scenario, worst = max(good, key=lambda pair: pair[1].caught.value)
    often = sum(figures.caught.value > NEVER for _, figures in good)
    if worst.caught.value == 0:
        all_of_them = "A good release" if len(good) == 1 else f"None of the {len(good)} good releases"
        verb = "is never aborted" if len(good) == 1 else "is ever aborted"
        yield f"{all_of_them} {verb}{_bound(worst)}."
    elif len(good) == 1:
        yield f"A good release is aborted in {interval(worst)} of the runs."
    elif often > 1:
        yield (
            f"{often} of {len(good)} good releases are aborted in more than {share(NEVER)} of the runs, "
            f"{scenario.name} in {interval(worst)}."
        )
    else:
        yield f"Of {len(good)} good releases {scenario.name} is aborted most, in {interval(worst)} of the runs."
    waiting = max(
        (figures.outcomes["paused"].value + figures.outcomes["stuck"].value for _, figures in good), default=0
    )
    if waiting > NEVER:
        yield f"Good releases wait for a person or do not finish in up to {share(waiting)} of the runs."


def _bound(figures: Figures) -> str:
    high = figures.caught.high
    return "" if high is None else f" (in at most {share(high)} of such rollouts)"


def _of_one(scenario: Scenario, figures: Figures) -> str:
    what = f"The release {scenario.name} ({scenario.release.text})"
    ends = {name: one.value for name, one in figures.outcomes.items() if one.value > 0}
    most = max(ends, key=lambda name: ends[name])
    words = {"promoted": "promoted", "aborted": "aborted", "paused": "left waiting for a person", "stuck": "stuck"}
    text = f"{what} is {words[most]} in {interval_of(figures, most)} of the runs{rate(scenario)}"
    if most == "aborted" and figures.detection_s is not None:
        text += f", {seconds(figures.detection_s.median.value)} (median) after its first request"
    return f"{text}, with {count(figures.bad_requests.mean.value)} bad requests on average."


def rate(scenario: Scenario) -> str:
    """Return the rate of a traffic that does not change, as the end of a clause: ` at 100 requests/s`."""
    if not isinstance(scenario.traffic.shape, Constant) or scenario.traffic_changes:
        return ""
    return f" at {scenario.traffic.rps:g} requests/s"


def percent(value: float) -> str:
    """Return a size as people say it: 5 %, 0.1 %."""
    return f"{value * 100:.3g} %"


def share(value: float) -> str:
    """Return a share of runs, as exact as it is of use: 97 %, 3.2 %, 0.04 %."""
    shown = value * 100
    if shown in (0, 100):
        return f"{shown:g} %"
    if shown > 99:
        return f"{min(shown, 99.99):.4g} %" if shown > 99.95 else f"{shown:.1f} %"
    return f"{shown:.0f} %" if shown >= 10 else f"{shown:.2g} %"


def interval(figures: Figures) -> str:
    """Return the share caught with its interval."""
    return interval_of(figures, "aborted")


def interval_of(figures: Figures, outcome: str) -> str:
    """Return the share of an outcome with its interval."""
    one = figures.outcomes[outcome]
    low, high = one.low or 0.0, 1.0 if one.high is None else one.high
    return f"{share(one.value)} ({share(low)} to {share(high)})"


def seconds(value: float | None) -> str:
    """Return a duration: 42 s, 3 min 20 s; a dash for what was not seen."""
    if value is None:
        return "–"
    if value < 120:
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(value: float | None) -> str:
    """Return a duration as minutes and seconds, for tables: 3:20."""
    return "–" if value is None else f"{round(value) // 60}:{round(value) % 60:02d}"


def count(value: float | None) -> str:
    """Return a count with separators; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"
