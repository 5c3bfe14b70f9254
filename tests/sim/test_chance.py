"""Random streams: equal everywhere under one name, unrelated under two."""

from __future__ import annotations

import subprocess
import sys
import timeit

import numpy as np

from sim.chance import stream


def test_a_stream_is_the_same_in_another_process():
    code = "from sim.chance import stream; print(stream(7, 'router', 1, 2).integers(1 << 62, size=3).tolist())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == str(stream(7, "router", 1, 2).integers(1 << 62, size=3).tolist())


def test_every_part_of_a_name_makes_another_stream():
    names = [(1, "a"), (2, "a"), (1, "b"), (1, "a", 0), (1, "a", 1), (1, "a", 0, 1), (1, "a", 1, 0), (-1, "a")]
    assert len({stream(*name).integers(1 << 62) for name in names}) == len(names)


def test_streams_of_neighbouring_keys_are_not_related():
    draws = np.array([stream(1, "pod start", cohort).standard_normal(8) for cohort in range(2_000)])
    # 2,000 x 8 independent normals: the mean of each column has a deviation of 1/sqrt(2000) = 0.022, a correlation
    # between neighbours as well; 5 deviations are 0.112.
    assert np.abs(draws.mean(axis=0)).max() < 0.112
    assert np.abs(draws.std(axis=0) - 1).max() < 0.112
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.112


def test_making_a_stream_is_cheap():
    seconds = min(timeit.repeat(lambda: stream(1, "scrapes", 3, 4, 5, 6), number=2_000, repeat=5)) / 2_000
    assert seconds < 50e-6  # 4 us on an idle machine; the bound is for a busy one
