"""The front page of the command line, and the way from a command's name to its module.

Commands need numpy, Envoy or a parser; the front page needs none of them. So the first word is looked up here,
and only its module is imported: `gamebird --help` answers in a fraction of a second.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from importlib import import_module

from gamebird.cli.exits import Exit


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives (`module:name` of a function or a `typer.Typer`) and what it is for, in one line."""

    target: str
    summary: str


COMMANDS = {
    "simulate": Command(
        "gamebird.cli.simulate:simulate",
        "what a policy does to every kind of release: caught, missed, aborted by mistake, users hurt",
    ),
    "gameday": Command(
        "gamebird.cli.gameday:app",
        "rehearse a release: a real proxy, real load, an injected fault, a scorecard",
    ),
    "ready": Command("gamebird.cli.ready:ready", "may auto-promotion be switched on? the checklist, from evidence"),
    "controller": Command("gamebird.cli.controller:app", "run canaries on a cluster, from Argo Rollouts' manifests"),
    "rollout": Command(
        "gamebird.cli.rollout:app",
        "a rollout on a cluster: status, wait, promote, abort, retry, pause, undo, set-image",
    ),
    "runbook": Command(
        "gamebird.cli.runbook:runbook", "the page for incident responders of a rollout, commands filled in"
    ),
    "trace": Command(
        "gamebird.cli.trace:app", "recorded traffic: access logs as one canonical file, drawn, sampled, anonymised"
    ),
    "replay": Command(
        "gamebird.cli.replay:replay", "recorded requests sent again on their own clock, and honest figures of them"
    ),
    "fit": Command(
        "gamebird.cli.fit:fit", "a service's rate, routes, errors and latencies from its log or its Prometheus"
    ),
    "condition": Command(
        "gamebird.cli.condition:condition", "evaluate a successCondition on a result, as Argo Rollouts does"
    ),
    "query": Command("gamebird.cli.query:query", "evaluate PromQL on recorded series; --explain says what it reads"),
    "prometheus": Command("gamebird.cli.prometheus:app", "serve recorded series by Prometheus' HTTP API"),
}

EXAMPLE = "gamebird gameday examples/orders-api/gamedays/errors-5pct.yaml --policy both --speed 20"


def front_page() -> str:
    """Return the text of `gamebird --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: gamebird COMMAND [ARGS]...",
            "",
            "Tells you whether the automation that promotes and aborts your releases works, before a bad release does.",
            "",
            "Commands (gamebird COMMAND --help says more):",
            *lines,
            "",
            "Options: --help, --version",
            "Exit codes: 0 good, 1 the answer is no, 2 the input is wrong, 3 the world failed",
            "",
            f"Example: {EXAMPLE}",
        ]
    )


def main(argv: list[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"--help", "-h", "help"}:
        print(front_page())
        raise SystemExit(Exit.GOOD)
    if words[0] == "--version":
        from gamebird import __version__

        print(f"gamebird {__version__}")
        raise SystemExit(Exit.GOOD)
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise SystemExit(_unknown(name))
    try:
        _run(name, rest)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _unknown(name: str) -> int:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    print(f"gamebird: no command is called {name!r}; {hint}", file=sys.stderr)
    return Exit.INPUT


def _run(name: str, arguments: list[str]) -> None:
    _start_quickly()
    import typer

    module, _, attribute = COMMANDS[name].target.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        app = found
    else:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(found)
    app(arguments, prog_name=f"gamebird {name}")


def _start_quickly() -> None:
    """Leave out what only costs time while modules are loaded: an eighth of what `gamebird simulate` starts in.

    Modules make a hundred thousand objects that live as long as the process, so that looking for garbage among them
    again and again finds none; and nobody plugs anything into pydantic here, whose search reads every package's notes.
    """
    gc.set_threshold(50_000, 10, 10)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


if __name__ == "__main__":
    main()
