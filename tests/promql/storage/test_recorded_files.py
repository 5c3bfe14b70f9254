"""Recorded files: exposition text in any order of lines, and files that overlap, become one recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promql.storage import MemoryStore, SeriesFileError, families_in, load_files
from promql.storage.exposition import ExpositionError
from promql.storage.exposition_lines import read_lines

# One series after the other, as promtool writes them: a histogram's buckets lie far apart.
SERIES_BY_SERIES = r"""# HELP seconds How long\nit took.
# TYPE seconds histogram
# UNIT seconds seconds
seconds_bucket{le="1"} 1 100.5
seconds_bucket{le="1"} 2 115.5
seconds_bucket{le="+Inf"} 3 100.5 # {trace_id="abc"} 0.7 100.1
seconds_bucket{le="+Inf"} 4 115.5
# TYPE odd gauge
odd{text="a \"b\" \\ \n, }",empty=""} NaN 100
{"dotted.name","label.dot"="x" , b="y"} -Inf 1e2
{ "alone" } 5 100
bare 0x1p4 100
bare.dotted{label.dot="z"} 6 100
# EOF
"""


def test_lines_may_come_in_any_order() -> None:
    found = read_lines(SERIES_BY_SERIES, in_seconds=True)
    assert [(dict(each.labels), str(each.value), each.t_s) for each in found.samples] == [
        ({"__name__": "seconds_bucket", "le": "1.0"}, "1.0", 100.5),
        ({"__name__": "seconds_bucket", "le": "1.0"}, "2.0", 115.5),
        ({"__name__": "seconds_bucket", "le": "+Inf"}, "3.0", 100.5),
        ({"__name__": "seconds_bucket", "le": "+Inf"}, "4.0", 115.5),
        ({"__name__": "odd", "text": 'a "b" \\ \n, }'}, "nan", 100.0),
        ({"__name__": "dotted.name", "label.dot": "x", "b": "y"}, "-inf", 100.0),
        ({"__name__": "alone"}, "5.0", 100.0),
        ({"__name__": "bare"}, "16.0", 100.0),
        ({"__name__": "bare.dotted", "label.dot": "z"}, "6.0", 100.0),
    ]
    seconds, odd = found.families
    assert (seconds.name, seconds.kind, seconds.help, seconds.unit) == (
        "seconds",
        "histogram",
        "How long\nit took.",
        "seconds",
    )
    assert (odd.name, odd.kind, odd.help) == ("odd", "gauge", "")


def test_without_the_end_of_openmetrics_times_are_milliseconds() -> None:
    (sample,) = read_lines("up 1 1700000000500", in_seconds=False).samples
    assert sample.t_s == 1_700_000_000.5


@pytest.mark.parametrize(
    "line",
    [
        "up",
        "up x",
        "up 1 soon",
        "up 1 NaN",
        "up 1 2 3",
        "1 2",
        '{a="b"} 1 2',
        'up{a="b" 1 2',
        "up{a=b} 1 2",
        'up{a="b",a="c"} 1 2',
        'up{"a","b"} 1 2',
        "up{,} 1 2",
    ],
)
def test_a_line_that_is_no_sample_is_named(line: str) -> None:
    with pytest.raises(ExpositionError, match="line 2: "):
        read_lines(f"# a comment\n{line}", in_seconds=True)


def _json(path: Path, *samples: list[float], labels: dict[str, str] | None = None) -> None:
    path.write_text(json.dumps({"series": [{"labels": labels or {"__name__": "a"}, "samples": samples}]}))


def test_files_that_overlap_are_one_recording(tmp_path: Path) -> None:
    # The second file begins before the first one ends, repeats a sample, and contradicts another.
    _json(tmp_path / "1.json", [15, 1], [45, 3], [60, 4])
    _json(tmp_path / "2.json", [0, 0], [30, 2], [45, 3], [60, 5], [75, 6])
    (tmp_path / "3.om").write_text("a 7 90\nb 1 0\n# EOF\n")
    store = MemoryStore()
    gathering = load_files([tmp_path], store)
    (block,) = store.select((), 0, 60_000)[:1]
    assert block.times_ms.tolist() == [0, 15_000, 30_000, 45_000, 60_000]
    assert block.values(slice(None))[0, 0].tolist() == [0, 1, 2, 3, 4]
    # 0, 15, 30, 45, 60, 75, 90 of `a` and one of `b`; the 5 at 60 s came second.
    assert (gathering.stored, gathering.left_out) == (8, 1)
    assert gathering.example == "a at 60 is 5 there"


def test_what_exposition_files_say_of_their_metrics_is_known(tmp_path: Path) -> None:
    (tmp_path / "x.om").write_text(SERIES_BY_SERIES)
    _json(tmp_path / "y.json", [0, 0])
    assert [family.name for family in families_in(tmp_path / "x.om")] == ["seconds", "odd"]
    assert families_in(tmp_path / "y.json") == ()


def test_a_file_that_begins_with_a_name_in_braces_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "x.om").write_text('{"a.b"} 1 0\n# EOF\n')
    assert load_files([tmp_path / "x.om"], MemoryStore()).stored == 1
    (tmp_path / "y.json").write_text('{"series": 3}')
    with pytest.raises(SeriesFileError, match='no list "series"'):
        load_files([tmp_path / "y.json"], MemoryStore())
