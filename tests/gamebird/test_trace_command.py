"""`gamebird trace`: what it prints, writes and exits with."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from gamebird.cli.main import main


def line(at_s: int, target: str = "/orders/4711?token=abcdef", status: int = 200) -> str:
    return (
        f"203.0.113.9 - joe [24/Nov/2026:{at_s // 3600:02}:{at_s // 60 % 60:02}:{at_s % 60:02} +0000] "
        f'"GET {target} HTTP/1.1" {status} 12 "-" "curl/8"\n'
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_text("".join(line(at_s, status=500 if at_s % 10 == 0 else 200) for at_s in range(100)), encoding="utf-8")
    return file


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_convert_writes_a_trace_and_says_how_many_requests_it_has(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.parquet"
    assert run("trace", "convert", log, "--to", out, "--output", "json") == 0
    found = answer(capsys)
    assert (found["requests"], found["bad_lines"], found["formats"]) == (100, 0, ["nginx"])
    assert found["file"] == str(out)


def test_whole_seconds_are_said_and_spread_when_asked_for(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.parquet"
    assert run("trace", "convert", log, "--to", out) == 0
    assert "every stamp is a whole second" in capsys.readouterr().err
    assert run("trace", "convert", log, "--spread", "--to", out) == 0
    capsys.readouterr()
    assert run("trace", "show", out, "--output", "json") == 0
    assert answer(capsys)["resolution_s"] is None


def test_bad_lines_are_shown_with_their_numbers_and_are_a_no_when_strict(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text("nonsense\n" + log.read_text(encoding="utf-8"), encoding="utf-8")
    assert run("trace", "convert", log, "--to", tmp_path / "t.parquet") == 0
    assert f"{log}:1: the line does not have the format: 'nonsense'" in capsys.readouterr().err
    assert run("trace", "convert", log, "--to", tmp_path / "t.parquet", "--strict") == 1


def test_show_draws_the_rate_the_routes_and_the_day(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trace", "show", log) == 0
    shown = capsys.readouterr().out
    assert "100 requests in 1 min 40 s: 1/s on average" in shown
    assert "GET /orders/{id}  100.00%        100   10.000% failed" in shown
    assert "00:00         1/s" in shown
    assert "23 hours of the day are not in the trace" in shown


def test_show_as_json_has_the_same_figures(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trace", "show", log, "--output", "json") == 0
    found = answer(capsys)
    assert found["routes"] == [{"method": "GET", "route": "/orders/{id}", "requests": 100, "failed": 10}]
    assert found["statuses"] == {"200": 90, "500": 10}
    assert found["rate_rps"] == 1.0
    assert found["day_rps"][0] == 1.0
    assert found["day_rps"][1] is None
    assert found["duration_ms"] is None


def test_standard_input_is_read_where_a_dash_stands(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(log.read_bytes())))
    assert run("trace", "show", "-", "--output", "json") == 0
    assert answer(capsys)["requests"] == 100


def test_a_sample_is_a_stretch_and_so_many_of_it(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "s.parquet"
    assert run("trace", "sample", log, "--from", "10s", "--for", "40s", "--to", out, "--output", "json") == 0
    assert answer(capsys)["kept"] == 40
    assert run("trace", "sample", log, "--requests", 7, "--to", out, "--output", "json") == 0
    assert answer(capsys)["kept"] == 7
    assert run("trace", "sample", log, "--share", 1.5, "--to", out) == 2
    assert run("trace", "sample", log, "--share", 0.5, "--requests", 7, "--to", out) == 2


def test_nothing_secret_is_left_in_an_anonymised_file(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.parquet"
    assert run("trace", "anonymise", log, "--to", out) == 0
    capsys.readouterr()
    content = out.read_bytes()
    for secret in (b"4711", b"abcdef", b"203.0.113.9", b"joe", b"curl", str(tmp_path).encode()):
        assert secret not in content
    assert run("trace", "show", out, "--output", "json") == 0
    assert answer(capsys)["routes"] == [{"method": "GET", "route": "/orders/{id}", "requests": 100, "failed": 10}]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("show", "nowhere.log"), "nowhere.log: cannot be read: No such file"),
        (("show", "LOG", "--format", "iis"), "there is no format 'iis'; there are nginx"),
        (("show", "LOG", "--window", "soon"), "--window is 'soon'; it needs a duration such as"),
        (("show", "LOG", "--output", "xml"), "--output is 'xml'; it needs table or json"),
        (("show", "LOG", "--bad-max", "2"), "--bad-max is 2; it needs a share from 0 to 1"),
        (("show", "LOG", "--columns", "time"), "--columns has 'time'; it needs pairs such as"),
        (("anonymise", "-", "--to", "x"), "anonymise reads a trace twice"),
        (("convert", "LOG", "--to", "/nowhere/x.parquet"), "/nowhere/x.parquet: cannot be written: No such file"),
    ],
)
def test_wrong_input_is_told_in_one_line_and_exits_with_two(
    words: tuple[str, ...], complaint: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("trace", *[str(log) if word == "LOG" else word for word in words]) == 2
    assert complaint in capsys.readouterr().err
