"""What currencies were worth in one another: rows as they are entered → facts, one for a day and two currencies. Rates are exact decimals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tributary.entered.csv_files import Columns
from tributary.entered.reading import Form, Reader, Row, RowError
from tributary.facts.tables import RateFact
from tributary.identity.digests import public_digest

DEFAULT_SOURCE: Final = "entered"
"""Of rates whose batch does not say who says so."""

COLUMNS: Final = Columns(
    names={"day": ("Date",), "from": ("From currency", "Base"), "to": ("To currency", "Quote"), "rate": ("Value",), "source": ()},
    needed=(("day",), ("from",), ("to",), ("rate",)),
)


class RateRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}, omit_defaults=True):
    """What one unit of a currency was worth in another on a day."""

    day: Annotated[str, Meta(description="As `2026-03-08`.")]
    from_: Annotated[str, Meta(description="ISO 4217.")]
    to: Annotated[str, Meta(description="ISO 4217.")]
    rate: Annotated[
        str,
        Meta(description="A decimal above 0, text or a number; at most 12 digits behind the point.", extra_json_schema={"type": ["string", "number"]}),
    ]
    source: Annotated[Annotated[str, Meta(max_length=255)] | None, Meta(description="Who says so; the parameter `source` without it.")] = None


def facts(rows: Sequence[Row], *, form: Form, source: str | None, latest: date) -> tuple[list[RateFact], list[RowError]]:
    """The rows that can be taken, without batch and version, and what is wrong with the others. `latest`: the last day that rows may be of."""
    read: list[tuple[Row, RateFact]] = []
    errors: list[RowError] = []
    for row in rows:
        reader = Reader(row, form)
        fact = _fact(reader, source, latest)
        errors += reader.errors
        if fact is not None:
            read.append((row, fact))
    taken: dict[str, tuple[Row, RateFact]] = {}
    clashing: set[str] = set()
    for row, fact in read:
        other_row, other = taken.setdefault(fact.key, (row, fact))
        if other != fact:
            clashing.add(fact.key)
            errors.append(RowError(row=row.number, column="rate", reason=f"Row {other_row.number} says another rate of the same day and currencies."))
    for key in clashing:
        errors.append(RowError(row=taken[key][0].number, column="rate", reason="A later row says another rate of the same day and currencies."))
    return [fact for key, (_, fact) in taken.items() if key not in clashing], sorted(errors, key=lambda error: error.row)


def _fact(reader: Reader, source: str | None, latest: date) -> RateFact | None:
    """None where something is wrong; the reader has it."""
    if reader.row.fault is not None:
        reader.wrong(reader.row.fault_column, reader.row.fault)
        return None
    day = reader.day("day", latest=latest)
    currencies = []
    for column in ("from", "to"):
        if not reader.has(column):
            reader.wrong(column, "It is needed.")
        currencies.append(reader.currency(column))
    given, wanted = currencies
    if given is not None and given == wanted:
        reader.wrong("to", "A rate is between two currencies.")
    rate = reader.rate("rate")
    named = reader.text("source") or source or DEFAULT_SOURCE
    if reader.errors or day is None or given is None or wanted is None or rate is None:
        return None
    key = public_digest(day.isoformat(), given, wanted)
    return RateFact(key=key, batch="", day=day, from_currency=given, to_currency=wanted, rate=rate, source=named)
