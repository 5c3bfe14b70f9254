"""Let one of several controllers lead: a Lease object, renewed, and given up the moment it may be somebody else's.

Clocks of different machines do not agree, so nobody compares a stored time with its own: a lease is free once it was
*seen* unchanged, on the own monotonic clock, for as long as it is good for. A leader counts from the moment before it
asked for the renewal, and stops a margin early: `guard` then raises before each write, so that a leader that was
frozen, or cut off from the API server, writes nothing more. A write that is under way ends within the margin.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.kubernetes.api.connection import CONNECT_S, TIMEOUT_S, Connection
from controller.kubernetes.api.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from controller.kubernetes.api.resources import LEASES

Json = dict[str, Any]


class LostLeaseError(ApiError):
    """This process does not lead any more: it must not write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a lease runs.

    Attributes:
        duration_s: how long others wait after the last renewal that they saw.
        renew_s: between two renewals of the leader, and between two looks of those who wait.
        margin_s: how long before its end a leader stops writing; at least as long as a write may take.
    """

    duration_s: float = 30.0
    renew_s: float = 4.0
    margin_s: float = CONNECT_S + TIMEOUT_S

    def __post_init__(self) -> None:
        if not 0 < self.renew_s < self.duration_s - self.margin_s:
            raise ValueError("a lease is renewed well before its margin begins: renew_s < duration_s - margin_s")


class Lease:
    """One candidate for a lease. `holds` may be asked from any thread."""

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        identity: str,
        *,
        terms: Terms | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._namespace, self._name, self.identity = connection, namespace, name, identity
        self._terms, self._now_s = terms or Terms(), now_s
        self._good_until_s = float("-inf")
        self._seen: tuple[str, float] = ("", float("-inf"))  # the version last seen, and when it was seen first
        self.terms_led = 0  # how often this candidate began to lead; what it knew before may be untrue since
        self._stopping = threading.Event()
        self._led = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem: ApiError | None = None

    def start(self) -> None:
        """Begin to stand for the lease, in a thread."""
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop standing; a leader gives the lease back, so that others need not wait for its end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        if self.holds():
            self._good_until_s = float("-inf")
            try:
                self._write(self._read(), holder="")
            except ApiError as error:
                self.problem = error  # it runs out by itself

    def wait_leading(self, within_s: float) -> bool:
        """Wait until this candidate leads; return whether it does."""
        return self._led.wait(within_s)

    def holds(self) -> bool:
        """Whether this candidate leads, for certain."""
        return self._now_s() < self._good_until_s

    def guard(self) -> None:
        """Do nothing while this candidate leads.

        Raises:
            LostLeaseError: it does not, or can no longer be sure.
        """
        if not self.holds():
            raise LostLeaseError(f"{self.identity} does not lead (lease {self._namespace}/{self._name})")

    # ---- the thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.attempt()
                self.problem = None
            except ConflictError:
                continue  # somebody was faster: look at once who it is
            except ApiError as error:
                self.problem = error
            self._stopping.wait(self._terms.renew_s)

    def attempt(self) -> bool:
        """Take or renew the lease if that is right now; return whether this candidate leads.

        Raises:
            ApiError: the API server did not say.
        """
        asked_s = self._now_s()
        try:
            found = self._read()
        except NotFoundError:
            found = None
        if found is not None and not self._is_free(found):
            self._good_until_s = float("-inf")
            self._led.clear()
            return False
        try:
            self._write(found, holder=self.identity)
        except AlreadyExistsError as error:
            raise ConflictError(error.message, status=error.status, reason=error.reason) from error
        if not self.holds():
            self.terms_led += 1
        self._good_until_s = asked_s + self._terms.duration_s - self._terms.margin_s
        self._led.set()
        return True

    def _is_free(self, found: Json) -> bool:
        holder = found.get("spec", {}).get("holderIdentity") or ""
        version = str(found["metadata"].get("resourceVersion", ""))
        if version != self._seen[0]:
            self._seen = (version, self._now_s())
        if holder in ("", self.identity):
            return True
        # The holder's own word on how long it takes its lease to be good, if that is longer than ours.
        good_s = max(self._terms.duration_s, float(found["spec"].get("leaseDurationSeconds") or 0))
        return self._now_s() >= self._seen[1] + good_s

    def _read(self) -> Json:
        return self._connection.get(LEASES, self._namespace, self._name)

    def _write(self, found: Json | None, *, holder: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # for people; nobody computes with it
        before: Json = found.get("spec", {}) if found else {}
        changes = before.get("holderIdentity") != holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": round(self._terms.duration_s),
            "renewTime": now,
            "acquireTime": now if changes else before.get("acquireTime", now),
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (changes and bool(holder)),
        }
        if found is None:
            body = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name},
                "spec": spec,
            }
            self._connection.create(LEASES, self._namespace, body)
        else:
            self._connection.replace(LEASES, self._namespace, {**found, "spec": spec})
