"""Write samples to a real Prometheus by its remote-write protocol, version 1.

At a speed above 1 a real Prometheus cannot scrape for itself: it would stamp samples with the wall's time. So our
scraper sends what it scraped, stamped in policy time, with `up` and staleness markers. The message is
four nested fields of protobuf (prompb.WriteRequest) and is written by hand here; snappy comes from a library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import cramjam
import httpx

from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.samples import Sample

_HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
_STALE = 0x7FF0000000000002.to_bytes(8, "little")  # Prometheus' staleness marker, a NaN of its own
_BYTES, _FIXED64, _VARINT = 2, 1, 0


@dataclass(slots=True)
class RemoteWriter:
    """Sends batches of samples to one Prometheus."""

    address: str  # http://127.0.0.1:PORT
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=5.0))

    def write(self, samples: Iterable[Sample]) -> None:
        """Send a batch; series and their samples in the order given.

        Raises:
            WorldError: Prometheus is not there or does not take the batch.
        """
        body = bytes(cramjam.snappy.compress_raw(write_request(samples)))
        try:
            answer = self._client.post(f"{self.address}/api/v1/write", content=body, headers=_HEADERS)
        except httpx.HTTPError as error:
            raise WorldError(f"Prometheus at {self.address} cannot be written to: {error}") from error
        if answer.status_code >= 300:
            raise WorldError(f"Prometheus refused samples: HTTP {answer.status_code} {answer.text.strip()[:300]}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def write_request(samples: Iterable[Sample]) -> bytes:
    """Return the protobuf message of a WriteRequest with one series per sample."""
    message = bytearray()
    for sample in samples:
        series = bytearray()
        for name, value in sorted(sample.labels.items()):
            label = _chunk(1, name.encode()) + _chunk(2, value.encode())
            series += _chunk(1, label)
        point_value = _STALE if sample.stale else struct.pack("<d", sample.value)
        stamp = round(sample.t_s * 1000)
        point = _key(1, _FIXED64) + point_value + _key(2, _VARINT) + _varint(stamp)
        series += _chunk(2, point)
        message += _chunk(1, bytes(series))
    return bytes(message)


def _key(number: int, kind: int) -> bytes:
    return bytes([number << 3 | kind])


def _chunk(number: int, content: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
