"""Texts of manifests as Markdown shows them: whatever stands in a query or an annotation stays a text.

Keeps out what the texts mean. Every other module of the page writes Markdown of its own around what these return.
"""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")
_URL = re.compile(r"https?://[^\s<>|`\"]+")


def plain(text: str) -> str:
    """Return a text on one line, with nothing in it that Markdown would read as its own."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.replace("&", "&amp;").split()))


def code(text: str) -> str:
    """Return a text on one line as code; safe in a cell of a table, too."""
    line = " ".join(text.split()).replace("|", "\\|")
    if not line:
        return ""
    ticks = "`" * (_longest_run(line) + 1)
    padded = f" {line} " if line[0] == "`" or line[-1] == "`" else line
    return f"{ticks}{padded}{ticks}"


def code_outside_tables(text: str) -> str:
    """Return a text on one line as code where no table is near: pipes stay as they are."""
    return code(text).replace("\\|", "|")


def fenced(text: str, language: str = "") -> str:
    """Return a text of any number of lines as a block, fenced by more backticks than it has in a row."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"


def linked(text: str) -> str:
    """Return a URL as a link, and anything else as the text it is."""
    return f"<{text}>" if _URL.fullmatch(text) else plain(text)


def cell(markdown: str) -> str:
    """Return Markdown of ours for a cell of a table: on one line, its pipes escaped once."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(markdown.split()))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
