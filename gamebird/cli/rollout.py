"""`gamebird rollout`: what a rollout does now, and an operator's words, whichever controller runs there."""

from __future__ import annotations

import getpass
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gamebird.cli.exits import Exit, exits

if TYPE_CHECKING:
    from controller.kubernetes.api import Connection
    from controller.kubernetes.api.watching import Key

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="What a rollout does now, and an operator's words: promote, abort, retry, pause, resume, restart, wait.",
)

Name = Annotated[str, typer.Argument(help="The Rollout's name.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Instead of the context's own.")]
Context = Annotated[str | None, typer.Option(help="A context of the kubeconfig.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="Instead of $KUBECONFIG or ~/.kube/config.")]
Reason = Annotated[str, typer.Option(help="Why; kept in an event and an annotation.")]


class Output(StrEnum):
    """What standard output gets."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def _group() -> None:
    """What a rollout does now, and an operator's words."""


@app.command(epilog="Example: gamebird rollout status orders-api -n production")
def status(
    name: Name,
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Annotated[Output, typer.Option(help="What standard output gets.")] = Output.TABLE,
) -> None:
    """Show a rollout, its revisions and its analysis runs."""
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.showing import picture_of
    from gamebird.cli.rollout_picture import draw

    with exits(world_failed=(ApiError,)):
        connection, key = _connected(name, namespace, context, kubeconfig)
        found = picture_of(connection, key)
    if output is Output.JSON:
        print(json.dumps(found, indent=2))
    else:
        draw(found)


@app.command(epilog="Example: gamebird rollout wait orders-api -n production --timeout 1800")
def wait(
    name: Name,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds; at least what the policy takes.")],
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Wait until the newest revision is promoted and healthy: the promotion guard of a pipeline.

    Exit codes: 0 promoted, 1 aborted or degraded, 2 the timeout is below the shortest time that the policy can take,
    3 nobody can tell (the time is up, or there is no such rollout or no API).
    """
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.waiting import End, TooShortError, check_timeout
    from controller.kubernetes.waiting import wait as wait_for

    with exits(wrong_input=(TooShortError,), world_failed=(ApiError,)):
        connection, key = _connected(name, namespace, context, kubeconfig)
        needed_s = check_timeout(connection, key, timeout)
        print(f"{key}: waiting up to {timeout:g} s; the policy takes {needed_s:g} s at least", flush=True)
        found = wait_for(connection, key, timeout_s=timeout, told=lambda said: print(said, flush=True))
    print(f"{found.end.value}: {found.why}")
    raise SystemExit({End.PROMOTED: Exit.GOOD, End.STOPPED: Exit.NO, End.UNKNOWN: Exit.WORLD}[found.end])


@app.command(epilog="Example: gamebird rollout promote orders-api --reason 'metrics look fine'")
def promote(
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="Skip all steps and analyses that are left.")] = False,
    reason: Reason = "",
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Go on from a pause, or past the current step."""
    _say("promote-full" if full else "promote", name, reason, namespace, context, kubeconfig)


@app.command(epilog="Example: gamebird rollout abort orders-api --reason 'checkout is slow'")
def abort(
    name: Name, reason: Reason = "", namespace: Namespace = "", context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Send everybody back to stable."""
    _say("abort", name, reason, namespace, context, kubeconfig)


@app.command(epilog="Example: gamebird rollout retry orders-api")
def retry(
    name: Name, reason: Reason = "", namespace: Namespace = "", context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Begin an aborted update again, from its first step."""
    _say("retry", name, reason, namespace, context, kubeconfig)


@app.command(epilog="Example: gamebird rollout pause orders-api")
def pause(
    name: Name, reason: Reason = "", namespace: Namespace = "", context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Let no further step begin (spec.paused)."""
    _say("pause", name, reason, namespace, context, kubeconfig)


@app.command(epilog="Example: gamebird rollout resume orders-api")
def resume(
    name: Name, reason: Reason = "", namespace: Namespace = "", context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Let steps begin again."""
    _say("resume", name, reason, namespace, context, kubeconfig)


@app.command(epilog="Example: gamebird rollout restart orders-api")
def restart(
    name: Name, reason: Reason = "", namespace: Namespace = "", context: Context = None, kubeconfig: Kubeconfig = None
) -> None:
    """Restart every pod, a few at a time."""
    _say("restart", name, reason, namespace, context, kubeconfig)


def _connected(name: str, namespace: str, context: str | None, kubeconfig: Path | None) -> tuple[Connection, Key]:
    from controller.kubernetes.api import connect
    from controller.kubernetes.api.watching import Key

    connection, home = connect(kubeconfig=kubeconfig, context=context)
    return connection, Key(namespace or home, name)


def _say(word: str, name: str, reason: str, namespace: str, context: str | None, kubeconfig: Path | None) -> None:
    from controller.core.operator import Word
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.operating import OperatorError, say

    with exits(wrong_input=(OperatorError,), world_failed=(ApiError,)):
        connection, key = _connected(name, namespace, context, kubeconfig)
        record = say(connection, key, Word(word), user=_user(), reason=reason)
    print(f"{key}: {record.word} ({record.effect})")


def _user() -> str:
    """Return who speaks, as the event will name them."""
    try:
        return os.environ.get("GAMEBIRD_USER") or getpass.getuser()
    except (KeyError, OSError):
        return ""
