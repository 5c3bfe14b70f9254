"""Kept observations are read again as they were written, and each figure is counted against its range."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from experiments.prediction.predicting import Prediction, Range
from experiments.verdicts import Verdict


@pytest.fixture(scope="module")
def truth(program: Callable[[str], ModuleType]) -> ModuleType:
    return program("tools/truth.py")


def test_kept_observations_are_counted_against_the_prediction(truth: ModuleType, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_text(
        '{"seed": 1, "verdict": "aborted", "detection_s": 45.5, "bad": 6}\n'
        '{"seed": 2, "verdict": "aborted", "detection_s": 90.0, "bad": 9}\n'
        '{"seed": 3, "verdict": "promoted", "detection_s": null, "bad": 20}\n'
    )
    prediction = Prediction(
        runs=100,
        cohorts=25,
        seed=1,
        verdicts={Verdict.ABORTED: 1.0},
        as_expected=1.0,
        detection_s=Range(low=45.0, median=60.0, high=80.0),
        recovery_s=None,
        bad_requests=Range(low=5.0, median=8.0, high=20.0),
        weight_max=Range(low=50.0, median=50.0, high=50.0),
    )
    detection, bad = truth.tallies(prediction, truth.reread(kept))
    assert (detection.inside, detection.of) == (1, 2)
    assert (bad.inside, bad.of) == (3, 3)


def test_a_line_that_nobody_kept_is_named_by_its_number(truth: ModuleType, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_text('{"seed": 1, "verdict": "aborted", "detection_s": 45.5, "bad": 6}\n{"seed": 2}\n')
    with pytest.raises(ValueError, match=r"kept\.jsonl:2 is not a line of --keep"):
        truth.reread(kept)
