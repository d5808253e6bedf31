"""CSV as people and ad platforms write it."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.entered import ad_spend, csv_files, rates
from tributary.entered.ad_spend import Defaults
from tributary.entered.csv_files import FileUnreadable, Table
from tributary.entered.reading import RowError
from tributary.facts.tables import AdSpendFact

LATEST = date(2026, 3, 5)


def read(text: str | bytes) -> Table:
    return csv_files.read(text.encode() if isinstance(text, str) else text, ad_spend.COLUMNS)


def facts(text: str | bytes, platform: str | None = "facebook") -> tuple[list[AdSpendFact], list[RowError]]:
    table = read(text)
    return ad_spend.facts(table.rows, form="csv", defaults=Defaults(currency=table.currency or "USD", platform=platform), latest=LATEST)


META = '''\
Reporting starts,Reporting ends,Campaign name,Campaign ID,Ad Set ID,Ad ID,Amount spent (EUR),Impressions,Link clicks,Clicks (all),Reach,Results
2026-03-02,2026-03-02,"Spring, ""big""",120210000000000001,120210000000000002,120210000000000003,12.34,"1,234",5,9,900,
2026-03-03,2026-03-03,Spring,120210000000000001,120210000000000002,120210000000000003,0,10,0,0,9,
'''
GOOGLE = """\
Campaign performance
March 1, 2026 - March 3, 2026
Day\tCampaign\tCampaign ID\tCurrency code\tCost\tImpr.\tClicks
2026-03-02\tBrand\t20112233\tUSD\t"1,050.07"\t120\t8
Total: Account\t --\t --\tUSD\t1050.07\t120\t8
"""


def test_an_export_of_ads_manager_is_read_as_it_is() -> None:
    table = read(META)
    assert table.ignored == ["Clicks (all)", "Reach", "Results"]
    first, second = facts(META)[0]
    assert (first.day, first.campaign_name, first.ad_id, first.spend, first.currency) == (date(2026, 3, 2), 'Spring, "big"', "120210000000000003", 1234, "EUR")
    assert (first.impressions, first.clicks, second.spend) == (1234, 5, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_export_of_google_ads_is_read_with_its_title_and_without_its_totals(encoding: str) -> None:
    [fact], errors = facts(GOOGLE.encode(encoding), "google")
    assert (fact.campaign_name, fact.campaign_id, fact.spend, fact.clicks, fact.currency) == ("Brand", "20112233", 105007, 8, "USD")
    assert errors == []


def test_the_api_of_google_ads_gives_millionths() -> None:
    [fact], _ = facts("segments.date,campaign.id,metrics.cost_micros,customer.currency_code\n2026-03-02,7,12345678,JPY\n", "google")
    assert (fact.spend, fact.currency) == (12, "JPY")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_commas_semicolons_and_tabs_are_told_by_the_header(delimiter: str, mark: str, end: str) -> None:
    lines = [["date", "platform", "campaign_id", "spend"], ["2026-03-02", "facebook", "1", "12.34"], [], ["2026-03-03", "facebook", "1", "5"], ["", "", "", ""]]
    [first, second], errors = facts(mark + end.join(delimiter.join(cells) for cells in lines) + end, None)
    assert (first.spend, second.spend, errors) == (1234, 500, [])


def test_a_semicolon_file_with_decimal_commas_names_each_row_and_the_column() -> None:
    found, errors = facts("date;campaign_id;spend\n2026-03-02;1;12,34\n2026-03-03;1;1234.50\n")
    assert [fact.spend for fact in found] == [123450]
    assert [(error.row, error.column) for error in errors] == [(2, "spend")]


def test_a_cell_of_several_lines_is_one_row_and_rows_are_counted_as_a_spreadsheet_does() -> None:
    _, errors = facts('date,campaign_id,campaign_name,spend\n2026-03-02,1,"two\nlines",1\n\n2026-03-02,1,x,free\n')
    assert [(error.row, error.column) for error in errors] == [(2, "campaign_name"), (4, "spend")]


def test_an_amount_with_a_comma_outside_quotes_is_a_cell_too_many() -> None:
    found, errors = facts("date,campaign_id,spend\n2026-03-02,1,1,234.56\n2026-03-03,1\n")
    assert found == []
    assert [(error.row, error.column, error.reason[:17]) for error in errors] == [(2, None, "It has more cells"), (3, None, "It has fewer cell")]


def test_rows_of_the_same_advertisement_and_day_are_refused_both() -> None:
    found, errors = facts("date,campaign_id,spend,type\n2026-03-02,1,1,\n2026-03-02,2,2,\n2026-03-02,1,3,\n2026-03-02,1,-1,adjustment\n")
    assert [(fact.campaign_id, fact.spend, fact.type) for fact in found] == [("2", 200, "spend"), ("1", -100, "adjustment")]
    assert [(error.row, "row 4" in error.reason, "row 2" in error.reason) for error in errors] == [(2, True, False), (4, False, True)]


def test_of_two_columns_that_mean_the_same_the_likelier_is_read_wherever_it_stands() -> None:
    table = read("Day,Clicks (all),Link clicks,clicks,Cost,Campaign ID\n2026-03-02,1,2,3,4,5\n")
    assert (table.rows[0].cells["clicks"], table.ignored) == ("3", ["Clicks (all)", "Link clicks"])


def test_a_credit_needs_its_type() -> None:
    _, errors = facts("date,campaign_id,spend\n2026-03-02,1,-5\n")
    assert [(error.row, error.column) for error in errors] == [(2, "spend")]


def test_a_row_of_several_days_is_refused() -> None:
    _, errors = facts("Reporting starts,Reporting ends,Campaign ID,Amount spent\n2026-03-01,2026-03-02,1,5\n")
    assert [(error.row, error.column) for error in errors] == [(2, "date_end")]


def test_an_advertisement_is_told_by_an_id_or_its_utm_campaign() -> None:
    found, errors = facts("date,utm_source,utm_campaign,ad_id,spend\n2026-03-02,fb,spring,,1\n2026-03-02,fb,,,1\n2026-03-02,fb,,9,1\n")
    assert [(fact.campaign, fact.ad_id) for fact in found] == [("spring", None), (None, "9")]
    assert [(error.row, error.column) for error in errors] == [(3, "campaign_id")]


def test_everything_that_is_wrong_with_a_row_is_said_at_once() -> None:
    _, errors = facts("date,platform,campaign_id,spend,currency,clicks\nyesterday,?,1.2E+17,free,XXX,few\n", None)
    assert {error.column for error in errors} == {"date", "platform", "campaign_id", "currency", "clicks"}


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        (b"", "no_rows", None),
        (b" \n ", "no_rows", None),
        (b"\xff\xfe\x00", "malformed_csv", None),
        (b"date,spend\n2026-03-02,\xe9\n", "malformed_csv", None),
        (b'date,spend\n2026-03-02,"1\n', "malformed_csv", None),
        (b"date,campaign_id\n2026-03-02,1\n", "header_missing", "spend"),
        (b"Day,Cost (USD),platform_conversion_value (EUR)\n2026-03-02,1,1\n", "several_currencies", None),
        (b"day,cost,Day\n2026-03-02,1,2026-03-02\n", "repeated_column", "date"),
        (b"<html></html>", "header_missing", "date"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(text: bytes, code: str, column: str | None) -> None:
    with pytest.raises(FileUnreadable) as refused:
        read(text)
    assert (refused.value.code, refused.value.column) == (code, column)


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="@"), max_size=30).map(str.strip)


spent = st.lists(st.tuples(names, names, st.integers(0, 10**9)), min_size=1, max_size=8)


@given(spent, st.sampled_from([",", ";", "\t"]), st.sampled_from(["utf-8-sig", "utf-16"]))
def test_what_a_spreadsheet_writes_comes_back(rows: list[tuple[str, str, int]], delimiter: str, encoding: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["Date", "Campaign ID", "Campaign name", "utm_content", "Spend"])
    for number, (name, content, cents) in enumerate(rows):
        writer.writerow(["2026-03-02", f"c{number}", name, content, f"{cents // 100}.{cents % 100:02}"])
    found, errors = facts(text.getvalue().encode(encoding))
    assert errors == []
    assert [(fact.campaign_name or "", fact.content or "", fact.spend) for fact in found] == rows


def test_rates_are_read_from_a_file_and_two_that_differ_are_refused_both() -> None:
    table = csv_files.read(b"Date,From,To,Rate,Source\n2026-03-02,eur,USD,1.0842,ECB\n2026-03-02,GBP,USD,1.1,\n2026-03-02,GBP,USD,1.2,\n", rates.COLUMNS)
    found, errors = rates.facts(table.rows, form="csv", source="Bank", latest=LATEST)
    assert [(fact.from_currency, str(fact.rate), fact.source) for fact in found] == [("EUR", "1.0842", "ECB")]
    assert [error.row for error in errors] == [3, 4]
