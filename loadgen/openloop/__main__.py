"""`python -m loadgen.openloop DIRECTORY`: play the plan in DIRECTORY/plan.json and leave the records beside it.

Exit code 0: the run ended, as planned or on request, and its summary is whole. 2: the plan is refused, nothing
was sent. 3: the generator broke; what was recorded up to then is there, without a summary.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from loadgen.openloop.plan import Plan
from loadgen.openloop.records import PLAN
from loadgen.openloop.safety import UnsafeTargetError, loopback_target

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Check the plan, tie this process to its parent, and play."""
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
    if options.parent is not None:
        _end_with(options.parent)
    # Locust replaces sockets, threads and signals everywhere, so it is imported here, last, and nowhere else.
    from loadgen.openloop.generator import run

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


def _end_with(parent_pid: int) -> None:
    """Have the kernel wake this process when its parent is gone.

    The kernel's signal also comes when only the parent's thread ended that had started this process, so it
    must not be one that ends it: it merely interrupts a sleep, and the watch on the parent's number decides.
    """
    signal.signal(
        signal.SIGHUP, lambda *_: None if os.getppid() == parent_pid else os.kill(os.getpid(), signal.SIGTERM)
    )
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)  # it went before this process could ask


if __name__ == "__main__":
    sys.exit(main())
