"""Ways to come to the shop, and what a touch then says, as `docs/touches.md` has it: a table instead of rules, so that nothing has to be worked out twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Arrival:
    """A way to come to a page, and what a touch then says (`docs/touches.md`); None: it is no touch."""

    touch: Mapping[str, str] | None
    url: str = "https://shop.example/"
    referrer: str | None = None
    campaign: Mapping[str, str] = field(default_factory=dict)
    user_agent: str = "Mozilla/5.0"


_SPRING: Final = "utm_source=google&utm_medium=cpc&utm_campaign=spring&campaign_id=501"
ARRIVALS: Final = (
    Arrival({"channel": "direct"}),
    Arrival({"channel": "direct"}, "https://www.shop.example/offer?color=red"),
    Arrival(
        {"channel": "paid_search", "source": "google", "medium": "cpc", "campaign": "spring", "campaign_id": "501", "adset_id": "601", "ad_id": "701"},
        f"https://shop.example/offer?{_SPRING}&adset_id=601&ad_id=701",
    ),
    Arrival(
        {"channel": "paid_search", "source": "google", "medium": "CPC", "ad_id": "702"}, "https://shop.example/?utm_source=google&utm_medium=CPC&ad_id=702"
    ),
    Arrival(
        {"channel": "paid_search", "source": "google", "medium": "cpc", "campaign": "sale"}, campaign={"source": "google", "medium": "cpc", "name": "sale"}
    ),
    Arrival({"channel": "paid_search"}, "https://shop.example/?gclid=x-1", "https://www.google.com/"),
    Arrival({"channel": "paid_social"}, "https://shop.example/offer?fbclid=x-2"),
    Arrival({"channel": "display", "source": "mail", "medium": "banner"}, "https://shop.example/?utm_source=mail&utm_medium=banner"),
    Arrival({"channel": "affiliate", "affiliate_id": "9", "sub_affiliate": "east"}, "https://shop.example/offer?affId=9&c1=east"),
    Arrival(
        {"channel": "email", "source": "mail", "medium": "email", "campaign": "sale", "email_campaign": "sale", "email_message": "m-1", "email_link": "top"},
        "https://shop.example/?utm_source=mail&utm_medium=email&utm_campaign=sale&email_message=m-1&email_link=top",
    ),
    Arrival(
        {"channel": "email", "source": "klaviyo", "medium": "flow", "campaign": "welcome", "email_flow": "welcome", "email_message": "m-2"},
        "https://shop.example/?utm_source=klaviyo&utm_medium=flow&utm_campaign=welcome&_hsmi=m-2",
    ),
    # A campaign that is called after a reader has no name in reports.
    Arrival(
        {"channel": "email", "source": "mail", "medium": "email"}, "https://shop.example/?utm_source=mail&utm_medium=email&utm_campaign=ana%40quay.example"
    ),
    Arrival({"channel": "email"}, referrer="https://mail.google.com/"),
    Arrival({"channel": "organic_search"}, referrer="https://www.google.de/"),
    Arrival({"channel": "organic_social"}, referrer="https://l.facebook.com/"),
    Arrival({"channel": "ai_search"}, referrer="https://chatgpt.com/"),
    Arrival({"channel": "referral", "referrer": "blog.example"}, "https://shop.example/offer", "https://blog.example/tips?page=2"),
    Arrival({"channel": "other", "campaign": "spring"}, "https://shop.example/?utm_campaign=spring&utm_content={{ad.name}}"),
    Arrival({"channel": "bot"}, user_agent="Mozilla/5.0 (compatible; Googlebot/2.1)"),
    Arrival(None, "https://shop.example/offer", "https://www.shop.example/"),
    Arrival(None, f"https://shop.example/offer?{_SPRING}", f"https://shop.example/?{_SPRING}"),
    Arrival(
        {"channel": "paid_search", "source": "google", "medium": "cpc", "campaign": "spring", "campaign_id": "501"},
        f"https://shop.example/offer?{_SPRING}",
        "https://shop.example/",
    ),
    Arrival(None, "https://shop.example/offer", "https://www.paypal.com/checkout"),
    Arrival(None, "https://pay.shop.example/", "https://shop.example/offer"),
    Arrival(None, ""),
)
REFERRERS: Final = {"https://www.google.de/": "google.de", "https://l.facebook.com/": "l.facebook.com", "https://mail.google.com/": "mail.google.com"} | {
    "https://chatgpt.com/": "chatgpt.com",
    "https://www.google.com/": "google.com",
}
"""Pages before that are of another site → their host."""


@dataclass(frozen=True)
class Click:
    """What Konnektive says of how the customer came to an order, and what of a touch follows."""

    touch: Mapping[str, str] | None
    campaign: Mapping[str, str] = field(default_factory=dict)
    konnektive: Mapping[str, str] = field(default_factory=dict)


CLICKS: Final = (
    Click(None),
    Click(None, konnektive={"campaignId": "11", "salesUrl": "https://shop.example/offer", "httpReferer": "https://shop.example/"}),
    Click({"channel": "paid_social", "source": "facebook", "medium": "paid", "campaign": "spring"}, {"source": "facebook", "medium": "paid", "name": "spring"}),
    Click({"channel": "affiliate", "affiliate_id": "9", "sub_affiliate": "west"}, konnektive={"affId": "9", "sourceValue1": "west"}),
    Click({"channel": "paid_search", "landing_page": "shop.example/offer"}, konnektive={"salesUrl": "https://shop.example/offer?gclid=x-3"}),
    Click({"channel": "referral", "referrer": "blog.example"}, konnektive={"httpReferer": "https://blog.example/tips"}),
    Click(None, konnektive={"affId": "0"}),
)
