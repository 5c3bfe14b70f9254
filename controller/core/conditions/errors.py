"""What can be wrong with a condition: the user's errors, with the place in the text where there is one."""

from __future__ import annotations


class ConditionError(Exception):
    """A condition that Argo Rollouts would call an error, at compile time or for one result.

    `message` is worded as there (tools parse it); `column` counts from 0, None where no place is known.
    """

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column


class UnsupportedCondition(ConditionError):
    """The language has this, and it is not evaluated here. Said instead of a wrong answer."""

    def __init__(self, what: str, column: int | None = None) -> None:
        super().__init__(f"{what}: the condition language has this, Gamebird does not evaluate it", column)
