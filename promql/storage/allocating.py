"""Keep the C library from giving every freed array back to the kernel.

Arrays over a thousand runs have a megabyte or so, and glibc maps each such block anew, zeroed page by page: an
evaluation then spends most of its time in page faults. glibc raises the size from which it maps blocks once it
has seen a large one freed, up to 32 MiB, so one such block is shown to it. Elsewhere this does nothing.
"""

from __future__ import annotations

from functools import cache

import numpy as np

_SHOWN_BYTES = 30 * 2**20


@cache
def reuse_large_blocks() -> None:
    """Let freed blocks below 30 MiB be used again by this process; once is enough."""
    np.empty(_SHOWN_BYTES, dtype=np.uint8)
