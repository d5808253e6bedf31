"""Postbacks: what a merchant's export profile sends → a hint of what to read again, or why not.

Nothing of a postback but its ids is used: it is unsigned, shows the state at the time of sending, and comes late, twice or never. The names of its fields are
the merchant's own, so they go through the connection's map and case does not matter. Ids are swapped between the two worlds: a postback's `clientOrderId` is
the API's `orderId`, its `orderId` the API's `actualOrderId`.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.settings import POSTBACK_FIELDS, KonnektiveSettings

SECRET_HEADER: Final = "x-tributary-secret"  # noqa: S105  (its name)
MAX_BODY_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 300

_NAMES: Final = {name.lower(): name for name in POSTBACK_FIELDS} | {"token": "secret"}
_HEX_ID: Final = re.compile(r"(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{10}")
_NUMBER: Final = re.compile(r"[0-9]{1,15}")


class Refusal(StrEnum):
    SECRET_REFUSED = "secret_refused"  # noqa: S105  (a code, not a secret)
    BODY_TOO_LARGE = "body_too_large"
    BODY_UNREADABLE = "body_unreadable"
    NOTHING_NAMED = "nothing_named"


class Hint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a postback points to, by the API's names for it. It has at least one id."""

    order_id: str | None = None
    """The API's `orderId`."""
    order_number: int | None = None
    """The API's `actualOrderId`, by which it cannot be asked."""
    customer_id: str | None = None
    purchase_id: str | None = None
    """The API's `purchaseId`."""
    purchase_number: int | None = None
    event: str | None = None
    """`customerType`, if the merchant maps it: `New Sale`, `Rebill`, in the merchant's words."""


@dataclass(frozen=True)
class Refused:
    code: Refusal
    field: str


@dataclass(frozen=True, kw_only=True)
class Postback:
    """A request as it came in."""

    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    path_secret: str | None = field(default=None, repr=False)
    """What stands in the path behind the connection."""


def hint_of(postback: Postback, settings: KonnektiveSettings) -> Hint | Refused:
    """What to read again. Who does not know the secret learns nothing else, such as whether the body could be read."""
    if len(postback.body) > MAX_BODY_BYTES:
        return Refused(Refusal.BODY_TOO_LARGE, "body")
    of_body = _of_body(postback)
    fields = _by_our_names([*postback.query, *(of_body or ())], settings.postback_fields)
    given = [postback.path_secret, *_headers(postback, SECRET_HEADER), *fields.pop("secret", ())]
    if not is_authentic(given, settings.postback_secret):
        return Refused(Refusal.SECRET_REFUSED, "secret")
    if of_body is None:
        return Refused(Refusal.BODY_UNREADABLE, "body")
    return _hint({name: values[-1] for name, values in fields.items()})


def is_authentic(given: Sequence[object], secret: str) -> bool:
    """Whether one of the given is the secret, in a time that does not tell how much of it was right. No secret, no postbacks."""
    matches = [hmac.compare_digest(one.encode("utf-8", "replace"), secret.encode()) for one in given if isinstance(one, str)]
    return bool(secret) and any(matches)


def _hint(fields: Mapping[str, object]) -> Hint | Refused:
    order_id, order_number = _public_and_number(fields, "clientOrderId", "orderId")
    purchase_id, purchase_number = _public_and_number(fields, "clientPurchaseId", "purchaseId")
    customer_id = read.id_of(fields, "customerId")
    if all(named is None for named in (order_id, order_number, purchase_id, purchase_number, customer_id)):
        return Refused(Refusal.NOTHING_NAMED, "clientOrderId")
    return Hint(
        order_id=order_id,
        order_number=order_number,
        customer_id=customer_id,
        purchase_id=purchase_id,
        purchase_number=purchase_number,
        event=read.text(fields, "customerType", 64),
    )


def _public_and_number(fields: Mapping[str, object], public: str, number: str) -> tuple[str | None, int | None]:
    """The public id and the internal number. A merchant may export the public id under the number's name: ten hex digits with a letter among them."""
    public_id, internal = read.id_of(fields, public), read.id_of(fields, number)
    if internal is None:
        return public_id, None
    if _NUMBER.fullmatch(internal) is not None:
        return public_id, int(internal)
    return public_id or (internal if _HEX_ID.fullmatch(internal) is not None else None), None


def _by_our_names(pairs: Sequence[tuple[str, object]], merchants: Mapping[str, str]) -> dict[str, list[object]]:
    names = {**_NAMES, **{theirs.strip().lower(): ours for theirs, ours in merchants.items()}}
    found: dict[str, list[object]] = {}
    for theirs, value in pairs[:MAX_FIELDS]:
        ours = names.get(theirs.strip().lower())
        if ours is not None and not (value is None or value == ""):
            found.setdefault(ours, []).append(value)
    return found


def _of_body(postback: Postback) -> list[tuple[str, object]] | None:
    """The body's fields: JSON if it says so or looks like it, else a form. None for what cannot be read."""
    body = postback.body.strip()
    if not body:
        return []
    if body[:1] in (b"{", b"[") or any("json" in kind.lower() for kind in _headers(postback, "content-type")):
        return _of_json(body)
    try:
        return list(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        return None


def _of_json(body: bytes) -> list[tuple[str, object]] | None:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return list(value.items()) if isinstance(value, dict) else None


def _headers(postback: Postback, name: str) -> Iterator[str]:
    return (value for given, value in postback.headers.items() if given.lower() == name)
