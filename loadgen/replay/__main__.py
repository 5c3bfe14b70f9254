"""`python -m loadgen.replay DIRECTORY --parent PID`: play the part of a replay that DIRECTORY/plan.json names.

Begins when standard input says so (`begin MONOTONIC_S`), ends when it says `stop`, when it ends, or when the part is
played. Exit code 0: ended, and the journal's last word is written. 2: the plan is refused. 3: the generator broke.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from pydantic import ValidationError

from loadgen.openloop.records import PLAN
from loadgen.openloop.safety import UnsafeTargetError
from loadgen.openloop.turns import take_short_turns
from loadgen.replay.plan import ShardPlan


def main() -> int:
    """Check the plan and play it."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.replay", description=__doc__)
    parser.add_argument("directory", type=Path, help="where plan.json is, and where records go")
    parser.add_argument("--parent", type=int, metavar="PID", required=True, help="end when this process is gone")
    options = parser.parse_args()
    try:
        plan = ShardPlan.model_validate_json((options.directory / PLAN).read_text(encoding="utf-8"))
        plan.target.target()
    except (OSError, ValidationError, UnsafeTargetError) as error:
        sys.stderr.write(f"{options.directory / PLAN}: {error}\n")
        return 2
    # Locust replaces sockets, threads and signals everywhere, so it is imported here, last, and nowhere else.
    from loadgen.replay.worker import run

    take_short_turns()
    gc.collect()
    gc.freeze()  # what was imported is never garbage; looking through it again would cost milliseconds of lag
    problem = run(plan, options.directory, parent_pid=options.parent)
    if problem is not None:
        sys.stderr.write(f"the generator broke: {type(problem).__name__}: {problem}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
