"""Child processes: none outlives the one that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from experiments.testbeds.local import children
from experiments.testbeds.local.children import WorldError, start_child, tail_of

PARENT = """
import sys, time
from pathlib import Path
from experiments.testbeds.local import children
from experiments.testbeds.local.children import start_child
children.KERNEL_ENDS_ORPHANS = sys.argv[2] == "kernel"
child = start_child([sys.executable, "-c", "import time; time.sleep(600)"], log=Path(sys.argv[1]), name="sleeper")
print(child.pid, flush=True)
time.sleep(600)
"""


def is_running(pid: int) -> bool:
    """A process that nobody has waited for yet has ended all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("by", ["kernel", "leash"])
def test_a_child_ends_with_its_parent_even_when_that_is_killed(
    tmp_path: Path, wait: Callable[..., None], how: signal.Signals, by: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log"), by], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        family = [child]
        if by == "leash":
            wait(lambda: psutil.Process(child).children(), "the program on its leash")
            family += [one.pid for one in psutil.Process(child).children()]
        assert all(is_running(pid) for pid in family)
        os.kill(parent.pid, how)
        parent.wait(10)
    wait(lambda: not any(is_running(pid) for pid in family), "the end of all", within_s=5)


def test_a_program_on_a_leash_ends_with_its_own_code_and_its_own_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "KERNEL_ENDS_ORPHANS", False)
    own = start_child([sys.executable, "-c", "raise SystemExit(7)"], log=tmp_path / "own", name="own")
    own.process.wait(10)
    own.stop(within_s=1)
    assert own.returncode == 7
    shot = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    other = start_child([sys.executable, "-c", shot], log=tmp_path / "shot", name="shot")
    other.process.wait(10)
    other.stop(within_s=1)
    assert other.returncode == -signal.SIGKILL
    with pytest.raises(WorldError, match="no-such-program"):
        start_child(["no-such-program"], log=tmp_path / "none", name="none")


def test_a_child_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started = []
    asking = threading.Thread(
        target=lambda: started.append(
            start_child([sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "log", name="sleeper")
        )
    )
    asking.start()
    asking.join()
    with pytest.raises(subprocess.TimeoutExpired):
        started[0].process.wait(0.5)
    started[0].stop(within_s=2)


@pytest.mark.parametrize("leashed", [False, True])
def test_a_child_that_ignores_the_request_to_end_is_ended(
    tmp_path: Path, wait: Callable[..., None], monkeypatch: pytest.MonkeyPatch, leashed: bool
) -> None:
    monkeypatch.setattr(children, "KERNEL_ENDS_ORPHANS", not leashed)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )
    child = start_child([sys.executable, "-c", stubborn], log=tmp_path / "log", name="stubborn")
    wait(lambda: "here" in child.log.read_text(), "its start")
    child.stop(within_s=0.3)
    assert child.returncode == -signal.SIGKILL


def test_what_a_child_says_is_in_its_log(tmp_path: Path) -> None:
    child = start_child([sys.executable, "-c", "print('one'); print('two')"], log=tmp_path / "log", name="talker")
    child.process.wait(10)
    assert tail_of(child.log, lines=1) == "    two"


def test_an_empty_log_is_said_to_be_empty(tmp_path: Path) -> None:
    assert tail_of(tmp_path / "none") == "    (its log is empty)"


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="envoy cannot be started"):
        start_child(["/no/such/program"], log=tmp_path / "log", name="envoy")
