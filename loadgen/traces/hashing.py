"""What stands for a value that must not be read: a keyed hash, always the same for the same value, of the same kind.

Whoever lacks the key cannot try values out, so the key is thrown away unless somebody needs it again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from urllib.parse import unquote

from loadgen.traces.requests import TraceError

KEY_MIN_BYTES = 16

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def fresh_key() -> bytes:
    """Return a key that nobody knows."""
    return secrets.token_bytes(32)


class KeyedHash:
    """Hashes values with one key.

    Attributes:
        count: how many values were hashed.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_MIN_BYTES:
            raise TraceError(
                f"the key has {len(key)} bytes; it needs {KEY_MIN_BYTES} or more, or values could be tried out"
            )
        self._key = key
        self.count = 0

    def of(self, text: str) -> str:
        """Return what stands for a value: digits for digits, a UUID for a UUID, else a word."""
        self.count += 1
        digest = hmac.new(self._key, unquote(text).encode("utf-8", "replace"), hashlib.sha256).hexdigest()
        if text.isascii() and text.isdigit():
            width = min(max(len(text), 9), 18)
            return str(10 ** (width - 1) + int(digest, 16) % (9 * 10 ** (width - 1)))
        if _UUID.fullmatch(text):
            return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
        return f"x{digest[:16]}"
