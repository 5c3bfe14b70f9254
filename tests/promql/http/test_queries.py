"""What /query and /query_range answer, on a store whose answers are worked out by hand."""

from __future__ import annotations

import httpx
import pytest

T0 = 1_700_000_000


def test_an_instant_query_without_a_time_is_evaluated_now(ask):
    status, answer = ask("query", query='requests_total{pod="a"}')
    assert status == 200
    metric = {"__name__": "requests_total", "pod": "a", "job": "shop"}
    assert answer == {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": metric, "value": [T0 + 60, "60"]}]},
    }


def test_a_form_asks_the_same_as_a_query_string(client):
    fields = {"query": "sum(increase(requests_total[1m]))", "time": "1700000060"}
    by_form = client.post("/api/v1/query", data=fields)
    by_string = client.get("/api/v1/query", params=fields)
    assert by_form.json() == by_string.json()
    # 4 samples lie in (0 s, 60 s]: 15..60 s. They grow by 45 and 90 in 45 s; the window
    # starts 15 s before the first one, within 1.1 intervals, so both are stretched over the minute: 60 + 120.
    assert by_form.json()["data"]["result"] == [{"metric": {}, "value": [T0 + 60, "180"]}]


def test_a_body_counts_before_the_query_string(client):
    answer = client.post("/api/v1/query?query=2&time=1", data={"query": "1"})
    assert answer.json()["data"] == {"resultType": "scalar", "result": [1, "1"]}


def test_times_are_seconds_or_rfc_3339_and_kept_to_the_millisecond(ask):
    assert ask("query", query="time()", time="2023-11-14T22:13:20.25Z")[1]["data"]["result"] == [
        T0 + 0.25,
        "1700000000.25",
    ]
    assert ask("query", query="time()", time="2023-11-15T00:13:20+02:00")[1]["data"]["result"] == [T0, "1700000000"]
    assert ask("query", query="time()", time="1700000000.0004")[1]["data"]["result"] == [T0, "1700000000"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("1/0", "+Inf"),
        ("-1/0", "-Inf"),
        ("0/0", "NaN"),
        ("0.1+0.2", "0.30000000000000004"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-07"),
        ("-0.0", "-0"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(ask, query, text):
    assert ask("query", query=query, time=0)[1]["data"]["result"] == [0, text]


def test_a_string_is_a_result(ask):
    assert ask("query", query='"hello"', time=5)[1]["data"] == {"resultType": "string", "result": [5, "hello"]}


def test_a_range_vector_lists_its_samples_without_the_left_edge(ask):
    data = ask("query", query='requests_total{pod="a"}[30s]', time=T0 + 60)[1]["data"]
    assert data["resultType"] == "matrix"
    assert data["result"][0]["values"] == [[T0 + 45, "45"], [T0 + 60, "60"]]


def test_a_range_query_gives_every_step_that_has_a_value(ask):
    status, answer = ask("query_range", query="sum(requests_total)", start=T0 - 15, end=T0 + 30, step="15s")
    assert status == 200
    assert answer["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[T0, "0"], [T0 + 15, "45"], [T0 + 30, "90"]]}],
    }


def test_a_limit_cuts_the_result_and_says_so(ask):
    answer = ask("query", query="requests_total", limit=1)[1]
    assert len(answer["data"]["result"]) == 1
    assert answer["warnings"] == ["results truncated due to limit"]
    assert "warnings" not in ask("query", query="requests_total", limit=2)[1]


def test_remarks_stand_beside_the_data_with_their_place(ask):
    answer = ask("query", query="rate(up[1m])")[1]
    assert answer["status"] == "success"
    assert answer["infos"] == [
        'PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "up" (1:6)'
    ]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind", "words"),
    [
        ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error'),
        ("query", {"query": ""}, 400, "bad_data", 'invalid parameter "query"'),
        ("query", {"query": "up", "time": "soon"}, 400, "bad_data", 'cannot parse "soon" to a valid timestamp'),
        ("query", {"query": "up", "timeout": "5 s"}, 400, "bad_data", 'invalid parameter "timeout"'),
        ("query", {"query": "up", "limit": "-1"}, 400, "bad_data", "limit must be non-negative"),
        ("query", {"query": "1" * 5_001}, 400, "bad_data", "at most 5000"),
        ("query", {"query": "up + on(job) requests_total"}, 422, "execution", "many-to-many matching not allowed"),
        ("query", {"query": "up", "timeout": "0"}, 400, "bad_data", "timeout must be positive, got 0s"),
        ("query", {"query": "up", "timeout": "1e-9"}, 503, "timeout", "timed out"),
        ("query", {"query": "up", "lookback_delta": "x"}, 400, "bad_data", "error parsing lookback delta duration: "),
        ("query_range", {"query": "1", "start": 0, "end": 5, "step": "0.0001"}, 400, "bad_data", "11,000 points"),
        ("query_range", {"query": "up", "end": 5, "step": 1}, 400, "bad_data", 'invalid parameter "start"'),
        ("query_range", {"query": "up", "start": 9, "end": 5, "step": 1}, 400, "bad_data", "must not be before start"),
        ("query_range", {"query": "up", "start": 0, "end": 5, "step": 0}, 400, "bad_data", "zero or negative"),
        ("query_range", {"query": "up", "start": 0, "end": 11_001, "step": 1}, 400, "bad_data", "11,000 points"),
        ("query_range", {"query": "up[5m]", "start": 0, "end": 5, "step": 1}, 400, "bad_data", "must be Scalar or"),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match": "{a=~'.*'}"}, 400, "bad_data", "at least one"),
        ("series", {"match": "sum(up)"}, 400, "bad_data", "match[]"),
    ],
)
def test_errors_have_their_kind_status_and_reason(ask, path, parameters, status, kind, words):
    got_status, answer = ask(path, **parameters)
    assert (got_status, answer["status"], answer["errorType"]) == (status, "error", kind)
    assert words in answer["error"]


def test_deep_nesting_is_refused_and_not_survived_by_luck(ask):
    for query in ("(" * 2_000 + "1" + ")" * 2_000, "-" * 3_000 + "up", "abs(" * 1_000 + "up" + ")" * 1_000):
        status, answer = ask("query", query=query)
        assert status in (400, 422), query[:10]
        assert answer["status"] == "error"
    assert ask("query", query="abs(" * 400 + "up" + ")" * 400)[1]["data"]["result"][0]["value"][1] == "1"


def test_a_body_that_is_too_large_is_not_read(client):
    answer = client.post("/api/v1/query", data={"query": "1" * 1_100_000})
    assert answer.status_code == 413
    assert answer.json()["errorType"] == "bad_data"


def test_other_methods_and_paths_are_refused(client: httpx.Client):
    assert client.delete("/api/v1/query").status_code == 405
    assert client.get("/api/v1/admin/tsdb/snapshot").status_code == 404
