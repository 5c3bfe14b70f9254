"""Why no series can be made for a query: told to the user, with what would do."""

from __future__ import annotations

from collections.abc import Sequence


class PlanError(ValueError):
    """A query that the model cannot feed."""


class UnknownMetricError(PlanError):
    """A metric that the model does not produce."""

    def __init__(self, metric: str, known: Sequence[str]) -> None:
        self.metric = metric
        what = "a recording rule's result" if ":" in metric else "no metric that the model produces"
        super().__init__(
            f"{metric} is {what}; it produces: {'; '.join(known)}. "
            f"If {metric} counts or times the service's requests, say so with --metrics-map, as in "
            f"{{{metric}: {{like: http_requests_total}}}}"
        )


class LabelError(PlanError):
    """A label is asked for values that nothing in the scenario has."""


class NamelessSelectorError(PlanError):
    """A selector without a metric's name selects whatever there is, and the model cannot make that."""


class ProviderError(PlanError):
    """A metric asks somebody whom the model does not know; an error in its place would predict another policy."""
