"""What ads, ad sets and campaigns are called that rows have by the ids of their platform: as advertising spend said last, in the range and the lookback
before it. A name changes with the platform's user; so rows are told apart by ids, and the name only stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from tributary.facts.tables import Kind, Months, Needs
from tributary.ports import Relations
from tributary.reports.answer import Report, Row
from tributary.reports.query import Query
from tributary.reports.statement import Values

NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "campaign_id": ("campaign_id", "campaign_name"),
    "adset": ("adset_id", "adset_name"),
    "ad": ("ad_id", "ad_name"),
}
"""Dimension → columns of spend: the id, and the name."""


def needs_of_names(query: Query) -> Needs:
    if not _asked(query):
        return {}
    first = _first(query)
    return {Kind.AD_SPEND: Months(None if first is None else f"{first:%Y-%m}", f"{query.range.last:%Y-%m}")}


def with_names(report: Report, query: Query, relations: Relations) -> Report:
    """The report, its rows with the names that are known."""
    names = {dimension: _names(dimension, report, query, relations) for dimension in _asked(query)}
    return msgspec.structs.replace(report, rows=tuple(_with_names(row, names) for row in report.rows)) if any(names.values()) else report


def _asked(query: Query) -> list[str]:
    return [name for name in query.group_by if name in NAMED]


def _first(query: Query) -> date | None:
    return None if query.lookback_days is None else query.range.first - timedelta(days=query.lookback_days)


def _names(dimension: str, report: Report, query: Query, relations: Relations) -> dict[str, str]:
    """Id → name."""
    ids = {said for row in report.rows if (said := row.dimensions[dimension]) is not None}
    if not ids:
        return {}
    values = Values()
    id_, name = NAMED[dimension]
    kept = [f"{name} IS NOT NULL", f"{id_} IN ({', '.join(values.add(one) for one in sorted(ids))})", f"day <= {values.add(query.range.last)}"]
    kept += [f"day >= {values.add(first)}"] if (first := _first(query)) is not None else []
    found = relations.rows(*values.ready(f"SELECT {id_}, arg_max({name}, row(day, {name})) FROM ad_spend WHERE {' AND '.join(kept)} GROUP BY 1"))
    return {str(one): str(called) for one, called in found}


def _with_names(row: Row, names: Mapping[str, Mapping[str, str]]) -> Row:
    found = {dimension: known[said] for dimension, known in names.items() if (said := row.dimensions[dimension]) is not None and said in known}
    return msgspec.structs.replace(row, names=found) if found else row
