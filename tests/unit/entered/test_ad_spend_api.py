"""`/api/ad-spend` and `/api/rates`: what is entered becomes facts, whatever is sent twice, replaced or taken back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.kit.control import ControlBench
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
