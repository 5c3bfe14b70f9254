"""Run a program and end it when whoever started this process is gone.

For platforms whose kernel does not do that itself: `python leash.py PROGRAM ARGUMENT...` with a pipe as standard input,
whose other end the parent holds and never writes to. When the parent ends, however it ends, the pipe does, too. Nothing
is imported but the standard library, so that a leash costs some 20 ms and a few megabytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType


def main() -> None:
    """Run the program that the arguments name; end as it ends."""
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)

    def pass_on(number: int, frame: FrameType | None) -> None:
        program.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    threading.Thread(target=_follow, args=(program,), daemon=True).start()
    code = program.wait()
    if code < 0:
        # Ended by a signal: end by the same one, so that the parent reads the program's own end.
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _follow(program: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    program.kill()


if __name__ == "__main__":
    main()
