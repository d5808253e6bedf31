"""Touches: the times somebody came, and from where.

A page view is a touch if its address carries a campaign, a click id or an affiliate, if it came from another site, or if it came from nowhere (direct). A page
view within the site is none, also where the site carries the same campaign from page to page. An order or checkout of Konnektive is one by its UTM and
affiliate values, without any tracking link: at the time of the order; its rebills, which repeat those values, are none, and one that says nothing is none.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from tributary.events import Event, Page, Track
from tributary.page_address import host_of, page_parameters, page_referrer, page_urls, parameters_of, split
from tributary.touches.channels import CLICK_KINDS, MAIL_MARKS, Channel, Evidence, channel_of, plain

MAX_TEXT: Final = 500
"""Characters of a value that are kept: more is a fault of a template, and touches are listed by the dozen."""

_ORDERS: Final = frozenset({"Checkout Started", "Order Completed", "Order Declined"})
"""Konnektive's events that say how somebody came. Each later event of an order repeats it."""
_PAYMENT_PAGES: Final = ("paypal.com", "stripe.com", "klarna.com", "afterpay.com", "affirm.com", "sezzle.com", "checkoutchamp.com", "konnektive.com")
"""Pages that a checkout leads through: coming back from one is no visit."""
_FLOW_MEDIA: Final = frozenset({"flow", "automation"})
_AT: Final = re.compile(r"[^/]*@[^/]*")

_CAMPAIGN_ID: Final = ("campaign_id", "utm_campaign_id", "hsa_cam", "gad_campaignid", "h_campaign_id", "utm_id")
_ADSET_ID: Final = ("adset_id", "ad_group_id", "adgroup_id", "adgroupid", "hsa_grp", "h_adset_id", "utm_adset_id")
_AD_ID: Final = ("ad_id", "h_ad_id", "hsa_ad", "adid", "creative", "utm_ad_id")
_AFFILIATE_ID: Final = ("affid", "aff_id", "affiliate_id")
_CAMPAIGN: Final = {"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", *CLICK_KINDS, *_AFFILIATE_ID}


class EmailLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the link of an email says of it."""

    campaign: str | None = None
    flow: str | None = None
    message: str | None = None
    link: str | None = None


class Touch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One time somebody came. Values are as they were sent, blanks at the ends apart; addresses are without their query."""

    at: datetime
    channel: Channel
    event_source: str
    """With `message_id`, the event in the log."""
    message_id: str
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None
    referrer_host: str | None = None
    referrer: str | None = None
    landing_page: str | None = None
    click_id_kind: str | None = None
    click_id: str | None = None
    campaign_id: str | None = None
    adset_id: str | None = None
    ad_id: str | None = None
    affiliate_id: str | None = None
    affiliate_values: tuple[str | None, ...] = ()
    """Five, by position, where an affiliate is named."""
    email: EmailLink | None = None

    @property
    def is_direct(self) -> bool:
        return self.channel is Channel.DIRECT

    @property
    def order(self) -> tuple[datetime, str, str]:
        """By time; two of one moment by their event, so that the first of them is always the same one."""
        return (self.at, self.event_source, self.message_id)


def touch_of(event: Event) -> Touch | None:
    """The touch that an event is; None if it is none."""
    match event:
        case Page():
            return _of_page(event)
        case Track() if (
            event.event in _ORDERS
            and (event.owner or "").startswith("konnektive#")
            and not is_rebill(event.properties.get("order_type"), event.properties.get("billing_cycle"))
        ):
            return _of_order(event)
        case _:
            return None


def is_rebill(order_type: object, billing_cycle: object) -> bool:
    """Whether an order is a later bill of a subscription."""
    return order_type == "RECURRING" or (isinstance(billing_cycle, int) and billing_cycle > 1)


def _of_page(event: Page) -> Touch | None:
    page = next(iter(page_urls(event)), None)
    parameters = _Parameters(page_parameters(event))
    referrer = page_referrer(event)
    campaign = _object(event.context.get("campaign"))
    if page is None and referrer is None and not parameters and not campaign:
        return None  # a server's page call that says nothing of how it was reached
    touch = _touch(event, landing_page=page, referrer=referrer, parameters=parameters, campaign=campaign, affiliate={})
    if touch.referrer is None and referrer is not None and host_of(referrer) != "":
        before = _Parameters(parameters_of(referrer))
        if touch.is_direct or (parameters.campaign() and parameters.campaign() == before.campaign()):
            return None
    return touch


def _of_order(event: Track) -> Touch | None:
    affiliate = _object(event.context.get("konnektive"))
    sales, referrer = _text(affiliate.get("salesUrl")), _text(affiliate.get("httpReferer"))
    parameters = _Parameters(parameters_of(sales) if sales else [])
    campaign = _object(event.context.get("campaign"))
    if not affiliate:
        affiliate = {"affId": event.properties.get("affiliate_id")}
        affiliate |= {f"sourceValue{number}": event.properties.get(f"source_value_{number}") for number in range(1, 6)}
    touch = _touch(event, landing_page=sales, referrer=referrer, parameters=parameters, campaign=campaign, affiliate=affiliate)
    return None if touch.is_direct else touch


def _touch(
    event: Page | Track, *, landing_page: str | None, referrer: str | None, parameters: _Parameters, campaign: dict[str, Any], affiliate: dict[str, Any]
) -> Touch:
    came_from = referrer if referrer and not _is_own(referrer, landing_page) else None
    source = _text(campaign.get("source")) or parameters.first("utm_source")
    medium = _text(campaign.get("medium")) or parameters.first("utm_medium")
    name = _text(campaign.get("name")) or parameters.first("utm_campaign")
    content = _text(campaign.get("content")) or parameters.first("utm_content")
    click = next((kind for kind in CLICK_KINDS if parameters.first(kind)), None)
    affiliate_id = _known(affiliate.get("affId")) or _known(parameters.first(*_AFFILIATE_ID))
    user_agent = event.context.get("userAgent")
    channel = channel_of(
        Evidence(
            medium=medium,
            source=source,
            campaign=name,
            click=click,
            marks=MAIL_MARKS & parameters.names,
            affiliate=affiliate_id is not None,
            referrer=host_of(came_from),
            user_agent=user_agent if isinstance(user_agent, str) else "",
        )
    )
    return Touch(
        at=event.version[0],
        channel=channel,
        event_source=event.source,
        message_id=event.message_id,
        source=source,
        medium=medium,
        campaign=name,
        content=content,
        term=_text(campaign.get("term")) or parameters.first("utm_term"),
        referrer_host=host_of(came_from) or None,
        referrer=_without_query(came_from),
        landing_page=_without_query(landing_page),
        click_id_kind=click,
        click_id=parameters.first(click) if click else None,
        campaign_id=_text(campaign.get("id")) or parameters.first(*_CAMPAIGN_ID),
        adset_id=parameters.first(*_ADSET_ID),
        ad_id=parameters.first(*_AD_ID),
        affiliate_id=affiliate_id,
        affiliate_values=_five(affiliate, parameters) if affiliate_id else (),
        email=_email(medium, name, content, parameters) if channel is Channel.EMAIL else None,
    )


class _Parameters:
    """The parameters of an address, whatever their case; the first value of each."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), value[:MAX_TEXT])

    def __bool__(self) -> bool:
        return bool(self._values)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._values)

    def campaign(self) -> dict[str, str]:
        """Those that say how somebody came."""
        return {name: value for name, value in self._values.items() if name in _CAMPAIGN}

    def first(self, *names: str) -> str | None:
        """Of the first of the names that is there. A placeholder that nobody filled in (`{{ad.id}}`, `[c1]`) is not."""
        return next((value for name in names if (value := self._values.get(name)) and not _is_placeholder(value)), None)


def _email(medium: str | None, campaign: str | None, content: str | None, parameters: _Parameters) -> EmailLink:
    """By the parameters that mail systems put on their links. Those that name the reader (`_kx`, `mc_eid`) are not kept."""
    is_flow = plain(medium) in _FLOW_MEDIA
    return EmailLink(
        campaign=parameters.first("mc_cid", "email_campaign") or (None if is_flow else campaign),
        flow=parameters.first("email_flow", "utm_flow") or (campaign if is_flow else None),
        message=parameters.first("_hsmi", "email_message", "utm_message", "utm_id"),
        link=parameters.first("email_link", "utm_link") or content,
    )


def _five(affiliate: dict[str, Any], parameters: _Parameters) -> tuple[str | None, ...]:
    """Konnektive's own names before the short ones that its pages use."""
    return tuple(_text(affiliate.get(f"sourceValue{number}")) or parameters.first(f"sourcevalue{number}", f"c{number}") for number in range(1, 6))


def _is_own(referrer: str, page: str | None) -> bool:
    """Whether the page before was of the same site, or of a checkout on the way back to it. `shop.` and `pay.` of one domain are one site."""
    there = host_of(referrer)
    return any(there == own or there.endswith(f".{own}") for own in _PAYMENT_PAGES) or (there != "" and _site(there) == _site(host_of(page)))


def _site(host: str) -> str:
    """The part of a host that one owner has: the last two names, three where the second is as short as in `co.uk`."""
    names = host.split(".")
    short = len(names) > 2 and len(names[-1]) == 2 and len(names[-2]) <= 3
    return ".".join(names[-3 if short else -2 :])


def _without_query(url: str | None) -> str | None:
    """Scheme, host and path; a part of the path that looks like an email is left out, as the query is, for they may name a person."""
    parts = split(url) if url else None
    if parts is None:
        return None
    path = _AT.sub("…", unquote(parts.path)) if "@" in unquote(parts.path) else parts.path
    host = parts.hostname or ""
    return (f"{parts.scheme}://{host}{path}" if host else path)[:MAX_TEXT] or None


def _known(value: object) -> str | None:
    text = _text(value)
    return None if text in (None, "0") else text


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    text = value.strip()[:MAX_TEXT]
    return None if not text or _is_placeholder(text) else text


def _is_placeholder(text: str) -> bool:
    return (text[0], text[-1]) in {("{", "}"), ("[", "]"), ("%", "%")}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
