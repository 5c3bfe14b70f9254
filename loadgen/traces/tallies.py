"""What reading a trace met on its way: counts, and the first of each kind of trouble with its place.

Nothing that a reader leaves out goes unsaid: whoever reads a trace shows this beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

EXAMPLES_MAX = 10
GAPS_MAX = 1_000
EXCERPT_CHARS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """One line that is no request: where it stands, why, and how it begins."""

    file: str
    line: int
    why: str
    excerpt: str

    @property
    def text(self) -> str:
        """The line as people read it."""
        return f"{self.file}:{self.line}: {self.why}: {self.excerpt!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A silence that was shortened: when it began (Unix s of the log), how long it was, how long it is now."""

    at_s: float
    was_s: float
    became_s: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one reading; it grows while the trace is read.

    Attributes:
        files, formats: what was read, and as which format.
        lines: lines (or entries, or payloads) that hold something.
        requests: requests that came out.
        bad: lines that are no request, by reason; `examples` are the first of them.
        sorted: requests that came out of order and were put in order.
        late: requests that came later than the sorting window reaches back, and were left out.
        gaps: silences that were shortened.
        first_s, last_s: the time of the first and the last request as they come out, Unix s.
        whole_seconds: whether every stamp fell on a whole second: then bursts within a second are not known.
    """

    files: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    lines: int = 0
    requests: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    examples: list[Bad] = field(default_factory=list)
    sorted: int = 0
    late: int = 0
    late_examples: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    gap_count: int = 0
    first_s: float | None = None
    last_s: float | None = None
    whole_seconds: bool = True

    @property
    def bad_count(self) -> int:
        """How many lines are no request."""
        return sum(self.bad.values())

    @property
    def duration_s(self) -> float:
        """From the first request to the last."""
        return 0.0 if self.first_s is None or self.last_s is None else self.last_s - self.first_s

    def refuse(self, file: str, line: int, why: str, text: str) -> None:
        """Count a line that is no request."""
        # The reason may quote the line; counted by its first words, so that reasons stay few.
        kind = why.partition(" is '")[0] if " is '" in why else why
        self.bad[kind if kind == why else f"{kind} is wrong"] += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Bad(file=file, line=line, why=why, excerpt=text[:EXCERPT_CHARS]))

    def gap(self, gap: Gap) -> None:
        """Note a silence that was shortened."""
        self.gap_count += 1
        if len(self.gaps) < GAPS_MAX:
            self.gaps.append(gap)

    def as_json(self) -> dict[str, Any]:
        """Return the tally as plain values."""
        return {
            "files": self.files,
            "formats": self.formats,
            "lines": self.lines,
            "requests": self.requests,
            "bad_lines": self.bad_count,
            "bad_reasons": dict(self.bad.most_common()),
            "bad_examples": [
                {"file": bad.file, "line": bad.line, "why": bad.why, "excerpt": bad.excerpt} for bad in self.examples
            ],
            "sorted": self.sorted,
            "late_left_out": self.late,
            "gaps_shortened": self.gap_count,
            "gaps": [{"at_s": gap.at_s, "was_s": gap.was_s, "became_s": gap.became_s} for gap in self.gaps],
            "first_s": self.first_s,
            "last_s": self.last_s,
            "duration_s": self.duration_s,
            "resolution_s": 1.0 if self.whole_seconds and self.requests else None,
        }
