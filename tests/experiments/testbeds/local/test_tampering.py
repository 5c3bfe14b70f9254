"""Evidence that goes bad between scraper and server, and is itself again afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from experiments.testbeds.local.flags_file import FlagsFile
from experiments.testbeds.local.samples import Sample
from experiments.testbeds.local.tampering import Selection, Tampering


class Kept:
    """A sink that keeps what it gets, in short."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], float | None]] = []

    def write(self, samples: Iterable[Sample]) -> None:
        self.told += [(dict(sample.labels), None if sample.stale else sample.value) for sample in samples]


def failures(value: float, *, status: str = "500") -> list[Sample]:
    labels = {"__name__": "http_requests_total", "status": status, "pod_template_hash": "a1"}
    return [Sample(labels=labels, t_s=1.0, value=value)]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tampering(kept: Kept) -> Tampering:
    return Tampering(sink=kept)


def values(kept: Kept) -> list[float | None]:
    return [value for _, value in kept.told]


def test_without_a_fault_samples_pass_as_they_are(tampering: Tampering, kept: Kept) -> None:
    tampering.write(failures(3))
    assert kept.told == [({"__name__": "http_requests_total", "status": "500", "pod_template_hash": "a1"}, 3)]


def test_a_stale_server_gets_nothing_not_even_the_end_of_a_series(tampering: Tampering, kept: Kept) -> None:
    tampering.write(failures(1))
    tampering.drop(dropped=True)
    tampering.write([*failures(2), Sample(labels=failures(2)[0].labels, t_s=2.0, stale=True)])
    tampering.drop(dropped=False)
    tampering.write(failures(3))
    assert values(kept) == [1, 3]


def test_a_renamed_label_ends_the_series_under_its_old_name_and_back_again(tampering: Tampering, kept: Kept) -> None:
    tampering.write(failures(1))
    tampering.rename("pod_template_hash", "rs_hash")
    tampering.write(failures(2))
    tampering.write(failures(3))
    tampering.rename("pod_template_hash", None)
    tampering.write(failures(4))
    names = ["rs_hash" if "rs_hash" in labels else "pod_template_hash" for labels, _ in kept.told]
    assert list(zip(names, values(kept), strict=True)) == [
        ("pod_template_hash", 1),
        ("pod_template_hash", None),  # ends
        ("rs_hash", 2),
        ("rs_hash", 3),
        ("rs_hash", None),  # ends
        ("pod_template_hash", 4),
    ]


def test_a_series_that_stands_still_keeps_its_value_a_new_one_nothing_and_others_are_true(
    tampering: Tampering, kept: Kept
) -> None:
    tampering.write(failures(5))
    tampering.hold(Selection(metric="http_requests_total", labels={"status": "500"}))
    tampering.write(failures(9))
    tampering.write([Sample(labels={**failures(1)[0].labels, "pod": "new"}, t_s=1.0, value=7)])
    tampering.write(failures(8, status="200"))
    tampering.hold(None)
    tampering.write(failures(11))
    assert values(kept) == [5, 5, 0, 8, 11]


def test_a_flag_file_that_is_gone_stale_or_of_the_wrong_type_is_itself_again_when_mended(tmp_path: Path) -> None:
    flags = FlagsFile(tmp_path / "flags.json", {"new": True})

    def now() -> object:
        if not flags.path.exists():
            return "gone"
        one = json.loads(flags.path.read_text(encoding="utf-8"))["flags"]["new"]
        return one["variants"][one["defaultVariant"]]

    assert now() is True
    flags.break_down("gone")
    assert now() == "gone"
    flags.mend()
    flags.break_down("stale")
    flags.set("new", on=False)
    assert now() is True  # still
    flags.mend()
    assert now() is False
    flags.break_down("wrong-type")
    assert now() == "no"
    flags.mend()
    flags.mend()
    assert now() is False
