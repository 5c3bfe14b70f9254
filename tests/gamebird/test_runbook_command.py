"""`gamebird runbook`, run as people run it: a process, its output and its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "orders-api"
FILES = (str(EXAMPLE / "rollout.yaml"), str(EXAMPLE / "analysis-template.yaml"))

BARE = """
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: cart}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: app, image: cart:1}]}
  strategy: STRATEGY
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gamebird", "runbook", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_page_is_written_once_and_a_persons_words_in_it_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "RUNBOOK.md"
    assert run(*FILES, "--to", str(file)).returncode == 0
    written = file.read_bytes()
    again = run(*FILES, "--to", str(file))
    assert (again.returncode, file.read_bytes()) == (0, written)
    assert "is up to date" in again.stderr
    file.write_bytes(written.replace(b"# orders-api", b"# orders-api (call Jo)"))
    refused = run(*FILES, "--to", str(file))
    assert refused.returncode == 2
    assert "edited by hand" in refused.stderr
    assert b"call Jo" in file.read_bytes()
    assert run(*FILES, "--to", str(file), "--force").returncode == 0
    assert file.read_bytes() == written


def test_commands_go_nowhere_without_a_namespace_so_one_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "cart.yaml"
    file.write_text(BARE.replace("STRATEGY", "{canary: {}}"))
    done = run(str(file))
    assert done.returncode == 2
    assert f"{file}:4:" in done.stderr
    assert "metadata.namespace is missing" in done.stderr
    with_one = run(str(file), "-n", "shop")
    assert with_one.returncode == 0
    assert "gamebird rollout abort cart -n shop" in with_one.stdout
    assert "It has no steps" in with_one.stdout
    assert run(str(file), "-n", "shop; rm").returncode == 2


def test_a_blue_green_rollout_is_refused_by_file_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "cart.yaml"
    file.write_text(BARE.replace("STRATEGY", "{blueGreen: {activeService: cart}}"))
    done = run(str(file), "-n", "shop")
    assert done.returncode == 2
    assert f"{file}:10:" in done.stderr
    assert "blueGreen" in done.stderr
    assert done.stdout == ""
