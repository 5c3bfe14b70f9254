"""Chaos Toolkit's control: the world is up before the experiment begins, and gone when it has ended, however it ends.

Under `gamebird gameday` the runner has put a rehearsal on the stage, and this starts and stops it. Under `chaos run`
nobody has, so this makes one from the experiment: at the speed, seed and policy of the environment variables
GAMEBIRD_SPEED, GAMEBIRD_SEED and GAMEBIRD_POLICY (20, 1 and the file's first policy unless set), with manifests found
beside the file on the command line. The verdict goes to Chaos Toolkit's log and the scorecard into its journal.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import yaml
from chaoslib.exceptions import InterruptExecution

from experiments.chaos import stage
from experiments.chaos.steady import steady_after_restore

logger = logging.getLogger("chaostoolkit")

_owned = ExitStack()
_signals: dict[int, Any] = {}  # who handled a signal before
_state = {"owned": False}  # whether the rehearsal on the stage was made here


def before_experiment_control(context: dict[str, Any], **_: Any) -> None:
    """Bring the world up; without one there is no experiment."""
    try:
        if not stage.is_on():
            stage.enter(_rehearsal_for(context))
        _listen_for_the_end()
        stage.current().start()
    except Exception as error:
        if stage.is_on():
            stage.current().failure = error
        logger.debug("The world did not start", exc_info=True)
        raise InterruptExecution(f"The world did not start: {error}") from error


def after_experiment_control(
    context: dict[str, Any], state: Any = None, configuration: Any = None, secrets: Any = None, **_: Any
) -> None:
    """Restore everything, see whether users are served again, take the world down and say what came out."""
    if not stage.is_on():
        return
    rehearsal = stage.current()
    try:
        if isinstance(state, dict):
            steady_after_restore(rehearsal, context, state, configuration, secrets)
    except Exception as error:
        rehearsal.failure = rehearsal.failure or error
        logger.error("What came after the faults was not seen: %s", error)
    try:
        rehearsal.stop()
    except Exception as error:
        rehearsal.failure = rehearsal.failure or error
        logger.error("The world did not end in order: %s", error)
    if _state["owned"] and rehearsal.failure is None and isinstance(state, dict):
        _report(state)


def cleanup_control() -> None:
    """Take down what is still there; called whatever happened before."""
    if not stage.is_on():
        return
    rehearsal = stage.current()
    try:
        rehearsal.stop()
    finally:
        while _signals:
            signal.signal(*_signals.popitem())
        if _state["owned"]:  # it leaves the stage where it entered it
            _state["owned"] = False
            stage.leave()
            _owned.close()


def _listen_for_the_end() -> None:
    """Let Ctrl-C and SIGTERM end the rehearsal, wherever they hit.

    Chaos Toolkit turns SIGTERM into an exception that its own activities swallow, and an exception can get lost in
    any callback; so the wish is written down, and the next wait heeds it.
    """

    def end(number: int, _: Any) -> None:
        if stage.is_on():
            stage.current().interrupted = True
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        _signals[number] = signal.signal(number, end)


def _rehearsal_for(experiment: dict[str, Any]) -> Any:
    from experiments.gameday_files import load_game_day
    from experiments.refusals import refuse_faults, refuse_pauses
    from experiments.runner import Options, check_releases, check_speed, make_rehearsal
    from experiments.scratch import scratch_folder

    game_day = load_game_day(_file_of(experiment))
    options = Options(speed=_number("GAMEBIRD_SPEED", float, 20.0), seed=_number("GAMEBIRD_SEED", int, 1))
    refuse_pauses(game_day, options.speed)
    refuse_faults(game_day, "local")
    check_speed(game_day, options.speed)
    check_releases(game_day)
    policy = os.environ.get("GAMEBIRD_POLICY", next(iter(game_day.policies)))
    if policy not in game_day.policies:
        raise ValueError(f"GAMEBIRD_POLICY is {policy!r}; the file has {', '.join(game_day.policies)}")
    folder = _owned.enter_context(scratch_folder())
    _state["owned"] = True
    return make_rehearsal(game_day, policy, options, folder)


_Number = TypeVar("_Number", int, float)


def _number(variable: str, kind: Callable[[str], _Number], default: _Number) -> _Number:
    text = os.environ.get(variable, "")
    try:
        return kind(text) if text else default
    except ValueError:
        need = "a whole number" if kind is int else "a number"
        raise ValueError(f"{variable} is {text!r}; it needs {need}") from None


def _file_of(experiment: dict[str, Any]) -> Path:
    """Return the file that an experiment was read from: Chaos Toolkit does not say, but its command line does."""
    for argument in sys.argv[1:]:
        path = Path(argument)
        if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
            try:
                read = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError):
                continue
            if isinstance(read, dict) and read.get("extensions") == experiment.get("extensions"):
                return path
    raise ValueError("the experiment's file is not on the command line, so its manifests cannot be found")


def _report(journal: dict[str, Any]) -> None:
    from experiments.report.words import headline
    from experiments.report.writing import card_as_json
    from experiments.runner import score_rehearsal

    card = score_rehearsal(stage.current())
    logger.info("Policy %s: %s", card.policy, headline(card))
    for check in card.checks:
        logger.info("  %s: expected %s, was %s", check.what, check.expected, check.actual)
    journal["gamebird"] = card_as_json(card)
