"""Reports: every type by its name, and the three things that may be asked of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tributary.facts.tables import Needs
from tributary.ports import Relations
from tributary.reports.answer import Ledger, Report
from tributary.reports.attributed import ACQUISITION, ADVERTISEMENT, ATTRIBUTION, LEAD_SOURCE, ORDERS
from tributary.reports.engagement import ENGAGEMENT
from tributary.reports.frame import ReportKind
from tributary.reports.funnel import FUNNEL
from tributary.reports.journeys import JOURNEYS
from tributary.reports.nurture import NURTURE
from tributary.reports.query import Query, ReportType
from tributary.reports.subscriptions import SUBSCRIPTIONS
from tributary.reports.value_over_time import VALUE_OVER_TIME

_KINDS: Final[tuple[ReportKind, ...]] = (ACQUISITION, ADVERTISEMENT, ORDERS, ATTRIBUTION, LEAD_SOURCE)
_OF_PEOPLE: Final[tuple[ReportKind, ...]] = (SUBSCRIPTIONS, FUNNEL, VALUE_OVER_TIME, JOURNEYS, NURTURE, ENGAGEMENT)
REPORTS: Final[Mapping[ReportType, ReportKind]] = {kind.type: kind for kind in (*_KINDS, *_OF_PEOPLE)}


def needs(query: Query) -> Needs:
    """Which facts an answer, or a ledger of it, can need."""
    return REPORTS[query.type].needs(query)


def answer(query: Query, relations: Relations) -> Report:
    """Raises `ReportTooLarge`."""
    return REPORTS[query.type].answer(query, relations)


def ledger(query: Query, relations: Relations, *, row_key: str | None, kpi: str, limit: int = 100, offset: int = 0) -> Ledger:
    """The people and things behind a figure: of the row with this key (`Row.key`), or of the total (None). Raises `RowUnknown`, `ReportTooLarge`."""
    return REPORTS[query.type].ledger(query, relations, row_key=row_key, kpi=kpi, limit=limit, offset=offset)
