"""The one error that reading a query can raise: it shows the line and puts a caret under the place."""

from __future__ import annotations

EMPTY_QUERY = "the query is empty"
EMPTY_SELECTOR = "a selector needs at least one matcher that does not match the empty string"
"""Two messages for which the HTTP API has words of its own."""

_LINE_SHOWN_MAX = 110
_AROUND_PLACE = 70


class PromQLSyntaxError(ValueError):
    """A query that Prometheus would refuse, or that holds something that is not known here.

    Attributes:
        text: the query.
        position: where the trouble starts, in characters from 0; the text's length if something is missing there.
        end: where it ends.
        line, column: the same place, counted from 1.
        message: what is wrong, without the place.
    """

    def __init__(self, text: str, position: int, end: int, message: str) -> None:
        super().__init__(text, position, end, message)
        self.text = text
        self.position = position
        self.end = end
        self.message = message
        before = text[:position]
        self.line = before.count("\n") + 1
        self.column = position - (before.rfind("\n") + 1) + 1

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}\n{self._excerpt()}"

    def _excerpt(self) -> str:
        """The line with a caret under the place; of a long line, the part around it."""
        line = self.text.split("\n")[self.line - 1]
        start = self.column - 1
        width = max(1, min(self.end, self.position + len(line) - start) - self.position)
        if len(line) > _LINE_SHOWN_MAX:
            cut = max(0, start - _AROUND_PLACE // 2)
            line = line[cut : cut + _AROUND_PLACE * 3 // 2]
            start -= cut
            if cut:
                line, start = "…" + line, start + 1
            width = min(width, max(1, len(line) - start))
        # Tabs stay tabs in the padding, so that the caret stands under its character in any terminal.
        padding = "".join("\t" if character == "\t" else " " for character in line[:start])
        shown = line.replace("\r", " ")
        return f"  {shown}\n  {padding}{'^' * width}"
