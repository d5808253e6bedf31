"""Engagement: who is active, on which pages, by which events and emails, and whether the active buy.

A line is one thing that somebody did. Machines do not count. A session is what one person did with never more than half an hour between.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

from tributary.facts.email_events import EVENTS
from tributary.facts.tables import Kind, Months, Needs
from tributary.reports import dimensions
from tributary.reports.answer import Value
from tributary.reports.frame import Asking, Detail, Measure, Table, months, together
from tributary.reports.kpis import Kpi, Sums, named
from tributary.reports.nurture import EMAIL
from tributary.reports.periods import timestamp
from tributary.reports.query import Query, ReportType
from tributary.reports.statement import Step
from tributary.reports.subjects import (
    LISTED,
    OF_FIRST_ORDER,
    TOUCHED_BY,
    conversions,
    first_orders,
    months_of_touches,
    needs_of,
    needs_of_first_orders,
    once,
    told_apart,
    touched_by,
    within,
)

SESSION_MINUTES: Final = 30
PAGE: Final = "page"
EVENT: Final = "event"
_OWN: Final = {**EMAIL, dimensions.CONNECTION: "x.connection", PAGE: "x.page", EVENT: "x.event"}
_OF_TOUCHES: Final = dimensions.TOUCH_NAMES - EMAIL.keys()
"""Those of the touch before; of an email an activity itself says which it is."""

MEASURES: Final[Mapping[str, Measure]] = {
    "activities": Measure(value="(what <> 'contact')::INT"),
    "page_views": Measure(value="(what = 'viewed')::INT"),
    "events": Measure(value="(what IN ('did', 'opened', 'clicked'))::INT"),
    "opens": Measure(value="(what = 'opened')::INT"),
    "clicks": Measure(value="(what = 'clicked')::INT"),
    "visitors": Measure(value="what <> 'contact'", how="people"),
    "viewers": Measure(value="what = 'viewed'", how="people"),
    "sessions": Measure(value="session", how="distinct"),
    "engaged": Measure(value="what <> 'contact' AND is_contact", how="people"),
    "contacts": Measure(value="what = 'contact'", how="people"),
    "engaged_customers": Measure(value="what <> 'contact' AND is_contact AND buys", how="people"),
    "touched_activities": Measure(value="(what <> 'contact' AND touched)::INT"),
}
_COVERAGE: Final = ("touched_activities", "activities")


@dataclass(frozen=True, kw_only=True)
class _OfAllContacts(Kpi):
    """None where all contacts cannot be told apart as the rows are: a number would be a wrong one."""

    def of(self, sums: Sums) -> Value:
        return super().of(sums) if "contacts" in sums else None


KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(
        key="activities",
        name="Activities",
        unit="count",
        over=("activities",),
        definition="What people did themselves, page views among it; nothing of machines, nothing that a CRM tells of its orders, no email received.",
    ),
    Kpi(key="page_views", name="Page views", unit="count", over=("page_views",), definition="Pages and screens viewed."),
    Kpi(key="events", name="Events", unit="count", over=("events",), definition="Tracked events, emails opened and clicked among them."),
    Kpi(
        key="visitors", name="People", unit="count", over=("visitors",), adds_up=False, definition="Distinct people who did anything themselves, known or not."
    ),
    Kpi(
        key="sessions",
        name="Sessions",
        unit="count",
        over=("sessions",),
        adds_up=False,
        definition=f"Runs of activities of one person with never more than {SESSION_MINUTES} minutes between. A row counts each session that it has a part of.",
    ),
    Kpi(key="pages_per_session", name="Pages per session", unit="ratio", over=("page_views",), under=("sessions",), definition="Page views / sessions."),
    Kpi(
        key="pages_per_person",
        name="Pages per person",
        unit="ratio",
        over=("page_views",),
        under=("viewers",),
        definition="Page views / people who viewed any.",
    ),
    Kpi(
        key="engaged_contacts",
        name="Engaged contacts",
        unit="count",
        over=("engaged",),
        adds_up=False,
        definition="Distinct people who did anything in the range and are known, by now.",
    ),
    _OfAllContacts(
        key="contacts",
        name="All contacts",
        unit="count",
        over=("contacts",),
        adds_up=False,
        definition="People who were known before the range ended. Only where rows are told apart by nothing, by country or by a custom field.",
    ),
    _OfAllContacts(
        key="engagement_rate",
        name="Engagement rate",
        unit="percent",
        over=("engaged",),
        under=("contacts",),
        times=100,
        definition="100 x engaged contacts / all contacts.",
    ),
    Kpi(key="opens", name="Email opens", unit="count", over=("opens",), definition="Times that an email was opened, where the mail system tells."),
    Kpi(key="clicks", name="Email clicks", unit="count", over=("clicks",), definition="Clicks in emails that the mail system tells of."),
    Kpi(
        key="engaged_customers",
        name="Engaged customers",
        unit="count",
        over=("engaged_customers",),
        adds_up=False,
        definition="Engaged contacts with an order sold in the range.",
    ),
    Kpi(
        key="engaged_customer_rate",
        name="Engaged who bought",
        unit="percent",
        over=("engaged_customers",),
        under=("engaged",),
        times=100,
        definition="100 x engaged customers / engaged contacts.",
    ),
)


@dataclass(frozen=True)
class EngagementLeg:
    measures: Set[str] = frozenset(MEASURES)
    coverage: tuple[str, str] | None = _COVERAGE

    def needs(self, query: Query, measures: Set[str]) -> Needs:
        within = months(query.range.start, min(query.range.end, query.now))
        found: Needs = {Kind.ACTIVITIES: within, **{kind: found for kind, found in needs_of(query, within).items() if kind is not Kind.TOUCHES}}
        if _asks_touches(query):
            found = {**found, Kind.TOUCHES: months_of_touches(query, within)}
        if measures & {"engaged", "engaged_customers", "contacts"}:
            found = {**found, Kind.CONTACTS: Months()}
        if "engaged_customers" in measures:
            found = {**found, Kind.ORDERS: within}
        return together((found, needs_of_first_orders(query)))

    def detail(self, asking: Asking, measures: Set[str]) -> Detail:
        query = asking.query
        with_sessions = "sessions" in measures
        columns = ["x.key", "x.person", "x.happened_at", "x.what", *(["x.session"] if with_sessions else []), *(["x.connection"] if asking.lines else [])]
        columns += ["t.since IS NOT NULL AS touched"] if asking.attributed else []
        steps: list[Step] = [("done", _done(query, with_sessions=with_sessions, with_emails=bool(measures & {"opens", "clicks"})))]
        firsts = first_orders(asking, of="done", at="x.happened_at")
        own, joins = {**_OWN, **firsts.own}, [*firsts.joins]
        steps += firsts.steps
        if touch_names := _asks_touches(query):
            steps.append(touched_by(query, touch_names))
            own |= {name: f"t.{name}" for name in touch_names}
            joins.append(TOUCHED_BY)
        steps += conversions(asking, source="done", columns=columns, at="x.happened_at", own=own, lists=firsts.lists, joins=joins)
        if "engaged_customers" in measures:
            steps.append(("buyers", f"SELECT DISTINCT person FROM orders WHERE {within(query, 'sold_at')}"))
        steps.append(("engagement", _lines(asking, measures)))
        overlapping = bool(_listed(query))
        asked = {name: measure for name, measure in MEASURES.items() if name in measures and (name != "contacts" or _is_of_contacts(query))}
        return Detail(tuple(steps), once(asked, overlapping=overlapping), overlapping=overlapping)


def _asks_touches(query: Query) -> Set[str]:
    return dimensions.named_by(query) & _OF_TOUCHES


def _listed(query: Query) -> list[str]:
    """Columns that list several values of one activity, each of which is a row."""
    return [column for name, column in LISTED.items() if name in query.group_by]


def _own_doing() -> str:
    """SQL: whether somebody did it themselves. Of what a connection tells, as a CRM its orders and bills, that is only opening and clicking; and to have been
    sent something is nothing done."""
    sent, opened, clicked = (", ".join(f"'{name}'" for name in EVENTS[what]) for what in ("received", "opened", "clicked"))
    told = f"NOT starts_with(connection, '{_OF_A_CONNECTION}') OR lower(name) IN ({opened}, {clicked})"
    return f"(type IN ('page', 'screen') OR ({told}) AND coalesce(lower(name) NOT IN ({sent}), true))"


_OF_A_CONNECTION: Final = "con_"
"""How ids of connections begin; those of sources do not."""
_OWN_DOING: Final = _own_doing()


def _done(query: Query, *, with_sessions: bool, with_emails: bool) -> str:
    """SQL: what people did in the range. `session`: of one person's, the number; what a filter leaves out is part of it too."""
    opened, clicked = (", ".join(f"'{name}'" for name in EVENTS[what]) for what in ("opened", "clicked"))
    emails = f"WHEN lower(name) IN ({opened}) THEN 'opened' WHEN lower(name) IN ({clicked}) THEN 'clicked' " if with_emails else ""
    what = f"CASE WHEN type IN ('page', 'screen') THEN 'viewed' WHEN type <> 'track' THEN 'told' {emails}ELSE 'did' END AS what"
    columns = "key, person, happened_at, connection, page, email_campaign, email_flow, email_message, email_link, email_list"
    select = f"SELECT {columns}, CASE WHEN type = 'track' THEN name END AS event, {what}"
    where = f"FROM activities WHERE NOT bot AND {_OWN_DOING} AND {within(query, 'happened_at')}"
    if not with_sessions:
        return f"{select} {where}"
    gap = f"happened_at - lag(happened_at) OVER (PARTITION BY person ORDER BY happened_at, key) <= INTERVAL {SESSION_MINUTES} MINUTE"
    return f"""SELECT * EXCLUDE (goes_on), hash(person, sum((NOT goes_on)::INT) OVER (PARTITION BY person ORDER BY happened_at, key)) AS session
FROM ({select}, coalesce({gap}, false) AS goes_on {where})"""


def _lines(asking: Asking, measures: Set[str]) -> str:
    query = asking.query
    listed = _listed(query)
    groups = [f"{_group(name, index)} AS g{index}" for index, name in enumerate(query.group_by)]
    joins = ""
    columns = ["c.person", "c.what", f"{asking.values.add(query.currency)} AS currency", *groups, *(["c.session"] if "sessions" in measures else [])]
    columns += ["c.touched"] if asking.attributed else []
    if measures & {"engaged", "engaged_customers"}:
        columns.append("k.person IS NOT NULL AS is_contact")
        joins += " LEFT JOIN contacts k ON k.person = c.person"
    if "engaged_customers" in measures:
        columns.append("b.person IS NOT NULL AS buys")
        joins += " LEFT JOIN buyers b ON b.person = c.person"
    columns += [f"{' AND '.join(f'c.{name}_once' for name in listed)} AS count_once"] if listed else []
    columns += [f"{asking.periods.bucket('c.happened_at')} AS period"] if asking.periods is not None else []
    columns += ["'activity' AS kind", "CAST(NULL AS VARCHAR) AS id", "c.connection", "c.happened_at"] if asking.lines else []
    done = f"SELECT {', '.join(columns)} FROM {told_apart('conversions', listed)} c{joins}"
    return f"{done}\nUNION ALL BY NAME {_contacts(asking)}" if "contacts" in measures and _is_of_contacts(query) else done


def _group(name: str, index: int) -> str:
    return "c.tags" if name == dimensions.TAG else "nullif(c.products, '')" if name == dimensions.PRODUCT else f"c.own_{index}"


def _is_of_contacts(query: Query) -> bool:
    """Whether rows are told apart by what contacts have too, whatever they do."""
    return query.scale is None and all(dimensions.is_of_contact(name) for name in query.group_by)


def _contacts(asking: Asking) -> str:
    query, values = asking.query, asking.values
    groups = [f"{dimensions.of_contact(name, values)} AS g{index}" for index, name in enumerate(query.group_by)]
    told = ["'lead' AS kind", "CAST(NULL AS VARCHAR) AS id", "CAST(NULL AS VARCHAR) AS connection", "p.lead_at AS happened_at"] if asking.lines else []
    chosen = [dimensions.fits(dimensions.of_contact(one.dimension, values), one, values) for one in query.filters if dimensions.is_of_contact(one.dimension)]
    chosen += [f"p.lead_at < {timestamp(query.range.end)}", f"p.lead_at <= {timestamp(query.now)}"]
    columns = ["p.person", "'contact' AS what", f"{values.add(query.currency)} AS currency", *groups, *told]
    return f"SELECT {', '.join(columns)} FROM contacts p WHERE {' AND '.join(chosen)}"


ENGAGEMENT: Final = Table(
    type=ReportType.ENGAGEMENT,
    legs=(EngagementLeg(),),
    dimensions=frozenset({*_OWN, *_OF_TOUCHES, *OF_FIRST_ORDER, dimensions.CUSTOMER_TYPE, *dimensions.CONTACT_NAMES}),
    touch_dimensions=_OF_TOUCHES,
    all_kpis=KPIS,
    default_kpis=("page_views", "visitors", "sessions", "engaged_contacts", "engagement_rate", "opens", "clicks", "engaged_customer_rate"),
)
