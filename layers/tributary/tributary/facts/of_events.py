"""Event → facts: the touch that it is, if it is one, and the activity that every event is. Pure, so that the same event told again is the same facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from tributary.events import Event, Page, Screen, Track
from tributary.facts import email_events
from tributary.facts.cleaning import Cleaner
from tributary.facts.tables import ActivityFact, Fact, Kind, TouchFact
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.identity.rules import IdentityRules
from tributary.page_address import page_urls
from tributary.touches.channels import PAID, is_machine
from tributary.touches.touch import EmailLink, Touch, touch_of

Rows = dict[Kind, list[Fact]]

MESSAGE: Final = "message"
"""The kind of the key of an event's facts; of one that names nobody, its person as well."""


class EventFacts(NamedTuple):
    """The facts of some events, and how many values were left out of them, by reason."""

    rows: Rows
    left_out: Counter[str]


def facts_of(events: Iterable[Event], rules: IdentityRules, digests: Digests) -> EventFacts:
    cleaner = Cleaner(digests)
    touches: list[Fact] = []
    activities: list[Fact] = []
    for event in events:
        touch = touch_of(event)
        key = digests.of(Identifier(MESSAGE, f"{event.source}#{event.message_id}"))
        person = _person(event, rules, digests) or key
        found = None if touch is None else _touch(touch, key, person, cleaner)
        if found is not None:
            touches.append(found)
        activities.append(_activity(event, found, key, person, cleaner))
    return EventFacts({kind: rows for kind, rows in ((Kind.TOUCHES, touches), (Kind.ACTIVITIES, activities)) if rows}, cleaner.left_out)


def _person(event: Event, rules: IdentityRules, digests: Digests) -> str | None:
    """The node of the first identifier that the event names: no limit ever refuses it, so it is of the contact that the event counts for."""
    named = rules.link_of(event).identifiers
    return digests.of(named[0]) if named else None


def _touch(touch: Touch, key: str, person: str, cleaner: Cleaner) -> TouchFact:
    # Templates of advertisements fill ids into their links: a bare number there is one.
    utm = cleaner.code if touch.channel in PAID else cleaner.text
    email = touch.email or EmailLink()
    subs = [cleaner.code(value) for value in (*touch.affiliate_values, *(None,) * 5)[:5]]
    return TouchFact(
        key=key,
        person=person,
        happened_at=touch.at,
        connection=touch.event_source,
        channel=touch.channel.value,
        source=cleaner.text(touch.source),
        medium=cleaner.text(touch.medium),
        campaign=utm(touch.campaign),
        content=utm(touch.content),
        term=utm(touch.term),
        campaign_id=cleaner.code(touch.campaign_id),
        adset_id=cleaner.code(touch.adset_id),
        ad_id=cleaner.code(touch.ad_id),
        click_id_kind=touch.click_id_kind,
        landing_page=cleaner.place(touch.landing_page),
        referrer=cleaner.text(touch.referrer_host),
        affiliate_id=cleaner.code(touch.affiliate_id),
        sub_affiliate=subs[0],
        sub_affiliate_2=subs[1],
        sub_affiliate_3=subs[2],
        sub_affiliate_4=subs[3],
        sub_affiliate_5=subs[4],
        email_campaign=cleaner.text(email.campaign),
        email_flow=cleaner.text(email.flow),
        email_message=cleaner.text(email.message),
        email_link=cleaner.text(email.link),
    )


def _activity(event: Event, touch: TouchFact | None, key: str, person: str, cleaner: Cleaner) -> ActivityFact:
    user_agent = event.context.get("userAgent")
    email = _email_of(event.properties, cleaner) if isinstance(event, Track) and event.event.lower() in email_events.NAMES else _email_of_touch(touch)
    return ActivityFact(
        key=key,
        person=person,
        happened_at=event.version[0],
        connection=event.source,
        type=event.type,
        name=cleaner.text(_name(event)),
        page=cleaner.place(_address(event)),
        bot=isinstance(user_agent, str) and is_machine(user_agent),
        campaign=None if touch is None else touch.campaign,
        email_campaign=email.campaign,
        email_flow=email.flow,
        email_message=email.message,
        email_link=email.link,
        email_list=email.list,
    )


def _name(event: Event) -> str | None:
    match event:
        case Track():
            return event.event
        case Page() | Screen():
            return event.name
        case _:
            return None


def _address(event: Event) -> str | None:
    """Of the page that the event happened on, whatever kind of call it is."""
    if isinstance(event, Page):
        return next(iter(page_urls(event)), None)
    page = event.context.get("page")
    url = page.get("url") if isinstance(page, dict) else None
    return url if isinstance(url, str) else None


class _Email(NamedTuple):
    campaign: str | None = None
    flow: str | None = None
    message: str | None = None
    link: str | None = None
    list: str | None = None


def _email_of_touch(touch: TouchFact | None) -> _Email:
    if touch is None:
        return _Email()
    return _Email(touch.email_campaign, touch.email_flow, touch.email_message, touch.email_link, touch.email_list)


def _email_of(said: Mapping[str, Any], cleaner: Cleaner) -> _Email:
    """What an event of an email says of it. A name before an id: it is what a link's `utm_campaign` says, so that both are of one campaign."""
    link = _first(said, "link_id", "link_name")
    return _Email(
        campaign=cleaner.text(_first(said, "campaign_name", "campaign_id")),
        flow=cleaner.text(_first(said, "flow_name", "flow_id")),
        message=cleaner.text(_first(said, "message_name", "message_id", "email_id")),
        link=cleaner.text(link) if link is not None else cleaner.place(_first(said, "link_url")),
        list=cleaner.text(_first(said, "list_name", "list_id")),
    )


def _first(said: Mapping[str, Any], *names: str) -> str | None:
    """The first of the properties that is there; a number as text."""
    for name in names:
        value = said.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None
