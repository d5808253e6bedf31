"""Who contacts are, for a list of people: the email and the name of each id, read together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tributary.contacts.rows import Root, decode, root_key
from tributary.ports import ContactStore

_HOPS: Final = 20
"""Contacts that were merged into one another; more than a contact can ever have gone through between two reads."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Holds personal data."""

    contact: str
    """The id, of the contact that it was merged into if it was."""
    email: str | None
    name: str | None


def people_of(store: ContactStore, ids: Iterable[str]) -> dict[str, Person]:
    """Each id's person; what is no contact's id, or an erased one's, is not there. One read a hundred ids, and one more where contacts were merged since.
    Raises `StoreUnavailable`."""
    found: dict[str, Person] = {}
    looked_for = {id: id for id in ids}
    """Id asked for → contact that may be it."""
    for _ in range(_HOPS):
        if not looked_for:
            break
        rows = store.get({root_key(contact) for contact in looked_for.values()})
        merged: dict[str, str] = {}
        for id, contact in looked_for.items():
            row = rows.get(root_key(contact))
            root = None if row is None else decode(row.data, Root)
            if root is None:
                continue
            if root.into is not None:
                merged[id] = root.into
            else:
                known = root.profile.known()
                found[id] = Person(contact=contact, email=_text(known, "email"), name=_name(known))
        looked_for = merged
    return found


def _name(traits: Mapping[str, Any]) -> str | None:
    whole = _text(traits, "name")
    if whole is not None:
        return whole
    parts = (_text(traits, "firstName", "first_name"), _text(traits, "lastName", "last_name"))
    return " ".join(part for part in parts if part is not None) or None


def _text(traits: Mapping[str, Any], *names: str) -> str | None:
    return next((traits[name] for name in names if isinstance(traits.get(name), str) and traits[name]), None)
