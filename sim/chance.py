"""Where chance enters: one random stream for each part of the model, equal in every process.

A stream belongs to a part ("pod start", "router delay") and to keys (cohort, block, ordinal, ...), so that a new fault
does not move old arrivals and a run's fate does not depend on who else was drawn. Making one costs a few
microseconds, because a flock makes very many: the words that seed it are a hash of its name, not numpy's own
SeedSequence, which takes five times as long.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence


class _Words(ISeedSequence):
    """Seed words that are known already."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray[Any, Any]:
        return np.frombuffer(self.digest, dtype=dtype, count=n_words)


@lru_cache(maxsize=64)
def _packer(keys: int) -> struct.Struct:
    return struct.Struct(f"<{keys}q")


def stream(seed: int, part: str, *keys: int) -> np.random.Generator:
    """Return the random stream that `part` of the model owns under these keys.

    Args:
        seed: the simulation's one seed; it and the keys fit into 64 bits with a sign.
    """
    name = _packer(len(keys) + 1).pack(seed, *keys) + part.encode()
    digest = hashlib.blake2b(name, digest_size=24).digest()
    return np.random.Generator(np.random.SFC64(_Words(digest)))  # type: ignore[arg-type] # numpy takes any ISeedSequence
