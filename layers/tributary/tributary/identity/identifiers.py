"""What names a person in an event.

Two readings of one event: its *stable identifier* (one string: the partition of the log and half of a FIFO group), and all its *identifiers* (what resolve
links). A blocked value names nobody: it is neither.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from tributary.events import Alias, Event, Group, Identify

MAX_IDENTIFIER_BYTES: Final = 255
"""Kissmetrics' limit for an identity, and far below DynamoDB's 2,048 bytes for a key."""

_BLOCKED: Final = frozenset(
    {"", "-1", "null", "none", "nil", "nan", "undefined", "anonymous", "anon", "guest", "unknown", "user", "userid", "user_id", "test", "n/a", "na", "false", "true"}
    | {"[object object]", "(null)", "(none)", "{{userid}}"}
)
_ZEROS: Final = re.compile(r"^[0\-.\s]*$")
_EMAIL: Final = re.compile(r"^[^@\s\"<>,;]+@[^@\s\"<>,;]+\.[^@\s\"<>,;.]+$")


class Identifier(NamedTuple):
    kind: str
    """`user`, `anonymous`, `email`, `phone`, or an external kind such as `konnektive:<connection>`."""
    value: str
    """Normalised: an email in lower case, a phone as E.164."""


def is_blocked(value: str) -> bool:
    """Whether a value is one that many people share: `guest`, `0`, `undefined`, zeros and dashes. Case and surrounding space do not matter."""
    text = value.strip().lower()
    return text in _BLOCKED or _ZEROS.match(text) is not None


def is_usable(value: str | None) -> bool:
    """Whether a value may name a person: present, not blocked, at most 255 bytes."""
    return value is not None and not is_blocked(value) and len(value.encode()) <= MAX_IDENTIFIER_BYTES


def is_email(value: str) -> bool:
    return len(value) <= 254 and _EMAIL.match(value) is not None


def email_of(event: Event) -> str | None:
    """The email that the event carries (traits, `context.traits`, properties), trimmed and in lower case; None if it has none that looks like one."""
    for holder in _trait_holders(event):
        value = holder.get("email")
        if isinstance(value, str) and is_email(value.strip()) and not is_blocked(value):
            return value.strip().lower()
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


def _trait_holders(event: Event) -> list[dict[str, Any]]:
    """Where a person's traits may stand in an event, the nearest first. A group's own traits are the group's, not the person's."""
    holders: list[dict[str, Any]] = []
    match event:
        case Identify():
            holders.append(event.traits)
        case Group() | Alias():
            pass
        case _:
            holders.append(event.properties)
    traits = event.context.get("traits")
    if isinstance(traits, dict):
        holders.append(traits)
    return holders
