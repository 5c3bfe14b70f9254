"""How a connection to a target is encrypted, and whose word is taken for the target's name. Imports no gevent."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS to one target.

    Attributes:
        server_name: what the certificate must be for; also told to the server, which may have several.
        ca_file: PEM certificates of those whose word is taken; None: the system's.
        verify: whether the certificate is checked at all.
    """

    server_name: str
    ca_file: Path | None = None
    verify: bool = True

    def context(self, kind: type[ssl.SSLContext] = ssl.SSLContext) -> ssl.SSLContext:
        """Return what wraps connections.

        Args:
            kind: the class to make; a generator, whose sockets are gevent's, has gevent's.

        Raises:
            OSError: the file of certificates cannot be read, or holds none.
        """
        found = kind(ssl.PROTOCOL_TLS_CLIENT)
        found.set_alpn_protocols(["http/1.1"])
        if not self.verify:
            found.check_hostname = False
            found.verify_mode = ssl.CERT_NONE
        elif self.ca_file is None:
            found.load_default_certs()
        else:
            found.load_verify_locations(cafile=self.ca_file)
        return found
