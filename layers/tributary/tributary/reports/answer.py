"""What a report answers: columns that say what they mean, rows, totals that were computed and not added up from the rows, and the settings in force."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

Unit = Literal["count", "number", "money", "percent", "ratio", "days", "seconds"]
Value = int | float | None
"""Money in minor units of the row's currency; a percentage as 15.1515 for 15.1515 %; None where there is nothing to divide by."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Column(_Part, frozen=True, kw_only=True):
    key: str
    name: str
    unit: Unit
    definition: str
    """In a sentence, with its formula."""
    adds_up: bool
    """Whether the rows' values come to the total: not of rates, nor of people who may be in several rows."""


class Row(_Part, frozen=True, kw_only=True):
    dimensions: dict[str, str | None]
    """`period` and what was grouped by. None: nothing is known, as in `unattributed`."""
    names: dict[str, str] = {}
    """What ids among the dimensions are called, by dimension: of campaign_id, adset and ad, as advertising spend said last."""
    values: dict[str, Value]
    currency: str
    key: str
    """What the row's ledger is asked for with."""
    unattributed: bool = False
    """No touch is known: what no source brought."""
    immature: bool = False
    """Its last interval has not passed yet."""
    before: dict[str, Value] | None = None
    """The same row of the period it is compared with."""
    change: dict[str, float | None] | None = None
    """Percent, against `before`."""


class Total(_Part, frozen=True, kw_only=True):
    values: dict[str, Value]
    currency: str
    before: dict[str, Value] | None = None
    change: dict[str, float | None] | None = None


class Report(_Part, frozen=True, kw_only=True):
    """What the engine makes of a question, without what the API adds of the settings."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    rows_found: int
    """Before the limit."""
    totals: tuple[Total, ...]
    """The reporting currency's first; then each currency that has no rate, which is in no other total."""
    overlapping: bool = False
    """Whether the rows may tell of the same order twice, so that they come to more than the total."""
    coverage_pct: float | None = None
    """Of the value of conversions, how much has a touch; None where nothing is attributed or nothing was sold."""
    notes: tuple[str, ...] = ()
    rates_source: str | None = None


class LedgerLine(_Part, frozen=True, kw_only=True):
    """What a figure is made of: a person, and what of theirs counts how much."""

    person: str
    """The contact's id, or the node of somebody who is not known."""
    kind: str
    """`lead`, `order`, `subscription`, `touch`, `activity`, `spend`, …"""
    id: str | None
    """The order's, subscription's or event's own."""
    connection: str | None
    happened_at: datetime
    currency: str
    value: Value
    """What of it counts in the figure."""
    dimensions: dict[str, str | None] = {}


class Ledger(_Part, frozen=True, kw_only=True):
    kpi: Column
    total: Value
    """The figure."""
    adds_up_to: Value
    """The sum of all lines' values; equal to the figure where it is a sum, and to its parts where it is a rate."""
    lines: tuple[LedgerLine, ...]
    lines_found: int
    parts: dict[str, Any] = {}
    """Of a rate: what is divided by what."""
