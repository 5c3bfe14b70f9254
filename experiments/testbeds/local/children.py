"""Child processes that never outlive their parent, and the ports and logs that go with them.

On Linux the kernel itself ends a child when the thread that started it is gone (PR_SET_PDEATHSIG is bound to the
thread, so children are started from one thread that lives as long as the process). Elsewhere a small process of ours
stands between (`leash`), which sees the parent's end of a pipe close. A world killed by SIGKILL leaves nothing behind.
"""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from experiments.run_folders import note_process

TAIL_LINES = 12
KERNEL_ENDS_ORPHANS = sys.platform == "linux"
_LEASH = Path(__file__).with_name("leash.py")
_PR_SET_PDEATHSIG = 1


class WorldError(Exception):
    """The world failed, not the release: a process did not start, a port was taken, a service died at start."""


@dataclass(slots=True)
class Child:
    """One child process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.process.poll()

    def signal(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if self.alive:
            self.process.send_signal(number)

    def stop(self, *, within_s: float) -> None:
        """Ask the process to end, and end it after `within_s`."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            if self.process.stdin is None:
                self.process.kill()
            else:
                self.process.stdin.close()  # on a leash: the leash ends the program, and then itself
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def start_child(command: Sequence[str], *, log: Path, name: str, environment: Mapping[str, str] | None = None) -> Child:
    """Start a process that ends with this one; its output goes to `log`, and its id into the list beside that.

    Raises:
        WorldError: the program is not there or may not be run.
    """
    try:
        child = _STARTER.run(lambda: _start(list(command), log, name, environment))
    except OSError as error:
        raise WorldError(f"{name} cannot be started: {error}") from error
    note_process(log.parent, child.pid, name)
    return child


def _start(command: list[str], log: Path, name: str, environment: Mapping[str, str] | None) -> Child:
    leashed = not KERNEL_ENDS_ORPHANS
    if leashed:
        if shutil.which(command[0]) is None:  # the leash itself would start, and only its log would say why not
            raise FileNotFoundError(f"there is no program {command[0]!r}")
        command = [sys.executable, "-S", "-E", str(_LEASH), *command]
    parent = os.getpid()

    def end_with_parent() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before the kernel was told
            os._exit(1)

    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if leashed else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            # A session of its own: Ctrl-C reaches the parent alone, which then ends its children in order.
            start_new_session=True,
            preexec_fn=None if leashed else end_with_parent,
        )
    return Child(name=name, process=process, log=log)


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _Starter:
    """The one thread that starts children. The kernel counts the thread as the parent, so it must not end early."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], Child], Future[Child]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def run(self, start: Callable[[], Child]) -> Child:
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._serve, name="children", daemon=True)
                self._thread.start()
        answer: Future[Child] = Future()
        self._work.put((start, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            start, answer = self._work.get()
            try:
                answer.set_result(start())
            except BaseException as error:
                answer.set_exception(error)


_STARTER = _Starter()


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail_of(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, indented; a word in their place if there are none."""
    try:
        found = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        found = []
    return "\n".join(f"    {line}" for line in found) or "    (its log is empty)"
