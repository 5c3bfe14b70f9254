"""What is wrong with an input file: where, what was found, what would do.

Keeps out how it was found. Manifests and game day files both report by these, so that a user reads
one kind of message, and reads all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

FieldPath = tuple[str | int, ...]

# Beyond these, looking for what was meant takes longer than anybody would wait.
_LONGEST_WORD = 100
_MOST_WORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """A place in a text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong. It reads as "<path> is <found>; it needs <need>"."""

    file: str
    line: int
    column: int
    path: str
    found: str
    need: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}:{self.column}: {self.path or 'the document'} is {self.found}; "
            f"it needs {self.need}"
        )


class ManifestError(Exception):
    """Input that cannot be used. Holds every problem that was found, in the order of the text."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ManifestError], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


def path_text(path: FieldPath) -> str:
    """Return a field path as people write it: spec.strategy.canary.steps[2].setWeight."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif text and all(letter.isalnum() or letter in "-_" for letter in part):
            text += f".{part}"
        else:
            text += f"[{part!r}]" if text else part
    return text


def shown(value: object) -> str:
    """Return a found value short enough to be read inside a message."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        short = value if len(value) <= 60 else value[:57] + "..."
        return repr(short)
    return str(value)


def nearest(word: str, known: Sequence[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that somebody who wrote `word` most likely meant, or None."""
    if len(word) > _LONGEST_WORD or len(known) > _MOST_WORDS:
        return None
    by_folded = {name.lower(): name for name in known}
    matches = get_close_matches(word.lower(), list(by_folded), n=1, cutoff=cutoff)
    return by_folded[matches[0]] if matches else None
