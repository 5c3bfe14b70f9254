"""The Chaos Toolkit extension: actions, probes and the control that starts and ends the world.

`chaos discover gamebird --no-install` finds them; `chaos run` and `gamebird gameday` both go through them.
"""

from __future__ import annotations

from typing import Any

__all__ = ["discover"]


def discover(discover_system: bool = True) -> dict[str, Any]:
    """Return what the extension offers, in Chaos Toolkit's terms."""
    from importlib.metadata import version

    from chaoslib.discovery.discover import discover_actions, discover_probes, initialize_discovery_result

    found: dict[str, Any] = initialize_discovery_result("gamebird", version("gamebird"), "gamebird")
    found["activities"].extend(discover_actions("experiments.chaos.actions"))
    found["activities"].extend(discover_probes("experiments.chaos.probes"))
    return found
