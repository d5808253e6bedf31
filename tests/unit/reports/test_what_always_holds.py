"""What holds for any report of any shop, whatever its figures are."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle import calendar
from tests.oracle.comparing import Shop, asked, read_only
from tests.oracle.credits import World
from tests.oracle.histories import queries, worlds
from tributary.facts.tables import Kind
from tributary.reports.answer import Report, Row, Value
from tributary.reports.query import DateMode, Having, Query, ReportType

KPIS = ("net_revenue", "orders", "customers", "aov", "leads", "refunds_by_date", "ad_spend", "roas")
"""Of each leg that a report can have, and quotients of two of them."""
KINDS = st.sampled_from([ReportType.ORDERS, ReportType.ACQUISITION, ReportType.ADVERTISEMENT, ReportType.LEAD_SOURCE])
_SETTINGS = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def questions(draw: st.DrawFn) -> Query:
    return msgspec.structs.replace(draw(queries(draw(KINDS))), kpis=KPIS)


@_SETTINGS
@given(worlds(), questions())
def test_rows_come_to_the_total_of_every_figure_that_adds_up(world: World, query: Query) -> None:
    """Days to their range, touches to their orders, to the cent."""
    report = Shop(world).report(query)
    if report.overlapping:
        return
    for currency, kpi, total in totals(report):
        if next(column for column in report.columns if column.key == kpi).adds_up:
            assert same(sum(number(row.values[kpi]) for row in report.rows if row.currency == currency), total), kpi


@_SETTINGS
@given(worlds(), questions())
def test_the_total_does_not_depend_on_what_is_grouped_by(world: World, query: Query) -> None:
    """Of what a filter on touches leaves of an order the cents may fall otherwise where its products are told apart."""
    shop = Shop(world)
    query = msgspec.structs.replace(query, filters=(), group_by=query.group_by or ("channel",))
    whole = msgspec.structs.replace(query, group_by=(), scale=None)
    assert_same_totals(shop.report(query), shop.report(whole))


@_SETTINGS
@given(worlds(), questions(), st.integers())
def test_the_order_that_facts_were_written_in_changes_nothing(world: World, query: Query, seed: int) -> None:
    chance = random.Random(seed)
    shuffled = World({kind: chance.sample(list(rows), len(rows)) for kind, rows in world.rows.items()})
    one, other = Shop(shuffled).report(query), Shop(world).report(query)
    assert [row.key for row in one.rows] == [row.key for row in other.rows]
    assert one.totals == other.totals


@_SETTINGS
@given(worlds(), questions())
def test_what_a_report_does_not_need_is_not_missed(world: World, query: Query) -> None:
    """Who the rates are by is said where the facts that were read hold another currency, also one that no figure met."""
    shop = Shop(world)
    less, whole = Shop(read_only(world, shop.needs(query))).report(query), shop.report(query)
    assert msgspec.structs.replace(less, rates_source=None) == msgspec.structs.replace(whole, rates_source=None)


@_SETTINGS
@given(worlds(), questions(), st.data())
def test_a_ledger_comes_to_the_figure_it_is_of(world: World, query: Query, data: st.DataObject) -> None:
    shop = Shop(world)
    report = shop.report(query)
    row: Row | None = data.draw(st.sampled_from([None, *report.rows]))
    kpi = data.draw(st.sampled_from(KPIS))
    ledger = shop.ledger(query, kpi, None if row is None else row.key)
    assert same(ledger.total, report.totals[0].values[kpi] if row is None else row.values[kpi])
    if not ledger.parts:
        assert same(ledger.adds_up_to, ledger.total)
        assert same(sum(number(line.value) for line in ledger.lines), ledger.total)
    assert ledger.lines_found == len(ledger.lines)


@_SETTINGS
@given(worlds(), questions())
def test_what_no_touch_brought_is_a_row_of_its_own_and_not_left_out(world: World, query: Query) -> None:
    query = msgspec.structs.replace(query, group_by=("channel",), filters=(), kpis=("net_revenue", "orders", "leads"))
    untouched = Shop(World({kind: [] if kind is Kind.TOUCHES else rows for kind, rows in world.rows.items()})).report(query)
    assert all(row.unattributed for row in untouched.rows)
    if query.date_mode is not DateMode.TOUCH_DATE:
        assert_same_totals(untouched, Shop(world).report(query))


@_SETTINGS
@given(worlds(), questions())
def test_a_comparison_is_the_report_of_the_other_range(world: World, query: Query) -> None:
    """The first period goes with the first, and so on."""
    shop = Shop(world)
    earlier = calendar.range_of(query.range.first - timedelta(days=28), query.range.last - timedelta(days=28), query.time_zone)
    compared = shop.report(msgspec.structs.replace(query, compare=earlier))
    before = shop.report(msgspec.structs.replace(query, range=earlier))
    alone = shop.report(query)
    now = {total.currency for total in alone.totals}
    assert_same_totals(msgspec.structs.replace(compared, totals=tuple(total for total in compared.totals if total.currency in now)), alone)
    for total in compared.totals:
        expected = next((other.values for other in before.totals if other.currency == total.currency), None)
        assert total.before is not None
        assert expected is None or all(same(total.before[kpi], expected[kpi]) for kpi in KPIS)
        assert total.change is not None
        assert all(same(total.change[kpi], change_of(total.values[kpi], total.before[kpi])) for kpi in KPIS)
    if query.scale is None:
        found = {row.key: row for row in compared.rows}
        for other in before.rows:
            assert other.key not in found or found[other.key].before == other.values


@_SETTINGS
@given(
    worlds(),
    questions(),
    st.builds(Having, kpi=st.sampled_from(KPIS), op=st.sampled_from(["gt", "ge", "lt", "le", "eq"]), value=st.sampled_from([0.0, 1.0, 999.0])),
    st.booleans(),
)
def test_rows_are_chosen_sorted_and_cut_as_asked_and_totals_stay(world: World, query: Query, having: Having, descending: bool) -> None:
    """Amounts of one currency after those of another: they cannot be compared."""
    shop = Shop(world)
    everything = shop.report(query)
    asked_for = msgspec.structs.replace(query, having=(having,), sort=having.kpi, descending=descending, limit=3)
    found = shop.report(asked_for)
    fitting = [(row.currency, value) for row in everything.rows if (value := row.values[having.kpi]) is not None and fits(value, having)]
    fitting.sort(key=lambda one: one[1], reverse=descending)
    fitting.sort(key=lambda one: (one[0] != query.currency, one[0]))
    assert found.rows_found == len(fitting)
    assert [(row.currency, row.values[having.kpi]) for row in found.rows] == fitting[:3]
    assert found.totals == everything.totals


@_SETTINGS
@given(worlds(), questions())
def test_a_report_says_what_all_its_figures_mean(world: World, query: Query) -> None:
    query = asked(query)
    report = Shop(world).report(query)
    assert [column.key for column in report.columns] == list(query.kpis)
    assert all(column.definition.endswith(".") and column.name for column in report.columns)
    assert all(list(row.values) == list(query.kpis) for row in report.rows)


def fits(value: float, having: Having) -> bool:
    match having.op:
        case "gt":
            return value > having.value
        case "ge":
            return value >= having.value
        case "lt":
            return value < having.value
        case "le":
            return value <= having.value
        case "eq":
            return value == having.value


def totals(report: Report) -> list[tuple[str, str, Value]]:
    return [(total.currency, kpi, value) for total in report.totals for kpi, value in total.values.items()]


def assert_same_totals(one: Report, other: Report) -> None:
    mine, theirs = ({(currency, kpi): value for currency, kpi, value in totals(report)} for report in (one, other))
    for key in {*mine, *theirs}:
        assert same(mine.get(key, 0), theirs.get(key, 0)), key


def change_of(now: Value, before: Value) -> float | None:
    """Percent; None where there is nothing to compare with."""
    if now is None or not before:
        return None
    return 100 * (now - before) / abs(before)


def number(value: Value) -> float:
    return value if value is not None else 0.0


def same(one: Value, other: Value) -> bool:
    """Whole numbers to the last digit, others to the fourth behind the point."""
    if one is None or other is None:
        return one is other
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    return abs(one - other) <= max(1e-4, 1e-9 * abs(one))
