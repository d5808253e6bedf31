"""The money of an order: its parts, what they come to, and what they are in another currency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from tributary.facts.tables import OrderFact, RateFact

DIGITS = {"JPY": 0, "KWD": 3}
"""Digits of the minor unit, where they are not two."""
OLDEST_RATE = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Money:
    """Minor units of one currency. Names are those of `OrderFact`."""

    gross: int = 0
    discount: int = 0
    tax: int = 0
    shipping: int = 0
    received: int = 0
    voided: int = 0
    refunded: int = 0
    charged_back: int = 0
    returned: int = 0

    def net(self, *, include_tax: bool = False, include_shipping: bool = False) -> int:
        """What the shop has of it. Of tax and shipping what was kept: shipping is given back before tax."""
        returned_shipping = min(self.returned, self.shipping)
        kept_shipping = self.shipping - returned_shipping
        kept_tax = self.tax - (self.returned - returned_shipping)
        goods = self.sales - self.tax - self.shipping - self.refunded - self.charged_back - self.voided + self.returned
        return goods + (kept_tax if include_tax else 0) + (kept_shipping if include_shipping else 0)

    @property
    def sales(self) -> int:
        """As if all had been paid and none given back."""
        return self.gross - self.discount

    def plus(self, other: Money) -> Money:
        return Money(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(Money)})

    @property
    def collected(self) -> int:
        return self.received - self.voided - self.refunded - self.charged_back


@dataclass(frozen=True)
class Rates:
    rows: Sequence[RateFact]

    def rate(self, day: date, source: str, target: str) -> Decimal | None:
        """What one unit of `source` was worth on a day, by the latest that was said in the week before; None: nobody says."""
        fitting = [row for row in self.rows if (row.from_currency, row.to_currency) == (source, target) and day - OLDEST_RATE <= row.day <= day]
        return max(fitting, key=lambda row: row.day).rate if fitting else None

    def exchanged(self, amount: int, day: date, source: str, target: str) -> int | None:
        """Minor units of `target`, half to even; None: there is no rate."""
        if source == target:
            return amount
        found = self.rate(day, source, target)
        if found is None:
            return None
        return round(Fraction(amount) * Fraction(found) * Fraction(10) ** (DIGITS.get(target, 2) - DIGITS.get(source, 2)))


def balances(order: OrderFact) -> list[tuple[str, Money]]:
    """What moved for an order, by currency: its own, and others in which some of it was paid or given back."""
    parts = {field.name: getattr(order, field.name) for field in fields(Money)}
    own = (order.currency, Money(**parts))
    others = [
        (other.currency, Money(received=other.received, voided=other.voided, refunded=other.refunded, charged_back=other.charged_back))
        for other in order.others
    ]
    return [own, *others]


def exchanged(money: Money, rates: Rates, day: date, source: str, target: str) -> Money | None:
    """Each part for itself; None: there is no rate."""
    found = {field.name: rates.exchanged(getattr(money, field.name), day, source, target) for field in fields(Money)}
    known = {name: amount for name, amount in found.items() if amount is not None}
    return Money(**known) if len(known) == len(found) else None
