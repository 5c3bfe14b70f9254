"""Scrapes in policy time: stamps, `up`, the target's labels, and a marker wherever a series ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.places import LOOPBACK, Place
from experiments.testbeds.local.samples import Sample
from experiments.testbeds.local.scraper import Scraper, Target, series_of

SPEED = 50.0
INTERVAL_S = 15.0  # 300 ms of the wall
LABELS = {"pod": "p1", "pod_template_hash": "aaa111"}


class Exporter(ThreadingHTTPServer):
    """A target whose exposition and status a test may change."""

    daemon_threads = True

    def __init__(self) -> None:
        self.text, self.status = 'requests_total{status="200"} 1\n', 200
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        body = self.server.text.encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Kept:
    """A sink that keeps every batch."""

    def __init__(self) -> None:
        self.batches: list[list[Sample]] = []
        self._lock = threading.Lock()

    def write(self, samples: Iterable[Sample]) -> None:
        with self._lock:
            self.batches.append(list(samples))

    def of(self, name: str) -> list[Sample]:
        with self._lock:
            return [s for batch in self.batches for s in batch if s.labels["__name__"] == name]


def parse(text: str) -> list[tuple[Mapping[str, str], float]]:
    families = text_string_to_metric_families(text)
    return [({"__name__": s.name, **s.labels}, s.value) for family in families for s in family.samples]


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter()
    yield made
    made.close()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def targets(exporter: Exporter) -> list[Target]:
    """What is to be scraped now; a test may take the target away."""
    return [Target(name="p1", place=Place(LOOPBACK, exporter.server_address[1]), labels=LABELS)]


@pytest.fixture
def scraper(kept: Kept, targets: list[Target]) -> Iterator[Scraper]:
    made = Scraper(
        targets=lambda: tuple(targets),
        sink=kept,
        clock=PolicyClock(origin_now(SPEED)),
        parse=parse,
        interval_s=INTERVAL_S,
    )
    made.start()
    yield made
    made.stop()
    assert made.failure is None


def test_samples_carry_the_targets_labels_and_policy_times_one_interval_apart(
    scraper: Scraper, kept: Kept, wait: Callable[..., None]
) -> None:
    began_s = scraper.clock.now_s()
    wait(lambda: len(kept.of("requests_total")) >= 6, "six scrapes")
    samples = kept.of("requests_total")
    assert samples[0].labels == {"__name__": "requests_total", "status": "200", **LABELS}
    assert began_s <= samples[0].t_s <= scraper.clock.now_s()
    # Scrapes keep their rhythm. A busy machine may start one late, or leave one out, so the middle gap is looked at,
    # give or take 120 ms of the wall.
    gaps = [after.t_s - before.t_s for before, after in pairwise(samples)]
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(INTERVAL_S, abs=6.0)


def test_a_target_that_answers_is_up(scraper: Scraper, kept: Kept, wait: Callable[..., None]) -> None:
    wait(lambda: kept.of("up"), "a first scrape")
    assert [(s.labels, s.value, s.stale) for s in kept.of("up")][:1] == [({"__name__": "up", **LABELS}, 1.0, False)]


def test_a_series_that_is_gone_from_the_answer_ends(
    scraper: Scraper, kept: Kept, exporter: Exporter, wait: Callable[..., None]
) -> None:
    wait(lambda: kept.of("requests_total"), "a first scrape")
    exporter.text = "other_total 5\n"
    wait(lambda: kept.of("other_total"), "the other series")
    markers = [s for s in kept.of("requests_total") if s.stale]
    assert len(markers) == 1
    assert markers[0] == kept.of("requests_total")[-1]


@pytest.mark.parametrize("broken", ["an error answer", "nonsense"])
def test_a_failed_scrape_is_down_and_ends_every_series_until_the_next_good_one(
    scraper: Scraper, kept: Kept, exporter: Exporter, wait: Callable[..., None], broken: str
) -> None:
    wait(lambda: kept.of("requests_total"), "a first scrape")
    good = exporter.text
    if broken == "nonsense":
        exporter.text = "{ this is no exposition"
    else:
        exporter.status = 500
    wait(lambda: any(s.value == 0.0 and not s.stale for s in kept.of("up")), "a target that is down")
    assert kept.of("requests_total")[-1].stale
    exporter.text, exporter.status = good, 200
    wait(lambda: not kept.of("requests_total")[-1].stale, "the next good scrape")


def test_a_target_that_goes_ends_its_series_and_its_up(
    scraper: Scraper, kept: Kept, targets: list[Target], wait: Callable[..., None]
) -> None:
    wait(lambda: kept.of("requests_total"), "a first scrape")
    targets.clear()
    wait(lambda: kept.of("up")[-1].stale, "the end of up")
    assert kept.of("requests_total")[-1].stale
    count = len(kept.batches)
    threading.Event().wait(0.8)  # more than two intervals
    assert len(kept.batches) == count


def test_a_target_is_scraped_at_its_own_phase_in_every_run(scraper: Scraper) -> None:
    assert scraper._phase_s("p1") == scraper._phase_s("p1")
    phases = [scraper._phase_s(f"app-aaa111-{index}") for index in range(50)]
    assert min(phases) < INTERVAL_S / 4
    assert max(phases) > INTERVAL_S * 3 / 4


def test_a_sink_that_breaks_is_a_failure_that_is_kept_for_the_owner(
    targets: list[Target], wait: Callable[..., None]
) -> None:
    class Broken:
        def write(self, samples: Iterable[Sample]) -> None:
            raise RuntimeError("disk full")

    made = Scraper(
        targets=lambda: tuple(targets), sink=Broken(), clock=PolicyClock(origin_now(SPEED)), parse=parse, interval_s=1.0
    )
    made.start()
    wait(lambda: made.failure is not None, "the failure")
    made.stop()
    assert str(made.failure) == "disk full"


def test_a_label_of_the_target_wins_and_what_it_hides_is_kept_as_exported() -> None:
    found: Any = dict(series_of({"__name__": "x", "pod": "its own word"}, {"pod": "p1"}))
    assert found == {"__name__": "x", "pod": "p1", "exported_pod": "its own word"}


def test_a_target_that_is_cut_off_is_down_and_its_series_end_until_it_is_reached_again(
    scraper: Scraper, kept: Kept, wait: Callable[..., None]
) -> None:
    wait(lambda: len(kept.of("requests_total")) >= 1, "a sample")
    scraper.is_lost = lambda target: target.name == "p1"
    wait(lambda: any(sample.stale for sample in kept.of("requests_total")), "the end of the series")
    assert kept.of("up")[-1].value == 0
    scraper.is_lost = lambda _: False
    wait(lambda: kept.of("up")[-1].value == 1, "the target again")
