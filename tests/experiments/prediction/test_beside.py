"""What people read of a prediction."""

from __future__ import annotations

from experiments.prediction.beside import between, sentence, verdicts
from experiments.prediction.predicting import Prediction, Range
from experiments.report import words
from experiments.verdicts import Verdict


def prediction(**verdict_shares: float) -> Prediction:
    return Prediction(
        runs=10_000,
        cohorts=100,
        seed=4,
        verdicts={Verdict(name): share for name, share in verdict_shares.items()},
        as_expected=0.9,
        detection_s=Range(low=61.0, median=125.0, high=181.0),
        recovery_s=None,
        bad_requests=Range(low=3.0, median=5.0, high=8.0),
        weight_max=Range(low=10.0, median=10.0, high=10.0),
    )


def test_a_share_is_never_rounded_to_all_or_to_nothing() -> None:
    assert verdicts(prediction(aborted=0.99999, promoted=0.00001)) == "aborted 99.99 %, promoted 0.01 %"
    assert verdicts(prediction(aborted=1.0)) == "aborted 100 %"


def test_the_sentence_says_how_many_runs_and_what_became_of_most() -> None:
    assert sentence(prediction(aborted=0.75, promoted=0.25)) == (
        "Of 10,000 simulated runs in 100 platform histories, seed 4, 75 % end aborted; "
        "everything that this game day expects holds in 90 %."
    )


def test_a_range_of_one_value_is_that_value_and_nothing_seen_is_a_dash() -> None:
    said = prediction(aborted=1.0)
    assert between(said.weight_max, lambda value: f"{value:g} %") == "10 %"
    assert between(said.detection_s, words.seconds) == "61 s to 3 min 01 s, median 2 min 05 s"
    assert between(said.recovery_s, words.seconds) == "–"
