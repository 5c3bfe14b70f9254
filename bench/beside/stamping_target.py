"""A target on the loopback that writes down when each request reached it, to judge every generator by one clock.

The stamp is the kernel's, taken as the request's bytes reach the socket, so that a target that is slow to wake up is
not held against the generator. It knows nothing of who sends. One thread, one epoll; each answer leaves after a fixed
while.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import struct
import time
from collections import deque
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

ANSWER_AFTER_S = 0.02
LIFE_MAX_S = 1_800.0

_ANSWER = b"HTTP/1.1 200 OK\r\nx-gamebird-revision: bench\r\nContent-Length: 2\r\n\r\nok"
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")


class StampingTarget:
    """The target in a process of its own; a context manager."""

    def __init__(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._ours, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(theirs,), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self.port: int = self._ours.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Begin to count anew."""
        self._ours.send("forget")
        self._ours.recv()

    def arrivals(self) -> NDArray[np.float64]:
        """Return (requests,) when each since `forget` arrived, in order, seconds of the monotonic clock."""
        self._ours.send("arrivals")
        found: NDArray[np.float64] = self._ours.recv()
        return np.sort(found)


def _offset_s() -> float:
    return time.time() - time.monotonic()


def _serve(orders: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)  # what it accepts inherits it
    listener.setblocking(False)
    orders.send(listener.getsockname()[1])
    loop = _Loop(listener, orders)
    ends_s = time.monotonic() + LIFE_MAX_S
    while time.monotonic() < ends_s:
        loop.turn()


class _Loop:
    def __init__(self, listener: socket.socket, orders: Connection) -> None:
        self._listener, self._orders = listener, orders
        self._poll = select.epoll()
        self._poll.register(listener.fileno(), select.EPOLLIN)
        self._poll.register(orders.fileno(), select.EPOLLIN)
        self._open: dict[int, socket.socket] = {}
        self._due: deque[tuple[float, int]] = deque()
        self._stamps_s: list[float] = []
        self._offset_s = _offset_s()

    def turn(self) -> None:
        """Wait for the next thing to do and do what there is."""
        wait_s = self._due[0][0] - time.monotonic() if self._due else 1.0
        for number, event in self._poll.poll(max(wait_s, 0.0)):
            if number == self._listener.fileno():
                self._accept()
            elif number == self._orders.fileno():
                self._obey()
            elif event & ~select.EPOLLIN or not self._take(number):
                self._close(number)
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, number = self._due.popleft()
            if number in self._open:
                self._open[number].send(_ANSWER)

    def _accept(self) -> None:
        try:
            while True:
                found, _ = self._listener.accept()
                found.setblocking(False)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open[found.fileno()] = found
                self._poll.register(found.fileno(), select.EPOLLIN)
        except BlockingIOError:
            return

    def _take(self, number: int) -> bool:
        try:
            data, ancillary, _, _ = self._open[number].recvmsg(65_536, 256)
        except OSError:
            return False
        if data.endswith(b"\r\n\r\n"):  # a request without a body comes whole over the loopback
            stamps = [_TIMESPEC.unpack(value[:16]) for _, kind, value in ancillary if kind == _SO_TIMESTAMPNS]
            self._stamps_s.append(stamps[0][0] + stamps[0][1] * 1e-9 if stamps else time.time())
            self._due.append((time.monotonic() + ANSWER_AFTER_S, number))
        return bool(data)

    def _close(self, number: int) -> None:
        self._poll.unregister(number)
        self._open.pop(number).close()

    def _obey(self) -> None:
        if self._orders.recv() == "forget":
            self._stamps_s, self._offset_s = [], _offset_s()
            self._orders.send("forgotten")
            return
        stamps_s = np.array(self._stamps_s, dtype=np.float64)
        # The kernel stamps with the time of day, which may be slewed meanwhile; both ends of the run are known.
        share = np.linspace(0.0, 1.0, len(stamps_s)) if len(stamps_s) else stamps_s
        self._orders.send(stamps_s - self._offset_s - share * (_offset_s() - self._offset_s))
