"""The public Python API: load a policy, say what the release is like, simulate.

    import gamebird as gb

    policy = gb.load("rollout.yaml", "analysis-template.yaml")
    result = gb.simulate(policy, gb.Release(errors=0.05), gb.Traffic(rps=100), runs=10_000, seed=1)
    result.summary()

What stands in `__all__` is public and stays; everything else of the project may change. The package `gamebird`
offers the same names and imports this module only when one of them is used.
"""

from controller.manifests.loading import ManifestError
from controller.manifests.policies import Policy
from gamebird.api.simulations import load, simulate, suite
from gamebird.api.specs import SpecError
from loadgen.traffic import Traffic
from sim.outcomes.result import SimulationResult
from sim.releases import Latency, Leak, Release
from sim.scenarios import Scenario

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
    "load",
    "simulate",
    "suite",
]
