"""Nurture: what emails and tags do. Who opened, clicked and came by an email, or got a tag, and who of them became leads and bought afterwards.

What happened in the range is a line: an email that was opened, a click, a visit by an email's link, or, where rows are told apart by tags, a tag that was
applied. An order or a lead counts in each row of which something happened to the person in the lookback before it; so rows overlap, and the total counts
each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from tributary.facts.email_events import EVENTS
from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions
from tributary.reports.frame import Asking, Detail, Measure, Table, months
from tributary.reports.kpis import Kpi, named
from tributary.reports.periods import timestamp
from tributary.reports.query import Query, ReportType
from tributary.reports.sales import NET, sales
from tributary.reports.statement import Step
from tributary.reports.subjects import conversions, needs_of, within
from tributary.touches.channels import Channel

EMAIL: Final[Mapping[str, str]] = {
    "email_campaign": "x.email_campaign",
    "email_flow": "x.email_flow",
    "message": "x.email_message",
    "link": "x.email_link",
    "list": "x.email_list",
}
_OWN: Final = {**EMAIL, "campaign": "x.campaign", dimensions.CONNECTION: "x.connection"}
_OF_VISITS: Final = dimensions.TOUCH_NAMES - _OWN.keys()
"""What only a visit by an email's link is told by."""
_OF_ORDERS: Final = dimensions.ORDER_NAMES - _OWN.keys()
"""What only orders are told by."""
_COLUMNS: Final = "key, person, happened_at, connection, campaign, email_campaign, email_flow, email_message, email_link, email_list"

_LEADS_ON: Final = "what NOT IN ('order', 'lead', 'received', 'unsubscribed')"
"""SQL: whether what happened is something that somebody did, or a tag: what follows may be due to it."""

MEASURES: Final[Mapping[str, Measure]] = {
    **{what: Measure(value=f"(what = '{what}')::INT") for what in (*EVENTS, "visited", "tagged")},
    "people": Measure(value=_LEADS_ON, how="people"),
    "recipients": Measure(value="what = 'received'", how="people"),
    "openers": Measure(value="what = 'opened'", how="people"),
    "clickers": Measure(value="what = 'clicked'", how="people"),
    "visitors": Measure(value="what = 'visited'", how="people"),
    "leads": Measure(value="what = 'lead'", how="people"),
    "customers": Measure(value="what = 'order' AND counted", how="people"),
    "orders": Measure(value="(what = 'order' AND counted)::INT", of_total="(what = 'order' AND counted AND once AND is_one)::INT"),
    "revenue": Measure(value="revenue", of_total="CASE WHEN once THEN revenue ELSE 0 END"),
    "days": Measure(value="CASE WHEN counted THEN days ELSE 0 END", of_total="CASE WHEN counted AND once AND is_one THEN days ELSE 0 END"),
    "happened": Measure(value=f"({_LEADS_ON})::INT"),
    "happened_by_touch": Measure(value=f"(touched AND {_LEADS_ON})::INT"),
}
_AFTER: Final = "in the lookback after an open, click or visit by the email, or after the tag was applied"

KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(
        key="people",
        name="People",
        unit="count",
        over=("people",),
        adds_up=False,
        definition="Distinct people who opened, clicked or came by an email, or, told apart by tags, got the tag in the range.",
    ),
    Kpi(key="received", name="Received", unit="count", over=("received",), definition="Emails that were delivered, where the mail system tells."),
    Kpi(key="opens", name="Opens", unit="count", over=("opened",), definition="Times that an email was opened, where the mail system tells."),
    Kpi(key="openers", name="Openers", unit="count", over=("openers",), adds_up=False, definition="Distinct people who opened."),
    Kpi(key="clicks", name="Clicks", unit="count", over=("clicked",), definition="Clicks in emails that the mail system tells of."),
    Kpi(key="clickers", name="Clickers", unit="count", over=("clickers",), adds_up=False, definition="Distinct people who clicked."),
    Kpi(
        key="visits",
        name="Visits",
        unit="count",
        over=("visited",),
        definition="Touches of the channel email: times that somebody came by the link of an email.",
    ),
    Kpi(key="visitors", name="Visitors", unit="count", over=("visitors",), adds_up=False, definition="Distinct people who came by the link of an email."),
    Kpi(key="unsubscribes", name="Unsubscribes", unit="count", over=("unsubscribed",), definition="Times that somebody unsubscribed."),
    Kpi(
        key="tags_applied",
        name="Tags applied",
        unit="count",
        over=("tagged",),
        definition="Times that a tag was applied; only where rows are told apart by tags.",
    ),
    Kpi(
        key="open_rate",
        name="Open rate",
        unit="percent",
        over=("openers",),
        under=("recipients",),
        times=100,
        definition="100 x openers / distinct people who received.",
    ),
    Kpi(
        key="click_rate",
        name="Click rate",
        unit="percent",
        over=("clickers",),
        under=("recipients",),
        times=100,
        definition="100 x clickers / distinct people who received.",
    ),
    Kpi(key="click_to_open", name="Click to open", unit="percent", over=("clickers",), under=("openers",), times=100, definition="100 x clickers / openers."),
    Kpi(key="leads", name="Leads", unit="count", over=("leads",), adds_up=False, definition=f"Distinct people who became leads {_AFTER}."),
    Kpi(key="customers", name="Customers", unit="count", over=("customers",), adds_up=False, definition=f"Distinct people who bought {_AFTER}."),
    Kpi(
        key="conversion_rate", name="Conversion rate", unit="percent", over=("customers",), under=("people",), times=100, definition="100 x customers / people."
    ),
    Kpi(key="orders", name="Orders", unit="count", over=("orders",), adds_up=False, definition=f"Orders sold {_AFTER}; in each such row."),
    Kpi(
        key="revenue",
        name="Revenue",
        unit="money",
        over=("revenue",),
        adds_up=False,
        definition=f"Of these orders: {NET}; in each such row, once in the total.",
    ),
    Kpi(key="revenue_per_person", name="Revenue per person", unit="money", over=("revenue",), under=("people",), definition="Revenue / people."),
    Kpi(
        key="days_to_order",
        name="Days to order",
        unit="days",
        over=("days",),
        under=("orders",),
        definition="Mean of the days between the last open, click or visit, or the tag, and the order.",
    ),
)
_MONEY: Final = {"customers", "orders", "revenue", "days"}


@dataclass(frozen=True)
class NurtureLeg:
    measures: Set[str] = frozenset(MEASURES)
    coverage: tuple[str, str] | None = ("happened_by_touch", "happened")

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        of_range = months(query.range.start, min(query.range.end, query.now))
        found: dict[Kind, Months] = {kind: months_ for kind, months_ in needs_of(query, of_range).items() if kind is not Kind.TOUCHES}
        if _by_tag(query):
            found[Kind.TAGS] = Months()
        else:
            found |= {Kind.ACTIVITIES: of_range, Kind.TOUCHES: of_range}
        if measures & _MONEY:
            ever = dimensions.CUSTOMER_TYPE in dimensions.named_by(query)
            found |= {Kind.ORDERS: months(None if ever else query.range.start, query.now), Kind.RATES: Months()}
        if "leads" in measures:
            found[Kind.CONTACTS] = Months()
        return found

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query = asking.query
        named = dimensions.named_by(query)
        own = {**_OWN, **{name: f"x.touch_{name}" for name in named & _OF_VISITS}}
        if _by_tag(query):  # a tag is of no email
            own = dict.fromkeys(own, "CAST(NULL AS VARCHAR)") | {dimensions.TAG: "x.tag"}
        columns = ["x.key", "x.person", "x.happened_at", "x.what", *(["x.connection"] if asking.lines else [])]
        columns += ["x.what = 'visited' AS touched"] if asking.attributed else []
        steps: list[Step] = [("happenings", _tagged(query) if _by_tag(query) else _emails(query, sorted(named & _OF_VISITS)))]
        steps += conversions(asking, source="happenings", columns=columns, at="x.happened_at", own=own)
        steps.append(("led_by", f"SELECT * FROM conversions WHERE {_LEADS_ON}"))
        parts = [_happened(asking)]
        if measures & _MONEY:
            filters = [one for one in query.filters if one.dimension in _OF_ORDERS]
            steps.append(sales(asking, of="led_by", since=query.range.start, told=_told_by_orders(query), filters=filters))
            parts.append(_orders_after(asking))
        if "leads" in measures:
            parts.append(_leads_after(asking))
        steps.append(("nurture", "\nUNION ALL BY NAME ".join(parts)))
        unknown = ", ".join(sorted(named & _OF_ORDERS))
        notes = (f"Emails, visits, tags and leads are not told by {unknown}: they are neither divided nor filtered by it.",) if unknown else ()
        asked = {name: measure for name, measure in MEASURES.items() if name in measures}
        return Detail(tuple(steps), asked, overlapping=bool(query.group_by), notes=notes)


def _told_by_orders(query: Query) -> list[str]:
    return [name for name in query.group_by if name in _OF_ORDERS]


def _by_tag(query: Query) -> bool:
    return dimensions.TAG in query.group_by


def _emails(query: Query, of_visits: Sequence[str]) -> str:
    in_range = within(query, "happened_at")
    cases = " ".join(f"WHEN lower(name) IN ({_quoted(names)}) THEN '{what}'" for what, names in EVENTS.items())
    every = _quoted(name for names in EVENTS.values() for name in names)
    nothing = "".join(f", CAST(NULL AS VARCHAR) AS touch_{name}" for name in of_visits)
    touch = "".join(f", {dimensions.TOUCH[name]}" for name in of_visits)
    return f"""SELECT {_COLUMNS}, CASE {cases} END AS what{nothing} FROM activities
WHERE type = 'track' AND NOT bot AND lower(name) IN ({every}) AND {in_range}
UNION ALL SELECT {_COLUMNS}, 'visited'{touch} FROM touches t WHERE channel = '{Channel.EMAIL}' AND {in_range}"""


def _tagged(query: Query) -> str:
    return f"""SELECT key, person, applied_at AS happened_at, CAST(NULL AS VARCHAR) AS connection, tag, 'tagged' AS what
FROM (SELECT key, person, unnest(tags, max_depth := 2) FROM tags) WHERE {within(query, "applied_at")}"""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


# The lines


_NONE: Final = "CAST(NULL AS VARCHAR)"
_NO_ORDER: Final = ("0::BIGINT AS revenue", "true AS counted", "true AS once", "true AS is_one", "0::DOUBLE AS days")
"""What a line of an order says besides, of one that is none."""


def _rows(asking: Asking, orders: str = "") -> list[str]:
    """SQL: what tells the rows of a happening apart. `orders`: the step that says what orders are told by; nothing else is."""
    query = asking.query
    told = _told_by_orders(query)
    of_orders = {name: f"{orders}.by_{told.index(name)}" if orders else _NONE for name in told}
    groups = [f"{of_orders.get(name, f'c.own_{index}')} AS g{index}" for index, name in enumerate(query.group_by)]
    period = [f"{asking.periods.bucket('c.happened_at')} AS period"] if asking.periods is not None else []
    return [*groups, *period, *(["c.touched AS touched"] if asking.attributed else [])]


def _happened(asking: Asking) -> str:
    ours = asking.values.add(asking.query.currency)
    kind = "CASE c.what WHEN 'visited' THEN 'touch' WHEN 'tagged' THEN 'tag' ELSE 'activity' END AS kind"
    told = [kind, "CAST(NULL AS VARCHAR) AS id", "c.connection", "c.happened_at"] if asking.lines else []
    columns = [
        "c.person",
        "c.what",
        f"{ours} AS currency",
        *_NO_ORDER,
        *_rows(asking),
        *told,
    ]
    return f"SELECT {', '.join(columns)} FROM conversions c"


def _orders_after(asking: Asking) -> str:
    """SQL: each order once for each row that it counts in, after the last happening of that row."""
    rows = _rows(asking, "s")
    told = [f"s.by_{index}" for index in range(len(_told_by_orders(asking.query)))]
    for_ledger = ["'order' AS kind", "any_value(s.id) AS id", "any_value(s.connection) AS connection", "any_value(s.sold_at) AS happened_at"]
    columns = [
        *("s.key", "s.currency", *told, *rows),
        "any_value(s.person) AS person",
        "'order' AS what",
        "any_value(s.revenue) AS revenue",
        "any_value(s.counted) AS counted",
        f"{'any_value(s.is_one)' if told else 'true'} AS is_one",
        "(epoch(any_value(s.sold_at)) - epoch(max(c.happened_at))) / 86400 AS days",
        *(for_ledger if asking.lines else []),
    ]
    by = ", ".join(["s.key", "s.currency", *told, *(column.rpartition(" AS ")[0] for column in rows)])
    found = f"SELECT {', '.join(columns)} FROM led_by c JOIN bought s ON {_after(asking.query, 's.sold_at', 's.person')} GROUP BY {by}"
    # A total has an order once, of several products each: after the last happening of all.
    part = ", ".join(["key", "currency", *(column.removeprefix("s.") for column in told)])
    once = f"row_number() OVER (PARTITION BY {part} ORDER BY days) = 1" if rows else "true"
    return f"SELECT * EXCLUDE ({', '.join(['key', *(column.removeprefix('s.') for column in told)])}), {once} AS once FROM ({found})"


def _leads_after(asking: Asking) -> str:
    ours = asking.values.add(asking.query.currency)
    told = ["'lead' AS kind", "NULL AS id", "NULL AS connection", "p.lead_at AS happened_at"] if asking.lines else []
    columns = [
        "p.person",
        "'lead' AS what",
        f"{ours} AS currency",
        *_NO_ORDER,
    ]
    return f"SELECT DISTINCT {', '.join([*columns, *_rows(asking), *told])} FROM led_by c JOIN contacts p ON {_after(asking.query, 'p.lead_at', 'p.person')}"


def _after(query: Query, moment: str, person: str) -> str:
    """SQL: whether something is in the lookback after the happening `c`."""
    limit = "" if query.lookback_days is None else f" AND {moment} <= c.happened_at + to_days({query.lookback_days})"
    return f"{person} = c.person AND {moment} >= c.happened_at AND {moment} <= {timestamp(query.now)}{limit}"


NURTURE: Final = Table(
    type=ReportType.NURTURE,
    legs=(NurtureLeg(),),
    dimensions=dimensions.ALL_NAMES,
    touch_dimensions=_OF_VISITS,
    all_kpis=KPIS,
    default_group_by=("email_campaign",),
    default_kpis=("people", "opens", "clicks", "visits", "leads", "customers", "conversion_rate", "revenue", "revenue_per_person"),
)
