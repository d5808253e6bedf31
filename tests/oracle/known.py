"""Who is who, by `docs/identity.md` alone: events one after another, as they came, each with what it names.

What one event names together is one person, as far as the limits let it. A browser that nothing identifies belongs to nobody, unless it came by a link that
names somebody's customer id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tests.oracle.events import LINKED, PHONES
from tributary.events import Alias, Event, Group, Identify, Page, Screen, Track

Name = tuple[str, str]
"""A kind, and a value."""
BROWSER: Final = "anonymous"
PRIORITY: Final = ("user", "email", "phone", "external", BROWSER)
LIMITS: Final = {"user": 1, "email": 5, "spelling": 20, "phone": 5, BROWSER: 200}
LIMIT_OF_AN_EXTERNAL_KIND: Final = 100
NOBODYS: Final = ("guest", "null", "0", "noreply@quay.example")
TELL_OF_AN_ORDER: Final = (
    *("Checkout Started", "Order Completed", "Order Updated", "Order Declined", "Order Cancelled", "Order Refunded"),
    *("Payment Received", "Payment Declined", "Payment Voided", "Chargeback Received", "Chargeback Reversed"),
)
CLOCKS: Final = timedelta(minutes=5)
"""How far past its receipt an event's own time is believed."""


def happened_at(event: Event) -> datetime:
    return min(event.timestamp, event.received_at + CLOCKS)


def version(event: Event) -> tuple[datetime, int, str, str]:
    """What decides which of two events was the last to speak."""
    return (happened_at(event), event.sequence, event.message_id, event.source)


def in_turn(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=version)


@dataclass
class Contact:
    """Somebody who is known."""

    names: set[Name]
    events: list[Event] = field(default_factory=list)
    """Those that tell of the person, in turn: what names no more than a browser only where it says something of who uses it."""


@dataclass
class Known:
    """Everybody."""

    contacts: list[Contact]
    events: Sequence[Event]

    def of(self, name: Name) -> Contact | None:
        return next((contact for contact in self.contacts if name in contact.names), None)

    def whose(self, event: Event) -> Contact | str:
        """The contact whose event it is; the browser, or the event itself, where it is nobody's."""
        named = names_of(event)
        if not named:
            return f"event {event.source} {event.message_id}"
        return self.of(named[0]) or self._by_link(named[0]) or " ".join(named[0])

    def _by_link(self, browser: Name) -> Contact | None:
        """The first customer among those whose links a browser opened whom anybody knows."""
        visits = [(version(event)[0], event.source, event.message_id, customer) for event in self.events if (customer := customer_of(event, browser))]
        found = (self.of(customer) for *_, customer in sorted(visits))
        return next((contact for contact in found if contact is not None), None)


def known(events: Sequence[Event]) -> Known:
    """`events`: in the order in which they came."""
    contacts: list[Contact] = []
    for event in events:
        named = names_of(event)
        if named and not is_anonymous(named):
            _let_in(contacts, named, is_alias=isinstance(event, Alias))
    everybody = Known(contacts, events)
    for event in in_turn(events):
        named = names_of(event)
        if named and (not is_anonymous(named) or tells_of_a_person(event)):
            contact = everybody.of(named[0])
            if contact is not None:
                contact.events.append(event)
    return everybody


def _let_in(contacts: list[Contact], named: Sequence[Name], *, is_alias: bool) -> None:
    """By priority, each if nothing would pass its limit together with those before it."""
    together: set[Name] = set()
    for name in named:
        theirs = next((contact.names for contact in contacts if name in contact.names), {name})
        if all(_fits(kind, together, theirs, is_alias=is_alias) for kind, _ in theirs):
            together |= theirs
    contacts[:] = [contact for contact in contacts if not contact.names & together] + [Contact(together)]


def _fits(kind: str, together: set[Name], theirs: set[Name], *, is_alias: bool) -> bool:
    if theirs <= together or (kind == "user" and is_alias):
        return True
    before, more = (sum(one == kind for one, _ in names) for names in (together, theirs))
    return not before or before + more <= LIMITS.get(kind, LIMIT_OF_AN_EXTERNAL_KIND)


def is_anonymous(named: Sequence[Name]) -> bool:
    return all(kind == BROWSER for kind, _ in named)


def tells_of_a_person(event: Event) -> bool:
    """Whether it says more than that a browser was there."""
    if isinstance(event, Identify | Group) or event.context.get("tags"):
        return True
    told = event.properties if isinstance(event, Track) else {}
    return isinstance(event, Track) and ((event.event in TELL_OF_AN_ORDER and "order_id" in told) or "subscription_id" in told)


# ---------------------------------------------------------------- what an event names


def names_of(event: Event) -> list[Name]:
    """The strongest first."""
    found = {*_of_user(event.user_id), *_of_owner(event), *_of_traits(event), *_of_external_ids(event)}
    if isinstance(event, Alias):
        previous = event.previous_id or ""
        found |= {*_of_user(previous), *([] if "@" in previous else [(BROWSER, previous)])}
    if event.anonymous_id is not None:
        found.add((BROWSER, event.anonymous_id))
    return sorted(found, key=_rank)


def _rank(name: Name) -> tuple[int, str, str]:
    kind = {"spelling": "email"}.get(name[0], name[0])
    return (PRIORITY.index(kind if kind in PRIORITY else "external"), *name)


def _of_user(value: str | None) -> list[Name]:
    if value is None or value in NOBODYS:
        return []
    if "@" not in value:
        return [("user", value)]
    return [("email", value.lower()), *([("spelling", value)] if value != value.lower() else [])]


def _of_owner(event: Event) -> list[Name]:
    if event.owner is None:
        return []
    vendor, connection, customer = event.owner.split("#")
    return [(f"{vendor}:{connection}", customer)]


def _of_traits(event: Event) -> list[Name]:
    """An email among the properties is the person's where the event names no user: of another's event it may be a friend's."""
    places: list[dict[str, Any]] = [event.traits] if isinstance(event, Identify) else []
    places.append(event.context.get("traits", {}))
    names_nobody = event.owner is None and (event.user_id is None or event.user_id in NOBODYS)
    mails = [*([event.properties] if isinstance(event, Track | Page | Screen) and names_nobody else []), *places]
    email = next((said["email"] for said in mails if said.get("email") and said["email"] not in NOBODYS), None)
    phone = next((PHONES[said["phone"], _country_of(said)] for said in places if said.get("phone")), None)
    return [*([("email", email.lower())] if email else []), *([("phone", phone)] if phone else [])]


def _country_of(said: Mapping[str, Any]) -> str:
    """In whose way a number without its country's code is read: of a country of two letters, else of the shop's."""
    found = next((country for country in (said.get("address", {}).get("country"), said.get("country")) if country and len(country) == 2), "US")
    return str(found.upper())


def _of_external_ids(event: Event) -> list[Name]:
    return [(one["type"], one["id"]) for one in event.context.get("externalIds", [])]


def customer_of(event: Event, browser: Name) -> Name | None:
    """The customer whose link a browser opened, if the event is its visit by one and of a site whose account is known."""
    if not isinstance(event, Page) or event.anonymous_id != browser[1] or event.source not in LINKED:
        return None
    url = address_of(event)
    said = {value for name, value in parse_qsl(urlsplit(url).query) if name == "seg_cid"}
    customer = next(iter(said)) if len(said) == 1 else "0"
    return (f"konnektive:{LINKED[event.source]}", customer) if customer.isdigit() and customer not in NOBODYS else None


def address_of(event: Event) -> str:
    """Of the page that it happened on."""
    said: dict[str, Any] = event.context.get("page", {})
    if isinstance(event, Page):
        said = {**said, **event.properties}
    url: str = said.get("url", "")
    return url
