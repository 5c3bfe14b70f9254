"""What the look-ups answer: series, labels, values, metadata, and who is asked."""

from __future__ import annotations

import httpx

T0 = 1_700_000_000
POD_A = {"__name__": "requests_total", "pod": "a", "job": "shop"}
POD_B = {"__name__": "requests_total", "pod": "b", "job": "shop"}
UP = {"__name__": "up", "job": "shop"}


def test_series_are_those_that_any_selector_matches_each_once(ask):
    assert ask("series", match=["up", '{pod="a"}', '{pod=~"a|x"}'])[1]["data"] == [POD_A, UP]
    assert ask("series", match="absent_metric")[1]["data"] == []


def test_series_without_a_sample_in_the_span_are_left_out(ask):
    assert ask("series", match="up", start=T0 + 61)[1]["data"] == []
    assert ask("series", match="up", end=T0 - 1)[1]["data"] == []
    assert ask("series", match="up", start=T0 + 60, end=T0 + 70)[1]["data"] == [UP]


def test_labels_and_their_values_are_sorted(ask):
    assert ask("labels")[1]["data"] == ["__name__", "job", "pod"]
    assert ask("labels", match="up")[1]["data"] == ["__name__", "job"]
    assert ask("label/pod/values")[1]["data"] == ["a", "b"]
    assert ask("label/__name__/values")[1]["data"] == ["requests_total", "up"]
    assert ask("label/pod/values", match="up")[1]["data"] == []


def test_a_limit_cuts_look_ups_and_says_so(ask):
    answer = ask("series", match="requests_total", limit=1)[1]
    assert answer["data"] == [POD_A]
    assert answer["warnings"] == ["results truncated due to limit"]
    assert ask("labels", limit=0)[1]["data"] == ["__name__", "job", "pod"]


def test_series_can_be_asked_by_form(client: httpx.Client):
    assert client.post("/api/v1/series", data={"match[]": ["up", '{pod="b"}']}).json()["data"] == [POD_B, UP]


def test_metadata_tells_what_is_known_of_a_metric(ask):
    known = {"requests_total": [{"type": "counter", "help": "Requests.", "unit": ""}]}
    assert ask("metadata")[1]["data"] == known
    assert ask("metadata", metric="requests_total")[1]["data"] == known
    assert ask("metadata", metric="up")[1]["data"] == {}


def test_a_query_can_be_formatted(ask):
    assert ask("format_query", query="sum (up)  by(job)")[1]["data"] == "sum by (job) (up)"


def test_clients_find_a_prometheus_3(ask, client):
    assert ask("status/buildinfo")[1]["data"]["version"].startswith("3.")
    assert client.get("/-/ready").status_code == 200
    assert client.get("/-/healthy").status_code == 200


def test_there_are_no_rules_alerts_or_exemplars(ask):
    assert ask("rules")[1]["data"] == {"groups": []}
    assert ask("alerts")[1]["data"] == {"alerts": []}
    assert ask("query_exemplars", query="up")[1]["data"] == []


def test_pairs_that_are_none_are_passed_over(client):
    # A semicolon separates nothing, and %zz is no character: such a pair is as if it were not there.
    answer = client.get("/api/v1/query?query=1;x=1&query=2&time=1&time=%zz")
    assert answer.json()["data"] == {"resultType": "scalar", "result": [1, "2"]}


def test_a_body_that_is_no_form_is_not_read(client):
    answer = client.post("/api/v1/query?query=1&time=1", content=b"query=2")
    assert answer.json()["data"]["result"] == [1, "1"]


def test_a_balancer_may_look_whether_the_server_is_well(client):
    assert client.head("/-/ready").status_code == 200
    assert client.head("/api/v1/query?query=1").status_code == 405
