"""What the fake shops sell, and to whom: invented names, made to be told apart in a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINOR_UNITS: Final = {"USD": 2, "EUR": 2, "JPY": 0}
SYMBOLS: Final = {"USD": "$", "EUR": "€", "JPY": "¥"}
SECOND_CURRENCIES: Final = ("EUR", "JPY")
RATES: Final = {"USD": 1.0, "EUR": 0.9, "JPY": 1.5}
"""Minor units of a price for a cent of the dollar price: round figures, no exchange."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """`campaign_product` is the id of the product in its campaign, which rows call `productId`; prices are minor units of the campaign's currency."""

    campaign_product: int
    product: int
    name: str
    sku: str
    price: int
    shipping: int = 0
    recurring: int | None = None
    """The price of a rebill; None: sold once."""
    trial_days: int = 0
    interval_days: int = 30
    final_cycle: int | None = None
    physical: bool = True


@dataclass(frozen=True, kw_only=True)
class Campaign:
    id: int
    name: str
    type: str
    currency: str
    country: str
    offers: tuple[Product, ...]
    upsells: tuple[Product, ...]

    @property
    def products(self) -> tuple[Product, ...]:
        return (*self.offers, *self.upsells)


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Where a buyer came from: an affiliate, an ad, a newsletter, or nothing that is known."""

    affiliate: str | None = None
    source_id: int | None = None
    source_title: str | None = None
    values: tuple[str | None, ...] = (None,) * 5
    utm: tuple[str | None, ...] = (None,) * 5
    """Source, medium, campaign, term, content."""
    referer: str | None = None


def campaigns(second_currency: str) -> tuple[Campaign, ...]:
    """The campaigns of a shop, the last one in `second_currency`."""

    def product(
        number: int, name: str, sku: str, cents: int, *, shipping: int = 0, recurring: int | None = None, currency: str = "USD", **rest: int | bool
    ) -> Product:
        rate = RATES[currency]
        return Product(
            campaign_product=100 + number,
            product=10 + number,
            name=name,
            sku=sku,
            price=round(cents * rate),
            shipping=round(shipping * rate),
            recurring=None if recurring is None else round(recurring * rate),
            **rest,  # type: ignore[arg-type]  # days, cycles and flags, by their own names
        )

    other = {"currency": second_currency}
    return (
        Campaign(
            id=12,
            name="Glow Serum Funnel",
            type="LANDER",
            currency="USD",
            country="US",
            offers=(
                product(1, "Glow Serum Trial", "GLOW-TRIAL", 495, shipping=595, recurring=5995, trial_days=14),
                product(2, "Glow Serum", "GLOW-1", 4995, shipping=595),
            ),
            upsells=(product(3, "Night Cream", "NIGHT-1", 2999), product(4, "Glow Club", "GLOW-CLUB", 990, recurring=990, physical=False)),
        ),
        Campaign(
            id=14,
            name="Calm Sleep Drops",
            type="LANDER",
            currency="USD",
            country="US",
            offers=(
                product(5, "Calm Drops Monthly", "CALM-SUB", 3900, shipping=495, recurring=3900),
                product(6, "Calm Drops Half Year", "CALM-6", 3400, shipping=495, recurring=3400, final_cycle=6),
            ),
            upsells=(product(7, "Sleep Mask", "MASK-1", 1250),),
        ),
        Campaign(
            id=15,
            name="Tea Shop",
            type="ECOMMERCE",
            currency="USD",
            country="US",
            offers=(product(8, "Green Tea Box", "TEA-GREEN", 1899, shipping=650), product(9, "Teapot", "POT-1", 4200, shipping=900)),
            upsells=(product(10, "Tea Strainer", "STRAIN-1", 799),),
        ),
        Campaign(
            id=21,
            name=f"Glow Serum {second_currency}",
            type="LANDER",
            currency=second_currency,
            country="JP" if second_currency == "JPY" else "DE",
            offers=(
                product(11, "Glow Serum Trial", "GLOW-TRIAL", 500, shipping=600, recurring=6000, trial_days=14, **other),  # type: ignore[arg-type]
                product(12, "Glow Serum", "GLOW-1", 5000, shipping=600, **other),  # type: ignore[arg-type]
            ),
            upsells=(product(13, "Night Cream", "NIGHT-1", 3000, **other),),  # type: ignore[arg-type]
        ),
    )


CAMPAIGN_WEIGHTS: Final = (40, 25, 23, 12)

AFFILIATES: Final = (("AF000001", 3, "Sample Media"), ("AF000002", 4, "Northern Clicks"), ("AF000007", 9, "Review Garden"))
UTMS: Final = (
    (("facebook", "Set A", "Spring | A", None, "Ad 1"), "https://l.facebook.example/"),
    (("facebook", "Set B ", "Spring | B", None, "Ad 4"), "https://l.facebook.example/"),  # values come with their spaces
    (("google", "cpc", "Brand", "glow serum", "Text 2"), "https://www.google.example/"),
    (("newsletter", "email", "Week 14", None, "Button"), None),
    (("tiktok", "paid_social", "Creators", None, "Video 3"), "https://www.tiktok.example/"),
    ((None, None, None, None, None), "https://www.google.example/"),
)
UTM_WEIGHTS: Final = (25, 12, 18, 12, 8, 10)

FIRST_NAMES: Final = (
    "Ada",
    "Ben",
    "Carla",
    "Dev",
    "Elif",
    "Femi",
    "Greta",
    "Hugo",
    "Iris",
    "Jun",
    "Kim",
    "Lena",
    "Milo",
    "Nora",
    "Omar",
    "Pia",
    "Quinn",
    "Rosa",
    "Sven",
    "Tara",
)
LAST_NAMES: Final = (
    "Abel",
    "Brook",
    "Castle",
    "Dune",
    "Ember",
    "Field",
    "Grove",
    "Hill",
    "Isle",
    "Juniper",
    "Knoll",
    "Lake",
    "Marsh",
    "North",
    "Oak",
    "Pond",
    "Reed",
    "Stone",
)
STREETS: Final = ("Sample Rd", "Mill Lane", "Harbour St", "Orchard Ave", "Station Rd", "Elm St")
PLACES: Final = {
    "US": (("Albany", "NY", "12207"), ("Austin", "TX", "73301"), ("Portland", "OR", "97201"), ("Tampa", "FL", "33601"), ("Boise", "ID", "83701")),
    "DE": (("Freiburg", "BW", "79098"), ("Kiel", "SH", "24103")),
    "JP": (("Sapporo", "01", "060-0001"), ("Naha", "47", "900-0001")),
}
TAX: Final = {"NY": 800, "TX": 625}
"""Hundredths of a percent."""
CARDS: Final = (("VISA", "411111"), ("MASTERCARD", "555555"), ("AMEX", "378282"), ("DISCOVER", "601111"))
MERCHANTS: Final = ((5, "Gate A", "GLOWSHOP 8005550100"), (6, "Gate B", "GLOWSHOP 8005550101"))
COUPON: Final = ("SPRING10", 1000)

CANCEL_REASONS: Final = ("Too expensive", "Did not like the product", "Too much product", "Found another", "Trial only")
REFUND_REASONS: Final = ("Customer request", "Damaged in transit", "Late delivery", "Wrong item")
CHARGEBACK_CODES: Final = (("10.4", "Fraud, card absent"), ("13.1", "Not received"), ("13.3", "Not as described"))
SOFT_DECLINES: Final = ("Insufficient funds", "Do not honor", "Issuer unavailable")
HARD_DECLINES: Final = ("Pick up card", "Stolen card", "Account closed")
QUIZ: Final = ("yes", "no", "maybe")
