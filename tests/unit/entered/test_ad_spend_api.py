"""`/api/ad-spend` and `/api/rates`: what is entered becomes facts, whatever is sent twice, replaced or taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.kit.control import ControlBench
from tributary.entered.entering import MAX_BODY_BYTES, MAX_ROWS
from tributary.facts.tables import AdSpendFact, Kind, RateFact

ROW = {"date": "2026-03-03", "platform": "facebook", "campaign_id": "120210000000000001", "spend": 1234}
RATE = {"day": "2026-03-03", "from": "EUR", "to": "USD", "rate": "1.0842"}


def spend(bench: ControlBench) -> list[AdSpendFact]:
    return list(bench.facts.standing(Kind.AD_SPEND, AdSpendFact).values())


def enter(bench: ControlBench, *rows: dict[str, Any], query: str = "", **given: Any) -> dict[str, Any]:
    said = bench.call("POST", f"/api/ad-spend{query}", {"rows": rows}, **given)
    assert said.status == 201, said.text
    body: dict[str, Any] = said.body
    return body


def test_a_row_becomes_a_fact_of_its_batch() -> None:
    bench = ControlBench()
    said = enter(bench, {**ROW, "utm_source": "fb", "impressions": 900, "clicks": 12}, query="?label=March&timezone=America/New_York")
    [fact] = spend(bench)
    assert (fact.platform, fact.campaign_id, fact.source, fact.spend, fact.currency) == ("facebook", "120210000000000001", "fb", 1234, "USD")
    assert (fact.impressions, fact.clicks, fact.time_zone, fact.type, fact.batch) == (900, 12, "America/New_York", "spend", said["batch"]["id"])
    assert said == {
        "batch": {
            "id": fact.batch,
            "label": "March",
            "received_at": "2026-03-04T12:00:00Z",
            "rows": 1,
            "refused": 0,
            "first_day": "2026-03-03",
            "last_day": "2026-03-03",
            "waiting": False,
        },
        "repeated": False,
        "errors": [],
        "errors_left_out": 0,
        "ignored_columns": [],
    }


def test_a_rate_becomes_a_fact_that_is_exact_and_names_who_says_so() -> None:
    bench = ControlBench()
    said = bench.call("POST", "/api/rates?source=ECB", {"rows": [RATE, {**RATE, "from": "GBP", "rate": 1.265}]})
    assert said.status == 201, said.text
    facts = {fact.from_currency: fact for fact in bench.facts.standing(Kind.RATES, RateFact).values()}
    assert facts["EUR"].rate == Decimal("1.0842")
    assert (facts["GBP"].rate, facts["GBP"].source, facts["GBP"].to_currency) == (Decimal("1.265"), "ECB", "USD")


def test_a_later_row_of_the_same_advertisement_and_day_replaces_the_earlier() -> None:
    bench = ControlBench()
    enter(bench, ROW)
    enter(bench, {**ROW, "spend": 2000})
    assert [fact.spend for fact in spend(bench)] == [2000]


def test_a_batch_that_is_taken_back_shows_again_what_it_had_replaced() -> None:
    bench = ControlBench()
    enter(bench, ROW, {**ROW, "date": "2026-03-02"})
    second = enter(bench, {**ROW, "spend": 2000}, {**ROW, "date": "2026-03-01"})["batch"]["id"]
    assert bench.call("DELETE", f"/api/ad-spend/batches/{second}").status == 204
    assert sorted((str(fact.day), fact.spend) for fact in spend(bench)) == [("2026-03-02", 1234), ("2026-03-03", 1234)]
    enter(bench, {**ROW, "spend": 3000})
    assert sorted((str(fact.day), fact.spend) for fact in spend(bench)) == [("2026-03-02", 1234), ("2026-03-03", 3000)]


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "run-7"}])
def test_the_same_request_again_is_the_same_batch(headers: dict[str, str]) -> None:
    bench = ControlBench()
    first = enter(bench, ROW, headers=headers)
    again = enter(bench, ROW, headers=headers)
    assert again == {**first, "repeated": True}
    assert len(bench.facts.told) == 1


CSV = {"content-type": "text/csv; charset=utf-8"}


def test_a_csv_is_entered_with_what_holds_for_all_its_rows_beside_it() -> None:
    bench = ControlBench()
    file = b"Day,Campaign ID,Amount spent (EUR),Reach\n2026-03-02,1,12.34,9\n2026-03-03,1,free,9\n"
    said = bench.call("POST", "/api/ad-spend?platform=facebook&account_id=act_1&label=march.csv", raw=file, headers=CSV)
    assert said.status == 201, said.text
    assert (said.body["batch"]["rows"], said.body["batch"]["refused"], said.body["ignored_columns"]) == (1, 1, ["Reach"])
    assert [(error["row"], error["column"]) for error in said.body["errors"]] == [(3, "spend")]
    [fact] = spend(bench)
    assert (fact.platform, fact.account_id, fact.spend, fact.currency) == ("facebook", "act_1", 1234, "EUR")
    kept = bench.call("GET", f"/api/ad-spend/batches/{said.body['batch']['id']}")
    assert kept.body == {**said.body["batch"], "errors": said.body["errors"]}


def test_another_currency_than_the_header_names_is_refused() -> None:
    bench = ControlBench()
    file = b"Day,Campaign ID,Amount spent (EUR)\n2026-03-02,1,12.34\n"
    said = bench.call("POST", "/api/ad-spend?platform=facebook&currency=usd", raw=file, headers=CSV)
    assert (said.status, said.body["field"]) == (400, "currency")
    assert bench.call("POST", "/api/ad-spend?platform=facebook&currency=eur", raw=file, headers=CSV).status == 201
    file = b"Day,Campaign ID,Amount spent (EUR),Currency\n2026-03-02,1,12.34,usd\n2026-03-02,2,12.34,eur\n2026-03-02,3,1,\n"
    said = bench.call("POST", "/api/ad-spend?platform=facebook", raw=file, headers=CSV)
    assert ([(error["row"], error["column"]) for error in said.body["errors"]], said.body["batch"]["rows"]) == ([(2, "currency")], 2)


def test_good_rows_are_taken_and_bad_ones_named_unless_all_or_nothing_was_asked_for() -> None:
    bench = ControlBench()
    rows = [ROW, {**ROW, "date": "2026-03-02", "colour": "blue"}, 7, {**ROW, "spend": "12.34"}]
    said = bench.call("POST", "/api/ad-spend?all_or_nothing=true", {"rows": rows})
    assert (said.status, said.body["code"], [error["row"] for error in said.body["errors"]]) == (400, "no_usable_rows", [2, 3, 4])
    assert (bench.facts.told, bench.files.files, bench.call("GET", "/api/ad-spend/batches").body["data"]) == ([], {}, [])
    body = enter(bench, *rows)  # type: ignore[arg-type]
    assert [(error["row"], error["column"]) for error in body["errors"]] == [(2, "colour"), (3, None), (4, "spend")]
    assert len(spend(bench)) == 1


def test_no_error_repeats_what_was_sent() -> None:
    bench = ControlBench()
    said = bench.call("POST", "/api/ad-spend", {"rows": [dict.fromkeys(ROW, "planted@harbour.example")]})
    assert said.status == 400
    assert "planted" not in said.text


def test_of_many_errors_the_first_hundred_are_listed_and_the_rest_counted() -> None:
    bench = ControlBench()
    body = enter(bench, ROW, *({**ROW, "date": "x", "ad_id": str(number)} for number in range(130)))
    assert (len(body["errors"]), body["errors_left_out"], body["batch"]["refused"]) == (100, 30, 130)


def test_a_request_has_limits_that_say_so() -> None:
    bench = ControlBench()
    rows = [{**ROW, "ad_id": str(number)} for number in range(MAX_ROWS + 1)]
    said = bench.call("POST", "/api/ad-spend", {"rows": rows})
    assert (said.status, said.body["code"]) == (413, "too_many_rows")
    assert bench.call("POST", "/api/ad-spend", {"rows": rows[:-1]}).body["batch"]["rows"] == MAX_ROWS
    said = bench.call("POST", "/api/ad-spend", raw=b" " * (MAX_BODY_BYTES + 1), headers=CSV)
    assert (said.status, said.body["code"]) == (413, "body_too_large")
    assert bench.call("POST", "/api/sources", raw=b" " * 70_000).status == 413


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "missing_field"), ({"rows": []}, "no_rows"), ({"rows": {}}, "invalid_field"), ({"rows": [ROW], "colour": 1}, "unknown_field")],
)
def test_a_body_without_rows_is_refused(body: Any, code: str) -> None:
    said = ControlBench().call("POST", "/api/ad-spend", body)
    assert (said.status, said.body["code"]) == (400, code)


@pytest.mark.parametrize("query", ["platform=Face%20book", "currency=XXX", "timezone=Mars", "label=%00", "all_or_nothing=perhaps", "colour=blue"])
def test_a_parameter_that_does_not_fit_is_named(query: str) -> None:
    said = ControlBench().call("POST", f"/api/ad-spend?{query}", {"rows": [ROW]})
    assert (said.status, said.body["field"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "é"])
def test_an_idempotency_key_that_is_none_is_refused(key: str) -> None:
    said = ControlBench().call("POST", "/api/ad-spend", {"rows": [ROW]}, headers={"idempotency-key": key})
    assert (said.status, said.body["field"]) == (400, "idempotency-key")


def test_an_idempotency_key_that_was_sent_with_other_rows_is_refused() -> None:
    bench = ControlBench()
    enter(bench, ROW, headers={"idempotency-key": "run-7"})
    said = bench.call("POST", "/api/ad-spend", {"rows": [{**ROW, "spend": 5}]}, headers={"idempotency-key": "run-7"})
    assert (said.status, said.body["code"], said.body["field"]) == (409, "idempotency_key_reused", "idempotency-key")
    assert bench.call("POST", "/api/rates", {"rows": [RATE]}, headers={"idempotency-key": "run-7"}).status == 201


def test_batches_are_listed_by_pages_the_newest_first_without_those_taken_back() -> None:
    bench = ControlBench()
    ids = [enter(bench, {**ROW, "spend": number})["batch"]["id"] for number in range(5)]
    bench.call("DELETE", f"/api/ad-spend/batches/{ids[1]}")
    first = bench.call("GET", "/api/ad-spend/batches?limit=3").body
    rest = bench.call("GET", f"/api/ad-spend/batches?limit=3&cursor={first['next_cursor']}").body
    assert [batch["id"] for batch in first["data"] + rest["data"]] == [ids[4], ids[3], ids[2], ids[0]]
    assert rest["next_cursor"] is None
    assert bench.call("GET", f"/api/ad-spend/batches/{ids[1]}").status == 404
    assert bench.call("GET", "/api/rates/batches").body["data"] == []


def test_what_the_queue_of_facts_refused_is_kept_waits_and_goes_with_the_next_call() -> None:
    bench = ControlBench()
    bench.facts.refuse = 1
    assert bench.call("POST", "/api/ad-spend", {"rows": [ROW]}).status == 503
    [kept] = bench.call("GET", "/api/ad-spend/batches").body["data"]
    assert kept["waiting"]
    assert enter(bench, ROW) == {"batch": {**kept, "waiting": False}, "repeated": True, "errors": [], "errors_left_out": 0, "ignored_columns": []}
    assert [fact.spend for fact in spend(bench)] == [1234]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/api/ad-spend", "ad_spend:write"),
        ("GET", "/api/ad-spend/batches", "ad_spend:read"),
        ("DELETE", "/api/ad-spend/batches/spend_x", "ad_spend:write"),
        ("POST", "/api/rates", "rates:write"),
        ("GET", "/api/rates/batches", "rates:read"),
    ],
)
def test_each_route_has_its_scope(method: str, path: str, scope: str) -> None:
    bench = ControlBench()
    others = {"ad_spend:write", "ad_spend:read", "rates:write", "rates:read"} - {scope}
    body = {"rows": [RATE if "rates" in path else ROW]} if method == "POST" else None
    refused = bench.call(method, path, body, key=bench.new_key(*others))
    assert (refused.status, refused.body["scope"]) == (403, scope)
    assert bench.call(method, path, body, key=bench.new_key(scope)).status in (200, 201, 404)
