"""Scrape pods as Prometheus does, in policy time: each on its own phase, with `up`, and markers where a series ends.

A scrape that fails writes `up` 0 and ends every series that the target had; a target that goes ends its series too. The
controller must never be told a number that nobody measures any more.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from experiments.testbeds.local.clock import PolicyClock
from experiments.testbeds.local.places import Place
from experiments.testbeds.local.samples import Sample, Sink

SCRAPE_TIMEOUT_S = 10.0  # policy seconds, Prometheus' default
TICK_MIN_S = 0.005  # wall

Series = tuple[tuple[str, str], ...]
Parse = Callable[[str], Iterable[tuple[Mapping[str, str], float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pod to scrape: where, and the labels that its samples get beside their own."""

    name: str
    place: Place
    labels: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class _Watch:
    target: Target
    due_s: float
    series: frozenset[Series] = frozenset()
    running: Future[None] | None = None


@dataclass(slots=True, kw_only=True)
class Scraper:
    """Scrapes whatever `targets` returns, every `interval_s` of policy time.

    Args:
        parse: reads the text exposition format into (labels with `__name__`, value).
        is_lost: of a target, whether it cannot be reached now: a fault that may be set while scrapes go on.
    """

    targets: Callable[[], tuple[Target, ...]]
    sink: Sink
    clock: PolicyClock
    parse: Parse
    interval_s: float = 15.0
    is_lost: Callable[[Target], bool] = lambda _: False
    failure: BaseException | None = None
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _pool: ThreadPoolExecutor | None = None
    _client: httpx.Client | None = None

    def start(self) -> None:
        """Begin to scrape, in a thread."""
        timeout_s = max(0.05, self.clock.wall_s(min(SCRAPE_TIMEOUT_S, self.interval_s)))
        self._client = httpx.Client(trust_env=False, timeout=timeout_s)
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="scrape")
        self._thread = threading.Thread(target=self._run, name="scraper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End scraping; a scrape under way is waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _run(self) -> None:
        tick_s = max(TICK_MIN_S, self.clock.wall_s(self.interval_s) / 40)
        try:
            while not self._stopping.wait(tick_s):
                self._look()
        except BaseException as error:  # without scrapes every later number would be an old one
            self.failure = error

    def _look(self) -> None:
        assert self._pool is not None
        now_s = self.clock.now_s()
        present = {target.name: target for target in self.targets()}
        for name in self._watches.keys() - present.keys():
            watch = self._watches.pop(name)
            if watch.running is not None:
                watch.running.result()
            self.sink.write([*_endings(watch, now_s), *_ups(watch.target, now_s, stale=True)])
        for name, target in present.items():
            watch = self._watches.setdefault(name, _Watch(target=target, due_s=now_s + self._phase_s(name)))
            if watch.running is not None and watch.running.done():
                watch.running.result()  # a scrape that broke for a reason of ours must not pass for a failed scrape
                watch.running = None
            if now_s >= watch.due_s and watch.running is None:
                watch.due_s += self.interval_s * (1 + (now_s - watch.due_s) // self.interval_s)
                watch.running = self._pool.submit(self._scrape, watch)

    def _phase_s(self, name: str) -> float:
        """Return when within an interval this target is scraped: spread, and the same for the same name."""
        return zlib.crc32(name.encode()) % 1000 / 1000 * self.interval_s

    def _scrape(self, watch: _Watch) -> None:
        assert self._client is not None
        target, t_s = watch.target, self.clock.now_s()
        try:
            if self.is_lost(target):
                raise httpx.ConnectError("the way to it is cut")
            answer = self._client.get(f"http://{target.place}/metrics")
            answer.raise_for_status()
            found = {series_of(labels, target.labels): value for labels, value in self.parse(answer.text)}
        except (httpx.HTTPError, ValueError):
            self.sink.write([*_endings(watch, t_s), *_ups(target, t_s, up=0.0)])
            watch.series = frozenset()
            return
        ended = [Sample(labels=dict(series), t_s=t_s, stale=True) for series in watch.series - found.keys()]
        fresh = [Sample(labels=dict(series), t_s=t_s, value=value) for series, value in found.items()]
        self.sink.write([*fresh, *ended, *_ups(target, t_s, up=1.0)])
        watch.series = frozenset(found)


def series_of(labels: Mapping[str, str], target: Mapping[str, str]) -> Series:
    """Return a series' identity: the target's labels win, and what they hide is kept under `exported_…`."""
    own = {(f"exported_{name}" if name in target else name): value for name, value in labels.items()}
    return tuple(sorted({**own, **target}.items()))


def _endings(watch: _Watch, t_s: float) -> list[Sample]:
    return [Sample(labels=dict(series), t_s=t_s, stale=True) for series in watch.series]


def _ups(target: Target, t_s: float, *, up: float = 0.0, stale: bool = False) -> list[Sample]:
    return [Sample(labels={"__name__": "up", **target.labels}, t_s=t_s, value=up, stale=stale)]
