"""What carries a question: its deadline holds whatever a server does, and no more is asked at once than allowed."""

from __future__ import annotations

import datetime
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.metrics.transport import ProviderError, Transport, shown_url


@contextmanager
def speaking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen, and let `talk` have the first connection; the address is given."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):  # hung up on, which is what is wanted
                talk(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/slow"
        thread.join()


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def dripping_headers(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        connection.sendall(f"X-{number}: y\r\n".encode())
        time.sleep(0.02)


def dripping_body(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize("talk", [silent, dripping_headers, dripping_body])
def test_a_deadline_holds_whatever_the_server_drips(talk: Callable[[socket.socket], None]) -> None:
    with speaking(talk) as address, Transport() as transport:
        started_s = time.monotonic()
        with pytest.raises(ProviderError, match=r"/slow did not (finish its )?answer within 0\.3 s"):
            transport.fetch("GET", address, timeout_s=0.3)
        assert time.monotonic() - started_s < 1.5


def test_more_questions_than_allowed_wait_for_their_turn_and_their_waiting_counts(serve) -> None:
    freed = threading.Event()
    now, most, lock = 0, 0, threading.Lock()

    def slowly(asked: object) -> tuple[int, bytes]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        freed.wait(10)
        with lock:
            now -= 1
        return 200, b""

    site = serve(slowly)
    with Transport(asked_at_once_max=2) as transport:
        threads = [
            threading.Thread(target=transport.fetch, args=("GET", site.address), kwargs={"timeout_s": 10.0})
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        _wait_until(lambda: most == 2)
        with pytest.raises(ProviderError, match=r"was not asked within 0\.2 s: too many questions are unanswered"):
            transport.fetch("GET", site.address, timeout_s=0.2)
        freed.set()
        for thread in threads:
            thread.join()
        assert transport.fetch("GET", site.address, timeout_s=5.0).status == 200
    assert most == 2


def _wait_until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.005)


def test_an_answer_without_end_is_refused(serve) -> None:
    site = serve(lambda asked: (200, b"x" * (17 * 2**20)))
    with Transport() as transport, pytest.raises(ProviderError, match="sent more than 16777216 bytes"):
        transport.fetch("GET", site.address, timeout_s=10.0)


def test_a_certificate_that_nobody_signed_is_refused_unless_the_metric_says_insecure(serve, tmp_path: Path) -> None:
    site = serve(lambda asked: (200, b"seen"), tls=_own_certificate(tmp_path))
    with Transport() as transport:
        with pytest.raises(ProviderError, match="certificate verify failed"):
            transport.fetch("GET", site.address, timeout_s=5.0)
        assert transport.fetch("GET", site.address, timeout_s=5.0, insecure=True).body == b"seen"


def _own_certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begins = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize("url", ["http://ann:hunter2@127.0.0.1:9/x?key=hunter2", "http://127.0.0.1:9/x?key=hunter2"])
def test_an_error_shows_neither_the_user_nor_the_query_of_a_url(url: str) -> None:
    with Transport() as transport, pytest.raises(ProviderError) as caught:
        transport.fetch("GET", url, timeout_s=1.0)
    assert str(caught.value).startswith("http://127.0.0.1:9/x cannot be asked")
    assert shown_url(url) == "http://127.0.0.1:9/x"


def test_no_log_shows_the_query_of_a_url_nor_a_header(serve, caplog: pytest.LogCaptureFixture) -> None:
    site = serve(lambda asked: (200, b""))
    with caplog.at_level(logging.DEBUG), Transport() as transport:
        url = f"http://ann:hunter2@{site.place}/x?key=hunter2"
        transport.fetch("GET", url, headers=(("X-Key", "hunter2"),), timeout_s=5.0)
    assert "/x" in caplog.text  # the client library does tell what it asked
    assert "hunter2" not in caplog.text
