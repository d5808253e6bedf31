"""What a caller says reaches a statement as a parameter, never as its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_people import MARCH, contact, event, node, order, question, tagged, touch
from tributary.facts.tables import Kind, StateMark, SubscriptionFact
from tributary.reports.engine import REPORTS
from tributary.reports.query import Filter, FilterOp, Model, Query, ReportType, Scale, Step

EVIL = "it's'); DROP TABLE orders; --"


class Watched(MemoryFacts):
    """It keeps every statement that it was asked."""

    def __init__(self) -> None:
        super().__init__(
            {
                Kind.ACTIVITIES: [event(1, "2026-03-02", EVIL, page=EVIL, email_campaign=EVIL), event(1, "2026-03-02", "Email Opened", email_campaign=EVIL)],
                Kind.TOUCHES: [touch(1, "2026-03-02", "email", source=EVIL, email_campaign=EVIL)],
                Kind.ORDERS: [order(1, "2026-03-03", 100, order_id=EVIL, coupon=EVIL, state=EVIL)],
                Kind.CONTACTS: [contact(1, "2026-03-03", country=EVIL, fields={EVIL: EVIL})],
                Kind.TAGS: [tagged(1, (EVIL, "2026-03-01"))],
                Kind.SUBSCRIPTIONS: [_SUBSCRIPTION],
            }
        )
        self.asked: list[str] = []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.asked.append(sql)
        return super().rows(sql, parameters)


_SUBSCRIPTION = SubscriptionFact(
    key=node(70),
    person=node(1),
    connection=EVIL,
    subscription_id=EVIL,
    name=EVIL,
    started_at=MARCH.start,
    currency="USD",
    state=EVIL,
    states=(StateMark(happened_at=MARCH.start, state=EVIL),),
)
STEPS = tuple(Step(kind=kind, value=EVIL, label=EVIL) for kind in ("event", "page", "tag", "subscription"))


def questions(type: ReportType) -> list[Query]:
    """One by each dimension, filtered by it in every way, by another model each time."""
    kind = REPORTS[type]
    names = [f"field:{EVIL}" if name == "field:" else name for name in sorted(kind.dimensions)]
    ops: list[FilterOp] = ["is", "is_not", "contains", "not_contains", "starts_with"]
    found = [
        question(
            type=type,
            group_by=(name,),
            filters=(Filter(dimension=name, op=ops[number % len(ops)], values=(EVIL, "")),),
            model=list(Model)[number % len(Model)],
            steps=STEPS,
            currency="USD",
        )
        for number, name in enumerate(names)
    ]
    found += [question(type=type, scale=Scale.WEEK, steps=STEPS), question(type=type, steps=STEPS, lookback_days=None)]
    return [msgspec.structs.replace(query, kpis=tuple(kind.kpis(query))) for query in found]


@pytest.mark.parametrize("type", [*ReportType])
def test_no_text_of_a_caller_is_in_any_statement(type: ReportType) -> None:
    facts = Watched()
    kind = REPORTS[type]
    for query in questions(type):
        report = kind.answer(query, facts)
        for row in report.rows[:1]:
            for kpi in list(kind.kpis(query))[:1]:
                kind.ledger(query, facts, row_key=row.key, kpi=kpi, limit=5, offset=0)
    assert facts.asked
    assert not [sql for sql in facts.asked if "DROP" in sql]


def test_nor_is_the_contact_of_a_journey() -> None:
    facts = Watched()
    query = question(type=ReportType.JOURNEYS, person=node(1), kpis=("revenue", "credit"))
    assert len(REPORTS[ReportType.JOURNEYS].answer(query, facts).rows) == 7
    assert not [sql for sql in facts.asked if node(1) in sql.replace("-", "") or "DROP" in sql]
