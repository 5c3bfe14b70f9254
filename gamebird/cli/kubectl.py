"""The operator's commands as a plugin of kubectl: `kubectl gamebird status X` is `gamebird rollout status X`.

kubectl runs whatever it finds on the PATH by this name, and hands the words on.
"""

from __future__ import annotations

import sys

from gamebird.cli.exits import Exit
from gamebird.cli.rollout import app


def main() -> None:
    """Run one command and leave with its exit code."""
    words = sys.argv[1:]
    if words[:1] == ["rollout"]:  # whoever types the whole command means the same
        words = words[1:]
    try:
        app(words or ["--help"], prog_name="kubectl gamebird")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    raise SystemExit(Exit.GOOD)
