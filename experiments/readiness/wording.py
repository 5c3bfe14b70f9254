"""The checklist for programs (JSON) and for a pull request (Markdown). Pure."""

from __future__ import annotations

from typing import Any

from experiments.readiness.answers import Answer
from experiments.readiness.case import Case
from experiments.readiness.checklist import Checklist

SCHEMA = "gamebird.dev/readiness/v1"
MARKER = "<!-- gamebird ready -->"
"""By this line a job finds its own comment again, and edits it instead of adding another."""

_MARKS = frozenset("\\`*_[]|~#")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
_SIGNS = {Answer.YES: "✅ yes", Answer.NO: "❌ no", Answer.UNKNOWN: "❔ unknown"}


def as_json(case: Case, checklist: Checklist) -> dict[str, Any]:
    """Return the checklist as plain values."""
    return {
        "schema": SCHEMA,
        "rollout": checklist.rollout,
        "namespace": case.policy.rollout.namespace,
        "ready": checklist.ready,
        "asked_at": case.now.isoformat(timespec="seconds"),
        "manifests": [str(file) for file in case.files],
        "manifests_sha256": case.manifests_sha256,
        "items": [
            {
                "name": item.name,
                "question": item.question,
                "answer": item.answer.value,
                "evidence": [{"answer": one.answer.value, "text": one.text} for one in item.findings],
                "next": list(item.next_steps),
            }
            for item in checklist.items
        ],
    }


def as_markdown(case: Case, checklist: Checklist) -> str:
    """Return the checklist as a comment for a pull request."""
    lines = [MARKER, f"### {'✅' if checklist.ready else '❌'} {_plain(checklist.sentence)}", ""]
    lines += ["| | item | evidence | next |", "|---|---|---|---|"]
    for item in checklist.items:
        evidence = "<br>".join(f"{_SIGNS[one.answer]}: {_plain(one.text)}" for one in item.findings) or "none"
        steps = "<br>".join(map(_plain, item.next_steps)) or "–"
        lines.append(f"| {_SIGNS[item.answer]} | {_plain(item.question)} | {evidence} | {steps} |")
    lines += ["", f"Manifests `{case.manifests_sha256[:12]}`. Unknown is never yes.", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text that a Markdown table shows as it is: names and queries come from files that anybody wrote."""
    shown = "".join(_ENTITIES.get(letter, f"\\{letter}" if letter in _MARKS else letter) for letter in text)
    return " ".join(shown.split())
