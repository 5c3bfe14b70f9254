"""A rollout's controller in virtual time, on a platform of `sim.platform`, with the project's one decision core."""

from sim.driving.deployments import Deployment, DrivingError, longest_s, metrics_of, prepare
from sim.driving.driver import VirtualDriver
from sim.driving.verdicts import Asking, Question, Verdict

__all__ = [
    "Asking",
    "Deployment",
    "DrivingError",
    "Question",
    "Verdict",
    "VirtualDriver",
    "longest_s",
    "metrics_of",
    "prepare",
]
