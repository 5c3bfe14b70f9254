"""The functions of PromQL: their arguments, what they return, which of them Prometheus calls experimental.

A table, nothing else. The parser checks calls against it, `tree.value_type` reads the result's type from it,
and an engine may walk it to show that nothing was forgotten. What a function computes is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ValueType(StrEnum):
    """What an expression evaluates to, spelled as the HTTP API spells it."""

    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a function may be called.

    `optional` counts arguments at the end that may be left out; `repeats` says that the last one may be
    given any number of times, none included.
    """

    name: str
    arguments: tuple[ValueType, ...]
    returns: ValueType = ValueType.VECTOR
    optional: int = 0
    repeats: bool = False

    @property
    def arguments_min(self) -> int:
        return len(self.arguments) - (1 if self.repeats else self.optional)

    @property
    def arguments_max(self) -> int | None:
        """The most arguments it takes; None for no limit."""
        return None if self.repeats else len(self.arguments)

    def argument_type(self, index: int) -> ValueType:
        return self.arguments[min(index, len(self.arguments) - 1)]


_S, _V, _M, _T = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


def _each(names: str, *arguments: ValueType, optional: int = 0) -> list[Signature]:
    return [Signature(name=name, arguments=arguments, optional=optional) for name in names.split()]


_SIGNATURES: list[Signature] = [
    *_each("abs ceil exp floor ln log10 log2 sgn sqrt absent sort sort_desc timestamp", _V),
    *_each("acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh deg rad", _V),
    *_each("minute hour day_of_week day_of_month day_of_year days_in_month month year", _V, optional=1),
    *_each("rate irate increase delta idelta deriv changes resets", _M),
    *_each("avg_over_time count_over_time first_over_time last_over_time max_over_time min_over_time", _M),
    *_each("present_over_time stddev_over_time stdvar_over_time sum_over_time absent_over_time", _M),
    *_each("histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar", _V),
    *_each("clamp", _V, _S, _S),
    *_each("clamp_max clamp_min", _V, _S),
    *_each("histogram_fraction", _S, _S, _V),
    *_each("histogram_quantile", _S, _V),
    *_each("label_replace", _V, _T, _T, _T, _T),
    Signature(name="label_join", arguments=(_V, _T, _T, _T), repeats=True),
    *_each("predict_linear", _M, _S),
    *_each("quantile_over_time", _S, _M),
    *_each("round", _V, _S, optional=1),
    *_each("vector", _S),
    Signature(name="pi", arguments=(), returns=_S),
    Signature(name="scalar", arguments=(_V,), returns=_S),
    Signature(name="time", arguments=(), returns=_S),
]

FUNCTIONS: dict[str, Signature] = {signature.name: signature for signature in _SIGNATURES}
"""Every function that Prometheus 3 has without a feature flag, by name."""

_UNDER_A_FLAG = """
double_exponential_smoothing end histogram_quantiles info integral mad_over_time max_of min_of range sort_by_label
sort_by_label_desc start start_timestamp step ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time
ts_of_min_over_time
"""

EXPERIMENTAL_FUNCTIONS: frozenset[str] = frozenset(_UNDER_A_FLAG.split())
"""Functions that Prometheus refuses unless a feature flag is set; so do we, and there is no flag."""
