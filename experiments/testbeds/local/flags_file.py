"""The flagd file of a rehearsal: feature flags that pods read and game days flip, replaced whole at each change."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Literal

_SCHEMA = "https://flagd.dev/schema/v0/flags.json"


class FlagsFile:
    """Boolean flags in flagd's format."""

    def __init__(self, path: Path, flags: dict[str, bool]) -> None:
        self.path = path
        self._first = dict(flags)
        self._now = dict(flags)
        self._broken: Literal["gone", "stale", "wrong-type"] | None = None
        self._lock = threading.Lock()
        self._write()

    def set(self, flag: str, *, on: bool | None) -> None:
        """Let a flag be on or off for everybody; None: as it was at the start, or not there if it was not."""
        with self._lock:
            value = self._first.get(flag) if on is None else on
            if value is None:
                self._now.pop(flag, None)
            else:
                self._now[flag] = value
            self._write()

    def break_down(self, how: Literal["gone", "stale", "wrong-type"]) -> None:
        """Let the file be gone, keep what it holds, or hold texts where flags are asked for as booleans."""
        with self._lock:
            self._broken = how
            self._write()

    def mend(self) -> None:
        """Let the file say again what the flags are. Safe to repeat."""
        with self._lock:
            self._broken = None
            self._write()

    def _write(self) -> None:
        if self._broken == "gone":
            self.path.unlink(missing_ok=True)
        if self._broken in ("gone", "stale"):
            return
        variants = {"on": "yes", "off": "no"} if self._broken == "wrong-type" else {"on": True, "off": False}
        flags = {
            name: {
                "state": "ENABLED",
                "variants": variants,
                "defaultVariant": "on" if on else "off",
            }
            for name, on in self._now.items()
        }
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({"$schema": _SCHEMA, "flags": flags}, indent=2), encoding="utf-8")
        fresh.replace(self.path)
