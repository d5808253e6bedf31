"""A contact as plain data, for a person to read and for JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tributary.contacts.explain import explain
from tributary.contacts.reading import Contact
from tributary.contacts.versions import as_time


def describe(contact: Contact) -> dict[str, Any]:
    """Identifiers, profile, groups, and why they are one; times are ISO 8601, UTC. Holds personal data."""
    profile = contact.profile
    return {
        "id": contact.id,
        "first_seen": _time(profile.first_seen),
        "last_seen": _time(profile.last_seen),
        "identifiers": [{"kind": member.kind, "value": member.value, "since": _time(member.by.at)} for member in contact.members],
        "traits": profile.known(),
        "custom_fields": profile.custom_fields(),
        "traits_too_long": profile.traits.too_long(),
        "traits_beyond_the_bound": list(profile.traits.beyond),
        "groups": [
            {"id": group.group, "first_seen": _time(group.first_seen), "last_seen": _time(group.last_seen), "traits": group.traits.values()}
            for group in contact.memberships
        ],
        "merges": contact.merge_count,
        "settled": contact.is_settled,
        "why": [{"reason": step.reason, "at": _written(step.at), "event": step.event.message_id, "sentence": step.sentence} for step in explain(contact)],
    }


def _time(moment: int | None) -> str | None:
    return None if moment is None else _written(as_time(moment))


def _written(moment: datetime) -> str:
    """As the API writes it."""
    return f"{moment.isoformat().removesuffix('+00:00')}Z"
