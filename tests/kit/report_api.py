"""The report API over facts in memory, with one report that is simple enough to be sure of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from tests.kit.config import Bench, RowKeys
from tests.kit.contacts import MemoryContacts
from tests.kit.control import Said
from tests.kit.facts import MemoryFacts
from tributary.access import Access, CachedKeys
from tributary.contacts.profile import Profile
from tributary.contacts.traits import Trait, Traits
from tributary.control.http import Request, Router
from tributary.control.report_routes import ReportRoutes
from tributary.drafts import NewKey
from tributary.facts.tables import Fact, Kind, Months, Needs, OrderFact
from tributary.ports import Relations
from tributary.reports.answer import Ledger, LedgerLine, Report, Row, Total
from tributary.reports.frame import ReportKind, RowUnknown
from tributary.reports.kpis import Kpi
from tributary.reports.query import DateMode, FixedCost, Model, Query, ReportType
from tributary.reports.reporting import Reports, settings_of

NOW = datetime(2026, 4, 10, 15, 30, tzinfo=UTC)


ORDERS = Kpi(key="orders", name="Orders", unit="count", definition="How many orders were sold.", over=("orders",))
NET = Kpi(key="net_revenue", name="Revenue", unit="money", definition="Gross - discount.", over=("net",))
RATE = Kpi(key="net_share", name="Net share", unit="percent", definition="100 x net / gross.", over=("net",), under=("gross",), times=100)


@dataclass
class SimpleOrders:
    """Sold orders of the range by connection, in currencies of their own. It counts how often it was asked."""

    asked: list[Query] = field(default_factory=list)
    failing: Exception | None = None
    type: ReportType = ReportType.ORDERS
    dimensions: Set[str] = frozenset({"connection", "coupon", "channel", "field:"})
    default_group_by: tuple[str, ...] = ("connection",)
    default_kpis: tuple[str, ...] = ("net_revenue", "orders")
    default_date_mode: DateMode = DateMode.CONVERSION_DATE
    default_model: Model | None = None

    def kpis(self, query: Query | None = None) -> Mapping[str, Kpi]:
        return {one.key: one for one in (NET, ORDERS, RATE)}

    def needs(self, query: Query) -> Needs:
        return {Kind.ORDERS: Months(f"{query.range.start:%Y-%m}", f"{query.range.end:%Y-%m}")}

    def answer(self, query: Query, relations: Relations) -> Report:
        self.asked.append(query)
        if self.failing is not None:
            raise self.failing
        grouped = ", connection" if query.group_by else ""
        sql = f"SELECT currency{grouped}, sum(gross - discount), count(*), sum(gross) FROM orders WHERE sold_at >= ? AND sold_at < ? GROUP BY ALL ORDER BY ALL"
        known = {one.key: one for one in (NET, ORDERS, RATE)}
        rows, totals = [], dict[str, list[int]]()
        for currency, *told, net, count, gross in relations.rows(sql, self._range(query)):
            values = {"net_revenue": int(net), "orders": count, "net_share": round(100 * int(net) / int(gross), 4) if gross else None}
            shown = {key: values[key] for key in query.kpis}
            rows.append(Row(dimensions=dict(zip(query.group_by, told, strict=True)), values=shown, currency=currency, key=f"{currency}~{''.join(told)}"))
            sums = totals.setdefault(currency, [0, 0])
            sums[0] += int(net)
            sums[1] += count
        return Report(
            columns=tuple(known[key].column for key in query.kpis),
            rows=tuple(rows[: query.limit]),
            rows_found=len(rows),
            totals=tuple(
                Total(values={key: {"net_revenue": net, "orders": count, "net_share": None}[key] for key in query.kpis}, currency=currency)
                for currency, (net, count) in totals.items()
            ),
            coverage_pct=12.5,
            notes=("A note.",),
            rates_source="the bank",
        )

    def ledger(self, query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int, offset: int) -> Ledger:
        currency, _, connection = (row_key or f"{query.currency}~").partition("~")
        if row_key is not None and "~" not in row_key:
            raise RowUnknown("no such row")
        sql = (
            "SELECT person, order_id, connection, sold_at, currency, gross - discount FROM orders "
            "WHERE sold_at >= ? AND sold_at < ? AND currency = ? AND (? = '' OR connection = ?) ORDER BY sold_at, order_id"
        )
        found = relations.rows(sql, [*self._range(query), currency, connection, connection])
        lines = tuple(
            LedgerLine(person=person.hex, kind="order", id=order, connection=told, happened_at=at.replace(tzinfo=UTC), currency=money, value=net)
            for person, order, told, at, money, net in found
        )
        total = sum(line.value or 0 for line in lines)
        return Ledger(
            kpi={one.key: one for one in (NET, ORDERS, RATE)}[kpi].column,
            total=total,
            adds_up_to=total,
            lines=lines[offset : offset + limit],
            lines_found=len(lines),
        )

    @staticmethod
    def _range(query: Query) -> list[datetime]:
        return [one.astimezone(UTC).replace(tzinfo=None) for one in (query.range.start, min(query.range.end, query.now))]


def order(number: int, at: datetime, gross: int, **said: Any) -> OrderFact:
    values = {"connection": "kon_1", "currency": "USD", "person": f"{number:032x}", **said}
    return OrderFact(key=f"{number:032x}", order_id=f"O-{number}", happened_at=at, sold_at=at, gross=gross, **values)


def profile(**traits: str) -> Profile:
    """Of a contact's root."""
    return Profile(Traits({name: Trait((1, 1, "m", "src_1"), value) for name, value in traits.items()}))


class ReportBench(Bench):
    """`get` asks the API with a key of all scopes, unless told otherwise."""

    def __init__(self, rows: Mapping[Kind, Sequence[Fact]], *, kinds: Mapping[ReportType, ReportKind] | None = None, as_of: datetime = NOW) -> None:
        super().__init__()
        self.facts = MemoryFacts(rows, as_of=as_of)
        self.orders = SimpleOrders()
        self.contacts = MemoryContacts()
        self.costs: list[FixedCost] = []
        self.at = NOW
        self.reports = Reports(
            facts=self.facts,
            kinds=kinds if kinds is not None else {ReportType.ORDERS: self.orders},
            settings=lambda: settings_of(self.operator.account().value),
            fixed_costs=lambda: self.costs,
            now=lambda: self.at,
        )
        self.routes = ReportRoutes(self.reports, self.contacts).routes()
        access = Access(CachedKeys(RowKeys(self.rows), self.clock.monotonic), now=self.clock.now)
        self.router = Router(self.routes, access, monotonic=self.clock.monotonic)
        self.key = self.new_key("*")

    def new_key(self, *scopes: str) -> str:
        return self.operator.create_key(NewKey(label="Tests", scopes=list(scopes))).secret

    def get(self, path: str, parameters: Mapping[str, str] | Sequence[tuple[str, str]] = (), *, key: str | None = None, **headers: str) -> Said:
        sent = {"authorization": f"Bearer {key or self.key}", **headers}
        return Said(self.router.answer(Request(method="GET", path=path, query=urlencode(parameters), headers=sent, id="req-1")))
