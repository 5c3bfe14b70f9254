"""Gamebird's front door: the command line and the public Python API.

The only package that prints or exits. Everything below it returns values and raises typed errors. The names of the
API are imported when they are first used, so that `gamebird --help` waits for none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gamebird.api import (
        Latency,
        Leak,
        ManifestError,
        Policy,
        Release,
        Scenario,
        SimulationResult,
        SpecError,
        Traffic,
        load,
        simulate,
        suite,
    )

    __version__: str

__all__ = [
    "Latency",
    "Leak",
    "ManifestError",
    "Policy",
    "Release",
    "Scenario",
    "SimulationResult",
    "SpecError",
    "Traffic",
    "__version__",
    "load",
    "simulate",
    "suite",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("gamebird")
    if name in __all__:
        from gamebird import api

        return getattr(api, name)
    raise AttributeError(f"module 'gamebird' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
