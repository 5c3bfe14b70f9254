"""The server itself: it comes and goes on one port, and many may ask at once."""

from __future__ import annotations

import socket
import threading

import httpx
import pytest

from promql.http import create_app
from promql.serve import QueryServer, ServerError
from promql.storage import MemoryStore


def test_a_stopped_server_refuses_and_comes_back_on_its_port():
    server = QueryServer(create_app(MemoryStore(), now_s=lambda: 1.0))
    server.start()
    port = server.port
    with httpx.Client(base_url=server.address) as client:
        assert client.get("/-/ready").status_code == 200
        server.stop()
        with pytest.raises(httpx.TransportError):
            client.get("/-/ready")
        server.start()
        assert server.port == port
        assert client.get("/-/ready").status_code == 200
    server.stop()
    assert not server.is_running


def test_starting_and_stopping_twice_changes_nothing():
    with QueryServer(create_app(MemoryStore())) as server:
        port = server.port
        server.start()
        assert server.port == port
    server.stop()


def test_a_taken_port_is_an_error_that_says_so():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}"):
            QueryServer(create_app(MemoryStore()), port).start()


def test_a_writer_and_many_readers_do_not_disturb_each_other():
    store = MemoryStore()
    labels = {"__name__": "c_total"}
    wrong: list[str] = []

    def ask(address: str) -> None:
        with httpx.Client(base_url=address) as client:
            for _ in range(20):
                answer = client.get("/api/v1/query", params={"query": "count_over_time(c_total[1h])", "time": "3600"})
                if answer.status_code != 200:
                    wrong.append(answer.text)

    with QueryServer(create_app(store)) as server:
        readers = [threading.Thread(target=ask, args=(server.address,)) for _ in range(4)]
        for reader in readers:
            reader.start()
        for second in range(2_000):
            store.append(labels, second + 1.0, float(second))
        for reader in readers:
            reader.join()
        answer = httpx.get(
            f"{server.address}/api/v1/query", params={"query": "count_over_time(c_total[1h])", "time": 3600}
        )
    assert wrong == []
    assert answer.json()["data"]["result"][0]["value"] == [3600, "2000"]
