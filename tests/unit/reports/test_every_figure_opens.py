"""Every KPI of every report, of the total and of each row, can be opened: what is behind it comes to it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_facts import asked, item, lead, moment, node, order, query, spent, tagged, touch
from tests.kit.report_facts import behind as ledger_of
from tributary.facts.tables import ActivityFact, Fact, Kind, Movement, RateMark, StateMark, SubscriptionFact
from tributary.reports.answer import Ledger, Value
from tributary.reports.engine import REPORTS
from tributary.reports.query import ReportType, Step

STEPS = (Step(kind="page", value="x/*", label="came"), Step(kind="order", value="sold", label="bought"))
OF_ORDERS = {ReportType.ACQUISITION, ReportType.ADVERTISEMENT, ReportType.ATTRIBUTION, ReportType.LEAD_SOURCE}
"""What counts as the report on orders counts, by the same legs and KPIs: they differ in what they show first."""
OF_NO_SUM = {"payback_days"}
"""What no line adds up to: its parts say what it is made of."""


def did(person: str, at: str, type: str, name: str | None = None, **said: Any) -> ActivityFact:
    return ActivityFact(key=node(f"{person} {at}"), person=node(person), happened_at=moment(at), connection="web", type=type, name=name, **said)


def subscribed(id: str, person: str, *states: tuple[str, str]) -> SubscriptionFact:
    began = moment(states[0][0])
    return SubscriptionFact(
        key=node(id),
        person=node(person),
        connection="crm",
        subscription_id=id,
        started_at=began,
        trial_started_at=began if states[0][1] == "trial" else None,
        currency="USD",
        price=4_500,
        states=tuple(StateMark(happened_at=moment(at), state=state) for at, state in states),
        rates=(RateMark(happened_at=began, price=4_500), RateMark(happened_at=moment("03-25"), price=5_000)),
    )


@cache
def shop() -> MemoryFacts:
    """Three customers and a visitor in March: something of all that reports tell."""
    back = Movement(kind="refund", happened_at=moment("03-09"), currency="USD", amount=100)
    rows: dict[Kind, list[Fact]] = {
        Kind.TOUCHES: [
            touch("ann", "03-01", "email", campaign="spring", email_campaign="letter"),
            touch("bob", "03-02", "paid_search", source="google", campaign="Brand"),
        ],
        Kind.CONTACTS: [lead("ann", "03-02", country="US"), lead("bob", "02-02")],
        Kind.TAGS: [tagged("ann", vip=("03-01", None))],
        Kind.ORDERS: [
            order("ann", "03-05", 1_000, tax=50, shipping=20, discount=10, refunded=100, items=(item("shoe", 600), item("hat", 400)), movements=(back,)),
            order("ann", "03-20", 500, rebill=True, subscription_id="S1"),
            order("bob", "03-06", 700, subscription_id="S2"),
            order("bob", "02-06", 700),
        ],
        Kind.AD_SPEND: [spent("03-05", "google", 400, campaign="Brand", clicks=5, impressions=100)],
        Kind.SUBSCRIPTIONS: [
            subscribed("S1", "ann", ("02-01", "active"), ("03-10", "recycling"), ("03-12", "active")),
            subscribed("S2", "bob", ("03-01", "trial"), ("03-08", "active"), ("03-15", "cancelled"), ("03-20", "active")),
            subscribed("S3", "cat", ("01-01", "active"), ("03-03", "recycling"), ("03-09", "recycle_failed")),
        ],
        Kind.ACTIVITIES: [
            did("ann", "03-01 10:00", "page", page="x/"),
            did("ann", "03-01 11:00", "track", "Email Opened", email_campaign="letter"),
            did("bob", "03-02 09:00", "page", page="x/y"),
            did("ann", "03-03 09:00", "track", "Email Delivered", email_campaign="letter"),
            did("zed", "03-04 09:00", "track", "Berth Booked"),
        ],
    }
    return MemoryFacts(rows)


def asking(type: ReportType, group_by: tuple[str, ...]) -> dict[str, Any]:
    said: dict[str, Any] = {"type": type, "group_by": group_by}
    if type is ReportType.FUNNEL:
        said["steps"] = STEPS
    if type is ReportType.VALUE_OVER_TIME:
        said["intervals"] = (1, 30)
    return said


@pytest.mark.parametrize("group_by", [(), ("campaign",)], ids=["in-all", "by-campaign"])
@pytest.mark.parametrize("type", [type for type in ReportType if type not in OF_ORDERS])
def test_what_is_behind_a_figure_comes_to_it(type: ReportType, group_by: tuple[str, ...]) -> None:
    said = asking(type, group_by)
    kpis = tuple(REPORTS[type].kpis(query(**said)))
    report = asked(shop(), **said, kpis=kpis)
    assert any(report.totals[0].values.values())
    for row_key, values in [(None, report.totals[0].values), *((row.key, row.values) for row in report.rows)]:
        for kpi in kpis:
            opened = ledger_of(shop(), kpi, row_key, **said, limit=1_000)
            assert near(opened.total, values[kpi]), kpi
            assert near(sum(line.value or 0 for line in opened.lines), opened.adds_up_to) or not counted(opened), kpi
            if opened.parts:
                assert kpi in OF_NO_SUM or made_of(opened, values[kpi]), kpi
            elif counted(opened):
                assert near(opened.adds_up_to, values[kpi] or 0), kpi


def counted(opened: Ledger) -> bool:
    """Whether its lines are added up: a median is of them all, and no sum."""
    return opened.kpi.unit != "seconds"


def made_of(opened: Ledger, figure: Value) -> bool:
    """Whether a quotient is what its parts say, and its lines come to what is divided."""
    parts = opened.parts
    if "over" in parts:
        quotient = parts["times"] * parts["over"] / parts["under"] if parts["under"] else None
        return near(quotient, figure) and near(opened.adds_up_to, parts["over"])
    lost = parts["customers_lost"] / parts["customers_start"] * 30 / parts["days"] if parts["customers_start"] else 0
    return near(parts["mrr"] / parts["customers"] / lost if lost and parts["customers"] else None, figure)


def near(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else abs(one - other) < 1e-3


@pytest.mark.parametrize("type", sorted(OF_ORDERS))
def test_these_reports_count_as_the_one_on_orders_counts(type: ReportType) -> None:
    other, orders = REPORTS[type], REPORTS[ReportType.ORDERS]
    assert getattr(other, "legs") is getattr(orders, "legs")  # noqa: B009  (not of every kind of report)
    assert dict(other.kpis()) == dict(orders.kpis())
