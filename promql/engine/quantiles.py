"""Remarks on quantiles that are none: outside of 0 to 1, or NaN."""

from __future__ import annotations

import numpy as np

from promql.engine.values import Evaluation
from promql.go_numbers import short_text
from promql.storage.blocks import Floats
from promql.syntax.tree import Expr

_REMARKS_MAX = 10


def warn_of_quantiles(q: Floats, node: Expr, evaluation: Evaluation) -> None:
    """Warn of each different value that is no quantile, of ten at most."""
    wrong = ~((q >= 0) & (q <= 1))
    if not wrong.any():
        return
    for value in np.unique(q[wrong])[:_REMARKS_MAX].tolist():
        evaluation.warn(f"quantile value should be between 0 and 1, got {short_text(value)}", node)
