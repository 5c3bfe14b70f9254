"""Keyed chance: the same key, run and cell give the same 53 random bits in every process and beside any other runs.

Counter-based: a bit pattern is a hash of (key of the interval, cell) + (run), so a flock draws the rows that it holds
and nothing else, and a run's fate depends neither on which others are alive nor on blocks or workers. The hash is the
finaliser of SplitMix64, which passes the usual batteries; keys are spread by it too, so sums of them do not line up.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Words: TypeAlias = NDArray[np.uint64]

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
GOLDEN_WORD = np.uint64(_GOLDEN)
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_FIRST_WORD, _SECOND_WORD = np.uint64(_FIRST), np.uint64(_SECOND)
_BY_30, _BY_27, _BY_31 = np.uint64(30), np.uint64(27), np.uint64(31)


def spread(word: int) -> int:
    """Return 64 bits that say nothing of the 64 bits they are made of."""
    word = ((word ^ (word >> 30)) * _FIRST) & _MASK
    word = ((word ^ (word >> 27)) * _SECOND) & _MASK
    return word ^ (word >> 31)


def key_of(part: str, *numbers: int) -> int:
    """Return the key of one part of the model; equal in every process, unlike hash()."""
    key = spread(zlib.crc32(part.encode()) + _GOLDEN)
    for number in numbers:
        key = spread(((key ^ (number & _MASK)) + _GOLDEN) & _MASK)
    return key


def words_of_runs(seed: int, runs: NDArray[np.int64]) -> Words:
    """Return (runs,) one word for each run number; what a run adds to every key that it meets."""
    words = runs.astype(np.uint64)
    words *= GOLDEN_WORD
    words += np.uint64(key_of("run", seed))
    return mixed(words)


def words_of_cells(keys: Sequence[int], cells: int) -> Words:
    """Return (keys, cells) one word for each cell of each key."""
    words = np.arange(1, cells + 1, dtype=np.uint64) * GOLDEN_WORD
    return mixed(np.array(keys, dtype=np.uint64)[:, None] + words)


def words_of_spans(part: int, spans: Sequence[Sequence[int]], cells: int) -> Words:
    """Return (spans, cells) one word for each cell of each span.

    Args:
        part: the key of the part of the model that draws.
        spans: (spans, n) what tells them apart: a key and instants.
    """
    keys = np.full(len(spans), part, dtype=np.uint64)
    for column in np.array(spans, dtype=np.uint64).T:
        keys = mixed((keys ^ column) + GOLDEN_WORD)
    words = np.arange(1, cells + 1, dtype=np.uint64) * GOLDEN_WORD
    return mixed(keys[:, None] + words)


def mixed(words: Words) -> Words:
    """Return words that say nothing of the words they are made of."""
    words = (words ^ (words >> _BY_30)) * _FIRST_WORD
    words = (words ^ (words >> _BY_27)) * _SECOND_WORD
    return words ^ (words >> _BY_31)


def bits(cells: Words, runs: Words) -> Words:
    """Return (..., runs) random words for (...) cells.

    Only their upper 53 bits are used, so the last shift is left out.
    """
    words: Words = cells[..., None] + runs
    shifted = words >> _BY_30
    words ^= shifted
    words *= _FIRST_WORD
    np.right_shift(words, _BY_27, out=shifted)
    words ^= shifted
    words *= _SECOND_WORD
    return words
