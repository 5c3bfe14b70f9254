"""Ask a Prometheus, or whatever speaks its HTTP API, for ranges, instants and names. Errors tell the address."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

TIMEOUT_S = 60.0


class AskError(Exception):
    """A Prometheus that did not answer, or not with an answer: the world's fault, not the user's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One series of an answer: its labels, and (s, value) in order."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]


class Prometheus:
    """A server at a base URL, asked by POST as long queries need it."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        # A proxy from the environment would send a loopback address out of the machine.
        self._client = httpx.Client(timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def instant(self, query: str, at_s: float) -> list[Row]:
        """Return what a query gives at one instant."""
        return _rows(self._ask("POST", "/api/v1/query", {"query": query, "time": f"{at_s:.3f}"}))

    def range(self, query: str, start_s: float, end_s: float, step_s: float) -> list[Row]:
        """Return what a query gives from `start_s` to `end_s`, both included."""
        form = {"query": query, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        return _rows(self._ask("POST", "/api/v1/query_range", form))

    def names(self, selector: str, start_s: float, end_s: float) -> list[str]:
        """Return the names of the metrics that a selector finds."""
        form = {"match[]": selector, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}"}
        found = self._ask("GET", "/api/v1/label/__name__/values", form)
        if not isinstance(found, list):
            raise AskError(f"{self._url} answered with no list of names")
        return [str(name) for name in found]

    def series(self, selector: str, start_s: float, end_s: float) -> list[dict[str, str]]:
        """Return the labels of the series that a selector finds."""
        form = {"match[]": selector, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "limit": "10000"}
        found = self._ask("GET", "/api/v1/series", form)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise AskError(f"{self._url} answered with no list of series")
        return found

    def _ask(self, method: str, path: str, form: dict[str, str]) -> Any:
        where = f"{self._url}{path}"
        try:
            sent = {"data": form} if method == "POST" else {"params": form}
            response = self._client.request(method, where, **sent)  # type: ignore[arg-type]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise AskError(f"{where} cannot be asked: {error or type(error).__name__}") from error
        try:
            answer = response.json()
            if answer["status"] == "success":
                return answer["data"]
            reason = answer.get("error")
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = "no JSON of Prometheus' API"
        raise AskError(f"{where} answered {response.status_code}: {reason}")


def _rows(data: Any) -> list[Row]:
    try:
        result: Sequence[Any] = data["result"]
        if data["resultType"] == "matrix":
            pairs = [(each["metric"], each["values"]) for each in result]
        else:
            pairs = [(each["metric"], [each["value"]]) for each in result]
        return [
            Row(labels=dict(labels), samples=tuple((float(at_s), _number(text)) for at_s, text in values))
            for labels, values in pairs
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise AskError(f"the answer is no vector and no matrix: {error}") from error


def _number(text: str) -> float:
    value = float(text)
    return 0.0 if math.isnan(value) else value
