"""Costs that no advertisement has: rows of CONFIG (`fixed_cost` / id), read into each report's query by `fixed_costs`."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from tributary.currencies import is_currency
from tributary.operator import DeleteRow, Invalid, NotFound, PutRow, Row, Rows, Unreadable, VersionConflict, Versioned, check_label
from tributary.reports.query import FixedCost

MAX_FIXED_COSTS: Final = 200
"""All of them are part of every question about spend."""
MAX_AMOUNT: Final = 10**15

_PK: Final = "fixed_cost"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_Value = Annotated[str, Meta(min_length=1, max_length=255)]


class FixedCostDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cost, whole: what is left out has its default."""

    name: Annotated[str, Meta(min_length=1, max_length=100, description="How people call it.")]
    frequency: Annotated[Literal["daily", "once"], Meta(description="`daily`: on each day from `first` to `last`; `once`: on `first` alone.")]
    amount: Annotated[int, Meta(ge=0, lt=MAX_AMOUNT, description="Minor units, of each day.")]
    currency: Annotated[str | None, Meta(description="ISO 4217; the account's reporting currency without it.")] = None
    first: date
    last: Annotated[date | None, Meta(description="Included; null for until further notice.")] = None
    platform: Annotated[_Value | None, Meta(description="Where the report shows it; nowhere named, it is a row of its own.")] = None
    source: _Value | None = None
    medium: _Value | None = None
    campaign: _Value | None = None


def fixed_costs(rows: Rows) -> tuple[FixedCost, ...]:
    """Every fixed cost, by id: a `Query`'s `fixed_costs`. Raises `Unreadable`, `StoreUnavailable`."""
    return tuple(_read(row).value for _, row in rows.under(_PK))


class FixedCosts:
    """Use cases on fixed costs. Raises `Refused` and `StoreUnavailable`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def all(self) -> list[Versioned[FixedCost]]:
        """By id."""
        return [_read(row) for _, row in self._rows.under(_PK)]

    def one(self, id: str) -> Versioned[FixedCost]:
        row = self._rows.get(_PK, id)
        if row is None:
            raise NotFound("there is no such cost")
        return _read(row)

    def put(self, id: str, draft: FixedCostDraft, *, reporting_currency: str, version: int | None = None) -> Versioned[FixedCost]:
        """Make the cost of this id, or replace it whole; the same again keeps its version. `version`: the one the caller has seen, if it matters to them."""
        cost = _checked(id, draft, reporting_currency)
        row = self._rows.get(_PK, id)
        if version is not None and version != (0 if row is None else row.version):
            raise VersionConflict("it was changed since you read it")
        if row is None:
            if len(self._rows.under(_PK)) >= MAX_FIXED_COSTS:
                raise Invalid(f"there are {MAX_FIXED_COSTS} fixed costs; delete some")
        elif _read(row).value == cost:
            return Versioned(cost, row.version)
        expected = 0 if row is None else row.version
        self._rows.commit([PutRow(_PK, id, msgspec.json.encode(cost).decode(), expected)])
        return Versioned(cost, expected + 1)

    def delete(self, id: str, *, version: int | None = None) -> None:
        row = self._rows.get(_PK, id)
        if row is None:
            raise NotFound("there is no such cost")
        if version is not None and version != row.version:
            raise VersionConflict("it was changed since you read it")
        self._rows.commit([DeleteRow(_PK, id, row.version)])


def _checked(id: str, draft: FixedCostDraft, reporting_currency: str) -> FixedCost:
    if not _ID.fullmatch(id):
        raise Invalid("an id is small letters, digits, `_` and `-`, as office-rent", field="id")
    for name in ("name", "platform", "source", "medium", "campaign"):
        value = getattr(draft, name)
        if value is not None:
            check_label(value, name)
    currency = reporting_currency if draft.currency is None else draft.currency.upper()
    if not is_currency(currency):
        raise Invalid("not an ISO 4217 currency code such as USD", field="currency")
    last = draft.first if draft.frequency == "once" and draft.last is None else draft.last
    if draft.frequency == "once" and last != draft.first:
        raise Invalid("a cost that comes once has no last day but its first", field="last")
    if last is not None and last < draft.first:
        raise Invalid("it ends before it begins", field="last")
    return FixedCost(
        id=id,
        name=draft.name,
        amount=draft.amount,
        currency=currency,
        first=draft.first,
        last=last,
        source=draft.source,
        medium=draft.medium,
        campaign=draft.campaign,
        platform=draft.platform,
    )


def _read(row: Row) -> Versioned[FixedCost]:
    try:
        return Versioned(msgspec.json.decode(row.data, type=FixedCost), row.version)
    except msgspec.MsgspecError as error:
        raise Unreadable("this release cannot read a fixed cost") from error
