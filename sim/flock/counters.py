"""What was drawn so far of every unit's requests: cumulative counts at the instants that somebody read.

A unit is whatever counts by itself: one life of a pod, or one side behind a proxy that only the proxy counts. Between
two instants each of a unit's atoms gets a Poisson number of requests with the expected number as its mean, all
independent. An instant after the newest known one is drawn forwards; one in between is a binomial bridge, which leaves
what is known as it is. Every draw is keyed by the unit and the instants around it, so a run's counts hang on its own
reads and on nothing else.

Arrays are (atoms, runs), counts since the unit began, as floats because that is what PromQL reads. Columns are never
changed once they are drawn, so forks share them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sim.flock.bits import Words, key_of, words_of_spans
from sim.flock.quantiles import Floats, binomial, poisson

_FORWARDS, _BRIDGE = key_of("requests"), key_of("bridge")


class Unit(Protocol):
    """Something that counts requests by itself.

    Attributes:
        key: what chance knows it by; equal for the same unit in every fork.
        born_ms: when it begins to count, from zero.
    """

    @property
    def key(self) -> int: ...

    @property
    def born_ms(self) -> int: ...


class Expectations(Protocol):
    """How many requests each atom of a unit is expected to get; of one path of decisions."""

    @property
    def atoms(self) -> int: ...

    def means(self, spans: Sequence[tuple[Unit, int, int]]) -> Floats:
        """Return (spans, atoms) expected requests of each unit from one instant (ms) to another."""
        ...


@dataclass(slots=True)
class _Track:
    """One unit's known instants, the first of them its birth, and the counts at each."""

    times_ms: list[int]
    counts: dict[int, Floats] = field(default_factory=dict)

    def fork(self) -> _Track:
        return _Track(list(self.times_ms), dict(self.counts))


class Counters:
    """The counts of all units in some runs.

    Args:
        words: (runs,) the word of each run.
    """

    __slots__ = ("_tracks", "_zeros", "words")

    def __init__(self, words: Words) -> None:
        self.words = words
        self._tracks: dict[int, _Track] = {}
        self._zeros: Floats | None = None

    @property
    def runs(self) -> int:
        return len(self.words)

    def fork(self) -> Counters:
        """Return a copy that shares what is known and goes its own way from here."""
        copy = Counters(self.words)
        copy._tracks = {key: track.fork() for key, track in self._tracks.items()}
        copy._zeros = self._zeros
        return copy

    def of_runs(self, rows: NDArray[np.intp]) -> Counters:
        """Return a copy that holds some of the runs only."""
        copy = Counters(self.words[rows])
        for key, track in self._tracks.items():
            counts = {time: count.take(rows, axis=1) for time, count in track.counts.items()}
            copy._tracks[key] = _Track(list(track.times_ms), counts)
        return copy

    def joined(self, other: Counters) -> Counters:
        """Return the runs of both; both must know the same instants of the same units."""
        copy = Counters(np.concatenate((self.words, other.words)))
        for key, track in self._tracks.items():
            theirs = other._tracks[key]
            counts = {time: np.concatenate((one, theirs.counts[time]), axis=1) for time, one in track.counts.items()}
            copy._tracks[key] = _Track(list(track.times_ms), counts)
        return copy

    def known(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Return which instants of which units are known; equal for histories that can be joined."""
        return tuple(sorted((key, tuple(track.times_ms)) for key, track in self._tracks.items() if track.counts))

    def newest_ms(self, unit: Unit) -> int:
        """Return the newest known instant of a unit, its birth if none was read."""
        track = self._tracks.get(unit.key)
        return unit.born_ms if track is None else track.times_ms[-1]

    def at(self, unit: Unit, time_ms: int) -> Floats:
        """Return (atoms, runs) the counts at an instant that was read."""
        if time_ms <= unit.born_ms:
            assert self._zeros is not None
            return self._zeros
        return self._tracks[unit.key].counts[time_ms]

    def forget_before(self, time_ms: int, *, but: int) -> None:
        """Drop instants before `time_ms`, except `but` and each unit's last one, on which the next has to stand."""
        for track in self._tracks.values():
            keep = bisect_right(track.times_ms, time_ms) - 1
            gone = [time for time in track.times_ms[1:keep] if time != but]
            if gone:
                # The birth stays as a mark; nothing between it and the next known instant will be asked for.
                track.times_ms = [time for time in track.times_ms if time not in gone]
                for time in gone:
                    del track.counts[time]

    def read(
        self,
        wanted: Mapping[Unit, Iterable[int]],
        expectations: Expectations,
        foreseen: Mapping[Unit, Sequence[int]] | None = None,
    ) -> None:
        """Make the counts at these instants known.

        Args:
            wanted: by unit, instants in ms.
            foreseen: by unit, sorted instants that will be read later; those that lie on the way are drawn now,
                which is cheaper than a bridge.
        """
        if self._zeros is None:
            self._zeros = np.zeros((expectations.atoms, self.runs))
        ahead: list[tuple[Unit, list[int]]] = []
        between: list[tuple[Unit, list[int]]] = []
        for unit, times in wanted.items():
            track = self._tracks.get(unit.key)
            if track is None:
                track = self._tracks[unit.key] = _Track([unit.born_ms])
            newest = track.times_ms[-1]
            new = sorted({time for time in times if time > unit.born_ms and time not in track.counts})
            if not new:
                continue
            inside = bisect_right(new, newest)
            if inside:
                between.append((unit, new[:inside]))
            if inside < len(new):
                planned = () if foreseen is None else foreseen.get(unit, ())
                ahead.append((unit, _merged(new[inside:], planned, newest)))
        if ahead:
            self._extend(ahead, expectations)
        if between:
            self._bridge(between, expectations)

    def _extend(self, ahead: Sequence[tuple[Unit, list[int]]], expectations: Expectations) -> None:
        spans = []
        for unit, times in ahead:
            before = self._tracks[unit.key].times_ms[-1]
            for time in times:
                spans.append((unit, before, time))
                before = time
        means = expectations.means(spans)
        cells = words_of_spans(_FORWARDS, [(unit.key, begin, end) for unit, begin, end in spans], expectations.atoms)
        drawn = poisson(cells, means, self.words)
        for (unit, begin, end), more in zip(spans, drawn, strict=True):
            if begin > unit.born_ms:
                more += self.at(unit, begin)
            track = self._tracks[unit.key]
            track.times_ms.append(end)
            track.counts[end] = more

    def _bridge(self, between: Sequence[tuple[Unit, list[int]]], expectations: Expectations) -> None:
        """Draw instants between known ones, the earliest of every unit first, then the next of each, and so on."""
        for turn in range(max(len(times) for _, times in between)):
            places = [(unit, *self._around(unit, times[turn])) for unit, times in between if turn < len(times)]
            parts = expectations.means([(unit, begin, time) for unit, begin, time, _ in places])
            rests = expectations.means([(unit, time, end) for unit, _, time, end in places])
            cells = words_of_spans(_BRIDGE, [(unit.key, *around) for unit, *around in places], expectations.atoms)
            whole = parts + rests
            shares = np.divide(parts, whole, out=np.zeros_like(parts), where=whole > 0)
            for row, (unit, begin, time, end) in enumerate(places):
                low = self.at(unit, begin)
                more = binomial(cells[row], self.at(unit, end) - low, shares[row], self.words)
                more += low
                track = self._tracks[unit.key]
                insort(track.times_ms, time)
                track.counts[time] = more

    def _around(self, unit: Unit, time: int) -> tuple[int, int, int]:
        times = self._tracks[unit.key].times_ms
        place = bisect_left(times, time)
        return times[place - 1], time, times[place]


def _merged(new: Sequence[int], planned: Sequence[int], newest: int) -> list[int]:
    """Return the new instants and those planned ones that lie between the newest known and the last new one."""
    if not planned:
        return list(new)
    begin, end = bisect_right(planned, newest), bisect_right(planned, new[-1])
    if begin == end:
        return list(new)
    return sorted({*new, *planned[begin:end]})
