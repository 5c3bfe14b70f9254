"""Ask Prometheus a metric's query, for one instant, and the number of requests behind the answer for the same one.

Both questions carry the same `time`, so a value and its count describe the same requests. The client speaks the
HTTP API and nothing else: a real Prometheus, Thanos or the embedded server of a game day are all the same to it.
It turns every failure into `ProviderError`, because a dead Prometheus must never look like an answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from controller.metrics.addresses import AddressMap
from controller.metrics.transport import Headers, ProviderError, Transport

__all__ = ["Answer", "Count", "Counted", "PrometheusClient", "ProviderError", "Range", "answer_of", "sample_text"]

DEFAULT_TIMEOUT_S = 30.0  # what Argo Rollouts waits when a metric names no timeout
_POST_REFUSED = (405, 501)  # by what knows no queries in a body: then they are put into the URL
Value = float | tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a query gave at one instant: a float for a scalar, a tuple of floats for a vector (maybe empty)."""

    value: Value
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The value as Argo Rollouts writes it into a measurement: `0.01`, `[0.01,0.2]`, `[]`."""
        if isinstance(self.value, tuple):
            return "[" + ",".join(map(sample_text, self.value)) + "]"
        return sample_text(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """From when to when, and how far apart, a query is evaluated."""

    start_s: float
    end_s: float
    step_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number of requests; None where it is unknown, never zero, with the reason."""

    requests: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A metric's answer and the number of requests behind it; None where the count is unknown, never zero."""

    answer: Answer
    requests: float | None
    count_problem: str = ""


@dataclass(slots=True, kw_only=True)
class PrometheusClient:
    """Asks every Prometheus that a policy names; safe to use from several threads.

    Args:
        addresses: where the manifests' addresses really are.
        transport: what carries the questions. Timeouts in manifests are waited out in wall time.
    """

    addresses: AddressMap = field(default_factory=AddressMap)
    transport: Transport = field(default_factory=Transport)

    def ask(
        self,
        address: str,
        query: str,
        *,
        at_s: float,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: Headers = (),
        insecure: bool = False,
    ) -> Answer:
        """Return what `query` gives at the instant `at_s` (unix seconds).

        Raises:
            AddressError: the address is no URL.
            ProviderError: anything else that is not an answer. Its text never holds a header's value.
        """
        form = {"query": query, "time": format(at_s, ".3f")}
        return self._fetch(address, "query", form, timeout_s=timeout_s, headers=headers, insecure=insecure)

    def ask_counted(
        self,
        address: str,
        query: str,
        count_query: str | None,
        *,
        at_s: float,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: Headers = (),
        insecure: bool = False,
    ) -> Counted:
        """Return the answer and the sum of what `count_query` gives at the same instant.

        A count query that fails leaves the count unknown and says why; it never changes the answer.
        """
        answer = self.ask(address, query, at_s=at_s, timeout_s=timeout_s, headers=headers, insecure=insecure)
        if count_query is None:
            return Counted(
                answer=answer,
                requests=None,
                count_problem="the policy names no count and none can be derived",
            )
        count = self.ask_count(address, count_query, at_s=at_s, timeout_s=timeout_s, headers=headers, insecure=insecure)
        return Counted(answer=answer, requests=count.requests, count_problem=count.problem)

    def ask_range(
        self,
        address: str,
        query: str,
        span: Range,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: Headers = (),
        insecure: bool = False,
    ) -> Answer:
        """Return every sample of `query` over a range, series after series, as one tuple.

        Raises:
            AddressError, ProviderError: as `ask`.
        """
        form = {
            "query": query,
            "start": _number(span.start_s),
            "end": _number(span.end_s),
            "step": _number(span.step_s),
        }
        return self._fetch(address, "query_range", form, timeout_s=timeout_s, headers=headers, insecure=insecure)

    def ask_count(
        self,
        address: str,
        query: str,
        *,
        at_s: float,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: Headers = (),
        insecure: bool = False,
    ) -> Count:
        """Return the sum of what a query that counts gives; a query that fails leaves the number unknown."""
        try:
            answer = self.ask(address, query, at_s=at_s, timeout_s=timeout_s, headers=headers, insecure=insecure)
        except ProviderError as error:
            return Count(requests=None, problem=str(error))
        return count_in(answer)

    def close(self) -> None:
        """Close every connection."""
        self.transport.close()

    def __enter__(self) -> Self:
        self.transport.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(
        self,
        address: str,
        endpoint: str,
        form: dict[str, str],
        *,
        timeout_s: float,
        headers: Headers,
        insecure: bool,
    ) -> Answer:
        base = urlsplit(self.addresses.resolve(address))
        url = base._replace(path=f"{base.path.rstrip('/')}/api/v1/{endpoint}").geturl()
        text = urlencode(form)
        reply = self.transport.fetch(
            "POST",
            url,
            headers=(("Content-Type", "application/x-www-form-urlencoded"), *headers),
            body=text.encode(),
            timeout_s=timeout_s,
            insecure=insecure,
        )
        if reply.status in _POST_REFUSED:
            reply = self.transport.fetch(
                "GET",
                f"{url}{'&' if base.query else '?'}{text}",
                headers=headers,
                timeout_s=timeout_s,
                insecure=insecure,
            )
        return answer_of(reply.body, status=reply.status)


def count_in(answer: Answer) -> Count:
    """Return the number that a count's answer holds; several samples (a count by label) are summed."""
    samples = answer.value if isinstance(answer.value, tuple) else (answer.value,)
    if not samples:
        return Count(requests=None, problem="the count query found no series")
    total = sum(samples)
    if not 0 <= total < float("inf"):
        return Count(requests=None, problem=f"the count query gave {total:g}")
    return Count(requests=total)


def answer_of(body: bytes, *, status: int) -> Answer:
    """Read the JSON of the HTTP API.

    Raises:
        ProviderError: an error answer, an answer of another shape, or a result type that holds no numbers. In the
            words of Prometheus' own client, which reads an error's text at two statuses only; Argo repeats them.
    """
    if status // 100 != 2 and status not in _TELLING:
        raise ProviderError(_by_status(status))
    try:
        said = json.loads(body)
        if said["status"] != "success":
            raise ProviderError(f"{said['errorType']}: {said['error']}")
        data = said["data"]
        value = _value(data["resultType"], data["result"])
        warnings = tuple(map(str, said.get("warnings", ())))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        start = body[:120].decode(errors="replace")
        raise ProviderError(f"HTTP {status} with a body that is no answer of Prometheus: {start!r}") from error
    return Answer(value=value, warnings=warnings)


_TELLING = (400, 422)


def _by_status(status: int) -> str:
    match status // 100:
        case 4:
            return f"client_error: client error: {status}"
        case 5:
            return f"server_error: server error: {status}"
        case _:
            return f"bad_response: bad response code {status}"


def _value(kind: str, result: Any) -> Value:
    match kind:
        case "scalar":
            return float(result[1])
        case "vector":
            return tuple(float(sample["value"][1]) for sample in result)
        case "matrix":
            return tuple(float(sample[1]) for series in result for sample in series["values"])
        case _:
            raise ProviderError(f"a result of type {kind} holds no number to compare")


def _number(seconds: float) -> str:
    return format(seconds, ".3f").rstrip("0").rstrip(".")


def sample_text(value: float) -> str:
    """Write one sample as Prometheus' own client does: the shortest digits, `NaN`, `+Inf`, `-Inf`."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    short = repr(float(value))
    return short.removesuffix(".0")
