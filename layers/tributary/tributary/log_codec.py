"""How EVENTS keeps an event: one item, small enough for one write unit (1 KB).

    pk  stable identifier          sk  event#<source>#<messageId>
    p   the event's JSON, zlib with a preset dictionary (first byte: the dictionary's number)
    d   digest of what the sender said, to tell a repeat from a change
    r   stamp: receipt and place in the request      b  the queue message it came in      t  the event's type
    ttl only where a retention is set

The digest leaves out what a resend changes though its sender says the same: receipt, place, `sentAt`, the correction of the clock that follows from them, and
the address, which intake may have taken from the connection.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tributary import events
from tributary.errors import UnreadableMessage
from tributary.events import Event
from tributary.identity.identifiers import stable_identifier

SORT_KEY_PREFIX: Final = "event#"
_DIGEST_BYTES: Final = 12
_CHANGED_BY_RESENDING: Final = ("receivedAt", "index", "sentAt", "timestamp", "origin")

_DICTIONARY_1: Final = (
    b'"traits":{"email":"firstName":"lastName":"phone":"createdAt":"address":{"street":"city":"state":"postalCode":"country":'
    b'"products":[{"product_id":"sku":"name":"price":"quantity":"category":"brand":"variant":"image_url":"order_id":"checkout_id":"cart_id":"coupon":"discount":'
    b'"shipping":"tax":"total":"revenue":"currency":"USD","affiliation":"Order Completed","Product Added","Product Viewed","Checkout Started",'
    b'"externalIds":"consent":{"categoryPreferences":{"advertising":true,"analytics":true,"functional":true,'
    b'"device":{"id":"manufacturer":"model":"type":"ios","android","os":{"name":"version":"network":{"wifi":true,"cellular":"carrier":"app":{"build":"namespace":'
    b'"screen":{"width":"height":"density":"userAgentData":{"brands":[{"brand":"mobile":false,"platform":"macOS"'
    b'"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",'
    b'"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",'
    b'(Windows NT 10.0; Win64; x64)(Linux; Android 10; K) Mobile Safari/537.36"timezone":"America/New_York","Europe/'
    b'utm_source=utm_medium=utm_campaign=utm_term=utm_content=gclid=fbclid=https://www.google.com/https://www.facebook.com/'
    b'"campaign":{"name":"source":"google","facebook","newsletter","medium":"cpc","email","social","term":"content":'
    b'"library":{"name":"analytics.js","version":"analytics-python","@segment/analytics-node","locale":"en-US","ip":'
    b'"page":{"path":"/","referrer":"","search":"","title":"","url":"https://www."integrations":{"All":true,"context":{"properties":{"url":"path":"title":"referrer":"search":'
    b'{"type":"page","source":"src_","messageId":"ajs-next-","timestamp":"2026-","receivedAt":"2026-","index":"userId":"anonymousId":"originalTimestamp":"2026-","sentAt":"2026-'
    b'{"type":"track","type":"identify","event":"'
)  # fmt: skip
_DICTIONARIES: Final = {1: _DICTIONARY_1}
_CURRENT: Final = 1


def pack(event: Event) -> bytes:
    """The event as the log's `p`."""
    compressor = zlib.compressobj(level=6, wbits=-15, zdict=_DICTIONARIES[_CURRENT])
    return bytes([_CURRENT]) + compressor.compress(events.encode(event)) + compressor.flush()


def unpack(packed: bytes) -> Event:
    """The event back. Raises `UnreadableMessage`."""
    try:
        dictionary = _DICTIONARIES[packed[0]]
        decompressor = zlib.decompressobj(wbits=-15, zdict=dictionary)
        return events.decode(decompressor.decompress(packed[1:]) + decompressor.flush())
    except (KeyError, IndexError, zlib.error, msgspec.MsgspecError) as error:
        raise UnreadableMessage(f"an event of the log cannot be read: {type(error).__name__}") from error


def key_of(event: Event) -> tuple[str, str]:
    """Partition and sort key."""
    return stable_identifier(event), f"{SORT_KEY_PREFIX}{event.source}#{event.message_id}"


def content_digest(event: Event) -> bytes:
    """What the sender said, whenever and however often it was sent."""
    said = msgspec.to_builtins(event)
    for name in _CHANGED_BY_RESENDING:
        said.pop(name, None)
    said["context"] = {name: value for name, value in event.context.items() if name != "ip"}
    return hashlib.blake2b(msgspec.json.encode(said, order="sorted"), digest_size=_DIGEST_BYTES).digest()


def event_of_image(image: Mapping[str, Any]) -> Event:
    """The event in a stream record's `NewImage`, where binaries are base64 text. Raises `UnreadableMessage`."""

    try:
        return unpack(base64.b64decode(image["p"]["B"]))
    except (KeyError, TypeError, binascii.Error) as error:
        raise UnreadableMessage(f"a record of the log's stream has no event: {type(error).__name__}") from error


def events_of_stream(records: Sequence[Mapping[str, Any]]) -> tuple[list[Event], list[str]]:
    """The events of a stream batch, and the keys of the records that hold none that can be read: those are to be set aside, or they would come for ever."""
    found: list[Event] = []
    unreadable: list[str] = []
    for record in records:
        change = record["dynamodb"]
        try:
            found.append(event_of_image(change.get("NewImage") or {}))
        except UnreadableMessage:
            keys = change["Keys"]
            unreadable.append(f"{keys['pk']['S']}|{keys['sk']['S']}")
    return found, unreadable
