"""Costs that no advertisement has."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.kit.control import ControlBench
from tributary.drafts import AccountChange
from tributary.entered.fixed_costs import MAX_FIXED_COSTS, fixed_costs
from tributary.operator import Row, Unreadable
from tributary.reports.query import FixedCost

RENT = {"name": "Rent", "frequency": "daily", "amount": 5000, "first": "2026-01-01"}


def test_a_daily_cost_and_one_that_comes_once_become_part_of_what_reports_are_asked() -> None:
    bench = ControlBench()
    bench.operator.update_account(AccountChange(reporting_currency="EUR"))
    made = bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "platform": "office"})
    assert (made.status, made.header("etag")) == (200, '"1"')
    bench.call("PUT", "/api/fixed-costs/fair", {"name": "Fair", "frequency": "once", "amount": 90, "currency": "jpy", "first": "2026-02-03", "source": "fair"})
    assert fixed_costs(bench.rows) == (
        FixedCost(id="fair", name="Fair", amount=90, currency="JPY", first=date(2026, 2, 3), last=date(2026, 2, 3), source="fair"),
        FixedCost(id="rent", name="Rent", amount=5000, currency="EUR", first=date(2026, 1, 1), last=None, platform="office"),
    )
    assert [(cost["id"], cost["frequency"]) for cost in bench.call("GET", "/api/fixed-costs").body["data"]] == [("fair", "once"), ("rent", "daily")]
    assert bench.call("GET", "/api/fixed-costs/rent").body == made.body


def test_a_cost_is_replaced_whole_and_the_same_again_keeps_its_version() -> None:
    bench = ControlBench()
    bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "campaign": "all"})
    assert bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "campaign": "all"}).body["version"] == 1
    changed = bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "last": "2026-02-01"}).body
    assert (changed["version"], changed["last"], changed["campaign"]) == (2, "2026-02-01", None)


def test_of_two_editors_the_second_is_told() -> None:
    bench = ControlBench()
    bench.call("PUT", "/api/fixed-costs/rent", RENT)
    bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "amount": 1})
    assert bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "amount": 2}, headers={"if-match": '"1"'}).status == 412
    assert bench.call("DELETE", "/api/fixed-costs/rent", headers={"if-match": '"1"'}).status == 412
    assert bench.call("PUT", "/api/fixed-costs/new", RENT, headers={"if-match": '"1"'}).status == 412
    bench.rows.before_commit = lambda: bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "amount": 3})
    assert bench.call("PUT", "/api/fixed-costs/rent", {**RENT, "amount": 4}).status == 409
    assert bench.call("DELETE", "/api/fixed-costs/rent", headers={"if-match": '"3"'}).status == 204
    assert bench.call("GET", "/api/fixed-costs/rent").status == 404
    assert bench.call("DELETE", "/api/fixed-costs/rent").status == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"amount": -1}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": 10**15}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"first": "today"}, "first"),
        ({"last": "2025-12-31"}, "last"),
        ({"frequency": "once", "last": "2026-01-02"}, "last"),
        ({"frequency": "weekly"}, "frequency"),
        ({"source": ""}, "source"),
        ({"campaign": "a\nb"}, "campaign"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_cost_that_makes_no_sense_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    bench = ControlBench()
    said = bench.call("PUT", "/api/fixed-costs/rent", {**RENT, **change})
    assert (said.status, said.body["field"]) == (400, field)
    assert fixed_costs(bench.rows) == ()


def test_an_id_is_small_letters() -> None:
    said = ControlBench().call("PUT", "/api/fixed-costs/Rent", RENT)
    assert (said.status, said.body["field"]) == (400, "id")


def test_there_are_only_so_many() -> None:
    bench = ControlBench()
    for number in range(MAX_FIXED_COSTS):
        assert bench.call("PUT", f"/api/fixed-costs/c{number}", RENT).status == 200
    assert bench.call("PUT", "/api/fixed-costs/one-more", RENT).status == 400
    assert bench.call("PUT", "/api/fixed-costs/c0", {**RENT, "amount": 1}).status == 200


def test_a_row_that_this_release_cannot_read_is_said_and_not_left_out() -> None:
    bench = ControlBench()
    bench.rows.rows["fixed_cost", "rent"] = Row('{"id": "rent", "amount": "much"}', 1)
    assert bench.call("GET", "/api/fixed-costs").status == 409
    with pytest.raises(Unreadable):
        fixed_costs(bench.rows)
