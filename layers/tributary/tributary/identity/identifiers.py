"""What names a person in an event.

Two readings of one event: its *stable identifier* (one string: the partition of the log and half of a FIFO group), and all its *identifiers* (what resolve
links). A blocked value names nobody: it is neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final, NamedTuple

from tributary.events import Alias, Event, Group, Identify
from tributary.identity.phones import DEFAULT_REGION, e164

MAX_IDENTIFIER_BYTES: Final = 255
"""Kissmetrics' limit for an identity, and far below DynamoDB's 2,048 bytes for a key."""
MAX_KIND_BYTES: Final = 64
"""Of an external id's type: it is part of a key."""
MAX_EXTERNAL_IDS: Final = 15
"""Of one event, the first in its list: all identifiers of an event fit one DynamoDB transaction with room to spare."""

USER: Final = "user"
EMAIL: Final = "email"
PHONE: Final = "phone"
ANONYMOUS: Final = "anonymous"
SPELLING: Final = "spelling"
"""A `userId` that is an email, as it was written, where that is not how we write it: the log keeps its events under that spelling."""

_BLOCKED: Final = frozenset(
    {"", "-1", "null", "none", "nil", "nan", "undefined", "anonymous", "anon", "guest", "unknown", "user", "userid", "user_id", "test", "n/a", "na"}
    | {"false", "true", "[object object]", "(null)", "(none)", "{{userid}}"}
)
_SHARED_MAILBOXES: Final = frozenset(
    {"noreply", "no-reply", "no_reply", "donotreply", "do-not-reply", "do_not_reply", "mailer-daemon", "postmaster", "noemail", "no-email", "no_email"}
    | {"guest", "test", "testing", "anonymous", "none", "null", "undefined", "unknown", "nobody", "user", "example"}
)
"""What stands before the @ of an address that nobody reads as their own. `info@` and `sales@` are not here: small businesses buy with them."""
_ZEROS: Final = re.compile(r"^[0\-.\s]*$")
_EMAIL: Final = re.compile(r"^[^@\s\"<>,;]+@[^@\s\"<>,;]+\.[^@\s\"<>,;.]+$")
_COUNTRY: Final = re.compile(r"^[A-Za-z]{2}$")
_KIND_OF_EXTERNAL_TYPE: Final = {"user_id": USER, "anonymous_id": ANONYMOUS}


class Identifier(NamedTuple):
    kind: str
    """`user`, `email`, `spelling`, `phone`, `anonymous`, or an external kind such as `konnektive:<connection>`."""
    value: str
    """Normalised: an email in lower case, a phone as E.164."""


class Strength(StrEnum):
    """What a link between identifiers may do."""

    EXPLICIT = "explicit"
    """An alias: somebody says that two user ids are one person."""
    STRONG = "strong"
    """Named in one event: merges their contacts, within the limits."""


class Link(NamedTuple):
    """The identifiers that one event names, the strongest kind first, no two the same."""

    identifiers: tuple[Identifier, ...]
    strength: Strength

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing but a browser is known."""
        return all(identifier.kind == ANONYMOUS for identifier in self.identifiers)


def is_blocked(value: str) -> bool:
    """Whether a value is one that many people share: `guest`, `0`, `undefined`, zeros and dashes, `noreply@…`. Case and surrounding space do not matter."""
    text = value.strip().lower()
    return text in _BLOCKED or _ZEROS.match(text) is not None or (is_email(text) and text.split("@")[0] in _SHARED_MAILBOXES)


def is_usable(value: str | None) -> bool:
    """Whether a value may name a person: present, not blocked, at most 255 bytes."""
    return value is not None and not is_blocked(value) and len(value.encode()) <= MAX_IDENTIFIER_BYTES


def is_email(value: str) -> bool:
    return len(value) <= 254 and _EMAIL.match(value) is not None


def email_of(event: Event) -> str | None:
    """The email that the event carries (traits, `context.traits`, properties), trimmed and in lower case; None if it has none that looks like one."""
    return next((email for holder in _trait_holders(event) if (email := _email_in(holder)) is not None), None)


def phone_of(event: Event, default_region: str = DEFAULT_REGION) -> str | None:
    """The phone number in the person's traits, as E.164. A number without a country code is read as of the person's own country, where the traits name it by
    its two letters, else of the default region. Properties are not read: a phone there is as often a shop's or a courier's."""
    for holder in _person_traits(event):
        value = holder.get("phone")
        if isinstance(value, str) and not is_blocked(value):
            number = e164(value, _region_of(holder) or default_region)
            if number is not None:
                return number
    return None


def stable_identifier(event: Event) -> str:
    """The event's place in the log: its owner, else the first usable of user, anonymous and email, else the event itself."""
    if event.owner is not None:
        return event.owner
    if event.user_id is not None and is_usable(event.user_id):
        return f"user#{event.user_id}"
    if event.anonymous_id is not None and is_usable(event.anonymous_id):
        return f"anon#{event.anonymous_id}"
    email = email_of(event)
    if email is not None:
        return f"email#{email}"
    return f"msg#{event.message_id}"


def identifiers_of(event: Event, default_region: str = DEFAULT_REGION) -> list[Identifier]:
    """Everything in the event that names a person: its own (`link_of`), and the emails it mentions besides, one of which may be an erased person's."""
    own = link_of(event, default_region).identifiers
    mentioned = (Identifier(EMAIL, email) for holder in _trait_holders(event) if (email := _email_in(holder)) is not None)
    return list(dict.fromkeys((*own, *mentioned)))


def link_of(event: Event, default_region: str = DEFAULT_REGION) -> Link:
    """The identifiers that the event names as one person's, and how strongly.

    The email among the properties of a user's event is not read, for it may be another's (an invited friend's, a gift's); where no user is named, it is read.
    An alias names its two ids; what `previousId` is cannot be told, so it is read both as a user id and as an anonymous id. An event that has nothing but a
    browser's id names that alone, whatever further anonymous ids it lists: until somebody identifies it, it has no row in which the others could stand.
    """
    named = {
        *_of_user_id(event.user_id),
        *_of_email(_own_email(event)),
        *_of_phone(phone_of(event, default_region)),
        *_of_owner(event.owner),
        *_of_external_ids(event, default_region),
    }
    strength = Strength.STRONG
    if isinstance(event, Alias) and is_usable(event.user_id) and is_usable(event.previous_id):
        strength = Strength.EXPLICIT
        named |= {*_of_user_id(event.previous_id), *_of_anonymous_id(None if is_email(event.previous_id or "") else event.previous_id)}
    if all(identifier.kind == ANONYMOUS for identifier in named):
        named = set()
    named |= {*_of_anonymous_id(event.anonymous_id)}
    return Link(tuple(sorted(named, key=_rank)), strength)


def partitions_of(identifier: Identifier) -> tuple[str, ...]:
    """Where the log may keep events of this identifier: the stable identifiers that it can have been."""
    match identifier.kind:
        case "user" | "spelling":
            return (f"user#{identifier.value}",)
        case "anonymous":
            return (f"anon#{identifier.value}",)
        case "email":
            return (f"email#{identifier.value}", f"user#{identifier.value}")
        case "phone":
            return ()
        case kind:
            return (f"{kind.replace(':', '#', 1)}#{identifier.value}",) if ":" in kind else ()


def _rank(identifier: Identifier) -> tuple[int, str, str]:
    order = (USER, EMAIL, SPELLING, PHONE)
    known = order.index(identifier.kind) if identifier.kind in order else len(order) + (identifier.kind == ANONYMOUS)
    return (known, identifier.kind, identifier.value)


def _of_user_id(value: str | None) -> Iterator[Identifier]:
    """An email as user id is an email: the same address in somebody's traits is the same person."""
    if value is None or not is_usable(value):
        return
    if not is_email(value.strip()):
        yield Identifier(USER, value)
        return
    email = value.strip().lower()
    yield Identifier(EMAIL, email)
    if email != value:
        yield Identifier(SPELLING, value)


def _of_anonymous_id(value: str | None) -> Iterator[Identifier]:
    if value is not None and is_usable(value):
        yield Identifier(ANONYMOUS, value)


def _of_email(value: str | None) -> Iterator[Identifier]:
    if value is not None:
        yield Identifier(EMAIL, value)


def _of_phone(value: str | None) -> Iterator[Identifier]:
    if value is not None:
        yield Identifier(PHONE, value)


def _of_owner(owner: str | None) -> Iterator[Identifier]:
    """`konnektive#<connection>#<customerId>` is the customer id, of the kind `konnektive:<connection>`."""
    parts = (owner or "").split("#", 2)
    if len(parts) == 3 and parts[0] and parts[1] and is_usable(parts[2]):
        yield Identifier(f"{parts[0]}:{parts[1]}", parts[2])


def _of_external_ids(event: Event, default_region: str) -> Iterator[Identifier]:
    """Segment's form: `context.externalIds: [{id, type, collection: "users", encoding: "none"}]`. What is not of that form is passed over."""
    listed = event.context.get("externalIds")
    if not isinstance(listed, list):
        return
    for entry in listed[:MAX_EXTERNAL_IDS]:
        if not isinstance(entry, dict) or entry.get("collection", "users") != "users" or entry.get("encoding", "none") != "none":
            continue
        kind, value = entry.get("type"), entry.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(kind, str) or not isinstance(value, str) or not is_usable(value):
            continue
        match _KIND_OF_EXTERNAL_TYPE.get(kind, kind):
            case "user":
                yield from _of_user_id(value)
            case "anonymous":
                yield from _of_anonymous_id(value)
            case "email":
                yield from _of_email(value.strip().lower() if is_email(value.strip()) else None)
            case "phone":
                yield from _of_phone(e164(value, default_region))
            case external if external and "#" not in external and len(external.encode()) <= MAX_KIND_BYTES and external != SPELLING:
                yield Identifier(external, value)
            case _:
                pass


def _own_email(event: Event) -> str | None:
    if event.owner is None and not is_usable(event.user_id):
        return email_of(event)
    return next((email for holder in _person_traits(event) if (email := _email_in(holder)) is not None), None)


def _email_in(holder: dict[str, Any]) -> str | None:
    value = holder.get("email")
    return value.strip().lower() if isinstance(value, str) and is_email(value.strip()) and is_usable(value.strip()) else None


def _trait_holders(event: Event) -> list[dict[str, Any]]:
    """Where a person's email may stand in an event, the nearest first. A group's own traits are the group's, not the person's."""
    holders: list[dict[str, Any]] = []
    match event:
        case Identify():
            holders.append(event.traits)
        case Group() | Alias():
            pass
        case _:
            holders.append(event.properties)
    return holders + _context_traits(event)


def _person_traits(event: Event) -> list[dict[str, Any]]:
    return [event.traits, *_context_traits(event)] if isinstance(event, Identify) else _context_traits(event)


def _context_traits(event: Event) -> list[dict[str, Any]]:
    traits = event.context.get("traits")
    return [traits] if isinstance(traits, dict) else []


def _region_of(traits: dict[str, Any]) -> str | None:
    address = traits.get("address")
    for holder in (address if isinstance(address, dict) else {}, traits):
        country = holder.get("country")
        if isinstance(country, str) and _COUNTRY.match(country.strip()):
            return country.strip().upper()
    return None
