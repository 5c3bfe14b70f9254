"""Item 4: who owns the rollout and where the runbook is, in annotations, and reachable from the repository."""

from __future__ import annotations

import re
from pathlib import Path

from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_FILE = re.compile(r"^\.{0,2}/|\.(md|markdown|txt|rst|adoc|ya?ml)$", re.IGNORECASE)


def check_people(case: Case) -> tuple[Finding, ...]:
    """Return what is known of owner and runbook."""
    return (_owner(case), _runbook(case))


def _owner(case: Case) -> Finding:
    text = case.policy.rollout.extensions.promises.owner
    if not text:
        return no("the Rollout names no owner", "write one: gamebird.dev/owner: team-orders")
    if _URL.match(text):
        return unknown(
            f"owner {text} is a URL, which was not opened", "name a team, a person, or a file of the repository"
        )
    if not _FILE.search(text):
        return yes(f"owner: {text}")
    return _in_repository("owner", text, case.root)


def _runbook(case: Case) -> Finding:
    text = case.policy.rollout.extensions.promises.runbook
    if not text:
        return no("the Rollout names no runbook", "write one and name it: gamebird.dev/runbook: docs/runbook.md")
    if _URL.match(text):
        return unknown(
            f"runbook {text} is a URL, which was not opened", "keep it in the repository and name its path there"
        )
    return _in_repository("runbook", text, case.root)


def runbook_file(case: Case) -> Path | None:
    """Return the runbook's file; None where there is none in the repository."""
    text = case.policy.rollout.extensions.promises.runbook
    return None if not text or _URL.match(text) else file_below(text, case.root)


def file_below(text: str, root: Path) -> Path | None:
    """Return the file that a path names below the root; None where it is none, or leads out of it."""
    file = (root / text).resolve()
    return file if file.is_relative_to(root) and file.is_file() else None


def _in_repository(what: str, text: str, root: Path) -> Finding:
    file = file_below(text, root)
    if file is None:
        return no(f"{what} {text} is no file below {root}", f"write it, or mend gamebird.dev/{what}")
    return yes(f"{what}: {text} is there")
