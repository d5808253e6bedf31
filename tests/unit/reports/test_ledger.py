"""What is behind a figure: its lines come to it, whatever the model."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_facts import asked, behind, facts, item, lead, node, order, touch
from tributary.reports.frame import RowUnknown
from tributary.reports.query import Model, ReportType, Scale


@cache
def _rows() -> MemoryFacts:
    return facts(
        touch("ann", "03-01", "email", campaign="a"),
        touch("ann", "03-02", "email", campaign="b"),
        touch("ann", "03-03", "email", campaign="a"),
        lead("ann", "03-02"),
        lead("bob", "03-02"),
        order("ann", "03-05", 100, id="one", items=(item("shoe", 2), item("hat", 1))),
        order("ann", "03-06", 11, id="two", items=(item("hat", 1),)),
        order("bob", "03-06", 7, id="three"),
    )


@pytest.mark.parametrize("model", list(Model))
@pytest.mark.parametrize("group_by", [("campaign",), ("campaign", "product"), ("product",)])
def test_the_lines_behind_a_row_and_behind_the_total_come_to_it(model: Model, group_by: tuple[str, ...]) -> None:
    said: dict[str, Any] = {"model": model, "group_by": group_by, "scale": Scale.MONTH}
    kpis = ("net_revenue", "orders", "customers")
    report = asked(_rows(), kpis=kpis, **said)
    for row in report.rows[:2]:
        for kpi in kpis:
            ledger = behind(_rows(), kpi, row.key, **said)
            assert ledger.total == row.values[kpi]
            assert ledger.adds_up_to == pytest.approx(ledger.total)
    for kpi in kpis:
        ledger = behind(_rows(), kpi, **said)
        assert ledger.total == report.totals[0].values[kpi]
        assert ledger.adds_up_to == pytest.approx(ledger.total)


def test_a_line_says_whose_it_is_and_how_much_of_it_counts() -> None:
    report = asked(_rows(), group_by=("campaign",), model=Model.LINEAR)
    (row,) = (row for row in report.rows if row.dimensions["campaign"] == "b")
    ledger = behind(_rows(), "net_revenue", row.key, group_by=("campaign",), model=Model.LINEAR)
    assert [(line.person, line.kind, line.id, line.connection, line.value) for line in ledger.lines] == [
        (node("ann"), "order", "one", "crm", 33),
        (node("ann"), "order", "two", "crm", 4),
    ]


def test_people_are_listed_once() -> None:
    ledger = behind(_rows(), "customers")
    assert [(line.person, line.value) for line in ledger.lines] == [(node("ann"), 1), (node("bob"), 1)]


def test_of_a_rate_the_lines_are_of_what_is_divided_and_the_parts_say_by_what() -> None:
    ledger = behind(_rows(), "conversion_rate", type=ReportType.ACQUISITION)
    assert (ledger.total, ledger.adds_up_to, ledger.parts) == (100, 2, {"over": 2, "under": 2, "times": 100})


def test_pages_of_a_ledger_come_to_the_whole() -> None:
    pages = [behind(_rows(), "net_revenue", limit=1, offset=offset) for offset in range(4)]
    assert [[line.id for line in page.lines] for page in pages] == [["one"], ["three"], ["two"], []]
    assert {(page.lines_found, page.adds_up_to) for page in pages} == {(3, 118)}


@pytest.mark.parametrize("key", ["", "nonsense", "W10", "WyJVU0QiLG51bGwsdHJ1ZSxbImEiLCJiIl1d"])
def test_a_key_that_no_row_had_is_told(key: str) -> None:
    with pytest.raises(RowUnknown):
        behind(_rows(), "net_revenue", key, group_by=("campaign",))
