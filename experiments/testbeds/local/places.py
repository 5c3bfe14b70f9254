"""Where a process listens on this machine: an address of the loopback and a port.

Pods of the local world share one address and differ by port; pods of a test cluster have an address each, as pods do.
"""

from __future__ import annotations

from typing import NamedTuple

LOOPBACK = "127.0.0.1"


class Place(NamedTuple):
    """An address and a port; `str` gives both, as a URL has them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"
