"""Show a rollout once, or for as long as somebody looks: redrawn when something changes, until Ctrl-C."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gamebird.cli.rollout_picture import picture_tree

if TYPE_CHECKING:
    from rich.console import RenderableType

    from controller.kubernetes.api import Connection
    from controller.kubernetes.api.watching import Key

Json = dict[str, Any]

LOOK_S = 1.0


def show(picture: Json, *, as_json: bool) -> None:
    """Print a picture once."""
    if as_json:
        print(json.dumps(picture, indent=2))
    else:
        _console().print(picture_tree(picture))


def watch(connection: Connection, key: Key, first: Json, *, as_json: bool) -> None:
    """Show a rollout until Ctrl-C: on a terminal in one place, elsewhere anew after each change.

    Args:
        first: the picture to begin with. An API that goes away later is waited for, and said so.
    """
    if as_json:
        _follow(connection, key, first, lambda picture, _: print(json.dumps(picture), flush=True))
    elif not sys.stdout.isatty():
        _follow(connection, key, first, lambda picture, problem: _console().print(_drawn(picture, problem)))
    else:
        from rich.live import Live

        # Live gives the cursor back however the block is left.
        with Live(picture_tree(first), console=_console(), auto_refresh=False) as live:
            _follow(
                connection, key, first, lambda picture, problem: live.update(_drawn(picture, problem), refresh=True)
            )


def _follow(connection: Connection, key: Key, first: Json, draw: Callable[[Json, str], None]) -> None:
    from controller.kubernetes.api import ApiError
    from controller.kubernetes.showing import picture_of

    shown: tuple[Json, str] | None = None
    picture, problem = first, ""
    try:
        while True:
            if shown != (picture, problem):
                draw(picture, problem)
                shown = picture, problem
            time.sleep(LOOK_S)
            try:
                picture, problem = picture_of(connection, key), ""
            except ApiError as error:
                problem = str(error)
    except KeyboardInterrupt:
        return


def _drawn(picture: Json, problem: str) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    tree = picture_tree(picture)
    return Group(tree, Text(f"not up to date: {problem}", "red")) if problem else tree


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)
