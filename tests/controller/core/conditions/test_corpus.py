"""The conditions that public repositories hold: each can be read, and runs over a flock in one pass."""

from __future__ import annotations

import re
from pathlib import Path

from controller.core.conditions import ConditionError, compile_condition

CONDITION = re.compile(r"(?:success|failure)Condition:[ \t]*(\S[^\n]*)")


def conditions(corpus: Path) -> list[str]:
    found: dict[str, None] = {}
    for path in sorted(corpus.glob("*.yaml")):
        for match in CONDITION.finditer(path.read_text(encoding="utf-8")):
            text = match[1].strip()
            if text[0] in "'\"":
                text = text[1 : text.rindex(text[0])]
            text = text.partition(" #")[0].strip()
            if text and text[0] != "#" and "{{" not in text:
                found[text] = None
    return list(found)


def test_every_condition_of_the_corpus_is_read_and_runs_over_a_flock_in_one_pass(corpus: Path) -> None:
    texts = conditions(corpus)
    assert len(texts) > 50
    slow, unread = [], []
    for text in texts:
        try:
            if not compile_condition(text).runs_at_once:
                slow.append(text)
        except ConditionError as error:
            unread.append(f"{text}: {error}")
    print(f"\n{len(texts)} conditions of public repositories: {len(unread)} not read, {len(slow)} not in one pass")
    assert not unread
    assert not slow
