"""Random series, random queries over them, and Prometheus' own engine to answer them.

The engine is a small Go program beside this file; it is built once into the cache folder, under a name that changes
with its source.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

T0 = 1_700_000_000
SPAN_S = 3_600
_BOUNDS = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
Json = dict[str, Any]


@pytest.fixture(scope="session")
def oracle(request: pytest.FixtureRequest) -> Callable[[Json], list[Json]]:
    """Answer a document's evaluations with Prometheus' engine."""
    binary = _built(Path(__file__).parent / "oracle", lambda: str(request.getfixturevalue("go")))

    def answer(document: Json) -> list[Json]:
        done = subprocess.run(
            [binary], input=json.dumps(document), capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return answer


def _built(source: Path, go: Callable[[], str]) -> Path:
    """Return the program, building it if the cache does not have it; only then Go is asked for."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(source.iterdir()))).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gamebird"
    binary = cache / f"promql-oracle-{digest}"
    if binary.is_file():
        return binary
    compiler = go()
    cache.mkdir(parents=True, exist_ok=True)
    partial = binary.with_suffix(f".{os.getpid()}")
    subprocess.run([compiler, "build", "-trimpath", "-o", partial, "."], cwd=source, check=True, timeout=280)
    partial.rename(binary)
    return binary


@pytest.fixture(scope="session")
def series_of() -> Callable[[random.Random], list[Json]]:
    return random_series


@pytest.fixture(scope="session")
def query_of() -> Callable[[random.Random], str]:
    return lambda chance: Queries(chance).vector(chance.choice((1, 2, 2, 3)))


def random_series(chance: random.Random) -> list[Json]:
    """Counters, a gauge and a histogram of a few pods: scraped with jitter, misses, outages, resets and staleness."""
    series: list[Json] = []
    for pod in range(chance.randint(2, 4)):
        track = "canary" if pod == 0 else "stable"
        pod_labels = {"pod": f"p{pod}", "track": track}
        times = _scrapes(chance)
        for code in chance.sample(("200", "404", "500"), chance.randint(1, 3)):
            labels = {"__name__": "requests_total", **pod_labels, "code": code}
            series.append(_entry(labels, times, _counter(chance, len(times)), chance))
        series.append(_entry({"__name__": "depth", **pod_labels}, times, _gauge(chance, len(times)), chance))
        series.append(
            _entry({"__name__": "limit", "track": track, "zone": f"z{pod}"}, times, _gauge(chance, len(times)), chance)
        )
        each = [_counter(chance, len(times)) for _ in _BOUNDS]
        for place, bound in enumerate(_BOUNDS):
            summed = [sum(column) for column in zip(*each[: place + 1], strict=True)]
            labels = {"__name__": "seconds_bucket", **pod_labels, "le": bound}
            series.append(_entry(labels, times, summed, chance))
    chance.shuffle(series)
    return series


def _scrapes(chance: random.Random) -> list[float]:
    """Return the times of a pod's scrapes, some missed, with an outage now and then; it may come late or go early."""
    jitter_s = chance.choice((0.0, 0.0, 0.05, 2.0))
    born_s, gone_s = chance.choice((0, 0, 700)), chance.choice((SPAN_S, SPAN_S, 2_500))
    outage_s = chance.randint(0, SPAN_S * 2)
    times = []
    at_s = chance.uniform(0, 15)
    while at_s < SPAN_S:
        if born_s <= at_s <= gone_s and chance.random() > 0.03 and not outage_s < at_s < outage_s + 400:
            times.append(round(T0 + at_s + chance.uniform(-jitter_s, jitter_s), 3))
        at_s += 15
    return times


def _counter(chance: random.Random, length: int) -> list[float]:
    value, rate, values = 0.0, chance.choice((0, 0.2, 3, 400)), []
    for _ in range(length):
        value = 0.0 if chance.random() < 0.01 else value + chance.randint(0, int(rate * 15) + 1)
        values.append(value)
    return values


def _gauge(chance: random.Random, length: int) -> list[Any]:
    odd = chance.choice((0.0, 0.0, 0.1))
    whole = chance.random() < 0.5
    return [
        chance.choice(("NaN", "+Inf", "-Inf"))
        if chance.random() < odd
        else chance.randint(-3, 9)
        if whole
        else chance.gauss(0, 50)
        for _ in range(length)
    ]


def _entry(labels: dict[str, str], times: list[float], values: list[Any], chance: random.Random) -> Json:
    stale = chance.choice((0.0, 0.0, 0.05))
    samples = [[t, "stale" if chance.random() < stale else v] for t, v in zip(times, values, strict=True)]
    return {"labels": labels, "samples": samples}


class Queries:
    """Random queries that type-check, from a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def pick(self, *words: str) -> str:
        return self.chance.choice(words)

    def selector(self) -> str:
        matchers = []
        if self.chance.random() < 0.4:
            matchers.append(
                self.pick('track="canary"', 'track!="canary"', 'pod=~"p[01]"', 'pod!~"p0|p2"', 'code=~"2.."')
            )
        name = self.pick("requests_total", "requests_total", "depth", "limit", "seconds_bucket", "missing")
        if self.chance.random() < 0.03:
            return '{__name__=~"depth|limit"}'
        return name + ("{" + ",".join(matchers) + "}" if matchers else "")

    def moved(self) -> str:
        chosen = self.pick(
            "", "", "", "", " offset 1m", " offset -45s", f" @ {T0 + 1800}", " @ end()", f" @ {T0 + 900} offset 30s"
        )
        return chosen + (" offset 2m" if chosen == " @ end()" else "")

    def matrix(self, depth: int) -> str:
        if depth > 0 and self.chance.random() < 0.25:
            step = self.pick("", "15s", "20s", "1m")
            return f"({self.vector(depth - 1)})[{self.pick('2m', '5m', '10m')}:{step}]{self.moved()}"
        window = self.pick("30s", "1m", "2m", "5m", "10m", "17s", "1h")
        return f"{self.selector()}[{window}]{self.moved()}"

    def grouping(self) -> str:
        labels = self.pick("", "pod", "track", "code", "pod, track", "le", "track, le")
        return self.pick("", f" by ({labels})", f" without ({labels})")

    def scalar(self, depth: int) -> str:
        if depth > 0 and self.chance.random() < 0.25:
            return f"scalar({self.vector(depth - 1)})"
        return self.pick("0", "1", "2", "0.5", "-3", "60", "1e3", "time()", "pi()", "Inf", "NaN", "(1 + 2)")

    def vector(self, depth: int) -> str:
        if depth <= 0:
            return self.selector() + self.moved()
        kinds = [
            self._ranged,
            self._ranged,
            self._aggregated,
            self._aggregated,
            self._joined,
            self._joined,
            self._called,
        ]
        kinds += [self._with_scalar, self._relabelled, self._quantile]
        return self.chance.choice(kinds)(depth)

    def _ranged(self, depth: int) -> str:
        function = self.pick(
            *("rate", "rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets"),
            *("avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time"),
            *("last_over_time", "first_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time"),
            *("absent_over_time", "quantile_over_time", "predict_linear"),
        )
        matrix = self.matrix(depth - 1)
        if function == "quantile_over_time":
            return f"{function}({self.pick('0.5', '0.9', '0', '1', '-1', '2')}, {matrix})"
        return (
            f"predict_linear({matrix}, {self.pick('60', '-30', '3600')})"
            if function == "predict_linear"
            else f"{function}({matrix})"
        )

    def _aggregated(self, depth: int) -> str:
        op = self.pick(
            "sum",
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "group",
            "stddev",
            "stdvar",
            "topk",
            "bottomk",
            "quantile",
            "count_values",
        )
        param = {
            "topk": self.pick("1, ", "2, ", "0, ", "100, "),
            "bottomk": self.pick("1, ", "3, "),
            "quantile": self.pick("0.5, ", "0.95, ", "-1, ", "1.5, "),
            "count_values": self.pick('"v", ', '"pod", '),
        }.get(op, "")
        inner = self.vector(depth - 1)
        if op == "count_values":
            # A value's last digit would show in a label, and there sines may differ.
            inner = f"round({inner}, 0.001)"
        if op in ("topk", "bottomk") and ("histogram_quantile" in inner or "count_values" in inner):
            op, param = "max", ""  # Prometheus lists these in no order, so ties go either way
        return f"{op}{self.grouping()} ({param}{inner})"

    def _joined(self, depth: int) -> str:
        left, right = self.vector(depth - 1), self.vector(depth - 1)
        if self.chance.random() < 0.4:
            matching = self.pick(
                "", " on (pod)", " on (track)", " ignoring (code)", " ignoring (pod, code, le)", " on ()"
            )
            return f"({left}) {self.pick('and', 'or', 'unless')}{matching} ({right})"
        op = self.pick("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=")
        if op in ("==", "!=", ">", "<", ">=", "<=") and self.chance.random() < 0.4:
            op += " bool"
        matching = self.pick(
            *(
                "",
                "",
                " on (pod)",
                " on (track)",
                " ignoring (code)",
                " on (track) group_left",
                " on (track) group_right",
            ),
            *(" ignoring (code) group_left", " on (track) group_left (zone)", " on (pod, code)", " on ()"),
        )
        if self.chance.random() < 0.5:
            # What a rollout asks: sums of a common shape, so that matches are found.
            left, right = (f"sum by (track) ({side})" for side in (left, right))
            matching = self.pick("", " on (track)", " on (track) group_left", " ignoring (pod)")
        return f"({left}) {op}{matching} ({right})"

    def _with_scalar(self, depth: int) -> str:
        op = self.pick("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "> bool")
        sides = [f"({self.vector(depth - 1)})", self.scalar(depth - 1)]
        self.chance.shuffle(sides)
        return f"{sides[0]} {op} {sides[1]}"

    def _called(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        function = self.pick(
            *("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sin", "cos", "tanh", "deg", "rad"),
            *(
                "absent",
                "sort",
                "sort_desc",
                "timestamp",
                "hour",
                "minute",
                "month",
                "year",
                "day_of_week",
                "days_in_month",
            ),
            *("clamp", "clamp_min", "clamp_max", "round", "vector", "-", "+", "day_of_year", "asinh", "acosh", "atan"),
        )
        match function:
            case "clamp":
                return f"clamp({inner}, {self.scalar(0)}, {self.scalar(0)})"
            case "clamp_min" | "clamp_max":
                return f"{function}({inner}, {self.scalar(depth - 1)})"
            case "round":
                return f"round({inner}, {self.pick('1', '0.1', '5', '10')})"
            case "vector":
                return f"vector({self.scalar(depth - 1)})"
            case "-" | "+":
                return f"{function}({inner})"
            case _:
                return f"{function}({inner})"

    def _relabelled(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        if self.chance.random() < 0.3:
            return f'label_join({inner}, "{self.pick("pod", "new")}", "-", "track", "{self.pick("code", "pod")}")'
        target, template = self.pick("pod", "new", "track"), self.pick("$1", "x", "", "$1-$0")
        source, regex = self.pick("pod", "code", "no"), self.pick("p(.)", "(.*)", "2(.+)", "")
        return f'label_replace({inner}, "{target}", "{template}", "{source}", "{regex}")'

    def _quantile(self, depth: int) -> str:
        q = self.pick("0.5", "0.9", "0.99", "0", "1", "-0.1", "1.1", self.scalar(0))
        inner = f"{self.pick('rate', 'increase')}(seconds_bucket[{self.pick('1m', '5m')}])"
        inner = self.pick(
            inner, f"sum by (le) ({inner})", f"sum by (le, track) ({inner})", "seconds_bucket", self.vector(depth - 1)
        )
        return f"histogram_quantile({q}, {inner})"
