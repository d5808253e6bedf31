"""Customers: one `identify` for each state of what the person is.

A customer's last activity, notes, payment sources and address of delivery do not count: they change with every order.
"""

from __future__ import annotations

from tributary.events import Json
from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.building import Happened, Meaning, Record, campaign_tags, email_of, present, tag


def meaning(record: Record) -> Meaning:
    return Meaning(says=[_traits(record), _tags(record)], facts={})


def happened(record: Record, said: Meaning) -> list[Happened]:
    created = record.local_moment(record.row, "dateCreated")
    traits = {**_traits(record), "createdAt": None if created is None else created.isoformat().replace("+00:00", "Z")}
    return [Happened(event="", slug="identify", at=record.since, says=said.says, properties=traits, tags=_tags(record))]


def _traits(record: Record) -> Json:
    row = record.row
    streets = [line for name in ("address1", "address2") if (line := read.text(row, name)) is not None]
    address = present(
        {
            "street": ", ".join(streets) or None,
            "city": read.text(row, "city"),
            "state": read.text(row, "state"),
            "postalCode": read.text(row, "postalCode"),
            "country": read.text(row, "country"),
        }
    )
    own = {
        "email": email_of(row),
        "firstName": read.text(row, "firstName"),
        "lastName": read.text(row, "lastName"),
        "phone": read.text(row, "phoneNumber", 64),
        "company": read.text(row, "companyName"),
        "address": address or None,
        "konnektive_customer_id": record.place.id,
        "email_opt_in": read.flag(row, "emailOptIn"),
        "blacklisted": read.flag(row, "isBlacklisted"),
    }
    return present({**read.custom_fields(row), **own, "createdAt": None})


def _tags(record: Record) -> dict[str, bool]:
    tags = dict.fromkeys(read.tags(record.row), True) | campaign_tags(record)
    for field, name in (("emailOptIn", "email opt-in"), ("isBlacklisted", "blacklisted")):
        applied = read.flag(record.row, field)
        if applied is not None:
            tags[tag(name)] = applied
    return tags
