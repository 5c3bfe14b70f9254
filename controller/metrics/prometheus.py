"""Ask Prometheus a metric's query, for one instant, and the number of requests behind the answer for the same one.

Both questions carry the same `time`, so a value and its count describe the same requests. The client speaks the
HTTP API and nothing else: a real Prometheus, Thanos or the embedded server of a game day are all the same to it.
It turns every failure into `ProviderError`, because a dead Prometheus must never look like an answer.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from controller.metrics.addresses import AddressMap

DEFAULT_TIMEOUT_S = 30.0  # what Argo Rollouts waits when a metric names no timeout
ANSWER_BYTES_MAX = 16 * 2**20

Value = float | tuple[float, ...]


class ProviderError(Exception):
    """Prometheus gave no answer: it is unreachable, too slow, refused the query or spoke nonsense."""


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
class Counted:
    """A metric's answer and the number of requests behind it; None where the count is unknown, never zero."""

    answer: Answer
    requests: float | None
    count_problem: str = ""


@dataclass(slots=True, kw_only=True)
class PrometheusClient:
    """One connection pool to every Prometheus that a policy names; safe to use from several threads.

    Args:
        addresses: where the manifests' addresses really are.
        timeout_scale: wall seconds per second of policy time (1 / speed); timeouts in manifests are waited out in
            wall time, so this stays 1 unless a test wants to be quick.
    """

    addresses: AddressMap = field(default_factory=AddressMap)
    timeout_scale: float = 1.0
    _clients: dict[bool, httpx.Client] = field(default_factory=dict, init=False, repr=False)

    def ask(
        self,
        address: str,
        query: str,
        *,
        at_s: float,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: tuple[tuple[str, str], ...] = (),
        insecure: bool = False,
    ) -> Answer:
        """Return what `query` gives at the instant `at_s` (unix seconds).

        Raises:
            AddressError: the address is no URL.
            ProviderError: anything else that is not an answer. Its text never holds a header's value.
        """
        url = self.addresses.resolve(address).rstrip("/") + "/api/v1/query"
        status, body = self._fetch(
            url,
            {"query": query, "time": format(at_s, ".3f")},
            timeout_s=timeout_s,
            headers=headers,
            insecure=insecure,
        )
        return answer_of(body, status=status)

    def ask_counted(
        self,
        address: str,
        query: str,
        count_query: str | None,
        *,
        at_s: float,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        headers: tuple[tuple[str, str], ...] = (),
        insecure: bool = False,
    ) -> Counted:
        """Return the answer and the sum of what `count_query` gives at the same instant.

        A count query that fails leaves the count unknown and says why; it never changes the answer.
        """
        options: dict[str, Any] = {
            "at_s": at_s,
            "timeout_s": timeout_s,
            "headers": headers,
            "insecure": insecure,
        }
        answer = self.ask(address, query, **options)
        if count_query is None:
            return Counted(
                answer=answer,
                requests=None,
                count_problem="the policy names no count and none can be derived",
            )
        try:
            count = self.ask(address, count_query, **options)
        except ProviderError as error:
            return Counted(answer=answer, requests=None, count_problem=str(error))
        return counted(answer, count)

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def __enter__(self) -> Self:
        # Made before the first question: reading the machine's certificates takes long enough to delay a verdict.
        self._client(insecure=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _client(self, *, insecure: bool) -> httpx.Client:
        if insecure not in self._clients:
            # A proxy from the environment would send a loopback address of a testbed out of the machine.
            self._clients[insecure] = httpx.Client(verify=not insecure, trust_env=False)
        return self._clients[insecure]

    def _fetch(
        self,
        url: str,
        form: dict[str, str],
        *,
        timeout_s: float,
        headers: tuple[tuple[str, str], ...],
        insecure: bool,
    ) -> tuple[int, bytes]:
        budget_s = timeout_s * self.timeout_scale
        ends = time.monotonic() + budget_s
        body = bytearray()
        try:
            with self._client(insecure=insecure).stream(
                "POST", url, data=form, headers=list(headers), timeout=budget_s
            ) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    # httpx times each read; a server that drips would never end without a deadline of our own.
                    if time.monotonic() > ends:
                        raise ProviderError(f"{url} did not finish its answer within {budget_s:g} s")
                    if len(body) > ANSWER_BYTES_MAX:
                        raise ProviderError(f"{url} sent more than {ANSWER_BYTES_MAX} bytes")
                return response.status_code, bytes(body)
        except httpx.TimeoutException as error:
            raise ProviderError(f"{url} did not answer within {budget_s:g} s") from error
        except httpx.HTTPError as error:
            raise ProviderError(f"{url} cannot be asked: {error}") from error


def counted(answer: Answer, count: Answer) -> Counted:
    """Join an answer with its count; several samples (a count by label) are summed, none at all is unknown."""
    samples = count.value if isinstance(count.value, tuple) else (count.value,)
    total = sum(samples)
    if not samples:
        return Counted(answer=answer, requests=None, count_problem="the count query found no series")
    if not 0 <= total < float("inf"):
        return Counted(answer=answer, requests=None, count_problem=f"the count query gave {total:g}")
    return Counted(answer=answer, requests=total)


def answer_of(body: bytes, *, status: int) -> Answer:
    """Read the JSON of the HTTP API.

    Raises:
        ProviderError: an error answer, an answer of another shape, or a result type that holds no numbers.
    """
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


def sample_text(value: float) -> str:
    """Write one sample as Prometheus' own client does: the shortest digits, `NaN`, `+Inf`, `-Inf`."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    short = repr(float(value))
    return short.removesuffix(".0")
