"""How Go writes quantities: the shortest whole number of a power of a thousand, or of 1024, and its own shortcuts."""

from __future__ import annotations

import pytest

from controller.kubernetes.wire.quantities import canonical_quantity


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("0.5", "500m"),
        (0.25, "250m"),
        (2, "2"),
        ("1000m", "1"),  # a thousand thousandths
        ("1024Mi", "1Gi"),  # 1024 * 1024**2 = 1024**3
        ("1536Mi", "1536Mi"),  # 1.5 * 1024**3 is no whole number of Gi
        ("1.5Gi", "1536Mi"),  # 1.5 * 1024 = 1536
        ("0.3Gi", "322122547200m"),  # 0.3 * 1024**3 = 322122547.2 is no whole number of bytes
        ("512Ki", "512Ki"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("100000m", "100"),
        ("0.1n", "1n"),  # nothing is smaller than a billionth, and something is not nothing
        ("0Mi", "0"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("1.500", "1.500"),  # three decimals are thousandths, and Go keeps what it need not scale
        ("+3", "+3"),
    ],
)
def test_a_quantity_is_written_as_go_writes_it(written: str | float, wanted: str) -> None:
    assert canonical_quantity(written) == wanted


@pytest.mark.parametrize("written", ["", "Mi", "1.2.3", "1 Gi", "one", "1Q"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        canonical_quantity(written)
