"""One HTTP question to a provider: a deadline that holds, a bound on what may be asked at once, errors without secrets.

Providers know what they ask and what an answer means; this module only carries. It turns every failure into
`ProviderError`, because a dead provider must never look like an answer, and puts no query string, no user of a URL
and no header into an error, because secrets stand there.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

ANSWER_BYTES_MAX = 16 * 2**20
ASKED_AT_ONCE_MAX = 16
REDIRECTS_MAX = 10  # as Go's client, which Argo Rollouts asks with

Headers = tuple[tuple[str, str], ...]


class ProviderError(Exception):
    """A provider gave no answer: it is unreachable, too slow, refused the question or spoke nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whatever its status says."""

    status: int
    body: bytes


@dataclass(slots=True, kw_only=True)
class Transport:
    """Carries questions; safe to use from several threads.

    Args:
        asked_at_once_max: more questions than this wait for their turn, and their waiting counts.
    """

    asked_at_once_max: int = ASKED_AT_ONCE_MAX
    _clients: dict[bool, httpx.Client] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _turns: threading.BoundedSemaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._turns = threading.BoundedSemaphore(self.asked_at_once_max)

    def fetch(
        self,
        method: str,
        url: str,
        *,
        timeout_s: float,
        headers: Headers = (),
        body: bytes | None = None,
        insecure: bool = False,
        follow: bool = False,
    ) -> Reply:
        """Return the reply; `follow` goes where redirects point to.

        Raises:
            ProviderError: there is none within the timeout, or it is larger than anybody wants.
        """
        shown = shown_url(url)
        deadline = _Deadline(timeout_s)
        if not self._turns.acquire(timeout=timeout_s):
            raise ProviderError(f"{shown} was not asked within {timeout_s:g} s: too many questions are unanswered")
        try:
            with deadline:
                request = self._client(insecure=insecure).build_request(
                    method, url, headers=list(headers), content=body, timeout=timeout_s
                )
                request.extensions["trace"] = deadline.watch
                return self._answer(request, shown, deadline, insecure=insecure, follow=follow)
        except httpx.TimeoutException as error:
            raise ProviderError(f"{shown} did not answer within {timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            if deadline.is_over:
                raise ProviderError(f"{shown} did not answer within {timeout_s:g} s") from error
            raise ProviderError(f"{shown} cannot be asked: {_why(error)}") from None
        finally:
            self._turns.release()

    def _answer(
        self, request: httpx.Request, shown: str, deadline: _Deadline, *, insecure: bool, follow: bool
    ) -> Reply:
        client = self._client(insecure=insecure)
        body = bytearray()
        response = client.send(request, stream=True, follow_redirects=follow)
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if deadline.is_over:
                    raise ProviderError(f"{shown} did not finish its answer within {deadline.budget_s:g} s")
                if len(body) > ANSWER_BYTES_MAX:
                    raise ProviderError(f"{shown} sent more than {ANSWER_BYTES_MAX} bytes")
        finally:
            response.close()
        if deadline.is_over:
            raise ProviderError(f"{shown} did not finish its answer within {deadline.budget_s:g} s")
        return Reply(status=response.status_code, body=bytes(body))

    def _client(self, *, insecure: bool) -> httpx.Client:
        with self._lock:
            if insecure not in self._clients:
                # A proxy from the environment would send a loopback address of a testbed out of the machine. No
                # connection is kept: only of a new one is the socket known that a deadline has to cut.
                self._clients[insecure] = httpx.Client(
                    verify=not insecure,
                    trust_env=False,
                    max_redirects=REDIRECTS_MAX,
                    limits=httpx.Limits(max_keepalive_connections=0, max_connections=self.asked_at_once_max),
                )
            return self._clients[insecure]

    def close(self) -> None:
        """Close everything."""
        with self._lock:
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


class _Deadline:
    """Cuts a question's connections when its time is over.

    The client library bounds each read and each write. A server that drips a byte a second would never end.
    """

    def __init__(self, budget_s: float) -> None:
        self.budget_s = budget_s
        self.is_over = False
        self._ends_s = time.monotonic() + budget_s
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._timer = threading.Timer(max(0.0, self._ends_s - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """Note each connection that is made for the question; the client library calls this."""
        if event not in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            return
        made = info["return_value"].get_extra_info("socket")
        with self._lock:
            self._sockets.append(made)
            if self.is_over:
                _shut(made)

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            for made in self._sockets:
                _shut(made)


def _shut(made: socket.socket) -> None:
    with suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)


def _without_query(record: logging.LogRecord) -> bool:
    """Let the client library's log tell of a question, without its query string."""
    if isinstance(record.args, tuple):
        record.args = tuple(shown_url(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True


logging.getLogger("httpx").addFilter(_without_query)


def shown_url(url: str) -> str:
    """Return a URL fit to be shown: without its user and without its query, where secrets stand."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path}"


def _why(error: Exception) -> str:
    """Return an error's text, unless it may repeat what was sent."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "its URL is none"
    if isinstance(error, httpx.LocalProtocolError | ValueError):
        return "a header holds what no header may hold"
    return str(error) or type(error).__name__
