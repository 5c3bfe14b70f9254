"""From a recording to a score: what is sent, how it looks on the wire, and what is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen.replay.preparing import Prepared, Wanted, prepare
from loadgen.replay.score import ShardScript
from loadgen.replay.templates import read_templates
from loadgen.replay.timing import Pace, ReplayError
from loadgen.traces import Recorded, table_of


def at(time_s: float, path: str = "/", method: str = "GET", **more: object) -> Recorded:
    return Recorded(time_s=time_s, method=method, path=path, **{"query": "", **more})  # type: ignore[arg-type]


def score(folder: Path, requests: list[Recorded], **wanted: object) -> tuple[Prepared, list[str]]:
    """Prepare requests for one generator and return what it would send."""
    prepared = prepare([table_of(requests)], Wanted(host="shop.test", **wanted), folder)  # type: ignore[arg-type]
    script = ShardScript(folder, 0, 1)
    return prepared, [script.asked(place).data.decode() for place in range(len(script.wall_s))]


def test_a_request_is_sent_as_it_was_recorded_with_a_tag_and_without_what_names_a_machine(tmp_path: Path) -> None:
    headers = (("accept", "text/html"), ("host", "prod.test"), ("user-agent", "curl/8"))
    _, [sent] = score(tmp_path, [at(1e9, "/orders/7", query="page=2", headers=headers)], tag="drill-9")
    assert sent.split("\r\n") == [
        "GET /orders/7?page=2 HTTP/1.1",
        "Host: shop.test",
        "User-Agent: gamebird-loadgen",
        "x-gamebird-load: drill-9",
        "accept: text/html",
        "",
        "",
    ]


def test_requests_that_change_things_are_left_out_and_counted_unless_asked_for(tmp_path: Path) -> None:
    requests = [at(0), at(1, "/pay", "POST", body=b"a=1", body_bytes=3), at(2, "/x", "DELETE"), at(3, "/", "TRACE")]
    (tmp_path / "a").mkdir()
    prepared, sent = score(tmp_path / "a", requests)
    assert len(sent) == prepared.recorded == 1
    assert prepared.left_out == {
        "POST changes things (--unsafe-methods sends it)": 1,
        "DELETE changes things (--unsafe-methods sends it)": 1,
        "the method TRACE is not replayed": 1,
    }
    (tmp_path / "b").mkdir()
    prepared, sent = score(tmp_path / "b", requests, unsafe_methods=True)
    assert prepared.left_out == {"the method TRACE is not replayed": 1}
    assert sent[1].endswith("Content-Length: 3\r\n\r\na=1")


def test_a_body_of_which_only_the_size_is_known_is_sent_as_so_many_blanks_and_that_is_said(tmp_path: Path) -> None:
    prepared, [sent] = score(tmp_path, [at(0, "/pay", "PUT", body_bytes=5)], unsafe_methods=True)
    assert sent.endswith("Content-Length: 5\r\n\r\n     ")
    assert prepared.altered == {"a body that was not recorded is sent as so many blanks": 1}


@pytest.mark.parametrize("path", ["//evil.test/", "*", "/a b", "/a\r\nx: y", "/\u00e9", "/a\x00u"])
def test_a_path_that_cannot_be_sent_is_left_out_and_counted(tmp_path: Path, path: str) -> None:
    prepared, sent = score(tmp_path, [at(0), at(1, path)])
    assert len(sent) == 1
    assert prepared.left_out == {"the path cannot be sent as it was recorded": 1}


def test_a_header_cannot_smuggle_another_request(tmp_path: Path) -> None:
    headers = (("accept", "a\r\n\r\nGET /admin HTTP/1.1"), ("a b", "c"), ("accept-language", "de\x00u"))
    _, [sent] = score(tmp_path, [at(0, headers=headers)])
    assert sent.count("\r\n") == 5
    assert "accept" not in sent


def test_generators_share_the_requests_in_turn_and_keep_their_places(tmp_path: Path) -> None:
    requests = [at(float(number), f"/{number}") for number in range(7)]
    prepared = prepare([table_of(requests)], Wanted(host="h", workers=3), tmp_path)
    assert prepared.shards == (3, 2, 2)
    seen = {}
    for shard in range(3):
        script = ShardScript(tmp_path, shard, 3)
        for place, due_s in enumerate(script.wall_s.tolist()):
            asked = script.asked(place)
            assert script.number(place) == (asked.number, asked.route)
            seen[asked.number] = (due_s, asked.data.split(b" ")[1].decode())
    assert seen == {number: (float(number), f"/{number}") for number in range(7)}


def test_the_same_request_is_kept_once_however_often_it_was_recorded(tmp_path: Path) -> None:
    score(tmp_path, [at(float(number)) for number in range(500)])
    assert (tmp_path / "requests.bin").stat().st_size < 200


def test_a_recording_is_read_no_further_than_the_replay_lasts(tmp_path: Path) -> None:
    def endless() -> object:
        for number in range(10_000):
            assert number < 100, "nobody needs so much of it"
            yield table_of([at(float(number))])

    prepared = prepare(endless(), Wanted(host="h", pace=Pace(lasts_s=10, speed=2)), tmp_path)  # type: ignore[arg-type]
    # Ten seconds at twice the speed are the first twenty requests, and no second pass.
    assert (prepared.recorded, sum(prepared.shards), prepared.passes) == (20, 20, 1)


@pytest.mark.parametrize(
    ("requests", "wanted", "why"),
    [
        ([], {}, "it is empty"),
        ([at(0, "/", "POST")], {}, "nothing of this recording can be replayed: 1 × POST changes things"),
        ([at(number / 500) for number in range(100)], {"rps_max": 50}, "100 requests are due in the busiest second"),
        ([at(0)], {"pace": Pace(lasts_s=30_000)}, "at most 21,600 s"),
        ([at(0), at(1e6)], {}, "say --for, or a higher --speed"),
        ([at(0)], {"pace": Pace(rate=1e-9)}, "chance left no request"),
    ],
)
def test_what_would_be_nothing_or_too_much_is_refused(
    tmp_path: Path, requests: list[Recorded], wanted: dict[str, object], why: str
) -> None:
    with pytest.raises(ReplayError, match=why):
        score(tmp_path, requests, **wanted)


def test_routes_are_told_by_what_was_recorded_and_not_by_what_a_template_makes(tmp_path: Path) -> None:
    templates = read_templates(["path:/carts/*=/carts/{uuid}"])
    prepare([table_of([at(0, "/carts/17")])], Wanted(host="h", templates=templates), tmp_path)
    first = ShardScript(tmp_path, 0, 1).asked(0)
    assert first.name == "/carts/{id}"
    assert first.data.split(b" ")[1] != ShardScript(tmp_path, 0, 1).asked(0).data.split(b" ")[1]
