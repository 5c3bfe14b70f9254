"""Kill switches: which flags the team names, how one is flipped in a flagd file, and what is no switch at all."""

from __future__ import annotations

import re
import shlex
from typing import Any

from controller.manifests.values import Rollout
from experiments.runbook.markdown import code_outside_tables as code
from experiments.runbook.markdown import fenced

_LOOKS_LIKE_FLAG = re.compile(r"(?:^|_)(?:FEATURE|FLAG|TOGGLE)(?:S?_|$)")


def switch_blocks(rollout: Rollout, shortest: str) -> tuple[str, ...]:
    """Return the section's paragraphs, Markdown.

    Args:
        shortest: how long a new revision takes at least, in words.
    """
    names = rollout.extensions.promises.kill_switches
    blocks = []
    if names is None:
        blocks.append(
            "Not named. If a flag turns the risky path off while the binary is good, write "
            "`gamebird.dev/kill-switches: FLAG, FLAG` into the Rollout's annotations, or `none`."
        )
    elif not names:
        blocks.append("The team says that there is none: abort or undo.")
    else:
        listed = ", ".join(map(code, names))
        blocks.append(
            f"{listed}: for a bad path in a good binary. Where the flags are a flagd file (`FLAGS` is its place, "
            "`off` its safe variant), this turns the flag off for everybody whom none of its targeting rules names."
        )
        blocks.append(fenced("\n".join(_flip(name) for name in names), "sh"))
        blocks.append(
            "A flip makes no new revision: neither weight nor step nor pod changes, and an abort stays possible. It "
            "reaches stable's pods, too. The rollout's metrics see it once their windows have passed."
        )
    variables = flag_variables(rollout)
    if variables:
        listed = ", ".join(map(code, variables))
        blocks.append(
            f"**No kill switch:** {listed} in the pod template. Another value is a new revision: it takes all steps, "
            f"{shortest} at least."
        )
    return tuple(blocks)


def flag_variables(rollout: Rollout) -> tuple[str, ...]:
    """Return the environment variables of the pod template whose names say that they are flags."""
    if rollout.template is None:
        return ()
    spec: dict[str, Any] = rollout.template.data().get("spec") or {}
    found = [
        str(variable.get("name", ""))
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
        for variable in container.get("env") or ()
    ]
    return tuple(dict.fromkeys(name for name in found if _LOOKS_LIKE_FLAG.search(name)))


def _flip(name: str) -> str:
    change = shlex.quote('.flags[$flag].defaultVariant = "off"')
    return f'jq --arg flag {shlex.quote(name)} {change} "$FLAGS" > "$FLAGS.new" && mv "$FLAGS.new" "$FLAGS"'
