"""Read what a team promises of its rollout from the values of four annotations, or say what would do.

Texts come in without the annotations' prefix, values go out; `metadata` knows which annotations there are and where
they stand. A promise that cannot be read is an error and never a missing promise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from controller.manifests.problems import shown
from controller.manifests.values.promises import Budget, Promises

NAMES = ("owner", "runbook", "kill-switches", "budget")
NO_SWITCHES = "none"

_BUDGET_NEED = (
    "all of miss=SHARE, false-abort=SHARE and bad-requests=NUMBER, as in miss=1%, false-abort=1%, bad-requests=500"
)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%|(0?\.[0-9]{1,8}|[01](?:\.0+)?)")
_COUNT = re.compile(r"[0-9]{1,12}")
_FLAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")

Fail = Callable[[str, str, str], None]
"""Told the annotation's name, what was found, and what it needs."""


def read_promises(own: Mapping[str, str], fail: Fail) -> Promises:
    """Return what the annotations promise.

    Args:
        own: annotations by their names without the prefix.
    """
    for name in ("owner", "runbook"):
        if own.get(name) == "":
            fail(name, "empty", "who owns the rollout" if name == "owner" else "a path in the repository, or a URL")
    return Promises(
        owner=own.get("owner", ""),
        runbook=own.get("runbook", ""),
        kill_switches=_switches(own, fail),
        budget=_budget(own, fail),
    )


def _switches(own: Mapping[str, str], fail: Fail) -> tuple[str, ...] | None:
    text = own.get("kill-switches")
    if text is None:
        return None
    if text == NO_SWITCHES:
        return ()
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if any(not _FLAG.fullmatch(name) or name == NO_SWITCHES for name in names):
        fail("kill-switches", shown(text), f"names of flags with commas between them, or {NO_SWITCHES}")
        return None
    return names


def _budget(own: Mapping[str, str], fail: Fail) -> Budget | None:
    text = own.get("budget")
    if text is None:
        return None
    parts = [part.partition("=") for part in text.split(",")]
    given = {name.strip(): value.strip() for name, _, value in parts}
    if set(given) != {"miss", "false-abort", "bad-requests"} or len(parts) != len(given):
        fail("budget", shown(text), _BUDGET_NEED)
        return None
    miss, false_abort = share_of(given["miss"]), share_of(given["false-abort"])
    if miss is None or false_abort is None or not _COUNT.fullmatch(given["bad-requests"]):
        fail("budget", shown(text), _BUDGET_NEED)
        return None
    return Budget(miss=miss, false_abort=false_abort, bad_requests=float(given["bad-requests"]))


def share_of(text: str) -> float | None:
    """Return the share that `1%` or `0.01` is, 0 to 1; None where it is none."""
    found = _SHARE.fullmatch(text)
    if found is None:
        return None
    share = float(found[1]) / 100 if found[1] else float(found[2])
    return share if share <= 1 else None
