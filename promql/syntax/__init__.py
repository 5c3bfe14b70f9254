"""PromQL as text and as a tree: parse, print, walk, rewrite, and what can be known of a query unrun.

The nodes are in `tree`, functions and their types in `functions`, matchers' regular expressions in `regexes`.
"""

from promql.syntax.errors import PromQLSyntaxError
from promql.syntax.functions import ValueType
from promql.syntax.parser import parse
from promql.syntax.printing import to_text
from promql.syntax.tree import Expr, value_type
from promql.syntax.walking import rewrite, walk

__all__ = ["Expr", "PromQLSyntaxError", "ValueType", "parse", "rewrite", "to_text", "value_type", "walk"]
