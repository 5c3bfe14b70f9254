"""Where a manifest's address really is: the map that a testbed lays over the addresses in a team's files.

Manifests are never edited for a rehearsal. They say `http://prometheus.monitoring:9090`; the map says which
loopback port stands for that name today, and reports show the map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit, urlunsplit


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
        parts = _parts(address)
        place = self.places.get(_host(parts), self.everything)
        if place is None:
            return address
        return urlunsplit(("http", place, parts.path, parts.query, ""))

    def resolve_listed(self, address: str) -> str:
        """Return the URL to ask instead of one that is no metrics server's: a web metric's, a token's.

        Raises:
            AddressError: as `resolve`; or the address is not listed where a testbed stands for everything. Nobody
                wants a rehearsal to ask, or to post to, what really runs there.
        """
        parts = _parts(address)
        place = self.places.get(_host(parts))
        if place is not None:
            return urlunsplit(("http", place, parts.path, parts.query, ""))
        if self.everything is not None:
            raise AddressError(f"nothing stands for {_host(parts)} here, and a rehearsal asks no real server")
        return address


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in {"http", "https"} or not _host(parts):
        shown = address if len(address) < 200 and not set("@?") & set(address) else "of the metric"
        raise AddressError(f"the address {shown!r} is not a URL; write it as http://host:port")
    return parts


def _host(parts: SplitResult) -> str:
    """Return `host:port` without a user, who may have a password."""
    return parts.netloc.rpartition("@")[2]
