"""Traffic as a file: what it says, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen.traffic import Route, Spike, Traffic, TrafficError, read_traffic


def read(folder: Path, text: str | bytes) -> Traffic:
    file = folder / "tuesday.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_traffic(file)


def complaints(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(TrafficError) as caught:
        read(folder, text)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def test_a_file_says_what_the_schema_says(tmp_path: Path) -> None:
    text = """
    rps: 20
    shape: {kind: spike, at_s: 300, for_s: 60, to_rps: 100}
    routes:
      - {path: /orders, weight: 3}
      - {method: POST, path: /orders, body: "{}"}
    """
    assert read(tmp_path, text) == Traffic(
        rps=20,
        shape=Spike(at_s=300, for_s=60, to_rps=100),
        routes=(Route(path="/orders", weight=3), Route(method="POST", path="/orders", body="{}")),
    )


def test_every_problem_is_told_at_once_with_its_line_and_field(tmp_path: Path) -> None:
    text = (
        "rps: twenty\n"
        "shape:\n"
        "  kind: spike\n"
        "  at_s: -5\n"
        "  for_s: 60\n"
        "routes:\n"
        "  - {path: /orders}\n"
        "  - path: orders\n"
        "sede: 1\n"
    )
    assert complaints(tmp_path, text) == [
        "tuesday.yaml:1:6: rps is 'twenty': Input should be a valid number",
        # to_rps is not there: the place is the shape that lacks it
        "tuesday.yaml:3:3: shape.to_rps: Field required",
        "tuesday.yaml:4:9: shape.at_s is -5: Input should be greater than or equal to 0",
        "tuesday.yaml:8:11: routes[1].path is 'orders': a path that begins with one slash and has no spaces, "
        "as in /orders?page=2",
        "tuesday.yaml:9:7: sede is 1: Extra inputs are not permitted",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rps: [", "tuesday.yaml:1:7: is no YAML: "),
        ("rps: 1\nrps: 2\n", "tuesday.yaml:2:1: is no YAML: found duplicate key"),
        ("rps: !!python/object:os.system {}\n", "tuesday.yaml:1:6: is no YAML: could not determine a constructor"),
        ("a: &a 1\nrps: *a\n", "tuesday.yaml: is no YAML: aliases are not read here"),
        ("- rps: 1\n", "tuesday.yaml:1:1: it needs the fields of traffic"),
        ("", "tuesday.yaml:1:1: it needs the fields of traffic"),
        ("rps: 1\n---\nrps: 2\n", "tuesday.yaml:2:1: is no YAML: but found another document"),
        (b"rps: \xff", "tuesday.yaml: is no UTF-8 text"),
        (b"#" * 200_001, "tuesday.yaml: 200,001 bytes; a description of traffic has at most 200,000"),
        ("[" * 5_000 + "]" * 5_000, "tuesday.yaml: is no YAML: it is nested more than 20 levels"),
        ("rps: 1\nshape: {kind: trace}\n", "tuesday.yaml:2:8: shape: a recording: file, as in {kind: trace, file: "),
    ],
)
def test_what_is_no_description_of_traffic_is_refused(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    assert complaints(tmp_path, text)[0].startswith(complaint)


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(TrafficError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_traffic(tmp_path / "nowhere.yaml")


def test_a_recording_is_traffic_without_a_description(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    # 11 requests in the 11 seconds from 0 to the end of that of the last
    file.write_text("time,path\n" + "".join(f"{1_795_478_400 + k},/orders\n" for k in range(11)), encoding="utf-8")
    traffic = read_traffic(file)
    assert traffic.rps == 1
    assert [route.name for route in traffic.routes] == ["GET /orders"]
    (tmp_path / "notes.txt").write_text("nothing of the kind\n", encoding="utf-8")
    with pytest.raises(TrafficError, match=r"notes\.txt:1: no format reads 'nothing of the kind'"):
        read_traffic(tmp_path / "notes.txt")
