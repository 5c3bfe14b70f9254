"""The remote-write message, byte by byte, and a real Prometheus that takes it in policy time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.metrics.prometheus import PrometheusClient, ProviderError
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.clock import PolicyClock, origin_now
from experiments.testbeds.local.metrics_servers import RealServer
from experiments.testbeds.local.prometheus import prometheus_version
from experiments.testbeds.local.remote_write import write_request
from experiments.testbeds.local.samples import Sample

COUNT = {"__name__": "http_requests_total", "pod": "p1"}


def test_a_message_is_what_the_protocol_says_byte_by_byte() -> None:
    # WriteRequest{1: TimeSeries{1: Label{1: "a", 2: "b"}, 2: Sample{1: double 1.5, 2: int64 300}}}
    label = b"\x0a\x01a\x12\x01b"  # field 1 and field 2, each a text of one byte
    # Field 1, fixed64: tag 0x09. Field 2, varint: tag 0x10. 300 = 2 x 128 + 44, low seven bits first: 0xAC 0x02.
    sample = b"\x09" + struct.pack("<d", 1.5) + b"\x10\xac\x02"
    series = b"\x0a\x06" + label + b"\x12\x0c" + sample
    assert write_request([Sample(labels={"a": "b"}, t_s=0.3, value=1.5)]) == b"\x0a" + bytes([len(series)]) + series


def test_a_series_end_is_the_one_nan_that_prometheus_means_by_it() -> None:
    message = write_request([Sample(labels={"a": "b"}, t_s=0.3, stale=True)])
    assert b"\x09\x02\x00\x00\x00\x00\x00\xf0\x7f" in message


def test_labels_are_sent_in_order_of_their_names() -> None:
    message = write_request([Sample(labels={"pod": "p", "__name__": "x", "job": "j"}, t_s=1.0)])
    assert message.index(b"__name__") < message.index(b"job") < message.index(b"pod")


@pytest.fixture(scope="module")
def server(prometheus_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    made = RealServer(prometheus_binary, tmp_path_factory.mktemp("prometheus") / "data")
    yield made
    made.stop()


@pytest.fixture
def ask(server: RealServer) -> Iterator[PrometheusClient]:
    with PrometheusClient() as client:
        yield client


def url(server: RealServer) -> str:
    return f"http://{server.place}"


@pytest.mark.e2e
@pytest.mark.needs_prometheus
def test_a_real_prometheus_answers_what_was_written_in_policy_time_a_day_back(
    server: RealServer, ask: PrometheusClient
) -> None:
    clock = PolicyClock(origin_now(20.0))
    began_s = clock.now_s()
    for index in range(21):
        # A counter that grows by 30 every 15 s, stamped far faster than the wall runs: five minutes at once.
        server.write([Sample(labels=COUNT, t_s=began_s + 15 * index, value=30.0 * index)])
    answer = ask.ask(url(server), "rate(http_requests_total[5m])", at_s=began_s + 300)
    # Version 3 leaves out the sample at the left edge: 19 steps of 30 in 285 s are extrapolated to 600 in 300 s.
    assert answer.value == (pytest.approx(2.0),)


@pytest.mark.e2e
@pytest.mark.needs_prometheus
def test_an_ended_series_is_gone_at_once_and_another_pods_is_not(server: RealServer, ask: PrometheusClient) -> None:
    t_s = PolicyClock(origin_now(20.0)).now_s() + 1000
    here, gone = ({"__name__": "ended", "pod": pod} for pod in ("here", "gone"))
    server.write([Sample(labels=here, t_s=t_s, value=1.0), Sample(labels=gone, t_s=t_s, value=2.0)])
    server.write([Sample(labels=here, t_s=t_s + 15, value=1.0), Sample(labels=gone, t_s=t_s + 15, stale=True)])
    assert ask.ask(url(server), "sum(ended)", at_s=t_s + 14).value == (3.0,)
    assert ask.ask(url(server), "sum(ended)", at_s=t_s + 16).value == (1.0,)


@pytest.mark.e2e
@pytest.mark.needs_prometheus
def test_a_prometheus_that_is_gone_answers_nobody_loses_samples_and_comes_back_on_its_port(
    server: RealServer, ask: PrometheusClient
) -> None:
    t_s = PolicyClock(origin_now(20.0)).now_s() + 2000
    kept = {"__name__": "kept"}
    server.write([Sample(labels=kept, t_s=t_s, value=1.0)])
    server.cut()
    server.write([Sample(labels=kept, t_s=t_s + 15, value=2.0)])
    with pytest.raises(ProviderError, match="cannot be asked"):
        ask.ask(url(server), "kept", at_s=t_s + 20)
    server.restore()
    assert ask.ask(url(server), "kept", at_s=t_s + 20).value == (1.0,)


def test_a_program_that_is_not_prometheus_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="no-prometheus cannot be asked for its version"):
        prometheus_version(tmp_path / "no-prometheus")


def test_a_prometheus_2_is_refused_because_its_windows_differ(tmp_path: Path) -> None:
    old = tmp_path / "prometheus"
    old.write_text("#!/bin/sh\necho 'prometheus, version 2.53.3 (branch: HEAD)'\n", encoding="utf-8")
    old.chmod(0o755)
    with pytest.raises(WorldError, match=r"Prometheus 2\.53\.3; .* Give a Prometheus 3"):
        prometheus_version(old)
