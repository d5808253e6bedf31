"""The facts queue: rows of several kinds, as few messages as hold them. Strict, as all our messages are.

A row is written with what it says alone: columns that have their default are left out, for most of a touch's are empty.

A new kind, or a new column of an old one, is a new `schemaVersion`. While a release is being put in place, its messages may meet a writer of the one before: it
leaves them in the queue for its successor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from tributary.errors import Unexpected, UnreadableMessage
from tributary.facts.tables import (
    TABLES,
    ActivityFact,
    AdSpendFact,
    ContactFact,
    Fact,
    IdentityFact,
    Kind,
    OrderFact,
    RateFact,
    SubscriptionFact,
    TagsFact,
    TouchFact,
    WeakLinkFact,
)
from tributary.messages import sqs_text

SCHEMA_VERSION: Final = 1
MAX_BYTES: Final = 250_000
"""Of a message. SQS takes four times as much, but Lambda brings 6 MB of messages in all: smaller ones fill its batches better, and less is written again where
one is handed back."""


class FactsMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows by kind."""

    schema_version: Literal[1] = msgspec.field(name="schemaVersion")
    generation: int | None = None
    """Whose contacts the rows are of; None: they are the same in every generation."""
    touches: list[TouchFact] = []
    activities: list[ActivityFact] = []
    orders: list[OrderFact] = []
    subscriptions: list[SubscriptionFact] = []
    contacts: list[ContactFact] = []
    tags: list[TagsFact] = []
    identities: list[IdentityFact] = []
    weak_links: list[WeakLinkFact] = []
    ad_spend: list[AdSpendFact] = []
    rates: list[RateFact] = []

    def rows(self) -> dict[Kind, Sequence[Fact]]:
        """Those kinds that have any."""
        return {kind: rows for kind in Kind if (rows := getattr(self, kind))}


def pack(rows: Mapping[Kind, Sequence[Fact]], max_bytes: int = MAX_BYTES, *, generation: int | None = None) -> Iterator[str]:
    """The bodies of messages that hold the rows, in order, each at most `max_bytes` of UTF-8 but for one of a single row that is longer; none for no rows."""
    head = _HEAD if generation is None else _HEAD + b',"generation":%d' % generation
    parts: dict[Kind, list[bytes]] = {}
    size = len(head) + 1
    for kind, facts in rows.items():
        for fact in facts:
            part = sqs_text(_encode(fact))
            more = len(part) + 1 + (0 if kind in parts else len(kind) + len(',"":[]'))
            if parts and size + more > max_bytes:
                yield _joined(head, parts)
                parts, size = {}, len(head) + 1
                more = len(part) + 1 + len(kind) + len(',"":[]')
            parts.setdefault(kind, []).append(part)
            size += more
    if parts:
        yield _joined(head, parts)


def unpack(body: str) -> FactsMessage:
    """Raises `UnreadableMessage` for what is no message of ours, and `Unexpected` for one of a newer release."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        if _is_newer(body):
            raise Unexpected("a message of the facts queue is of a newer release") from error
        raise UnreadableMessage(f"a message of the facts queue cannot be read: {type(error).__name__}") from error


def _is_newer(body: str) -> bool:
    """Of a version to come, or of this one with rows of a kind to come."""
    try:
        said = _any.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    version = said.get("schemaVersion")
    return isinstance(version, int) and (version > SCHEMA_VERSION or (version == SCHEMA_VERSION and not said.keys() <= _NAMES))


_HEAD: Final = b'{"schemaVersion":%d' % SCHEMA_VERSION
_any: Final = msgspec.json.Decoder(dict[str, Any])
_NAMES: Final = frozenset(field.encode_name for field in msgspec.structs.fields(FactsMessage))
_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(FactsMessage)


def _defaults(row: type[Fact]) -> dict[str, Any]:
    """By column; one that has none is equal to nothing."""
    return {field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory() for field in msgspec.structs.fields(row)}


_DEFAULTS: Final[Mapping[type[Fact], Mapping[str, Any]]] = {table.row: _defaults(table.row) for table in TABLES.values()}


def _encode(fact: Fact) -> bytes:
    defaults = _DEFAULTS[type(fact)]
    return _encoder.encode({name: value for name in fact.__struct_fields__ if (value := getattr(fact, name)) != defaults[name]})


def _joined(head: bytes, parts: Mapping[Kind, list[bytes]]) -> str:
    listed = b"".join(b',"%s":[%s]' % (kind.encode(), b",".join(rows)) for kind, rows in parts.items())
    return (head + listed + b"}").decode()
