"""`gamebird runbook`: the page for incident responders of one rollout, on standard output or in a file."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gamebird.cli.exits import exits

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Controller(StrEnum):
    """Which controller runs the rollout."""

    GAMEBIRD = "gamebird"
    ARGO = "argo"


class RunbookOptionError(ValueError):
    """Options that cannot be used."""


def runbook(
    files: Annotated[list[Path], typer.Argument(help="manifests: files or folders; - for standard input")],
    to: Annotated[Path | None, typer.Option("--to", help="write the page here instead of standard output")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="instead of the Rollout's own")] = "",
    rollout: Annotated[str, typer.Option(help="which Rollout, where the files hold several")] = "",
    controller: Annotated[Controller, typer.Option(help="which one runs it; Argo ignores gamebird.dev/ rules")] = (
        Controller.GAMEBIRD
    ),
    force: Annotated[bool, typer.Option("--force", help="overwrite a page that was edited by hand")] = False,
) -> None:
    """Write the Markdown page that says what this rollout does, what its metrics mean, and what to type at night.

    Exits with 2 when the manifests are wrong, name no namespace, or --to holds what somebody else has written.

    Example: gamebird runbook rollout.yaml analysis-template.yaml --to RUNBOOK.md
    """
    from controller.manifests.loading import ManifestError, load
    from controller.manifests.values import Rollout
    from experiments.runbook.keeping import RunbookFileError, keep, sealed
    from experiments.runbook.page import Asked, page

    with exits(wrong_input=(ManifestError, RunbookFileError, RunbookOptionError)):
        if namespace and not _NAMESPACE.fullmatch(namespace):
            raise RunbookOptionError(f"--namespace is {namespace!r}; it needs lower-case letters, digits and -")
        manifests = load([str(file) for file in files])
        policy = manifests.policy(rollout or None)
        loaded = next(item for item in manifests.of(Rollout) if item.name == policy.rollout.name)
        if not (namespace or loaded.namespace):
            problem = loaded.place.below("metadata", "namespace").problem(
                "missing", "a namespace there, or --namespace"
            )
            raise ManifestError([problem])
        asked = Asked(
            namespace=namespace or loaded.namespace, controller=controller.value, files=[str(file) for file in files]
        )
        text = sealed(page(policy, asked))
        if to is not None:
            changed = keep(text, to, force=force)
    for warning in policy.warnings:
        print(warning, file=sys.stderr)
    if to is None:
        print(text, end="")
    else:
        print(f"{to}: {'written' if changed else 'is up to date'}", file=sys.stderr)
