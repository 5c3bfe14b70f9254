"""Print the pinned versions of everything that this environment holds, for requirements.lock.

The environment that the tests passed in is the lock: `pip freeze` less the project itself.
"""

from __future__ import annotations

import subprocess
import sys

HEADER = """# Every package of the environment that the tests pass in. Made by `make lock`; do not edit by hand.
# The build backend is pinned too, because the project itself is installed without build isolation."""


def main() -> None:
    """Print the lock file."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable", "--all"]
    frozen = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pins = [line for line in frozen.splitlines() if "==" in line and not line.startswith(("pip==", "gamebird=="))]
    print(HEADER)
    print("\n".join(sorted(pins, key=str.lower)))


if __name__ == "__main__":
    main()
