"""The front page: quick to answer, clear about what it does not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gamebird.cli.main import COMMANDS, main


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    page = capsys.readouterr().out
    assert all(name in page for name in COMMANDS)
    assert "2 the input is wrong" in page


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom gamebird.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('numpy', 'locust', 'typer', 'pandas', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_command_is_answered_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["gamday"])
    assert left.value.code == 2
    assert "did you mean gameday?" in capsys.readouterr().err
