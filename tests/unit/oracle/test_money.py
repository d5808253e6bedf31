"""The oracle's money, by figures that can be worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from tests.oracle.money import Money, Rates
from tributary.facts.tables import RateFact

DAY = date(2026, 3, 8)
PAID = Money(gross=12_000, discount=1_000, tax=700, shipping=500, received=11_000)
PARTLY_RETURNED = Money(gross=12_000, discount=1_000, tax=700, shipping=500, received=11_000, refunded=10_200, returned=400)
"""11,000 were paid, of which 1,200 are tax and shipping, and 800 were kept: of these nothing is the goods'."""


def test_net_is_what_was_sold_without_discount_tax_and_shipping() -> None:
    assert PAID.net() == 9_800
    assert PAID.net(include_tax=True) == 10_500
    assert PAID.net(include_shipping=True) == 10_300
    assert PAID.net(include_tax=True, include_shipping=True) == 11_000


def test_of_tax_and_shipping_only_what_was_kept_is_added() -> None:
    assert PARTLY_RETURNED.net() == 0
    assert PARTLY_RETURNED.net(include_shipping=True) == 100  # 400 of the 500 were given back
    assert PARTLY_RETURNED.net(include_tax=True) == 700
    assert PARTLY_RETURNED.net(include_tax=True, include_shipping=True) == 800


def test_what_is_given_back_whole_comes_to_nothing() -> None:
    returned = Money(gross=12_000, discount=1_000, tax=700, shipping=500, received=11_000, refunded=11_000, returned=1_200)
    assert [returned.net(include_tax=tax, include_shipping=shipping) for tax in (True, False) for shipping in (True, False)] == [0, 0, 0, 0]
    assert (returned.sales, returned.collected) == (11_000, 0)


@pytest.mark.parametrize(
    ("amount", "source", "target", "rate", "expected"),
    [
        (1_000, "EUR", "USD", "1.1", 1_100),
        (100, "EUR", "USD", "1.005", 100),  # 100.5: to the even one
        (300, "EUR", "USD", "1.005", 302),  # 301.5
        (1_500, "JPY", "USD", "0.0066", 990),  # 1,500 yen, 9.90 dollars
        (1_234, "KWD", "USD", "3.25", 401),  # 1.234 dinars, 4.0105 dollars
        (990, "USD", "JPY", "150", 1_485),
        (-300, "EUR", "USD", "1.005", -302),
    ],
)
def test_an_amount_is_exchanged_in_whole_units_of_either(amount: int, source: str, target: str, rate: str, expected: int) -> None:
    rates = Rates([RateFact(key=f"{1:032x}", batch="one", day=DAY, from_currency=source, to_currency=target, rate=Decimal(rate))])
    assert rates.exchanged(amount, DAY, source, target) == expected


def test_a_rate_holds_for_a_week_unless_there_is_a_later_one() -> None:
    said = [(date(2026, 3, 1), "1.1"), (date(2026, 3, 3), "1.2")]
    rates = Rates(
        [RateFact(key=f"{n:032x}", batch="one", day=day, from_currency="EUR", to_currency="USD", rate=Decimal(rate)) for n, (day, rate) in enumerate(said)]
    )
    assert rates.rate(date(2026, 3, 2), "EUR", "USD") == Decimal("1.1")
    assert rates.rate(date(2026, 3, 10), "EUR", "USD") == Decimal("1.2")
    assert rates.rate(date(2026, 3, 11), "EUR", "USD") is None
    assert rates.rate(date(2026, 2, 28), "EUR", "USD") is None
