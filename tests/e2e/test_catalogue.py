"""Game days of the catalogue with real processes: six in every run, all of them in `make nightly`.

Whether the load may be believed depends on what else the machine does, and how fast pods come up does, too; so those
two checks are left out here, as they are for the example's drills.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.catalogue.listing import FOLDER, find, names
from experiments.catalogue.variants import has_faults, under_failing_policy, without_faults
from experiments.gameday_files import GameDay, load_game_day
from experiments.runner import Options, rehearse
from experiments.scorecard import Scorecard

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

IN_EVERY_RUN = (
    "good-release",
    "errors",
    "prometheus-gone",
    "controller-killed",
    "stuck-weight",
    "guard-total-failure",
)
ON_THE_MACHINE = ("load", "time to the verdict", "detection time")
NIGHTLY = os.environ.get("GAMEBIRD_NIGHTLY") == "1"
nightly = pytest.mark.skipif(not NIGHTLY, reason="set GAMEBIRD_NIGHTLY=1, as `make nightly` does")
CHAOS = str(Path(sys.executable).parent / "chaos")
Play = Callable[[GameDay], Scorecard]


@pytest.fixture
def play(speed: float) -> Play:
    return lambda drill: rehearse(drill, next(iter(drill.policies)), Options(speed=min(speed, 20.0))).card


def drill(name: str) -> GameDay:
    file = find(name)
    assert file is not None
    return load_game_day(file)


def unheld(card: Scorecard) -> list[str]:
    failed = [check for check in card.checks if not check.held and check.what not in ON_THE_MACHINE]
    return [f"{check.what}: expected {check.expected}, was {check.actual}" for check in failed]


@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_a_game_day_of_the_catalogue_comes_out_as_it_expects(play: Play, name: str) -> None:
    assert unheld(play(drill(name))) == []


def test_a_router_that_doubles_the_split_shows_in_what_users_met_and_not_in_what_it_acknowledged(play: Play) -> None:
    card = play(drill("unequal-split"))
    assert card.verdict == "aborted"
    assert card.weight_max == 25
    [stable, release] = [seen.requests for seen in card.revisions if seen.role in ("stable", "under test")]
    met_s = card.verdict_s - card.first_canary_s if card.verdict_s and card.first_canary_s else 0.0
    # Ten requests a second: half of them is five, a quarter two and a half. A Poisson count of some 150 strays by 12.
    assert release > 4 * met_s
    assert stable > release


@pytest.mark.parametrize("name", ["errors", "controller-killed"])
def test_with_nothing_wrong_the_score_notices(play: Play, name: str) -> None:
    missed = [line.partition(":")[0] for line in unheld(play(without_faults(drill(name))))]
    assert "verdict" in missed
    assert "release" in missed
    assert ("controller_killed in force" in missed) is (name == "controller-killed")


@pytest.mark.parametrize("name", ["errors", "good-release"])
def test_under_a_policy_that_must_fail_it_the_score_notices(play: Play, name: str) -> None:
    assert "verdict" in [line.partition(":")[0] for line in unheld(play(under_failing_policy(drill(name))))]


@pytest.mark.parametrize(("name", "rollbacks"), [("errors", "default"), ("prometheus-stale", "never")])
def test_a_user_of_chaos_toolkit_runs_a_file_of_the_catalogue_and_all_is_restored_whatever_she_says_of_rollbacks(
    tmp_path: Path, name: str, rollbacks: str
) -> None:
    journal = tmp_path / "journal.json"
    command = [CHAOS, "--no-version-check", "--no-log-file", "run", "--journal-path", str(journal)]
    command += ["--rollback-strategy", rollbacks]
    done = subprocess.run(
        [*command, str(FOLDER / f"{name}.yaml")], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(journal.read_text(encoding="utf-8"))
    assert written["status"] == "completed"
    assert bool(written["rollbacks"]) is (rollbacks == "default")
    assert written["steady_states"]["after_restore"]["steady_state_met"] is True
    assert written["gamebird"]["verdict"] == "aborted"
    unheld_checks = {check["what"] for check in written["gamebird"]["checks"] if not check["held"]}
    assert unheld_checks <= set(ON_THE_MACHINE)
    assert written["gamebird"]["score"] == 100 or unheld_checks


@nightly
@pytest.mark.parametrize("name", [name for name in names() if name not in IN_EVERY_RUN])
def test_every_other_game_day_of_the_catalogue_comes_out_as_it_expects(play: Play, name: str) -> None:
    assert unheld(play(drill(name))) == []


@nightly
@pytest.mark.parametrize("name", [name for name in names() if has_faults(drill(name))])
def test_with_its_fault_taken_out_no_score_is_full(play: Play, name: str) -> None:
    assert unheld(play(without_faults(drill(name)))) != []


@nightly
@pytest.mark.parametrize("name", names())
def test_under_a_policy_that_must_fail_it_no_score_is_full(play: Play, name: str) -> None:
    assert unheld(play(under_failing_policy(drill(name)))) != []
