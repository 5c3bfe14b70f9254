"""The proxy, for real: the split, its acknowledgement, faults, who is named in an answer, how it fails to start."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from controller.manifests.values import HeaderMatch, RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch
from experiments.testbeds.local import envoy as proxy
from experiments.testbeds.local.children import WorldError
from experiments.testbeds.local.envoy import Envoy, ProxyFault, Split
from experiments.testbeds.local.places import LOOPBACK, Place

pytestmark = pytest.mark.e2e

NAMES = {"stable": "aaa111", "canary": "bbb222"}


class Upstream(ThreadingHTTPServer):
    """Answers every request with its own port, and counts them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        self.served = 0
        self.delay_s = 0.0
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def place(self) -> Place:
        return Place(LOOPBACK, self.port)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        if self.fileno() == -1:
            return  # closed by a test
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for its acknowledgement
    server: Upstream

    def do_GET(self) -> None:
        time.sleep(self.server.delay_s)
        self.server.served += 1
        body = str(self.server.port).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    made = [Upstream() for _ in range(3)]
    yield made
    for upstream in made:
        upstream.close()


@pytest.fixture
def envoy(tmp_path: Path) -> Iterator[Envoy]:
    with Envoy(tmp_path) as running:
        yield running


@pytest.fixture
def user(envoy: Envoy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=envoy.address, trust_env=False, timeout=5.0) as client:
        yield client


@pytest.fixture
def split(upstreams: list[Upstream]) -> Split:
    """One stable pod and two canary pods; all of the traffic on stable."""
    return Split(
        endpoints={"stable": (upstreams[0].place,), "canary": (upstreams[1].place, upstreams[2].place)}, revisions=NAMES
    )


def revisions(user: httpx.Client, count: int) -> Counter[str]:
    return Counter(user.get("/").headers["x-gamebird-revision"] for _ in range(count))


def test_a_weight_of_zero_and_of_all_send_nobody_astray(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(split)
    assert revisions(user, 100) == {"aaa111": 100}
    envoy.apply(replace(split, canary=100))
    assert revisions(user, 100) == {"bbb222": 100}
    envoy.apply(split)
    assert revisions(user, 100) == {"aaa111": 100}


def test_the_share_of_the_canary_is_its_weight(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(replace(split, canary=30))
    # 1000 requests at 30 %: 300 expected, a standard deviation is sqrt(1000 x 0.21) = 14.5; five of them are 72.
    assert revisions(user, 1000)["bbb222"] == pytest.approx(300, abs=72)


def test_a_weight_below_one_percent_is_exact(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(replace(split, canary=5, total=1000))
    routes = (envoy.folder / "routes.json").read_text(encoding="utf-8")
    assert '"weight": 50' in routes  # 50 of 10,000 is 0.5 %
    # 600 requests at 0.5 %: 3 expected, a standard deviation is 1.7; five of them are 9.
    assert revisions(user, 600)["bbb222"] <= 12


def test_the_pods_of_a_side_share_its_requests_evenly(
    envoy: Envoy, user: httpx.Client, split: Split, upstreams: list[Upstream]
) -> None:
    envoy.apply(replace(split, canary=100))
    for _ in range(100):
        user.get("/")
    assert [upstream.served for upstream in upstreams] == [0, 50, 50]


def test_the_very_next_request_after_a_change_meets_it(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    for turn in range(40):
        envoy.apply(replace(split, canary=100 * (turn % 2)))
        assert user.get("/").headers["x-gamebird-revision"] == ("bbb222" if turn % 2 else "aaa111")


def test_a_request_in_flight_is_answered_by_a_pod_that_was_taken_out_meanwhile(
    envoy: Envoy, user: httpx.Client, split: Split, upstreams: list[Upstream]
) -> None:
    upstreams[1].delay_s = 0.6
    envoy.apply(replace(split, canary=100, endpoints={**split.endpoints, "canary": (upstreams[1].place,)}))
    answers: list[httpx.Response] = []
    asked = threading.Thread(target=lambda: answers.append(user.get("/")))
    asked.start()
    time.sleep(0.2)
    envoy.apply(replace(split, canary=100, endpoints={**split.endpoints, "canary": (upstreams[2].place,)}))
    asked.join(5.0)
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, str(upstreams[1].port))]


def test_a_pod_that_takes_no_connection_costs_no_request_while_another_does(
    envoy: Envoy, user: httpx.Client, split: Split, upstreams: list[Upstream]
) -> None:
    envoy.apply(replace(split, canary=100))
    upstreams[1].close()
    assert Counter(user.get("/").status_code for _ in range(40)) == {200: 40}


def test_a_side_without_pods_answers_503_in_its_revisions_name(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(replace(split, canary=100, endpoints={**split.endpoints, "canary": ()}))
    answer = user.get("/")
    assert (answer.status_code, answer.headers.get("x-gamebird-revision")) == (503, "bbb222")


def test_errors_of_the_proxy_hit_their_share_of_one_side(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(replace(split, canary=100, faults=(ProxyFault(side="canary", percent=40.0, status=503),)))
    # 500 requests at 40 %: 200 expected, a standard deviation is 11; five of them are 55.
    statuses = Counter(user.get("/").status_code for _ in range(500))
    assert statuses[503] == pytest.approx(200, abs=55)
    assert statuses[503] + statuses[200] == 500
    envoy.apply(replace(split, canary=0, faults=envoy.split.faults))
    assert {user.get("/").status_code for _ in range(50)} == {200}


def test_an_error_of_the_proxy_names_the_revision_that_was_to_answer(
    envoy: Envoy, user: httpx.Client, split: Split
) -> None:
    envoy.apply(replace(split, canary=100, faults=(ProxyFault(side="canary", percent=100.0, status=503),)))
    assert user.get("/").headers.get("x-gamebird-revision") == "bbb222"


def test_a_delay_of_the_proxy_holds_requests_back_for_so_long(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(replace(split, faults=(ProxyFault(side="all", percent=100.0, delay_s=0.25),)))
    started = time.monotonic()
    assert user.get("/").status_code == 200
    assert time.monotonic() - started >= 0.25


def test_an_error_and_a_delay_may_be_in_force_together(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    faults = (
        ProxyFault(side="stable", percent=100.0, delay_s=0.25),
        ProxyFault(side="stable", percent=100.0, status=500),
    )
    envoy.apply(replace(split, faults=faults))
    started = time.monotonic()
    assert user.get("/").status_code == 500
    assert time.monotonic() - started >= 0.25


def test_a_header_route_sends_those_who_have_the_header_to_the_canary_whatever_the_weight(
    envoy: Envoy, user: httpx.Client, split: Split
) -> None:
    beta = HeaderMatch(header="x-group", value=StringMatch(exact="beta"))
    staff = HeaderMatch(header="x-user", value=StringMatch(regex="staff-[0-9]+"))
    envoy.apply(replace(split, managed=(SetHeaderRoute(name="first", matches=(beta, staff)),)))

    def revision(**headers: str) -> str:
        named = {f"x-{name}": value for name, value in headers.items()}
        return str(user.get("/", headers=named).headers["x-gamebird-revision"])

    assert (revision(group="beta"), revision(user="staff-12")) == ("bbb222", "bbb222")
    assert {revision(), revision(group="alpha"), revision(user="staff-12b")} == {"aaa111"}


def test_a_mirror_route_copies_its_share_to_the_canary_and_users_get_stables_answer(
    envoy: Envoy, user: httpx.Client, split: Split, upstreams: list[Upstream], wait: Callable[..., None]
) -> None:
    reads = RouteMatch(method=StringMatch(exact="GET"), path=StringMatch(prefix="/read"))
    envoy.apply(replace(split, managed=(SetMirrorRoute(name="copy", matches=(reads,), percentage=100),)))
    assert {user.get("/read/it").headers["x-gamebird-revision"] for _ in range(10)} == {"aaa111"}
    wait(lambda: upstreams[1].served + upstreams[2].served == 10, "ten copies")
    user.get("/other")
    assert upstreams[0].served == 11
    time.sleep(0.2)
    assert upstreams[1].served + upstreams[2].served == 10


def test_the_same_split_again_is_no_change(envoy: Envoy, split: Split) -> None:
    envoy.apply(split)
    before = (envoy.folder / "routes.json").stat().st_mtime_ns
    envoy.apply(replace(split))
    assert (envoy.folder / "routes.json").stat().st_mtime_ns == before


def test_envoy_counts_what_each_side_was_sent(envoy: Envoy, user: httpx.Client, split: Split) -> None:
    envoy.apply(split)
    for _ in range(7):
        user.get("/")
    assert envoy.counts() == {"stable": 7, "canary": 0}


def test_two_envoys_run_side_by_side_without_meeting(tmp_path: Path, split: Split) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with Envoy(tmp_path / "one") as one, Envoy(tmp_path / "other") as other:
        one.apply(split)
        other.apply(replace(split, canary=100))
        seen = [httpx.get(e.address, trust_env=False).headers["x-gamebird-revision"] for e in (one, other)]
    assert seen == ["aaa111", "bbb222"]


def test_an_envoy_that_cannot_start_says_so_with_the_end_of_its_log(
    tmp_path: Path, upstreams: list[Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = iter([upstreams[0].port, upstreams[1].port])  # its port and its admin port are both in use
    monkeypatch.setattr(proxy, "free_port", lambda: next(taken))
    with pytest.raises(WorldError, match=r"(?i)address already in use|cannot bind"):
        Envoy(tmp_path)


def test_a_dead_envoy_takes_no_split_and_says_that_it_is_dead(
    envoy: Envoy, split: Split, wait: Callable[..., None]
) -> None:
    envoy._child.process.kill()
    wait(lambda: not envoy._child.alive, "its end")
    with pytest.raises(WorldError, match="ended by itself"):
        envoy.apply(split)


def test_a_machine_without_an_envoy_is_told_which_have_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(proxy.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorldError, match=r"wheels with one exist for Linux with glibc 2\.31"):
        Envoy(tmp_path)
