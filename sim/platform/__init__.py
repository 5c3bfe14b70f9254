"""One platform history in virtual time: pods, a router, an autoscaler, and the traffic's timeline that follows.

Both engines stand on it: the flock forks it where runs are told apart, the SimPy world plays requests along it.
"""

from sim.platform.births import Births
from sim.platform.fates import Fates
from sim.platform.ground import Ground
from sim.platform.moments import begins_s, triggers
from sim.platform.platform import Platform
from sim.platform.pods import NEVER, PodLife, Stretch

__all__ = [
    "NEVER",
    "Births",
    "Fates",
    "Ground",
    "Platform",
    "PodLife",
    "Stretch",
    "begins_s",
    "triggers",
]
