"""`gamebird rollout`: what a rollout does now, and an operator's words, whichever controller runs there."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gamebird.cli.exits import Exit, exits

if TYPE_CHECKING:
    from controller.kubernetes.api import Connection
    from controller.kubernetes.api.watching import Key
    from controller.kubernetes.revising import Revised

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="What a rollout does now, and an operator's words: promote, abort, retry, pause, undo and so on.",
)

Name = Annotated[str, typer.Argument(help="The Rollout's name.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Instead of the context's own.")]
Context = Annotated[str | None, typer.Option(help="A context of the kubeconfig.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="Instead of $KUBECONFIG or ~/.kube/config.")]
Images = Annotated[list[str], typer.Argument(help="CONTAINER=IMAGE, as often as wanted; * for every container.")]
Reason = Annotated[str, typer.Option(help="Why; kept in an event and an annotation.")]


class Output(StrEnum):
    """What standard output gets."""

    TABLE = "table"
    JSON = "json"


Out = Annotated[Output, typer.Option("--output", "-o", help="What standard output gets.")]


@app.callback()
def _group() -> None:
    """What a rollout does now, and an operator's words."""


@app.command(epilog="Example: gamebird rollout status orders-api -n production --watch")
def status(
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it until Ctrl-C.")] = False,
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Out = Output.TABLE,
) -> None:
    """Show a rollout: its revisions, their ReplicaSets and pods, and their analysis runs."""
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.showing import picture_of
    from gamebird.cli import rollout_watch

    as_json = output is Output.JSON
    with exits(world_failed=(ApiError,)):
        connection, key = _connected(name, namespace, context, kubeconfig)
        found = picture_of(connection, key)
    if watch:
        rollout_watch.watch(connection, key, found, as_json=as_json)
    else:
        rollout_watch.show(found, as_json=as_json)


@app.command(epilog="Example: gamebird rollout wait orders-api -n production --timeout 30m")
def wait(
    name: Name,
    timeout: Annotated[str, typer.Option(help="Such as 30m, or seconds; at least what the policy takes.")],
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    output: Out = Output.TABLE,
) -> None:
    """Wait until the newest revision is promoted and healthy: the promotion guard of a pipeline.

    Exit codes: 0 promoted, 1 aborted or degraded, 2 the timeout is below the shortest time that the policy can take,
    3 nobody can tell (the time is up, or there is no such rollout or no API).
    """
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.waiting import End, TooShortError, check_timeout
    from controller.kubernetes.waiting import wait as wait_for
    from promql.parameters import BadParameter, duration_s

    def told(said: str) -> None:  # progress, which a program that reads the answer does not want
        print(said, flush=True, file=sys.stderr if output is Output.JSON else sys.stdout)

    with exits(wrong_input=(TooShortError, BadParameter), world_failed=(ApiError,)):
        timeout_s = duration_s("--timeout", timeout)
        connection, key = _connected(name, namespace, context, kubeconfig)
        needed_s = check_timeout(connection, key, timeout_s)
        told(f"{key}: waiting up to {timeout_s:g} s; the policy takes {needed_s:g} s at least")
        found = wait_for(connection, key, timeout_s=timeout_s, told=told)
    if output is Output.JSON:
        print(json.dumps({"rollout": str(key), "end": found.end.value, "why": found.why, "needed_s": needed_s}))
    else:
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


@app.command(epilog="Example: gamebird rollout undo orders-api --to-revision 3 --reason 'checkout is slow'")
def undo(
    name: Name,
    to_revision: Annotated[int | None, typer.Option(min=1, help="Instead of the one before the newest.")] = None,
    reason: Reason = "",
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Give the rollout the pod template of an earlier revision."""
    from controller.kubernetes import revising

    _revise(
        lambda connection, key: revising.undo(
            connection, key, to_revision=to_revision, user=_user(connection), reason=reason
        ),
        name,
        namespace,
        context,
        kubeconfig,
    )


@app.command(name="set-image", epilog="Example: gamebird rollout set-image orders-api app=orders-api:2.4.1")
def set_image(
    name: Name,
    images: Images,
    reason: Reason = "",
    namespace: Namespace = "",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Give containers another image: a new revision."""
    from controller.kubernetes import revising

    wanted = {container: image for container, _, image in (each.partition("=") for each in images)}
    bad = [each for each in images if not all(each.partition("="))]
    if bad:
        print(
            f"{bad[0]!r} names no container and image; write CONTAINER=IMAGE, such as app=orders-api:2", file=sys.stderr
        )
        raise SystemExit(Exit.INPUT)
    _revise(
        lambda connection, key: revising.set_images(connection, key, wanted, user=_user(connection), reason=reason),
        name,
        namespace,
        context,
        kubeconfig,
    )


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
        record = say(connection, key, Word(word), user=_user(connection), reason=reason)
    print(f"{key}: {record.word} ({record.effect})")


def _revise(
    revise: Callable[[Connection, Key], Revised],
    name: str,
    namespace: str,
    context: str | None,
    kubeconfig: Path | None,
) -> None:
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.operating import OperatorError

    with exits(wrong_input=(OperatorError,), world_failed=(ApiError,)):
        connection, key = _connected(name, namespace, context, kubeconfig)
        revised = revise(connection, key)
    print(f"{revised.where}: {revised.effect}")


def _user(connection: Connection) -> str:
    """Return who speaks, as the event will name them: the person here, and the name that the cluster knows them by."""
    from controller.kubernetes.operating import known_as

    try:
        person = os.environ.get("GAMEBIRD_USER") or getpass.getuser()
    except (KeyError, OSError):
        person = ""
    known = known_as(connection)
    return f"{person} as {known}" if person and known not in ("", person) else person or known
