"""`python -m loadgen.openloop DIRECTORY`: play the plan in DIRECTORY/plan.json and leave the records beside it.

Exit code 0: the run ended, as planned or on request, and its summary is whole. 2: the plan is refused, nothing
was sent. 3: the generator broke; what was recorded up to then is there, without a summary.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from pydantic import ValidationError

from loadgen.openloop.plan import Plan
from loadgen.openloop.records import PLAN
from loadgen.openloop.safety import UnsafeTargetError, loopback_target
from loadgen.openloop.turns import take_short_turns


def main() -> int:
    """Check the plan and play it."""
    parser = argparse.ArgumentParser(prog="python -m loadgen.openloop", description=__doc__)
    parser.add_argument("directory", type=Path, help="where plan.json is, and where records go")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process is gone")
    parser.add_argument("--control", action="store_true", help="take commands from standard input, and end with it")
    options = parser.parse_args()
    try:
        plan = Plan.model_validate_json((options.directory / PLAN).read_text(encoding="utf-8"))
        loopback_target(plan.target_url)
    except (OSError, ValidationError, UnsafeTargetError) as error:
        return _refuse(f"{options.directory / PLAN}: {error}")
    if refusal := plan.refusal():
        return _refuse(refusal)
    # Locust replaces sockets, threads and signals everywhere, so it is imported here, last, and nowhere else.
    from loadgen.openloop.generator import run

    take_short_turns()
    gc.collect()
    gc.freeze()  # what was imported is never garbage; looking through it again would cost milliseconds of lag
    problem = run(plan, options.directory, parent_pid=options.parent, obey_stdin=options.control)
    if problem is not None:
        sys.stderr.write(f"the generator broke: {type(problem).__name__}: {problem}\n")
        return 3
    return 0


def _refuse(why: str) -> int:
    sys.stderr.write(why + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
