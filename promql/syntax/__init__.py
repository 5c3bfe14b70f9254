"""PromQL as text and as a tree: parse, print, walk, rewrite, and what can be known of a query unrun.

The nodes are in `tree`, functions and their types in `functions`, matchers' regular expressions in `regexes`.
What a query reads is told by `reading`, the number of requests behind its value by `requests`, and whether that
value is a share or a quantile of them by `shapes`.
"""

from promql.syntax.errors import PromQLSyntaxError
from promql.syntax.functions import ValueType
from promql.syntax.parser import parse
from promql.syntax.printing import to_text
from promql.syntax.reading import longest_window_s, may_overlap, readings, selectors
from promql.syntax.requests import RequestCount, Underivable, requests_behind
from promql.syntax.shapes import NoShape, QuantileShape, RatioShape, ratio_shape
from promql.syntax.tree import Expr, value_type
from promql.syntax.walking import rewrite, walk

__all__ = [
    "Expr",
    "NoShape",
    "PromQLSyntaxError",
    "QuantileShape",
    "RatioShape",
    "RequestCount",
    "Underivable",
    "ValueType",
    "longest_window_s",
    "may_overlap",
    "parse",
    "ratio_shape",
    "readings",
    "requests_behind",
    "rewrite",
    "selectors",
    "to_text",
    "value_type",
    "walk",
]
