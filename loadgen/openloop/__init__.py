"""Open-loop load: each request at its own instant, whether or not earlier ones were answered.

`LoadProcess` (in `process`) starts `python -m loadgen.openloop` as an OS process of its own and reads what it
writes. Only that process imports Locust, because importing Locust replaces sockets and threads everywhere.
"""

from loadgen.openloop.clock import Origin
from loadgen.openloop.figures import Judgement, Outcome, UsersSaw, Validity, by_revision, by_route, judge
from loadgen.openloop.process import LoadError, LoadProcess, Progress
from loadgen.openloop.records import Failure, Run, Tail
from loadgen.openloop.safety import UnsafeTargetError

__all__ = [
    "Failure",
    "Judgement",
    "LoadError",
    "LoadProcess",
    "Origin",
    "Outcome",
    "Progress",
    "Run",
    "Tail",
    "UnsafeTargetError",
    "UsersSaw",
    "Validity",
    "by_revision",
    "by_route",
    "judge",
]
