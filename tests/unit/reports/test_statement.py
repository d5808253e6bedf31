"""Nothing that a caller says ever stands in a statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.facts import MemoryFacts
from tests.kit.report_facts import asked, behind, facts, order, spent, touch
from tributary.reports.query import Filter, FilterOp, FixedCost, ReportType, Scale
from tributary.reports.statement import Values

_ROWS = facts(touch("ann", "03-02", "email", campaign="a"), order("ann", "03-03", 100), spent("03-03", "google", 5))
_SAID = st.text(min_size=1, max_size=30) | st.sampled_from(["'", "'; DROP TABLE orders; --", "$1", "?", '"', "\\", "{0}", "%s", "') OR true --"])


class _Listening:
    """Facts that keep each statement they are asked."""

    def __init__(self, rows: MemoryFacts) -> None:
        self._rows = rows
        self.as_of, self.snapshot = rows.as_of, rows.snapshot
        self.statements: list[str] = []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.statements.append(sql)
        return self._rows.rows(sql, parameters)


def _statements(said: str, op: FilterOp) -> list[str]:
    listening: Any = _Listening(_ROWS)
    filters = tuple(Filter(dimension=name, op=op, values=(said,)) for name in ("campaign", "product", "tag", "country", "coupon", "field:plan"))
    cost = FixedCost(id=said, name=said, amount=1, currency="USD", first=date(2026, 3, 1), last=None, source=said, campaign=said)
    asked(
        listening,
        type=ReportType.ADVERTISEMENT,
        kpis=("profit", "leads", "refunds_by_date", "new_customers"),
        filters=filters,
        group_by=("campaign", "product", "field:" + said),
        scale=Scale.DAY,
        fixed_costs=(cost,),
    )
    found: list[str] = listening.statements
    return found


@cache
def _plain(op: FilterOp) -> list[str]:
    return _statements("plain", op)


@settings(max_examples=15, deadline=None)
@given(said=_SAID, op=st.sampled_from(["is", "is_not", "contains", "not_contains", "starts_with"]))
def test_the_text_of_a_statement_does_not_depend_on_what_is_asked_for(said: str, op: FilterOp) -> None:
    assert _statements(said, op) == _plain(op)


@settings(max_examples=20, deadline=None)
@given(said=_SAID)
def test_a_row_of_any_name_can_be_opened(said: str) -> None:
    rows = facts(touch("ann", "03-02", "email", campaign=said), order("ann", "03-03", 100))
    (row,) = asked(rows, group_by=("campaign",)).rows
    assert behind(rows, "net_revenue", row.key, group_by=("campaign",)).total == 100


def test_values_stand_in_the_order_of_the_text_however_they_were_added() -> None:
    values = Values()
    first, second = values.add("a"), values.add("b")
    assert values.ready(f"x = {second} AND y = {first} AND z = {second}") == ("x = ? AND y = ? AND z = ?", ["b", "a", "b"])
