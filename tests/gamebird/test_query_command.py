"""`gamebird query` and `gamebird prometheus serve`, run as people run them: processes, their output, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

T0 = 1_700_000_000


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gamebird", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two series of three samples, 15 s apart."""
    series = [
        {"labels": {"__name__": "jobs", "pod": pod}, "samples": [[T0 + 15 * step, first + step] for step in range(3)]}
        for pod, first in (("a", 1), ("b", 10))
    ]
    file = tmp_path / "series.json"
    file.write_text(json.dumps({"series": series}))
    return file


def test_a_vector_is_a_table_at_the_newest_sample(data: Path) -> None:
    done = run("query", "jobs", "--data", str(data))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ['jobs{pod="a"}  3', 'jobs{pod="b"}  12']


def test_files_that_contradict_each_other_are_one_recording_and_that_is_said(data: Path) -> None:
    again = [{"labels": {"__name__": "jobs", "pod": "a"}, "samples": [[T0 + 30, 4], [T0 + 45, 5]]}]
    (data.parent / "z.json").write_text(json.dumps({"series": again}))
    done = run("query", "jobs[1m]", "--data", str(data.parent))
    assert done.returncode == 0
    assert done.stdout.splitlines()[:5] == [
        'jobs{pod="a"}',
        *(f"  {T0 + 15 * at}  {n}" for at, n in enumerate((1, 2, 3, 5))),
    ]
    assert "1 samples were left out" in done.stderr
    assert f'jobs{{pod="a"}} at {T0 + 30} is 4 there' in done.stderr


def test_a_range_lists_the_samples_of_each_series(data: Path) -> None:
    done = run("query", "sum(jobs)", "--data", str(data), "--start", str(T0), "--step", "15s")
    assert done.stdout.splitlines() == ["{}", f"  {T0}  11", f"  {T0 + 15}  13", f"  {T0 + 30}  15"]


def test_json_is_what_the_http_api_says(data: Path) -> None:
    done = run("query", "jobs * 2", "--data", str(data), "--time", str(T0), "--output", "json")
    assert json.loads(done.stdout) == {
        "resultType": "vector",
        "result": [{"metric": {"pod": "a"}, "value": [T0, "2"]}, {"metric": {"pod": "b"}, "value": [T0, "20"]}],
    }


def test_an_explanation_needs_no_data() -> None:
    done = run("query", 'sum(rate(hits_total{code="500"}[1m])) / sum(rate(hits_total[1m]))', "--explain")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == [
        'reads     hits_total{code="500"}: the samples of 1m',
        "reads     hits_total: the samples of 1m",
    ]
    assert "          sum(increase(hits_total[1m]))" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sum("], "1:5"),
        (["up"], "--data is missing"),
        (["up", "--data", "/nowhere/x.json"], "no such file"),
        (["up", "--output", "yaml", "--explain"], "--output"),
    ],
)
def test_wrong_input_is_named_and_exits_with_2(arguments: list[str], words: str) -> None:
    done = run("query", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_query_that_fails_on_this_data_exits_with_2(data: Path) -> None:
    done = run("query", "jobs + on() jobs", "--data", str(data))
    assert done.returncode == 2
    assert "many-to-many" in done.stderr


def test_recorded_series_are_served_until_the_process_is_told_to_end(data: Path) -> None:
    command = [sys.executable, "-m", "gamebird", "prometheus", "serve", "--data", str(data)]
    command += ["--listen", "127.0.0.1:0", "--now", "end"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            answer = httpx.get(f"{address}/api/v1/query", params={"query": "sum(jobs)"}, timeout=20).json()
            assert answer["data"]["result"] == [{"metric": {}, "value": [T0 + 30, "15"]}]
        finally:
            server.send_signal(signal.SIGTERM)
            _, errors = server.communicate(timeout=20)
    assert (server.returncode, errors) == (0, "")


def test_metadata_of_an_exposition_file_is_served_under_the_names_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total 3 1700000000000\n")
    command = [sys.executable, "-m", "gamebird", "prometheus", "serve", "--data", str(tmp_path)]
    with subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            known = httpx.get(f"{address}/api/v1/metadata", timeout=20).json()["data"]
        finally:
            server.terminate()
            server.communicate(timeout=20)
    assert known == {"hits_total": [{"type": "counter", "help": "Hits.", "unit": ""}]}


@pytest.mark.parametrize("listen", ["9090", "127.0.0.1:", "127.0.0.1:99999"])
def test_an_address_that_is_none_exits_with_2(data: Path, listen: str) -> None:
    done = run("prometheus", "serve", "--data", str(data), "--listen", listen)
    assert done.returncode == 2
    assert "--listen" in done.stderr
