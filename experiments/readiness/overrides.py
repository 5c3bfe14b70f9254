"""Item 5: the words by which a person overrules the automation are in the runbook, and each was used in a drill.

Written means: the runbook has a command with the word, such as `kubectl argo rollouts abort NAME`; prose that holds
the word tells nobody what to type. Used means: a record of these manifests says that the rollout took the word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from experiments.readiness.answers import Finding, no, unknown, yes
from experiments.readiness.case import Case
from experiments.readiness.drills import usable
from experiments.readiness.people import runbook_file

WORDS = ("pause", "abort", "retry", "promote")
_SAME = {"promote-full": "promote"}
_HEARD = frozenset({"local"})
"""Worlds whose records say what an operator said; on a cluster people use the rollout's own tools."""


def check_overrides(case: Case) -> tuple[Finding, ...]:
    """Return two findings: what is written, and what was used."""
    return (_written(case), *_exercised(case))


def _written(case: Case) -> Finding:
    file = runbook_file(case)
    if file is None:
        return unknown(
            "no runbook is there to be read", "write a runbook in the repository with the commands of an override"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return unknown(f"{file.name} cannot be read: {error}", "keep the runbook as UTF-8 text")
    absent = [word for word in WORDS if not _command(word).search(text)]
    if absent:
        example = f"kubectl argo rollouts {absent[0]}" + (" rollout" if absent[0] == "retry" else "")
        return no(
            f"{file.name} has no command for {', '.join(absent)}",
            f"write what to type, as in: {example} {case.policy.rollout.name}",
        )
    return yes(f"{file.name} has a command for each of {', '.join(WORDS)}")


def _command(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b(rollouts|rollout|gamebird)\s+(-\S+\s+\S+\s+)*{word}\b(?![-\w])")


def _exercised(case: Case) -> Iterator[Finding]:
    """Yield one finding for the words that were used, and one for those that were not."""
    drills = list(usable(case))
    advice = "drill people: gamebird gameday run NAME --facilitate 15 --policy FILES…, then type `say {}`"
    used: dict[str, str] = {}
    for record in drills:
        for line in record.data.get("operator", ()):
            word = _SAME.get(line["word"], line["word"])
            used[word] = f"{word} in {record.game_day} of {record.started_at}"
    told = [used[word] for word in WORDS if word in used]
    if told:
        yield yes(f"used in a drill: {', '.join(told)}")
    left = [word for word in WORDS if word not in used]
    if not left:
        return
    silent = [record for record in drills if "operator" not in record.data or record.world not in _HEARD]
    if silent or not drills:
        why = (
            "records of clusters, and those from before words were kept, do not say what operators did"
            if silent
            else "there is no drill of these manifests in 30 days"
        )
        yield unknown(f"whether {', '.join(left)} were ever used is not known: {why}", advice.format(left[0]))
    else:
        yield no(f"never used in a drill of these manifests: {', '.join(left)}", advice.format(left[0]))
