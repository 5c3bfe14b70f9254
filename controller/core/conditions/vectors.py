"""Run a condition over many runs in one pass: numpy arrays whose leading axis is the run.

For what real conditions are made of: comparisons and sums of `result[i]` and numbers, && || ! ?:, len, isNaN,
isInf, isNil, default, abs, ceil, floor, round, min, max, sum, mean, and all, any, none, one and count over the
result. Whatever else a condition holds raises `NotVectorized`, and the caller takes the slow way, run by run.

An error is a value of its own here: every part yields values and a mask of the runs in which it is an error,
and && and || keep an error of their right side out of the runs that never look at it. The same tree runs here
and in `building`, after the same folding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from controller.core.conditions import tree
from controller.core.conditions.certainty import Certainty, Sure
from controller.core.conditions.natures import FLOATS, Nature
from controller.core.conditions.numbers import INT_MIN

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64] | npt.NDArray[np.bool_] | npt.NDArray[np.int64]

TRUE, FALSE, ERROR = 1, 0, -1  # an outcome of a run
_ITEMS_MAX = 64  # samples of a vector beyond which a pass per sample is no gain


class NotVectorized(Exception):
    """This condition has a part that only runs one result at a time."""


class Part(NamedTuple):
    """What a part of a condition yields in every run. Where `wrong`, the value means nothing."""

    values: Array  # (runs,), or () where it is the same in all of them
    wrong: Bools  # (runs,) or ()


class Runs(NamedTuple):
    """The results of all runs: (runs, samples) values, and how many of them each run has."""

    values: Floats
    lengths: Ints


_NEVER: Bools = np.zeros((), dtype=np.bool_)
_ALWAYS: Bools = np.ones((), dtype=np.bool_)
Evaluated = Callable[[Runs, "Part | None"], Part]


def vectorize(root: tree.Node, result: Nature) -> Evaluated:
    """Return a function over all runs for a folded tree of surely boolean type; `NotVectorized` otherwise."""
    maker = _Maker(result)
    if maker.loose.of(root) is not Sure.BOOL:
        raise NotVectorized
    return maker.part(root)


_COMPARE: dict[str, Callable[..., Bools]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_ARITHMETIC: dict[str, Callable[..., Array]] = {"+": np.add, "-": np.subtract, "*": np.multiply}


class _Loose(Certainty):
    """Also calls a float what is one but for an empty vector, where it is nil (or the integer 0, a sum).

    Enough where the next thing done to it is an error for nil anyway: ordering and arithmetic. `==`, isNil,
    isNaN and the branches of ?: tell the difference and ask the strict certainty.
    """

    def of(self, node: tree.Node) -> Sure | None:
        if isinstance(node, tree.Builtin) and node.name in _REDUCED and self._is_reduction(node):
            return Sure.FLOAT
        return super().of(node)

    def _is_reduction(self, node: tree.Builtin) -> bool:
        return len(node.arguments) == 1 and self.is_vector(node.arguments[0])


class _Maker:
    def __init__(self, result: Nature) -> None:
        self.certainty = Certainty(result)
        self.loose = _Loose(result)
        self._vector = result == FLOATS

    def part(self, node: tree.Node) -> Evaluated:
        match node:
            case tree.Literal(value=bool() | int() | float() as value):
                constant = Part(np.asarray(value), _NEVER)
                return lambda runs, item: constant
            case tree.Name(name="result") if not self._vector:
                return lambda runs, item: Part(runs.values[:, 0], _NEVER)
            case tree.Member(base=base) if self.certainty.is_vector(base):
                return _sample(node.place)
            case tree.Pointer(name="") if self.certainty.of(node) is Sure.FLOAT:
                return _item
            case tree.Unary():
                return self._unary(node)
            case tree.Binary(op="&&" | "and" | "||" | "or"):
                return self._logic(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Conditional():
                return self._conditional(node)
            case tree.Call(callee=tree.Name(name=name)):
                return self._call(name, node.arguments)
            case tree.Builtin(arguments=[base, tree.Predicate()]) if self.certainty.is_vector(base):
                return self._loop(node)
            case tree.Builtin(arguments=[argument]):
                return self._builtin(node.name, argument)
        raise NotVectorized

    def _sure(self, node: tree.Node, *wanted: Sure, strictly: bool = False) -> Evaluated:
        if (self.certainty if strictly else self.loose).of(node) not in wanted:
            raise NotVectorized
        return self.part(node)

    def _unary(self, node: tree.Unary) -> Evaluated:
        if node.op in ("!", "not"):
            inner = self._sure(node.operand, Sure.BOOL)
            return lambda runs, item: _with(inner(runs, item), np.logical_not)
        inner = self._sure(node.operand, Sure.FLOAT, Sure.INT, strictly=node.op == "+")
        return inner if node.op == "+" else lambda runs, item: _with(inner(runs, item), np.negative)

    def _logic(self, node: tree.Binary) -> Evaluated:
        left, right = self._sure(node.left, Sure.BOOL), self._sure(node.right, Sure.BOOL)
        if node.op in ("&&", "and"):
            return lambda runs, item: _and(left(runs, item), right(runs, item))
        return lambda runs, item: _or(left(runs, item), right(runs, item))

    def _binary(self, node: tree.Binary) -> Evaluated:
        numbers = (Sure.FLOAT, Sure.INT)
        strictly = node.op in ("==", "!=")
        left = self._sure(node.left, *numbers, strictly=strictly and isinstance(node.left, tree.Builtin))
        right = self._sure(node.right, *numbers, strictly=strictly and isinstance(node.right, tree.Builtin))
        mixed = self.loose.of(node.left) is not self.loose.of(node.right)
        apply: Callable[..., Array]
        if node.op in _COMPARE:
            apply = _COMPARE[node.op]
        elif node.op in _ARITHMETIC:
            apply = _ARITHMETIC[node.op]
        elif node.op == "/":
            apply, mixed = np.divide, True
        else:
            raise NotVectorized  # powers: their last digits differ from one library to the next

        def binary(runs: Runs, item: Part | None) -> Part:
            one, other = left(runs, item), right(runs, item)
            a, b = one.values, other.values
            if mixed:
                a, b = a.astype(np.float64), b.astype(np.float64)
            with np.errstate(all="ignore"):
                return Part(apply(a, b), one.wrong | other.wrong)

        return binary

    def _conditional(self, node: tree.Conditional) -> Evaluated:
        test = self._sure(node.test, Sure.BOOL)
        if isinstance(node.then, tree.Builtin) or isinstance(node.otherwise, tree.Builtin):
            kinds = (self.certainty.of(node.then), self.certainty.of(node.otherwise))
        else:
            kinds = (self.loose.of(node.then), self.loose.of(node.otherwise))
        if kinds[0] is None or kinds[0] is not kinds[1]:
            raise NotVectorized
        then, otherwise = self.part(node.then), self.part(node.otherwise)

        def conditional(runs: Runs, item: Part | None) -> Part:
            asked, one, other = test(runs, item), then(runs, item), otherwise(runs, item)
            wrong = asked.wrong | np.where(asked.values, one.wrong, other.wrong)
            return Part(np.where(asked.values, one.values, other.values), wrong)

        return conditional

    def _call(self, name: str, arguments: list[tree.Node]) -> Evaluated:
        if name == "isNil":
            return self._is_nil(arguments[0])
        if name not in ("isNaN", "isInf", "asFloat", "asInt"):
            raise NotVectorized
        if name in ("asFloat", "asInt") and self.certainty.is_vector(arguments[0]):
            return lambda runs, item: Part(np.zeros((), dtype=np.int64), _ALWAYS)  # a whole vector is no number
        argument = self._sure(arguments[0], Sure.FLOAT, strictly=True)
        match name:
            case "isNaN":
                return lambda runs, item: _with(argument(runs, item), np.isnan)
            case "isInf":
                return lambda runs, item: _with(argument(runs, item), np.isinf)
            case "asInt":
                return lambda runs, item: _with(argument(runs, item), _as_ints)
        return argument

    def _is_nil(self, argument: tree.Node) -> Evaluated:
        """A vector or a scalar is never nil, but looking at the argument may be an error."""
        if isinstance(argument, tree.Name):
            return lambda runs, item: Part(np.zeros((), dtype=np.bool_), _NEVER)
        inner = self._sure(argument, Sure.FLOAT, Sure.INT, Sure.BOOL, strictly=True)
        return lambda runs, item: _with(inner(runs, item), lambda values: np.zeros(values.shape, dtype=np.bool_))

    def _builtin(self, name: str, argument: tree.Node) -> Evaluated:
        if self.certainty.is_vector(argument):
            whole = _WHOLE.get(name)
            if whole is None:
                raise NotVectorized
            return lambda runs, item: whole(runs)
        if name not in _ROUNDED:
            raise NotVectorized
        apply = _ROUNDED[name]
        inner = self._sure(argument, Sure.FLOAT, strictly=True)
        return lambda runs, item: _with(inner(runs, item), apply)

    def _loop(self, node: tree.Builtin) -> Evaluated:
        predicate = node.arguments[1]
        assert isinstance(predicate, tree.Predicate)
        for certainty in (self.certainty, self.loose):
            certainty.enter(node.arguments[0])
        body = self._sure(predicate.body, Sure.BOOL)
        for certainty in (self.certainty, self.loose):
            certainty.leave()
        match node.name:
            case "all":
                return _until(body, stops_at=False, negated=False)
            case "none":
                return _until(body, stops_at=False, negated=True)
            case "any":
                return _until(body, stops_at=True, negated=False)
            case "one":
                count = _count(body, None)
                return lambda runs, item: _with(count(runs, item), lambda values: values == 1)
            case "count":
                return _count(body, node.threshold)
        raise NotVectorized


def _with(part: Part, apply: Callable[..., Array]) -> Part:
    return Part(apply(part.values), part.wrong)


def _and(left: Part, right: Part) -> Part:
    values = np.logical_and(left.values, right.values)
    return Part(values, left.wrong | np.logical_and(left.values, right.wrong))


def _or(left: Part, right: Part) -> Part:
    values = np.logical_or(left.values, right.values)
    return Part(values, left.wrong | np.logical_and(np.logical_not(left.values), right.wrong))


def _item(runs: Runs, item: Part | None) -> Part:
    assert item is not None
    return item


def _sample(place: tree.Node) -> Evaluated:
    """Return `result[i]` for a constant i: wrong in the runs that have no such sample."""
    if not (isinstance(place, tree.Literal) and type(place.value) is int):
        raise NotVectorized
    index = place.value

    def sample(runs: Runs, item: Part | None) -> Part:
        samples = runs.values.shape[1]
        if index >= 0:
            if index >= samples:
                return Part(np.zeros(runs.lengths.shape), np.ones(runs.lengths.shape, dtype=np.bool_))
            return Part(runs.values[:, index], runs.lengths <= index)
        wrong = runs.lengths < -index
        if samples == 0:
            return Part(np.zeros(runs.lengths.shape), wrong)
        at = np.where(wrong, 0, runs.lengths + index)
        return Part(runs.values[np.arange(len(at)), at], wrong)

    return sample


def _until(body: Evaluated, *, stops_at: bool, negated: bool) -> Evaluated:
    """Return all, any or none: sample after sample, and a run that has its answer looks at no further one."""

    def loop(runs: Runs, item: Part | None) -> Part:
        going = np.ones(runs.lengths.shape, dtype=np.bool_)
        stopped = np.zeros(runs.lengths.shape, dtype=np.bool_)
        wrong = np.zeros(runs.lengths.shape, dtype=np.bool_)
        for index in range(runs.values.shape[1]):
            going &= index < runs.lengths
            asked = body(runs, Part(runs.values[:, index], _NEVER))
            fails = going & asked.wrong
            wrong |= fails
            hit = going & ~asked.wrong & (asked.values == (stops_at is not negated))
            stopped |= hit
            going &= ~(fails | hit)
        return Part(stopped if stops_at else ~stopped, wrong)

    return loop


def _count(body: Evaluated, threshold: int | None) -> Evaluated:
    def loop(runs: Runs, item: Part | None) -> Part:
        going = np.ones(runs.lengths.shape, dtype=np.bool_)
        wrong = np.zeros(runs.lengths.shape, dtype=np.bool_)
        found = np.zeros(runs.lengths.shape, dtype=np.int64)
        for index in range(runs.values.shape[1]):
            going &= index < runs.lengths
            asked = body(runs, Part(runs.values[:, index], _NEVER))
            fails = going & asked.wrong
            wrong |= fails
            going &= ~fails
            found += going & asked.values.astype(np.bool_)
            if threshold is not None:
                going &= found < threshold
        return Part(found, wrong)

    return loop


def _as_ints(values: Floats) -> Ints:
    """Return floats without their fractions; what does not fit becomes the smallest integer."""
    fits = (values >= -(2.0**63)) & (values < 2.0**63)
    return np.where(fits, np.where(fits, values, 0.0).astype(np.int64), INT_MIN)


# -- of the whole result


def _length(runs: Runs) -> Part:
    return Part(runs.lengths, _NEVER)


def _mean(runs: Runs) -> Part:
    total = np.zeros(runs.lengths.shape)
    with np.errstate(all="ignore"):
        for index in range(runs.values.shape[1]):  # one after the other: the order decides the last digit
            total = np.where(index < runs.lengths, total + runs.values[:, index], total)
        return Part(np.where(runs.lengths > 0, total / np.maximum(runs.lengths, 1), 0.0), _NEVER)


def _sum(runs: Runs) -> Part:
    total = np.zeros(runs.lengths.shape)
    with np.errstate(all="ignore"):
        for index in range(runs.values.shape[1]):
            total = np.where(index < runs.lengths, total + runs.values[:, index], total)
    return Part(total, _NEVER)


def _extreme(beats: Callable[..., Bools]) -> Callable[[Runs], Part]:
    """Return max or min: the first sample until a later one beats it, so that a NaN in front stays."""

    def extreme(runs: Runs) -> Part:
        if runs.values.shape[1] == 0:
            return Part(np.zeros(runs.lengths.shape), np.ones(runs.lengths.shape, dtype=np.bool_))
        best = runs.values[:, 0]
        for index in range(1, runs.values.shape[1]):
            value = runs.values[:, index]
            best = np.where((index < runs.lengths) & beats(value, best), value, best)
        return Part(best, runs.lengths == 0)

    return extreme


def _first(runs: Runs) -> Part:
    return _sample(tree.Literal(0))(runs, None)


def _last(runs: Runs) -> Part:
    return _sample(tree.Literal(-1))(runs, None)


_REDUCED: dict[str, Callable[[Runs], Part]] = {
    "max": _extreme(np.greater),
    "min": _extreme(np.less),
    "sum": _sum,
    "first": _first,
    "last": _last,
}
_WHOLE: dict[str, Callable[[Runs], Part]] = {"len": _length, "mean": _mean, **_REDUCED}


def _rounded(values: Floats) -> Floats:
    """Return the nearest whole numbers, halves away from zero."""
    with np.errstate(all="ignore"):
        whole = np.trunc(values)
        away = np.abs(values - whole) >= 0.5
        return np.asarray(np.where(away, whole + np.copysign(1.0, values), whole))


_ROUNDED: dict[str, Callable[..., Array]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "round": _rounded,
}


def outcomes(evaluated: Evaluated, runs: Runs) -> npt.NDArray[np.int8]:
    """Return (runs,) outcomes: TRUE, FALSE or ERROR."""
    part = evaluated(runs, None)
    found = np.empty(runs.lengths.shape, dtype=np.int8)
    found[...] = part.values
    found[np.broadcast_to(part.wrong, found.shape)] = ERROR
    return found


def too_wide(runs: Runs) -> bool:
    """Return whether a run has so many samples that a pass for each is no gain."""
    return bool(runs.values.shape[1] > _ITEMS_MAX)
