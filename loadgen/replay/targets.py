"""Whom a replay may be sent to: this machine; what an allow-list names; or what somebody says is theirs.

The address is found once, by whoever starts the replay. Generators connect to that address and not to a name, so that
a name cannot mean another machine a moment later, and each checks again what it can check by itself.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from loadgen.openloop.safety import Target, UnsafeTargetError
from loadgen.openloop.tls import Tls

Because = Literal["loopback", "allow-list", "owned"]

_HELP = (
    "load is sent to this machine (http://127.0.0.1:PORT), to what an --allow-list file names, "
    "or with --i-own-this-target to anything that is yours"
)

HANDSHAKE_WITHIN_S = 5.0


class Permitted(BaseModel):
    """A target that may be sent to, why, and how it is encrypted (None: not)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    port: int
    host_header: str
    because: Because
    tls: Tls | None = None

    @property
    def url(self) -> str:
        """The target as a URL without a path."""
        return f"{'http' if self.tls is None else 'https'}://{self.host_header}"

    def target(self) -> Target:
        """Return where to connect to; raise UnsafeTargetError when the reason does not hold."""
        if self.because == "loopback" and not _is_loopback(self.address):
            raise UnsafeTargetError(f"the target {self.address} is not this machine; {_HELP}")
        return Target(address=self.address, port=self.port, host_header=self.host_header, tls=self.tls)


def permitted_target(
    url: str,
    *,
    allow_list: Path | None = None,
    owned: bool = False,
    ca_file: Path | None = None,
    insecure: bool = False,
) -> Permitted:
    """Return the address behind `url` and why it may be sent to. Of https, the certificate is looked at once.

    Args:
        allow_list: a file with one host, host:port, address or network a line; # begins a comment.
        owned: whoever asks says that the target is theirs.
        ca_file: PEM certificates of those whose word is taken for an https target; None: the system's.
        insecure: an https target's certificate is not checked.

    Raises:
        UnsafeTargetError: it is no plain URL, nobody knows it, it must not be sent to, or it is not who it says.
    """
    scheme, host, port, host_header = _parts(url)
    tls = _tls(url, scheme, host, ca_file, insecure)
    addresses = _addresses(host, port)
    if all(map(_is_loopback, addresses)):
        because: Because = "loopback"
    elif allow_list is not None and _is_listed(allow_list, host, port, addresses):
        because = "allow-list"
    elif owned:
        because = "owned"
    else:
        raise UnsafeTargetError(f"the target {url!r} is at {addresses[0]}; {_HELP}")
    # A name may mean both families while the service listens on one; IPv4 is where most of them are.
    address = next((address for address in addresses if ":" not in address), addresses[0])
    found = Permitted(address=address, port=port, host_header=host_header, because=because, tls=tls)
    if tls is not None:
        _shake_hands(url, found, tls)
    return found


def _parts(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        usual = 443 if parts.scheme == "https" else 80
        host, port = parts.hostname, parts.port if parts.port is not None else usual
    except ValueError as error:
        raise UnsafeTargetError(f"--target {url!r} is no URL ({error}); it needs http://HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or port == 0:
        raise UnsafeTargetError(f"--target is {url!r}; it needs http://HOST:PORT or https://HOST:PORT")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UnsafeTargetError(f"--target {url!r} has a path; paths are those of the recording")
    return parts.scheme, host, port, parts.netloc


def _tls(url: str, scheme: str, host: str, ca_file: Path | None, insecure: bool) -> Tls | None:
    if scheme != "https":
        if ca_file is not None or insecure:
            raise UnsafeTargetError(f"--target {url!r} has no certificate: --ca-file and --insecure go with https://")
        return None
    if ca_file is not None and insecure:
        raise UnsafeTargetError("--ca-file says how the certificate is checked, --insecure that it is not; use one")
    found = Tls(server_name=host, ca_file=None if ca_file is None else ca_file.absolute(), verify=not insecure)
    try:
        found.context()
    except OSError as error:
        why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UnsafeTargetError(f"--ca-file {ca_file}: cannot be used: {why}; it needs PEM certificates") from error
    return found


def _shake_hands(url: str, target: Permitted, tls: Tls) -> None:
    """Refuse a target whose certificate does not hold, before thousands of requests fail for that one reason."""
    try:
        plain = socket.create_connection((target.address, target.port), timeout=HANDSHAKE_WITHIN_S)
    except OSError:
        return  # nobody answers now; whoever is to be asked may not be up yet, and the replay's figures will say so
    try:
        with plain, tls.context().wrap_socket(plain, server_hostname=tls.server_name):
            return
    except ssl.SSLCertVerificationError as error:
        raise UnsafeTargetError(
            f"--target {url!r}: its certificate does not hold: {error.verify_message.rstrip('.')}; name who signed it "
            "with --ca-file, or say --insecure"
        ) from error
    except OSError as error:
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
        raise UnsafeTargetError(f"--target {url!r} does not speak TLS ({why}); is it http://?") from error


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the second: a name that no name server could be asked for
        raise UnsafeTargetError(f"the target's host {host!r} is unknown here: {error}") from error
    return [str(entry[4][0]) for entry in found]


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _is_listed(file: Path, host: str, port: int, addresses: list[str]) -> bool:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnsafeTargetError(f"--allow-list {file}: cannot be read: {error}") from error
    entries = [line.partition("#")[0].strip().lower() for line in lines]
    return any(_matches(entry, host.lower(), port, addresses) for entry in entries if entry)


def _matches(entry: str, host: str, port: int, addresses: list[str]) -> bool:
    # A port stands behind brackets only: fd00::1:80 is an address of its own, and not port 80 of fd00::1.
    shown = f"[{host}]" if ":" in host else host
    if entry in (host, f"{shown}:{port}"):
        return True
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    # Every address that the name has, because any of them may be the one that is connected to.
    return all(ipaddress.ip_address(address.partition("%")[0]) in network for address in addresses)
