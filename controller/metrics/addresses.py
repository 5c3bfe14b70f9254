"""Where a manifest's address really is: the map that a testbed lays over the addresses in a team's files.

Manifests are never edited for a rehearsal. They say `http://prometheus.monitoring:9090`; the map says which
loopback port stands for that name today, and reports show the map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit


class AddressError(Exception):
    """An address in a manifest is not an http(s) URL, so nobody can be asked there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressMap:
    """Replaces `host:port` by another `host:port`; what is not listed stays as it is.

    `everything` stands for every address that is not listed: a local world has one server for all of them.
    """

    places: dict[str, str] = field(default_factory=dict)
    everything: str | None = None

    def resolve(self, address: str) -> str:
        """Return the URL to ask instead of `address`.

        Raises:
            AddressError: `address` has no http or https scheme, or no host.
        """
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise AddressError(f"the address {address!r} is not a URL; write it as http://host:port")
        place = self.places.get(parts.netloc, self.everything)
        if place is None:
            return address
        return urlunsplit(("http", place, parts.path, "", ""))
