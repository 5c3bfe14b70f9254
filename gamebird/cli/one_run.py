"""One run of a simulation, watched: what was measured, what was decided, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from controller.manifests.policies import Policy
from gamebird.api.specs import SpecError
from sim.scenarios import Scenario


def show_run(
    policy: Policy,
    scenarios: Sequence[Scenario],
    *,
    run: int,
    seed: int,
    engine: str,
    watch: bool,
    trace: Path | None,
) -> None:
    """Play one run and print or write what happens in it."""
    raise SpecError("a single run cannot be watched yet")
