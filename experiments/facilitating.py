"""A game day for people: the harm is done, the clock runs, and nothing is put right until the time box ends.

Somebody at the terminal writes down what people did, as they do it: that they noticed, what they did about it, and
words for the rollout itself. Chaos experiments put things right by themselves, which is what nobody learns from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from controller.core.operator import Word
from experiments.events import PersonSpoke
from experiments.rehearsal import Rehearsal

DETECTED, MITIGATED, NOTE, OVER = "detected", "mitigated", "note", "over"
HELP = (
    "Write down what people do: `detected HOW`, `mitigated HOW`, `note TEXT`; `say WORD` speaks to the rollout "
    f"({', '.join(word.value for word in Word)}); `over` ends the time box early."
)


class WordError(ValueError):
    """A line that nobody can make sense of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the facilitator's: a word and its text, or a word for the rollout."""

    word: str
    text: str = ""
    operator: Word | None = None


def parse_line(line: str) -> Line:
    """Return what a line says.

    Raises:
        WordError: it begins with no word that is known.
    """
    word, _, text = line.strip().partition(" ")
    word, text = word.lower(), text.strip()
    if word in (DETECTED, MITIGATED, NOTE, OVER):
        return Line(word=word, text=text)
    if word == "say":
        try:
            return Line(word=NOTE, text=f"said {text}", operator=Word(text.lower()))
        except ValueError:
            raise WordError(f"say {text}: the rollout knows {', '.join(one.value for one in Word)}") from None
    raise WordError(f"{word or 'an empty line'}: not understood. {HELP}")


class Facilitator:
    """Reads lines and tells them to a rehearsal, in a thread that ends with its input or with the process."""

    def __init__(self, rehearsal: Rehearsal, lines: Iterable[str], answer: TextIO) -> None:
        """Begin to read.

        Args:
            answer: where a line that is not understood, and the help, are answered.
        """
        self._rehearsal, self._lines, self._answer = rehearsal, lines, answer
        self._say(HELP)
        threading.Thread(target=self._read, name="facilitator", daemon=True).start()

    def _read(self) -> None:
        for text in self._lines:
            if not text.strip():
                continue
            try:
                line = parse_line(text)
                hear(self._rehearsal, line)
            except Exception as error:
                self._say(str(error))

    def _say(self, text: str) -> None:
        self._answer.write(f"{text}\n")
        self._answer.flush()


def hear(rehearsal: Rehearsal, line: Line) -> None:
    """Let a line take effect: an event with its time, and a word for the rollout where it is one.

    Raises:
        WordError: the release has not been deployed yet, so there is nothing to notice or to mend.
    """
    if line.word != NOTE and not rehearsal.release_hash:
        raise WordError(f"{line.word}: nothing has happened yet; the release is not deployed")
    if line.word == OVER:
        rehearsal.end_time_box()
        return
    if line.operator is not None:
        rehearsal.say(line.operator)
    rehearsal.tell(PersonSpoke(t_s=rehearsal.world.clock.now_s(), word=line.word, text=line.text))
