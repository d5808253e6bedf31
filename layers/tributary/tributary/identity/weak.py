"""`seg_cid`: the customer that a page's address names, as a link in a shop's email carries it. Whoever opens it is taken for that customer, weakly: links are
passed on."""

from __future__ import annotations

import re
from typing import Final

from tributary.events import Event, Page
from tributary.identity.identifiers import Identifier, is_usable
from tributary.page_address import page_mentions, page_parameters

PARAMETER: Final = "seg_cid"
KONNEKTIVE: Final = "konnektive"

_CUSTOMER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a customer's id looks like: `[Contacts.Id]`, which a mail system did not fill in, does not."""


def customer_named(event: Event) -> str | None:
    """The customer id in a page's address; None if there is none, none that may be one, or several."""
    if not isinstance(event, Page) or not page_mentions(event, PARAMETER):
        return None
    named = {value for name, value in page_parameters(event) if name == PARAMETER}
    if len(named) != 1:
        return None
    (value,) = named
    return value if is_usable(value) and _CUSTOMER_ID.fullmatch(value) else None


def customer_of(connection: str, customer: str) -> Identifier:
    """As the owner of a Konnektive record is written."""
    return Identifier(f"{KONNEKTIVE}:{connection}", customer)
