"""Load goes to this machine and nowhere else: what a target must be before a single request is sent.

Checked by whoever starts the generator and again by the generator, which connects to the checked
address itself, so that a name cannot mean another machine a moment later. Redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from loadgen.openloop.tls import Tls


class UnsafeTargetError(ValueError):
    """A target that load must not be sent to: what was given, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go: an address, the name to put into the Host header, and how it is encrypted (None: not)."""

    address: str
    port: int
    host_header: str
    tls: Tls | None = None


def loopback_target(url: str) -> Target:
    """Return the address behind `url`, or raise UnsafeTargetError when it is not this machine's loopback."""
    need = "it needs http://127.0.0.1:PORT, as load is sent to this machine only"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port if parts.port is not None else 80
    except ValueError as error:
        raise UnsafeTargetError(f"the target {url!r} is no URL ({error}); {need}") from error
    if parts.scheme != "http" or not host or parts.username is not None or port == 0:
        raise UnsafeTargetError(f"the target is {url!r}; {need}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UnsafeTargetError(f"the target {url!r} has a path; paths are named by the routes of the traffic")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the second: a name that no name server could be asked for
        raise UnsafeTargetError(f"the target's host {host!r} is unknown here ({error}); {need}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            raise UnsafeTargetError(f"the target {url!r} is at {address}; {need}")
    # A name may mean both families while the service listens on one; 127.0.0.1 is where services of a laptop are.
    address = next((address for address in addresses if ":" not in address), addresses[0])
    return Target(address=address, port=port, host_header=parts.netloc)
