"""What can be wrong with a condition: the user's errors, with the place in the text where there is one."""

from __future__ import annotations

from typing import Self


class ConditionError(Exception):
    """A condition that Argo Rollouts would call an error, at compile time or for one result.

    `message` is worded as there (tools parse it); `column` counts from 0, None where no place is known.
    """

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column

    def again(self) -> Self:
        """Return an equal error to raise: an error that is kept and raised itself would gather tracebacks for ever."""
        fresh = type(self).__new__(type(self), self.message)
        fresh.message, fresh.column = self.message, self.column
        return fresh


class UnsupportedCondition(ConditionError):
    """The language has this, and it is not evaluated here. Said instead of a wrong answer."""

    def __init__(self, what: str, column: int | None = None) -> None:
        super().__init__(f"{what}: the condition language has this, Gamebird does not evaluate it", column)
