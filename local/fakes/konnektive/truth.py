"""What the account holds, added up as it happens and never read back from the rows: what a test compares those and whatever was made of them with."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from local.fakes.konnektive.catalogue import MINOR_UNITS


@dataclass(kw_only=True)
class Booking:
    """One day of one campaign, as `transactions/summary` has it: what is given back counts on the day of the sale that it belongs to."""

    sales: int = 0
    sales_amount: int = 0
    rebills: int = 0
    rebills_amount: int = 0
    declines: int = 0
    rebill_declines: int = 0
    refunds: int = 0
    refunds_amount: int = 0
    chargebacks: int = 0
    chargebacks_amount: int = 0
    tax: int = 0

    def add(self, other: Booking) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(kw_only=True)
class Ledger:
    """All amounts in minor units."""

    counts: Counter[str] = field(default_factory=Counter)
    """customers, payments, declines, refunds, voids, chargebacks (standing), chargebacks_set, chargebacks_reverted."""
    statuses: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """orders, subscriptions, fulfillments → status → how many."""
    days: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """(day, currency) → gross, refunded, voided, charged_back: each on the day on which it happened; a reversal takes back on its own day."""
    booked: dict[tuple[str, str, int], Booking] = field(default_factory=lambda: defaultdict(Booking))
    """(day of the sale, currency, campaign)."""

    def status(self, of: str, before: str | None, after: str) -> None:
        if before is not None:
            self.statuses[of][before] -= 1
        self.statuses[of][after] += 1

    def money(self, what: str, day: str, currency: str, amount: int) -> None:
        self.days[day, currency][what] += amount

    def as_json(self) -> dict[str, Any]:
        revenue: dict[str, Counter[str]] = defaultdict(Counter)
        for (_, currency), amounts in self.days.items():
            revenue[currency].update(amounts)
        return {
            "contacts": self.counts["customers"],
            "orders": _shown(self.statuses["orders"]),
            "subscriptions": _shown(self.statuses["subscriptions"]),
            "fulfillments": _shown(self.statuses["fulfillments"]),
            **{
                name: self.counts[name]
                for name in ("transactions", "payments", "declines", "refunds", "voids", "chargebacks", "chargebacks_set", "chargebacks_reverted")
            },
            "revenue": {currency: {"minor_units": MINOR_UNITS[currency], **_amounts(amounts)} for currency, amounts in sorted(revenue.items())},
            "days": [{"date": day, "currency": currency, **_amounts(amounts)} for (day, currency), amounts in sorted(self.days.items())],
        }


def _shown(statuses: Counter[str]) -> dict[str, int]:
    return {status: count for status, count in sorted(statuses.items()) if count}


def _amounts(amounts: Counter[str]) -> dict[str, int]:
    gross, refunded, voided, charged_back = (amounts[name] for name in ("gross", "refunded", "voided", "charged_back"))
    return {"gross": gross, "refunded": refunded, "voided": voided, "charged_back": charged_back, "net": gross - refunded - voided - charged_back}
