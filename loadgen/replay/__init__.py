"""Recorded requests sent again on their own clock: open-loop, by one generator process or by several.

`preparing` makes a score of a recording (`loadgen.traces`), `Replay` (in `fleet`) starts the generators that play it
and watches them, `results` puts together what they recorded. The player, the records, the figures and the verdict are
those of `loadgen.openloop`. Only the generators, and Locust's master, import Locust.
"""

from loadgen.replay.fleet import FleetProgress, Replay
from loadgen.replay.preparing import Prepared, Wanted, prepare
from loadgen.replay.results import Result
from loadgen.replay.targets import Permitted, permitted_target
from loadgen.replay.templates import Templates, read_templates
from loadgen.replay.timing import Pace, ReplayError

__all__ = [
    "FleetProgress",
    "Pace",
    "Permitted",
    "Prepared",
    "Replay",
    "ReplayError",
    "Result",
    "Templates",
    "Wanted",
    "permitted_target",
    "prepare",
    "read_templates",
]
