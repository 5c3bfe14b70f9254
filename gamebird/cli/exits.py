"""What the process says with its exit code, the same for every command.

Commands raise; this module turns what was raised into one message on standard error and a code, so that a
script can tell "the answer is no" from "the question was wrong" and from "the world failed".
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes: 0 good, 1 the answer is no, 2 the input is wrong, 3 the world failed."""

    GOOD = 0
    NO = 1
    INPUT = 2
    WORLD = 3


@contextmanager
def exits(
    *, wrong_input: tuple[type[Exception], ...] = (), world_failed: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """End the process with 2 or 3 and the error's own text when one of the named errors leaves the block.

    Errors that are not named are bugs and keep their traceback.
    """
    try:
        yield
    except wrong_input as error:
        print(error, file=sys.stderr)
        raise SystemExit(Exit.INPUT) from error
    except world_failed as error:
        print(error, file=sys.stderr)
        raise SystemExit(Exit.WORLD) from error
