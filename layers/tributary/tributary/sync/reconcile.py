"""Ours against the account's own sums, day by day: what differs is shown, never smoothed over.

The account books a refund and a chargeback to the day of the sale that they concern, so its past days move for weeks. So do ours here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tributary.currencies import MINOR_UNITS
from tributary.sources.konnektive.records import RecordState
from tributary.sync.state import Difference

DAYS: Final = 35
"""As far back as the weekly walk reaches."""
COUNTS: Final = ("newSaleCnt", "rebillCnt", "refundCnt", "chargebackCnt")
SUMS: Final = ("newSaleRev", "rebillRev", "refundRev", "chargebackRev")
_PAYMENTS: Final = frozenset({"SALE", "CAPTURE"})
_GIVEN_BACK: Final = frozenset({("REFUND", "SUCCESS"), ("REFUND", None), ("VOID", "SUCCESS")})


@dataclass
class Sums:
    """A day and a currency, in the account's terms; amounts in its minor units."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    amounts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))

    def book(self, what: str, amount: int) -> None:
        self.counts[f"{what}Cnt"] += 1
        self.amounts[f"{what}Rev"] += amount


def sums_of(days: Iterable[tuple[str, Iterable[tuple[str, RecordState]]]]) -> dict[str, dict[str, Sums]]:
    """What is known of transactions, by day (ISO date) and currency. The days come newest first: what is given back is met before what was paid, so that no
    more than a day, and what was given back, is held."""
    sums: dict[str, dict[str, Sums]] = {}
    given_back: dict[str, list[dict[str, Any]]] = {}
    for day, records in days:
        here = sums.setdefault(day, {})
        payments: list[tuple[str, dict[str, Any]]] = []
        for record, state in records:
            facts = state.facts
            if facts.get("type") in _PAYMENTS and facts.get("response") == "SUCCESS":
                payments.append((record, facts))
            elif (facts.get("type"), facts.get("response")) in _GIVEN_BACK:
                if "parent" in facts:
                    given_back.setdefault(str(facts["parent"]), []).append(facts)
                elif facts["type"] == "REFUND":
                    here.setdefault(facts["currency"], Sums()).book("refund", facts.get("amount", 0))
        for record, facts in payments:
            _book(here.setdefault(facts["currency"], Sums()), facts, given_back.pop(record, ()))
    return sums


def _book(sums: Sums, payment: Mapping[str, Any], given_back: Sequence[Mapping[str, Any]]) -> None:
    if not any(one["type"] == "VOID" for one in given_back):
        # What was voided is as if it had never been sold.
        sums.book("rebill" if (payment.get("cycle") or 1) >= 2 else "newSale", payment.get("amount", 0))
    if payment.get("charged_back"):
        sums.book("chargeback", payment.get("chargeback", 0))
    for one in given_back:
        if one["type"] == "REFUND":
            sums.book("refund", one.get("amount", 0))


def differences(
    theirs: Sequence[Mapping[str, Any]],
    ours: Iterable[tuple[str, Iterable[tuple[str, RecordState]]]],
    *,
    last_whole_day: date,
) -> list[Difference]:
    """Each day and sum on which the two do not agree; today is left out, as it is still moving. `ours`: newest day first.

    The account writes a row a day and currency, and names the currency by its symbol alone, which several share: of a day with several, the rows are matched
    with ours in the way that agrees best."""
    known = sums_of(ours)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in theirs:
        rows.setdefault(str(row.get("date"))[:10], []).append(row)
    found: list[Difference] = []
    for day in sorted(known):
        moment = date.fromisoformat(day)
        if moment <= last_whole_day:
            found += _of_day(moment, known[day], rows.get(day, []))
    return found


def _of_day(day: date, ours: Mapping[str, Sums], theirs: Sequence[Mapping[str, Any]]) -> list[Difference]:
    left = list(theirs)
    found: list[Difference] = []
    for currency, sums in sorted(ours.items(), key=lambda one: -sum(one[1].counts.values())):
        candidates = [(row, _between(day, currency, sums, row)) for row in left] or [({}, _between(day, currency, sums, {}))]
        row, differing = min(candidates, key=lambda one: len(one[1]))
        left = [one for one in left if one is not row]
        found += differing
    for row in left:
        found += _between(day, "USD", Sums(), row)
    return found


def _between(day: date, currency: str, ours: Sums, row: Mapping[str, Any]) -> list[Difference]:
    found: list[Difference] = []
    for name in COUNTS:
        if name in row or ours.counts[name]:
            found += _compared(day, name, Decimal(ours.counts[name]), _number(row.get(name)))
    for name in SUMS:
        # Not every account's rows have every sum.
        if name in row or (not row and ours.amounts[name]):
            found += _compared(day, name, Decimal(ours.amounts[name]).scaleb(-MINOR_UNITS[currency]), _number(row.get(name)))
    return found


def _compared(day: date, what: str, ours: Decimal, theirs: Decimal | None) -> list[Difference]:
    if ours == (theirs or 0):
        return []
    return [Difference(day=day, what=what, theirs="-" if theirs is None else str(theirs), ours=str(ours))]


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return Decimal(str(value).replace(",", ""))
    except InvalidOperation:
        return None
