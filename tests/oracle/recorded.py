"""What a shop's events come to, by the documents alone: the oracle's world made of what the record holds, by way of nothing that the code makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from tests.oracle.arrivals import ARRIVALS, CLICKS, REFERRERS, Arrival
from tests.oracle.credits import World
from tests.oracle.events import COUNTRIES, Shop
from tests.oracle.known import Contact, Known, address_of, happened_at, known, version
from tests.oracle.purchases import orders, subscriptions
from tributary.events import Event, Identify, Page, Track
from tributary.facts.tables import ActivityFact, ContactFact, Fact, Kind, TagInterval, TagsFact, TouchFact

REPORT_FIELDS: Final = ("plan",)
TELL_HOW_THEY_CAME: Final = ("Checkout Started", "Order Completed", "Order Declined")
MACHINES: Final = ("Googlebot", "curl/")


def world_of(shop: Shop) -> World:
    everybody = known(shop.events)
    names = {id(contact): f"contact {number}" for number, contact in enumerate(everybody.contacts)}
    bought = [(names[id(contact)], [event for event in contact.events if isinstance(event, Track)]) for contact in everybody.contacts]
    rows: dict[Kind, Sequence[Fact]] = {
        Kind.CONTACTS: [_contact(names[id(contact)], contact) for contact in everybody.contacts],
        Kind.TAGS: [_tags(names[id(contact)], contact) for contact in everybody.contacts],
        Kind.TOUCHES: [touch for event in shop.events if (touch := _touch(event, _person(everybody, event, names))) is not None],
        Kind.ACTIVITIES: [_activity(event, _person(everybody, event, names)) for event in shop.events],
        Kind.ORDERS: [order for name, told in bought for order in orders(name, name, told)],
        Kind.SUBSCRIPTIONS: [one for name, told in bought for one in subscriptions(name, name, told)],
        Kind.AD_SPEND: shop.spend,
        Kind.RATES: shop.rates,
    }
    return World(rows)


def _person(everybody: Known, event: Event, names: dict[int, str]) -> str:
    whose = everybody.whose(event)
    return names[id(whose)] if isinstance(whose, Contact) else whose


# ---------------------------------------------------------------- who they are


def _contact(name: str, contact: Contact) -> ContactFact:
    """A lead since the first event that tells of the person, or since when somebody said last that they were there, if that is earlier; by whoever
    said that."""
    traits: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for event in contact.events:
        if isinstance(event, Identify):
            said = event.traits or event.context.get("traits", {})
            traits |= said
            said_by |= dict.fromkeys(said, event.source)
    lead_at, connection = min((happened_at(event), event.source) for event in contact.events)
    created = traits.get("createdAt")
    if created is not None and (earlier := type(lead_at).fromisoformat(created)) < lead_at:
        lead_at, connection = earlier, said_by["createdAt"]
    country = traits.get("address", {}).get("country", traits.get("country"))
    fields = {field: traits[field] for field in REPORT_FIELDS if traits.get(field) is not None}
    return ContactFact(key=name, person=name, lead_at=lead_at, connection=connection, country=COUNTRIES.get(country), fields=fields)


def _tags(name: str, contact: Contact) -> TagsFact:
    """Of two things said of a tag at one moment it was applied."""
    said = [(happened_at(event), event.sequence, applied, tag) for event in contact.events for tag, applied in event.context.get("tags", {}).items()]
    found: list[TagInterval] = []
    for moment, _, applied, tag in sorted(said):
        stands = next((one for one in found if one.tag == tag and one.removed_at is None), None)
        if applied and stands is None:
            found.append(TagInterval(tag=tag, applied_at=moment))
        elif not applied and stands is not None:
            found.remove(stands)
            found.append(TagInterval(tag=tag, applied_at=stands.applied_at, removed_at=moment))
    return TagsFact(key=name, person=name, tags=tuple(found))


# ---------------------------------------------------------------- what they did


def _touch(event: Event, person: str) -> TouchFact | None:
    if isinstance(event, Page):
        arrival = _arrival(event)
        says = arrival.touch
        place = {"landing_page": _place(arrival.url), "referrer": REFERRERS.get(arrival.referrer or "")}
    else:
        says, place = _click(event), {}
    if says is None:
        return None
    said: dict[str, Any] = {name: value for name, value in place.items() if value} | dict(says)
    return TouchFact(key=_key(event), person=person, happened_at=happened_at(event), connection=event.source, **said)


def _arrival(event: Page) -> Arrival:
    """The one of the table that the event is, whichever customer its link names besides."""
    place: dict[str, Any] = {**event.context.get("page", {}), **event.properties}
    url = place.get("url", "")
    url = url[: url.index("seg_cid") - 1] if "seg_cid" in url else url
    said = (url, place.get("referrer"), event.context.get("campaign", {}), event.context["userAgent"])
    return next(one for one in ARRIVALS if (one.url, one.referrer, one.campaign, one.user_agent) == said)


def _click(event: Event) -> Any:
    """How a customer of Konnektive came, as an order's event says: a later bill of a subscription repeats what the first one said."""
    if not isinstance(event, Track) or event.owner is None or event.event not in TELL_HOW_THEY_CAME:
        return None
    if event.properties.get("order_type") == "RECURRING" or event.properties.get("billing_cycle", 1) > 1:
        return None
    said = (event.context.get("campaign", {}), event.context.get("konnektive", {}))
    return next(one.touch for one in CLICKS if (one.campaign, one.konnektive) == said)


def _activity(event: Event, person: str) -> ActivityFact:
    agent = event.context.get("userAgent", "")
    return ActivityFact(
        key=_key(event),
        person=person,
        happened_at=happened_at(event),
        connection=event.source,
        type=event.type,
        name=event.event if isinstance(event, Track) else None,
        page=_place(address_of(event)),
        bot=any(machine in agent for machine in MACHINES),
    )


def _place(url: str) -> str | None:
    """Host and path."""
    parts = urlsplit(url)
    return f"{(parts.hostname or '').removeprefix('www.')}{parts.path}" or None


def _key(event: Event) -> str:
    return " ".join(map(str, version(event)))
