"""A condition that was read once and evaluates results: one at a time, or many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from math import inf, nan

import numpy as np
import numpy.typing as npt

from controller.core.conditions import tree
from controller.core.conditions.building import Closure, build
from controller.core.conditions.checking import check
from controller.core.conditions.direct import Direct, NotDirect, build_direct
from controller.core.conditions.errors import ConditionError, UnsupportedCondition
from controller.core.conditions.folding import fold
from controller.core.conditions.frames import Frame
from controller.core.conditions.leftovers import refuse_leftovers
from controller.core.conditions.natures import ARRAY, BOOL, FLOAT, FLOATS, MAP, NIL, STRING, Nature
from controller.core.conditions.objects import type_name
from controller.core.conditions.parsing import parse
from controller.core.conditions.vectors import ERROR, Evaluated, NotVectorized, Runs, outcomes, too_wide, vectorize


class ResultKind(Enum):
    """What a metric's provider gave. The static type of `result`, and so what is an error by type."""

    VECTOR = "vector"  # Prometheus: a list of floats
    SCALAR = "scalar"
    NONE = "none"
    ARRAY = "array"  # a web answer's JSON
    MAP = "map"
    TEXT = "text"
    TRUTH = "truth"

    __hash__ = object.__hash__  # by identity: an Enum's own hash costs more than a comparison of floats


_NATURES: dict[ResultKind, Nature] = {
    ResultKind.VECTOR: FLOATS,
    ResultKind.SCALAR: FLOAT,
    ResultKind.NONE: NIL,
    ResultKind.ARRAY: ARRAY,
    ResultKind.MAP: MAP,
    ResultKind.TEXT: STRING,
    ResultKind.TRUTH: BOOL,
}
_SPECIAL = {"NaN": nan, "+Inf": inf, "Inf": inf, "-Inf": -inf}


@dataclass(frozen=True, slots=True)
class Json:
    """A result that a web provider gave: decoded JSON, in which a list is not a vector of floats by type."""

    value: object


@dataclass(frozen=True, slots=True)
class _Program:
    """A condition for one kind of result: the tree that runs, or why it does not."""

    root: tree.Node | None
    run: Closure | None
    error: ConditionError | None
    direct: Direct | None = None  # the short way, where there is one
    over_runs: Evaluated | None = None


class Condition:
    """A condition of the expression language. Equal texts may share one; nothing of it can be changed."""

    __slots__ = ("_programs", "reads", "text")

    def __init__(self, text: str) -> None:
        root = parse(text)  # a condition that cannot be read is an error before there is a result
        self.text = text
        #: Positions of a vector whose values the condition looks at; None when it may look at any.
        self.reads: tuple[int, ...] | None = _positions_read(root)
        self._programs: dict[ResultKind, _Program] = {}

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def evaluate(self, result: object, *, now_s: float | None = None) -> bool:
        """Return what the condition says of a result; ConditionError where Argo Rollouts has an error.

        Args:
            result: a sequence of numbers for a vector, a number for a scalar, None for no answer, a string, a
                bool or a dict for a web answer; a list of other things, or `Json`, is a web answer's list.
            now_s: seconds since 1970 for conditions that call now().
        """
        try:
            kind, value = kind_of(result)
            program = self._programs.get(kind) or self._compiled(kind)
            if program.direct is not None:
                try:
                    return program.direct(value)  # type: ignore[return-value]
                except IndexError:
                    pass  # a sample that is not there: the long way knows what that means
            if program.run is None:
                assert program.error is not None
                raise program.error.again()
            outcome = program.run(Frame(value, None if now_s is None else round(now_s * 1e9)))
        except RecursionError:
            raise UnsupportedCondition("a condition or a result nested this deep on a stack this full") from None
        if outcome is True or outcome is False:
            return outcome
        raise ConditionError(f"expected bool, but got {type_name(outcome)}")

    def evaluate_runs(
        self,
        values: npt.ArrayLike,
        *,
        lengths: npt.ArrayLike | None = None,
        now_s: float | None = None,
    ) -> npt.NDArray[np.int8]:
        """Return what the condition says in each of many runs, as `evaluate` would one by one.

        Args:
            values: (runs, samples) floats for vectors, or (runs,) floats for scalars.
            lengths: (runs,) how many samples each run's vector has; all of them unless given. A run with 0 has
                an empty vector.
            now_s: as for `evaluate`.
        Returns:
            (runs,) int8: 1 true, 0 false, -1 an error. Conditions that hold more than numbers, samples and
            closures over the result take the slow way, run by run, with each distinct result evaluated once.
        """
        table = np.asarray(values, dtype=np.float64)
        scalar = table.ndim == 1
        if scalar:
            table = table[:, np.newaxis]
        counts = np.full(len(table), table.shape[1], dtype=np.int64)
        if lengths is not None:
            counts = np.asarray(lengths, dtype=np.int64)
        runs = Runs(table, counts)
        program = self.program(ResultKind.SCALAR if scalar else ResultKind.VECTOR)
        if program.error is not None:
            return np.full(len(table), ERROR, dtype=np.int8)
        if program.over_runs is not None and not too_wide(runs):
            return outcomes(program.over_runs, runs)
        return self._one_by_one(runs, scalar=scalar, now_s=now_s)

    @property
    def runs_at_once(self) -> bool:
        """True when a vector of this condition is evaluated over all runs in one pass."""
        program = self.program(ResultKind.VECTOR)
        return program.over_runs is not None or program.error is not None

    def _one_by_one(self, runs: Runs, *, scalar: bool, now_s: float | None) -> npt.NDArray[np.int8]:
        found = np.empty(len(runs.values), dtype=np.int8)
        known: dict[bytes, int] = {}
        for run, (row, length) in enumerate(zip(runs.values, runs.lengths, strict=True)):
            key = row[:length].tobytes()
            outcome = known.get(key)
            if outcome is None:
                try:
                    outcome = int(self.evaluate(float(row[0]) if scalar else tuple(row[:length].tolist()), now_s=now_s))
                except ConditionError:
                    outcome = ERROR
                known[key] = outcome
            found[run] = outcome
        return found

    def error_by_type(self, kind: ResultKind = ResultKind.VECTOR) -> ConditionError | None:
        """Return the error that every result of this kind meets before its values are seen, if there is one."""
        return self.program(kind).error

    def program(self, kind: ResultKind) -> _Program:
        """Return the compiled form for one kind of result."""
        return self._programs.get(kind) or self._compiled(kind)

    def _compiled(self, kind: ResultKind) -> _Program:
        try:
            root = parse(self.text)
            check(root, _NATURES[kind])
            root = fold(root)
            refuse_leftovers(root)
            run = build(root, _NATURES[kind])
            program = _Program(root, run, None, _direct(root, kind), _over_runs(root, kind))
        except ConditionError as error:
            program = _Program(None, None, error)
        except RecursionError:
            program = _Program(None, None, UnsupportedCondition("a condition nested this deep"))
        self._programs[kind] = program
        return program


def _direct(root: tree.Node, kind: ResultKind) -> Direct | None:
    if kind not in (ResultKind.VECTOR, ResultKind.SCALAR):
        return None
    try:
        return build_direct(root, _NATURES[kind])
    except NotDirect:
        return None


def _over_runs(root: tree.Node, kind: ResultKind) -> Evaluated | None:
    if kind not in (ResultKind.VECTOR, ResultKind.SCALAR):
        return None
    try:
        return vectorize(root, _NATURES[kind])
    except NotVectorized:
        return None


def compile_condition(text: str) -> Condition:
    """Return the condition that a text is; ConditionError where it is none. Texts seen before are not read again."""
    return _remembered(text) if len(text) <= _REMEMBERED_LENGTH_MAX else _compiled(text)


def _compiled(text: str) -> Condition:
    try:
        return Condition(text)
    except RecursionError:
        raise UnsupportedCondition("a condition nested this deep on a stack this full") from None


_REMEMBERED_LENGTH_MAX = 2_000
_remembered = lru_cache(maxsize=1024)(_compiled)


def evaluate(text: str, result: object, *, now_s: float | None = None) -> bool:
    """Return what a condition says of a result; ConditionError where Argo Rollouts has an error."""
    return compile_condition(text).evaluate(result, now_s=now_s)


def kind_of(result: object) -> tuple[ResultKind, object]:
    """Return the kind of a result and the value that a program of that kind takes."""
    result_type = type(result)
    if result_type is tuple or result_type is list:
        assert isinstance(result, (tuple, list))
        for value in result:
            if type(value) is not float:
                return _kind_of_items(result)
        return ResultKind.VECTOR, result if result_type is tuple else tuple(result)
    if result_type is float:
        return ResultKind.SCALAR, result
    if result is None:
        return ResultKind.NONE, None
    return _kind_of_other(result)


def _kind_of_items(result: Sequence[object]) -> tuple[ResultKind, object]:
    if all(_is_real(value) for value in result):
        return ResultKind.VECTOR, tuple(float(value) for value in result)  # type: ignore[arg-type]
    return ResultKind.ARRAY, _json(list(result))


def _is_real(value: object) -> bool:
    return not isinstance(value, (bool, str, bytes)) and hasattr(value, "__float__")


def _kind_of_other(result: object) -> tuple[ResultKind, object]:
    if isinstance(result, Json):
        value = _json(result.value)
        if isinstance(value, list):
            return ResultKind.ARRAY, value
        return kind_of(value)
    if isinstance(result, np.ndarray):
        return kind_of(result.tolist())
    if isinstance(result, (bool, np.bool_)):
        return ResultKind.TRUTH, bool(result)
    if isinstance(result, str):
        return ResultKind.TEXT, result
    if isinstance(result, dict):
        return ResultKind.MAP, _json(result)
    if _is_real(result):
        return ResultKind.SCALAR, float(result)  # type: ignore[arg-type]
    if isinstance(result, Iterable):
        return kind_of(tuple(result))
    raise TypeError(f"a metric's result is a {type(result).__name__}; it needs numbers, text, a list, a dict or None")


def _json(value: object) -> object:
    """Return decoded JSON as the original's decoder gives it: every number a float."""
    match value:
        case bool() | None | str() | float():
            return value
        case int():
            return float(value)
        case list() | tuple():
            return [_json(item) for item in value]
        case dict():
            return {str(key): _json(item) for key, item in value.items()}
    raise TypeError(f"a {type(value).__name__} is not decoded JSON")


def result_from_json(value: object) -> object:
    """Return a metric's result as files write it: "NaN", "+Inf" and "-Inf" stand for the numbers."""
    if isinstance(value, str):
        return _SPECIAL.get(value, value)
    if isinstance(value, list):
        return [_SPECIAL.get(item, item) if isinstance(item, str) else item for item in value]
    return value


def _positions_read(root: tree.Node) -> tuple[int, ...] | None:
    """Return the constant positions of `result` that a tree mentions, None if it mentions the whole."""
    found: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        match node:
            case tree.Name(name="result"):
                return None
            case tree.Member(base=tree.Name(name="result"), place=place):
                position = _constant_position(place)
                if position is None:
                    return None
                found.add(position)
                continue
            case tree.Builtin(name="len", arguments=[tree.Name(name="result")]):
                continue
            case tree.Call(callee=tree.Name(name="isNil"), arguments=[tree.Name(name="result")]):
                continue
        waiting.extend(node.children())
    return tuple(sorted(found))


def _constant_position(place: tree.Node) -> int | None:
    match place:
        case tree.Literal(value=int() as value) if not isinstance(value, bool):
            return value
        case tree.Unary(op="-", operand=tree.Literal(value=int() as value)) if not isinstance(value, bool):
            return -value
    return None
