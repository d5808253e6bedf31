"""What reports and dimensions are called and what they mean, for whoever chooses among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from tributary.reports.frame import FIELD
from tributary.reports.query import ReportType


class Description(NamedTuple):
    name: str
    text: str


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """What rows may be told apart by."""

    key: Annotated[str, Meta(description="As `group_by` and `filter` take it.")]
    name: str
    definition: str


DESCRIPTIONS: Final[Mapping[ReportType, Description]] = {
    ReportType.ACQUISITION: Description("Acquisition", "Leads, and the customers and revenue that they became: what a source brought of people."),
    ReportType.ADVERTISEMENT: Description(
        "Advertisement", "What advertising cost, and what it brought: cost of a lead and a customer, return on spend, profit."
    ),
    ReportType.NURTURE: Description(
        "Nurture", "Emails, lists and tags: who got, opened and clicked them, to whom a tag was given, and who of them bought afterwards."
    ),
    ReportType.ENGAGEMENT: Description("Engagement", "Pages and emails: who is active, and whether the active buy."),
    ReportType.ORDERS: Description(
        "Orders", "Orders and their money: gross, discounts, tax, shipping, refunds, chargebacks, net, collected; averages, repeat buyers."
    ),
    ReportType.SUBSCRIPTIONS: Description(
        "Subscriptions", "Recurring revenue and its movements, trials, cancellations, churn, and declined rebills recovered."
    ),
    ReportType.FUNNEL: Description("Funnel", "Steps in order: who entered, how many went on to each, how long it took, what they brought."),
    ReportType.VALUE_OVER_TIME: Description("Value over time", "What leads of a time have brought by 1, 7, 30, … days after they became leads."),
    ReportType.ATTRIBUTION: Description("Attribution", "The channels that conversions of a range are owed to, by the model asked for."),
    ReportType.LEAD_SOURCE: Description("Lead source", "What each lead first came by, and what became of those who came so."),
    ReportType.JOURNEYS: Description("Journeys", "The ways that people took before they bought, or one person's way."),
}

_DIMENSIONS: Final[Mapping[str, Description]] = {
    "channel": Description(
        "Channel", "The kind of way that somebody came, such as paid_search, email or direct, told from utm values, click ids and referrer."
    ),
    "source": Description("Source", "utm_source of the touch."),
    "medium": Description("Medium", "utm_medium of the touch."),
    "campaign": Description("Campaign", "utm_campaign of the touch."),
    "content": Description("Content", "utm_content of the touch."),
    "term": Description("Term", "utm_term of the touch."),
    "campaign_id": Description("Ad campaign id", "The ad platform's id of the campaign, from the address of the touch."),
    "adset": Description("Ad set", "The ad platform's id of the ad set or ad group, from the address of the touch."),
    "ad": Description("Ad", "The ad platform's id of the ad, from the address of the touch."),
    "landing_page": Description("Landing page", "Host and path of the page that the touch came to."),
    "referrer": Description("Referrer", "Host of the page that the touch came from."),
    "email_campaign": Description("Email campaign", "The email tool's campaign that the touch came by."),
    "email_flow": Description("Email flow", "The email tool's flow (an automation) that the touch came by."),
    "message": Description("Message", "The message of a campaign or flow."),
    "link": Description("Link", "The link in the message."),
    "list": Description("List", "The list that the message was sent to."),
    "affiliate": Description("Affiliate", "The affiliate's id of the touch."),
    "sub_affiliate": Description("Sub-affiliate", "The first of the affiliate's own values of the touch."),
    "product": Description("Product", "Each product of an order; its money is split over them by amount."),
    "konnektive_campaign": Description("Konnektive campaign", "The offer that the order was sold by."),
    "order_type": Description("Order type", "The kind of order, as the source names it."),
    "coupon": Description("Coupon", "The coupon of the order."),
    "customer_type": Description("New or returning", "`new`: the first sale of its buyer ever; `returning`: one of somebody who had bought before."),
    "connection": Description("Connection", "The source or account that told of it; of a lead the one whose event made the person known."),
    "page": Description("Page", "Host and path of the page that somebody was on."),
    "event": Description("Event", "The name of the event that somebody did."),
    "tag": Description("Tag", "Each tag that the person had then; people with several are in several rows."),
    "country": Description("Country", "The person's country, in two letters where it can be told."),
    FIELD: Description("Custom field", "A custom field of contacts that the account's `report_fields` names, as `field:plan`."),
}


def described(dimensions: Set[str], fields: Sequence[str]) -> list[Dimension]:
    """Dimensions in a fixed order, custom fields last, each by its name."""
    found = [_dimension(key, text) for key, text in _DIMENSIONS.items() if key in dimensions and key != FIELD]
    found += [_dimension(key, Description(_in_words(key), "")) for key in sorted(dimensions - _DIMENSIONS.keys())]
    if FIELD in dimensions:
        found += [Dimension(key=f"{FIELD}{name}", name=name, definition=f"The custom field {name} of the contact.") for name in fields]
    return found


def _dimension(key: str, said: Description) -> Dimension:
    return Dimension(key=key, name=said.name, definition=said.text)


def _in_words(key: str) -> str:
    return key.replace("_", " ").capitalize()
