"""A report and a ledger as a marketer reads them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from tests.kit.report_api import NOW, ReportBench, order, profile
from tributary.cli import report_tables
from tributary.contacts.rows import Root, encode, root_key
from tributary.facts.tables import Kind
from tributary.ports import ContactRow

ROWS = [
    order(1, NOW - timedelta(days=3), 1_234_550, discount=50, connection="Harbour\x1b[31m"),
    order(2, NOW - timedelta(days=2), 2_000, connection="[bold]Quay"),
]


def rendered(parts: Iterable[Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    for part in parts:
        console.print(part)
    return out.getvalue()


def asked(bench: ReportBench, **parameters: str) -> dict[str, Any]:
    said = bench.get("/api/reports/orders", {"range": "last_30_days", **parameters})
    assert said.status == 200, said.text
    return dict(said.body)


def test_a_report_shows_its_range_rows_total_settings_and_what_the_kpis_mean() -> None:
    text = rendered(report_tables.report(asked(ReportBench({Kind.ORDERS: ROWS}), kpis="all")))
    lines = text.splitlines()
    assert lines[0].split("  ")[:2] == ["Orders", "2026-03-11 to 2026-04-09 (last 30 days)"]
    assert lines[2].split() == ["#", "connection", "USD", "Orders", "Net", "share"]
    assert "12,345.00" in text
    assert "20.00" in text
    assert "12,365.00" in next(line for line in lines if "total" in line)
    assert "100.00%" in text
    assert "A note." in text
    assert "rates by the bank" in text
    assert "12.5% of the value has a touch" in text
    assert "as of 2026-04-10 15:30:00 UTC" in text
    assert "Gross - discount." in text
    assert "Gross - discount." not in rendered(report_tables.report(asked(ReportBench({Kind.ORDERS: ROWS})), definitions=False))


def test_what_an_id_is_called_stands_before_it() -> None:
    answer = asked(ReportBench({Kind.ORDERS: ROWS}))
    answer["rows"][0] |= {"dimensions": {"connection": "501"}, "names": {"connection": "Spring sale"}}
    assert "Spring sale (501)" in rendered(report_tables.report(answer))


def test_names_from_outside_cannot_drive_the_terminal() -> None:
    text = rendered(report_tables.report(asked(ReportBench({Kind.ORDERS: ROWS}))))
    assert "\x1b" not in text
    assert "[bold]Quay" in text


def test_amounts_of_several_currencies_each_name_theirs_and_have_a_total_each() -> None:
    rows = [*ROWS, order(3, NOW - timedelta(days=1), 500, currency="JPY")]
    text = rendered(report_tables.report(asked(ReportBench({Kind.ORDERS: rows}))))
    assert "12,345.00 USD" in text
    assert "500 JPY" in text
    totals = [line.split() for line in text.splitlines() if "total" in line]
    assert totals == [["total", "500", "JPY", "1"], ["total", "12,365.00", "USD", "2"]]


def test_a_comparison_a_cut_and_an_unfinished_row_are_marked() -> None:
    answer = asked(ReportBench({Kind.ORDERS: ROWS}), compare="previous", limit="1")
    row, total = answer["rows"][0], answer["totals"][0]
    row |= {"before": {"net_revenue": 1, "orders": 0}, "change": {"net_revenue": 12.345, "orders": None}, "immature": True}
    total |= {"before": {"net_revenue": 1, "orders": 4}, "change": {"net_revenue": -50.0, "orders": 0.0}}
    answer["overlapping"] = True
    text = rendered(report_tables.report(answer))
    assert "+12.3%" in text
    assert "-50.0%" in text
    assert "The first 1 of 2 rows" in text
    assert "* has not come to its end yet." in text
    assert "Rows overlap" in text
    assert "compared with 2026-02-09 to 2026-03-10" in text


def test_what_no_touch_is_known_of_is_called_so() -> None:
    answer = asked(ReportBench({Kind.ORDERS: ROWS}))
    answer["rows"][0] |= {"unattributed": True, "dimensions": {"connection": None}}
    answer["rows"][1] |= {"dimensions": {"connection": None}}
    text = rendered(report_tables.report(answer))
    assert "unattributed" in text
    assert "(none)" in text


def test_numbers_have_parts_only_where_one_of_their_column_has() -> None:
    answer = asked(ReportBench({Kind.ORDERS: ROWS}))
    for row in answer["rows"]:
        row["values"]["orders"] = 1.0
    assert "1.00" not in rendered(report_tables.report(answer))
    answer["rows"][0]["values"]["orders"] = 0.5
    assert "1.00" in rendered(report_tables.report(answer))


def test_a_report_that_is_not_grouped_is_its_total() -> None:
    text = rendered(report_tables.report(asked(ReportBench({Kind.ORDERS: ROWS}), group_by="none")))
    assert text.count("12,365.00") == 1


def test_a_ledger_names_people_and_orders() -> None:
    bench = ReportBench({Kind.ORDERS: ROWS})
    key = root_key(f"{1:032x}")
    bench.contacts.stored[key] = ContactRow(key, 1, encode(Root(created=1, profile=profile(email="jo@harbour.example", name="Jo"))))
    answer = bench.get("/api/reports/orders/ledger", {"range": "last_30_days", "limit": "1"}).body
    text = rendered(report_tables.ledger(answer))
    assert "Revenue: 12,365.00 USD" in text
    (line,) = [line for line in text.splitlines() if "O-1" in line]
    assert "Jo" in line
    assert "jo@harbour.example" in line
    assert "12,345.00 USD" in line
    assert "1 of 2 lines." in text


def test_what_reports_there_are_is_shown_with_their_kpis() -> None:
    text = rendered(report_tables.kinds(ReportBench({}).get("/api/reports").body))
    assert "orders" in text
    assert "net_share" in text
    assert "100 x net / gross." in text


@pytest.mark.parametrize(
    ("figure", "unit", "currency", "written"),
    [
        (None, "money", "USD", "-"),
        (123_456, "money", "USD", "1,234.56"),
        (-5, "money", "USD", "-0.05"),
        (500, "money", "JPY", "500"),
        (1_234, "money", "KWD", "1.234"),
        (1_234.5, "money", "USD", "12.35"),
        (15.1515, "percent", "USD", "15.15%"),
        (1_234, "count", "USD", "1,234"),
        (3.0, "number", "USD", "3.00"),
        (0.5, "count", "USD", "0.50"),
        (2.5, "ratio", "USD", "2.50"),
        (3.26, "days", "USD", "3.3 d"),
        (59, "seconds", "USD", "59 s"),
        (5_400, "seconds", "USD", "1.5 h"),
        (200_000, "seconds", "USD", "2.3 d"),
    ],
)
def test_a_figure_is_written_as_people_write_it(figure: float | None, unit: str, currency: str, written: str) -> None:
    assert report_tables.value(figure, unit, currency) == written
