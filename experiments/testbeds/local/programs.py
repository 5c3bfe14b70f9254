"""What a pod's process runs: the demo service that plays a release, or the team's own program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.testbeds.local.demo.identity import VARIABLE, Identity
from experiments.testbeds.local.pods import Birth
from sim.releases import Release

DEMO = "experiments.testbeds.local.demo"
READY_PATH = "/-/ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProgram:
    """The demo service, playing a release."""

    service: str
    release: Release
    speed: float
    routes: tuple[tuple[str, str], ...]
    flags_file: Path | None = None
    ready_path: str = READY_PATH

    def command(self, birth: Birth) -> list[str]:
        """Return the command of one pod."""
        return [sys.executable, "-P", "-m", DEMO]

    def environment(self, birth: Birth) -> Mapping[str, str]:
        """Return the environment of one pod."""
        identity = Identity(
            host=birth.host,
            port=birth.port,
            service=self.service,
            pod=birth.name,
            pod_hash=birth.pod_hash,
            first=birth.first,
            speed=self.speed,
            seed=birth.seed,
            release=self.release,
            ready_path=self.ready_path,
            flags_file=None if self.flags_file is None else str(self.flags_file),
            routes=self.routes,
        )
        return {**os.environ, VARIABLE: identity.model_dump_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnProgram:
    """The team's own program. It listens on $PORT of $HOST, answers probes and /metrics; $POD_* say who it is.

    What the release under test does differently is the program's own business: $RELEASE says which it is to be.
    """

    argv: tuple[str, ...]
    release: str  # "stable" | "under test"
    ready_path: str = READY_PATH

    def command(self, birth: Birth) -> list[str]:
        """Return the command of one pod."""
        return list(self.argv)

    def environment(self, birth: Birth) -> Mapping[str, str]:
        """Return the environment of one pod."""
        return {
            **os.environ,
            "HOST": birth.host,
            "PORT": str(birth.port),
            "POD_NAME": birth.name,
            "POD_TEMPLATE_HASH": birth.pod_hash,
            "RELEASE": self.release,
        }
