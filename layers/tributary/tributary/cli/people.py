"""Finding a person by whatever somebody has of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.event_log import DynamoEventLog
from tributary.adapters.generations import DynamoGenerations
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.cli.target import Target
from tributary.contacts.describe import describe
from tributary.contacts.reading import Contact, read_contact, read_contact_by_id
from tributary.identity.identifiers import ANONYMOUS, EMAIL, PHONE, SPELLING, USER, Identifier, is_email
from tributary.identity.phones import DEFAULT_REGION, e164
from tributary.ports import ContactStore

_CONTACT_ID: Final = re.compile(r"[0-9a-f]{32}")
_OWN_KINDS: Final = (USER, EMAIL, PHONE, ANONYMOUS, SPELLING)


def find(target: Target, text: str) -> dict[str, Any] | None:
    """The contact, described, with their journey from the log; None if nobody is known by this."""
    store = contacts_of(target)
    log = DynamoEventLog(lambda: target.dynamodb, target.events_table)
    contact = _contact(target, store, text)
    return None if contact is None else describe(contact, (event for partition in contact.partitions() for event in log.of(partition)))


def contact_id(target: Target, text: str) -> str | None:
    """The id of the contact that somebody is known as by this; None if nobody is."""
    contact = _contact(target, contacts_of(target), text)
    return None if contact is None else contact.id


def contacts_of(target: Target) -> DynamoContacts:
    """Those of the generation that is served."""
    generations = DynamoGenerations(lambda: target.dynamodb, target.config_table)
    return DynamoContacts(lambda: target.dynamodb, target.contacts_table, generation=lambda: generations.now().serving)


def _contact(target: Target, store: ContactStore, text: str) -> Contact | None:
    contact = read_contact_by_id(store, text) if _CONTACT_ID.fullmatch(text) else None
    if contact is not None:
        return contact
    digests = digests_from(SsmSecrets(lambda: target.ssm, target.prefix))
    for identifier in candidates(text):
        contact = read_contact(store, digests, identifier)
        if contact is not None:
            return contact
    return None


def candidates(text: str) -> Iterator[Identifier]:
    """What it may be, the likeliest first, each as resolve writes it. `kind:value` is that kind alone, if it is one of ours."""
    kind, colon, value = text.partition(":")
    if colon and kind in _OWN_KINDS:
        yield from _of_kind(kind, value)
        return
    for own in (EMAIL, USER, PHONE, ANONYMOUS):
        yield from _of_kind(own, text)
    if colon:
        # An external kind may hold a colon itself (`konnektive:<connection>`): each place may be the one that parts kind and value.
        for place in [match.start() for match in re.finditer(":", text)][::-1]:
            yield Identifier(text[:place], text[place + 1 :])


def _of_kind(kind: str, value: str) -> Iterator[Identifier]:
    if kind == EMAIL:
        if is_email(value.strip()):
            yield Identifier(EMAIL, value.strip().lower())
    elif kind == PHONE:
        number = e164(value, DEFAULT_REGION)
        if number is not None:
            yield Identifier(PHONE, number)
    elif value:
        yield Identifier(kind, value)
