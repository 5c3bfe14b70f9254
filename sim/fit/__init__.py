"""Learn a service's parameters from what was recorded of it, and say how well they fit.

    seen = observe_trace(Trace(["access.log"]), "access.log")    # or observe_prometheus(Question(...))
    found = fit(seen)
    found.traffic, found.stable, found.warnings

`observed` is the one form in between. docs/traces.md names the methods and where they come from.
"""

from sim.fit.asking import AskError
from sim.fit.fitting import Fit, fit
from sim.fit.from_prometheus import Question, observe_prometheus
from sim.fit.from_trace import observe_trace
from sim.fit.observed import Durations, FitError, Observed, RouteSeen

__all__ = [
    "AskError",
    "Durations",
    "Fit",
    "FitError",
    "Observed",
    "Question",
    "RouteSeen",
    "fit",
    "observe_prometheus",
    "observe_trace",
]
