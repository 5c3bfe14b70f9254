"""Scraped text and JSON files become samples; what is wrong with them is said with its place."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

from promql.engine import evaluate
from promql.storage import MemoryStore, SeriesFileError, Target, load_file, load_json_series, read_exposition
from promql.storage.exposition import ExpositionError

TEXT = """# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{status="200"} 12
http_requests_total{status="500"} 1
# TYPE queue gauge
queue 3.5
"""

OPENMETRICS = """# TYPE http_requests counter
http_requests_total{status="200"} 12 1700000000.5
http_requests_total{status="200"} 14 1700000015.5
# EOF
"""


def names(store: MemoryStore) -> set[str]:
    return {dict(labels)["__name__"] for labels in store.label_sets()}


def test_exposition_text_is_read_with_labels_and_types() -> None:
    exposition = read_exposition(TEXT)
    assert [(dict(sample.labels), sample.value, sample.t_s) for sample in exposition.samples] == [
        ({"__name__": "http_requests_total", "status": "200"}, 12.0, None),
        ({"__name__": "http_requests_total", "status": "500"}, 1.0, None),
        ({"__name__": "queue"}, 3.5, None),
    ]
    assert [family.kind for family in exposition.families] == ["counter", "gauge"]


def test_openmetrics_is_known_by_its_end_and_may_carry_times() -> None:
    samples = read_exposition(OPENMETRICS).samples
    assert [(sample.value, sample.t_s) for sample in samples] == [(12.0, 1700000000.5), (14.0, 1700000015.5)]


@pytest.mark.parametrize("text", ['a{b="c} 1\n', "a b c d\n", "a{b=c} 1\n", "# TYPE a counter\na 1\n# EOF\n"])
def test_text_that_cannot_be_parsed_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(ExpositionError, match="cannot be read"):
        read_exposition(text)


def test_a_scrape_sets_up_and_a_series_that_is_gone_becomes_stale() -> None:
    store = MemoryStore()
    target = Target(store, {"job": "orders", "instance": "127.0.0.1:1"})
    target.scraped('a 1\nb{x="y"} 2\n', 100.0)
    target.scraped("a 2\n", 115.0)
    assert evaluate("up", 115.0, store).vector()[0][1] == 1.0
    assert evaluate("b", 114.0, store).vector()[0][1] == 2.0
    assert evaluate("b", 115.0, store).vector() == []
    assert evaluate("a", 115.0, store).vector()[0][1] == 2.0


def test_a_failed_scrape_makes_every_series_stale_and_up_zero() -> None:
    store = MemoryStore()
    target = Target(store, {"job": "orders"})
    target.scraped("a 1\n", 100.0)
    target.failed(115.0)
    assert evaluate("a", 115.0, store).vector() == []
    assert evaluate("up", 115.0, store).vector()[0][1] == 0.0
    target.scraped("a 5\n", 130.0)
    assert evaluate("a", 130.0, store).vector()[0][1] == 5.0
    target.removed(145.0)
    assert evaluate('{__name__=~"a|up"}', 145.0, store).vector() == []


def test_scraped_labels_give_way_to_the_targets() -> None:
    store = MemoryStore()
    Target(store, {"job": "orders"}).scraped('a{job="mine"} 1\n', 100.0)
    (labels, _) = evaluate("a", 100.0, store).vector()[0]
    assert dict(labels) == {"__name__": "a", "exported_job": "mine", "job": "orders"}


def test_a_bad_scrape_stores_nothing() -> None:
    store = MemoryStore()
    with pytest.raises(ExpositionError):
        Target(store, {"job": "orders"}).scraped('a 1\nb{x="} 2\n', 100.0)
    assert names(store) == set()


def test_json_series_may_hold_numbers_that_json_cannot_write() -> None:
    store = MemoryStore()
    samples = [[1.0, "NaN"], [2.0, "+Inf"], [3.0, "-Inf"], [4.0, 0.5]]
    assert load_json_series({"series": [{"labels": {"__name__": "a"}, "samples": samples}]}, store) == 4
    assert math.isnan(evaluate("a", 1.0, store).vector()[0][1])
    assert evaluate("a", 2.0, store).vector()[0][1] == math.inf
    assert evaluate("a", 3.0, store).vector()[0][1] == -math.inf


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], 'there is no list "series"'),
        ({"series": [1]}, r"series\[0\] is no object"),
        ({"series": [{"labels": {"a": 1}, "samples": []}]}, r"series\[0\]\.labels must be an object of strings"),
        ({"series": [{"labels": {}, "samples": [[1]]}]}, r"samples\[0\] is \[1\]; it must be \[unix seconds, value\]"),
        ({"series": [{"labels": {}, "samples": [[1, "x"]]}]}, r"samples\[0\] has the value 'x'"),
        ({"series": [{"labels": {}, "samples": [[2, 1], [1, 1]]}]}, r"samples\[1\] is refused: out of order at 1.0"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(document: object, message: str) -> None:
    with pytest.raises(SeriesFileError, match=message):
        load_json_series(document, MemoryStore())


def test_files_may_be_packed_openmetrics_or_a_folder_of_both(tmp_path: Path) -> None:
    document = {"series": [{"labels": {"__name__": "a"}, "samples": [[1.0, 2.0]]}]}
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(document).encode()))
    (tmp_path / "b.om").write_text(OPENMETRICS)
    store = MemoryStore()
    assert load_file(tmp_path, store) == 3
    assert names(store) == {"a", "http_requests_total"}


def test_files_that_are_no_data_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(SeriesFileError, match=r"x\.json: not valid JSON"):
        load_file(tmp_path / "x.json", MemoryStore())
    (tmp_path / "y.gz").write_bytes(b"no gzip")
    with pytest.raises(SeriesFileError, match=r"y\.gz: cannot be read"):
        load_file(tmp_path / "y.gz", MemoryStore())
    (tmp_path / "z.txt").write_text("a 1\n")
    with pytest.raises(SeriesFileError, match="has no timestamp"):
        load_file(tmp_path / "z.txt", MemoryStore())
    with pytest.raises(SeriesFileError, match="cannot be read"):
        load_file(tmp_path / "missing.json", MemoryStore())
