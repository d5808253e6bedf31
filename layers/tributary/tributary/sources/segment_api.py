"""The Segment tracking API: what a caller posts → events, and what is wrong with the rest.

`open_envelope` reads a body as far as its write key, `accept` turns what is in it into events. Events leave as the JSON of `messages.IngestMessage.events`,
made from plain dicts: a test decodes it strictly. Nothing here does I/O; the time of receipt comes in.

The rule for what cannot be taken: it is refused by itself, under a code and with the field named, and the items beside it are kept. Codes are Segment's own
where Segment has one (https://segment.com/docs/connections/delivery-overview/#discards); its field rules are at
https://segment.com/docs/connections/spec/common/ and https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal, cast

import msgspec

from tributary.events import EVENT_TYPES, EventType, Json
from tributary.messages import Rejected
from tributary.sources import lenient_json, timestamps

Call = EventType | Literal["batch"]

CALLS: Final[Mapping[str, Call]] = {
    **{name: name for name in EVENT_TYPES},
    "batch": "batch",
    "import": "batch",
    "i": "identify",
    "t": "track",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
    "b": "batch",
}
"""Last part of the path → what is posted there. The letters are the browser library's."""
BROWSER_CALLS: Final = frozenset("itpsgab")

MAX_REQUEST_BYTES: Final = 500 * 1024
"""Inflated. Segment's batch limit; its own libraries stop at up to 512,000 bytes."""
MAX_EVENT_BYTES: Final = 32 * 1024
"""As sent. Holds fewer than 6,000 keys, so there is no limit of keys beside it (Segment's is 10,000)."""
MAX_EVENTS: Final = 2_500
MAX_DEPTH: Final = 64
"""Containers within one another, of an event; real ones have five or six. Every later stage recurses at least that deep."""
MAX_MESSAGE_ID_LENGTH: Final = 100
MAX_SENT_BEFORE: Final = timedelta(days=1)
"""How long before it happened an event may say that it was sent. Past it the `sentAt` is the fault: corrected by it, the event would lie in the future."""
MAX_MERGED_BYTES: Final = 8 * MAX_REQUEST_BYTES
"""What one request may become. A batch's `context` is copied into each of its events, so that 100 KB could become 80 MB."""

MAX_REJECTED_LISTED: Final = MAX_EVENTS
"""A body of commas holds 256,000 items; what is past this is listed as one."""
MAX_BODY_SHOWN: Final = 2_048
"""Characters kept of a rejected item."""
MAX_TYPE_SHOWN: Final = 32

DERIVED_ID_PREFIX: Final = "derived-"
_DERIVED_ID_DIGITS: Final = 32

_LARGEST_EXACT: Final = 2**53
"""A double from here on stands for several integers: as an id it could name two people."""


class Code(StrEnum):
    """Why something was refused."""

    # Segment's own
    BAD_REQUEST = "bad_request"
    EMPTY_BATCH = "empty_batch"
    EMPTY_BATCH_RESULT = "empty_batch_result"
    MULTI_USER_ERROR = "multi_user_error"
    MISSING_TYPE = "missing_type"
    INVALID_TYPE = "invalid_type"
    NO_USER_ANON_ID = "no_user_anon_id"
    ID_REQUIRED = "id_required"
    ID_NOT_STRING = "id_not_string"
    EVENT_NOT_DEFINED = "event_not_defined"
    EVENT_NOT_STRING = "event_not_string"
    PROPERTIES_NOT_OBJECT = "properties_not_object"
    TRAITS_NOT_OBJECT = "traits_not_object"
    NAME_NOT_STRING = "name_not_string"
    CATEGORY_NOT_STRING = "category_not_string"
    UNKNOWN_SOURCE = "unknown_source"
    SOURCE_DISABLED = "source_disabled"
    # ours
    PAYLOAD_TOO_LARGE = "payload_too_large"
    TOO_MANY_EVENTS = "too_many_events"
    NESTED_TOO_DEEPLY = "nested_too_deeply"
    NUMBER_INVALID = "number_invalid"
    CONTEXT_NOT_OBJECT = "context_not_object"
    INTEGRATIONS_NOT_OBJECT = "integrations_not_object"
    MESSAGE_ID_NOT_STRING = "message_id_not_string"
    MESSAGE_ID_TOO_LONG = "message_id_too_long"
    TIMESTAMP_INVALID = "timestamp_invalid"
    AUTHORIZATION_INVALID = "authorization_invalid"
    WRITE_KEY_MISSING = "write_key_missing"
    WRITE_KEY_CONFLICT = "write_key_conflict"


DISCARDED: Final = frozenset(
    {
        Code.MISSING_TYPE,
        Code.INVALID_TYPE,
        Code.NO_USER_ANON_ID,
        Code.ID_REQUIRED,
        Code.ID_NOT_STRING,
        Code.EVENT_NOT_DEFINED,
        Code.EVENT_NOT_STRING,
        Code.PROPERTIES_NOT_OBJECT,
        Code.TRAITS_NOT_OBJECT,
        Code.NAME_NOT_STRING,
        Code.CATEGORY_NOT_STRING,
        Code.EMPTY_BATCH,
        Code.CONTEXT_NOT_OBJECT,
        Code.INTEGRATIONS_NOT_OBJECT,
        Code.MESSAGE_ID_NOT_STRING,
        Code.MESSAGE_ID_TOO_LONG,
        Code.TIMESTAMP_INVALID,
    }
)
"""An event with one of these is readable but invalid: Segment answers 200 and discards it; so do we. A single event refused under another code is a 400."""

EXCEED_PAYLOAD_LIMIT: Final = "Exceed payload limit"
"""Segment's words; somebody may look for them."""


class NotAnEnvelope(Exception):
    """The body is empty, or not a JSON object."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A body, read as far as its parts."""

    call: Call
    write_key: Any
    """As sent, or None."""
    items: Sequence[tuple[Any, bytes]]
    """What is meant as an event: its value and its bytes as sent. At most `MAX_EVENTS`."""
    count: int
    """How many there were."""
    surplus: Sequence[bytes] = ()
    """As sent: items past `MAX_EVENTS`, at most `MAX_REJECTED_LISTED` of them."""
    body: bytes
    batch_is_list: bool = True
    context: Any = None
    integrations: Any = None
    shared_bytes: int = 0
    """Of the two above, as sent."""
    sent_at: Any = None
    repaired: bool = False
    """Whether it may hold marks of `lenient_json`."""
    replaced: int = 0
    """Characters that were no characters."""


@dataclass
class Accepted:
    """What became of a request."""

    events: list[bytes] = field(default_factory=list)
    """The JSON of each, in the order sent."""
    rejected: list[Rejected] = field(default_factory=list)
    rejected_count: int = 0
    """More than are listed, where there were too many to list."""
    refusal: Rejected | None = None
    """Set where the request as a whole is to be answered with a 400; it is one of `rejected` too."""
    ignored: tuple[str, ...] = ()
    """Fields that could not be read, or not be believed, and whose event did not depend on them."""


@dataclass(frozen=True)
class Caller:
    """What is known of who calls, beside the body."""

    source: str
    write_key: str
    received_at: datetime
    ip: str | None
    """The connection's IPv4 address."""
    client_side: bool
    """Whether a visitor's own browser calls, so that its address is the visitor's."""


class _Fault(Exception):
    """One item's end."""

    def __init__(self, code: Code, at: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.at = at
        self.message = message


class _BatchBody(msgspec.Struct, rename="camel"):
    batch: msgspec.Raw = msgspec.Raw()
    write_key: msgspec.Raw = msgspec.Raw()
    context: msgspec.Raw = msgspec.Raw()
    integrations: msgspec.Raw = msgspec.Raw()
    sent_at: msgspec.Raw = msgspec.Raw()


_read_batch: Final = msgspec.json.Decoder(_BatchBody).decode
_read_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode
_write_sorted: Final = msgspec.json.Encoder(order="sorted").encode

_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER: Final = b"0" * 19
"""Shorter ones fit 64 bits; the strict reader takes longer ones as they are, which JavaScript and everything behind it do not."""
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def open_envelope(call: Call, body: bytes) -> Envelope:
    """Read a body. Raises `NotAnEnvelope`."""
    if not body.strip():
        raise NotAnEnvelope("the body is empty")
    try:
        if _LONG_INTEGER not in body.translate(_DIGITS_ALIKE):
            return _open(call, body, repaired=False, replaced=0)
    except _UNREADABLE:
        pass  # the reader below says more
    better, replaced = lenient_json.repair(body, MAX_DEPTH + 2)  # the batch's object and its list stand around an event
    try:
        return _open(call, better, repaired=True, replaced=replaced)
    except _UNREADABLE as error:
        raise NotAnEnvelope("the body is not a JSON object" if isinstance(error, msgspec.ValidationError) else "the body is not valid JSON") from error


def write_key_of(given: Any) -> Any:
    """A `writeKey` without space around it; None for one that is empty. What is no text stays as it is."""
    return given.strip() or None if type(given) is str else given


def accept(envelope: Envelope, caller: Caller) -> Accepted:
    """The envelope's events, and what is wrong with the rest of it. Never raises for what a caller sent."""
    try:
        reading = _Reading(envelope, caller)
    except _Fault as fault:
        return refuse(fault.code, fault.at, fault.message, body=envelope.body, write_key=caller.write_key)
    for index, (value, raw) in enumerate(envelope.items):
        try:
            reading.take(value, raw, index)
        except _Fault as fault:
            reading.reject(fault, value, raw, index)
    reading.reject_surplus()
    return reading.accepted


def refuse(code: Code, at: str, message: str, *, body: bytes, write_key: str) -> Accepted:
    """What became of a request that did not get as far as its events: as they were not looked at, it is a 400, unless it holds none."""
    rejected = Rejected(code=code, field=at, message=message, body=_shown(body, write_key))
    return Accepted(rejected=[rejected], rejected_count=1, refusal=None if code is Code.EMPTY_BATCH else rejected)


def _open(call: Call, body: bytes, *, repaired: bool, replaced: int) -> Envelope:
    if call != "batch":
        value = _read(body)
        if type(value) is not dict:
            raise msgspec.ValidationError
        return Envelope(
            call=call,
            write_key=value.get("writeKey"),
            items=((value, body.strip()),),
            count=1,
            body=body,
            sent_at=value.get("sentAt"),
            repaired=repaired,
            replaced=replaced,
        )
    outer = _read_batch(body)
    is_list = memoryview(outer.batch)[:1].tobytes() == b"["
    raws = _read_items(outer.batch) if is_list else []
    return Envelope(
        call=call,
        write_key=_optional(outer.write_key),
        items=[(_read(raw), bytes(raw)) for raw in raws[:MAX_EVENTS]],
        count=len(raws),
        surplus=[bytes(raw) for raw in raws[MAX_EVENTS : MAX_EVENTS + MAX_REJECTED_LISTED]],
        body=body,
        batch_is_list=is_list,
        context=_optional(outer.context),
        integrations=_optional(outer.integrations),
        shared_bytes=memoryview(outer.context).nbytes + memoryview(outer.integrations).nbytes,
        sent_at=_optional(outer.sent_at),
        repaired=repaired,
        replaced=replaced,
    )


def _optional(raw: msgspec.Raw) -> Any:
    return _read(raw) if memoryview(raw).nbytes else None


class _Reading:
    """One request on its way to events."""

    def __init__(self, envelope: Envelope, caller: Caller) -> None:
        """Raises `_Fault` for what is wrong with the request as a whole."""
        self.accepted = Accepted()
        self._envelope = envelope
        self._caller = caller
        self._bytes = 0
        self._derived: Counter[str] = Counter()
        _check_envelope(envelope)
        self._context: Json = _object_or_empty(envelope.context, "context", Code.CONTEXT_NOT_OBJECT)
        self._integrations: Json = _object_or_empty(envelope.integrations, "integrations", Code.INTEGRATIONS_NOT_OBJECT)
        self._sent_at = self._time_or_ignored(envelope.sent_at)

    def take(self, value: Any, raw: bytes, index: int) -> None:
        """Make an event of an item. Raises `_Fault`."""
        item = self._checked(value, raw, index)
        written = b"" if self._bytes > MAX_MERGED_BYTES else _write(self._event(item, index))
        self._bytes += len(written)
        if self._bytes > MAX_MERGED_BYTES:
            message = f"{EXCEED_PAYLOAD_LIMIT}: with the batch's context in each event the request passes {MAX_MERGED_BYTES:,} bytes"
            raise _Fault(Code.PAYLOAD_TOO_LARGE, "context", message)
        self.accepted.events.append(written)

    def reject(self, fault: _Fault, value: Any, raw: bytes, index: int) -> None:
        given = value if type(value) is dict else {}
        type_, message_id = given.get("type"), given.get("messageId")
        rejected = Rejected(
            code=fault.code,
            field=fault.at,
            message=fault.message,
            index=index,
            type=self._envelope.call if self._envelope.call != "batch" else _shown_type(type_),
            message_id=message_id[:MAX_MESSAGE_ID_LENGTH] if type(message_id) is str else None,
            body=_shown(raw, self._caller.write_key),
        )
        self.accepted.rejected.append(rejected)
        self.accepted.rejected_count += 1
        if self._envelope.call != "batch" and fault.code not in DISCARDED:
            self.accepted.refusal = rejected

    def reject_surplus(self) -> None:
        """Events past the limit: each is listed, to an end."""
        envelope = self._envelope
        message = f"a batch holds at most {MAX_EVENTS:,} events; this one had {envelope.count:,}"
        for index, raw in enumerate(envelope.surplus, MAX_EVENTS):
            shown = _shown(raw, self._caller.write_key)
            self.accepted.rejected.append(Rejected(code=Code.TOO_MANY_EVENTS, field=f"batch[{index}]", message=message, index=index, body=shown))
        unlisted = envelope.count - len(envelope.items) - len(envelope.surplus)
        if unlisted:
            first = envelope.count - unlisted
            more = f"{message}; {unlisted:,} more are not listed one by one"
            self.accepted.rejected.append(Rejected(code=Code.TOO_MANY_EVENTS, field=f"batch[{first}]", message=more, index=first))
        self.accepted.rejected_count += envelope.count - len(envelope.items)

    def _checked(self, value: Any, raw: bytes, index: int) -> Json:
        """The item as an object that every later stage can hold."""
        here = f"batch[{index}]" if self._envelope.call == "batch" else "body"
        if len(raw) > MAX_EVENT_BYTES:
            raise _Fault(Code.PAYLOAD_TOO_LARGE, here, f"{EXCEED_PAYLOAD_LIMIT}: an event has at most {MAX_EVENT_BYTES:,} bytes, this one {len(raw):,}")
        if self._envelope.repaired or raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
            _refuse_faults(value, "", here)
        if type(value) is not dict:
            raise _Fault(Code.BAD_REQUEST, here, "an event is a JSON object")
        if write_key_of(value.get("writeKey")) not in (None, self._caller.write_key):
            raise _Fault(Code.WRITE_KEY_CONFLICT, "writeKey", "the event names another write key than its request")
        return value

    def _event(self, item: Json, index: int) -> Json:
        content = self._content(item)
        at = "timestamp" if item.get("timestamp") is not None else "originalTimestamp"
        original = _time(item.get(at), at)
        sent_at = self._sent_at if self._envelope.sent_at is not None else self._time_or_ignored(item.get("sentAt"))
        if original is not None and sent_at is not None and original - sent_at > MAX_SENT_BEFORE:
            self.accepted.ignored = ("sentAt",)
            sent_at = None
        received_at = self._caller.received_at
        event = {
            **content,
            "source": self._caller.source,
            "messageId": _message_id(item) or self._derived_id(content, original),
            "timestamp": _corrected(original, sent_at, received_at, at),
            "receivedAt": received_at,
            "index": index,
        }
        if original is not None:
            event["originalTimestamp"] = original
        if sent_at is not None:
            event["sentAt"] = sent_at
        if self._caller.ip is not None:
            self._add_ip(event, self._caller.ip)
        return event

    def _content(self, item: Json) -> Json:
        """What the event says: all that a resend of it would say again."""
        type_: EventType = self._envelope.call if self._envelope.call != "batch" else _type(item)
        content: Json = {"type": type_}
        for name in ("userId", "anonymousId"):
            identifier = _identifier(item, name)
            if identifier is not None:
                content[name] = identifier
        if len(content) == 1 and type_ != "alias":
            raise _Fault(Code.NO_USER_ANON_ID, "userId", "an event needs a userId or an anonymousId")
        context = _merged(self._context, item, "context", Code.CONTEXT_NOT_OBJECT)
        channel = item.get("channel")
        if type(channel) is str and "channel" not in context:
            context = {**context, "channel": channel}
        _OF_TYPE[type_](item, content, context)
        if context:
            content["context"] = context
        integrations = _merged(self._integrations, item, "integrations", Code.INTEGRATIONS_NOT_OBJECT)
        if integrations:
            content["integrations"] = integrations
        return content

    def _derived_id(self, content: Json, original: datetime | None) -> str:
        """An id made of what the event says, so that a request sent again brings the same id. Without a time of its own the day of receipt is part of it:
        the same click next week is another event."""
        time = self._caller.received_at.date() if original is None else original
        digest = hashlib.sha256(_write_sorted([time, content])).hexdigest()[:_DERIVED_ID_DIGITS]
        self._derived[digest] += 1
        occurrence = self._derived[digest]
        return f"{DERIVED_ID_PREFIX}{digest}" if occurrence == 1 else f"{DERIVED_ID_PREFIX}{digest}-{occurrence}"

    def _add_ip(self, event: Json, ip: str) -> None:
        context: Json = event.get("context", {})
        if "ip" not in context and (self._caller.client_side or context.get("direct") is True):
            event["context"] = {**context, "ip": ip}

    def _time_or_ignored(self, given: Any) -> datetime | None:
        """`sentAt`: without it a clock is not corrected, which is no reason to refuse an event."""
        if given is None:
            return None
        time = timestamps.parse(given)
        if time is None:
            self.accepted.ignored = ("sentAt",)
        return time


def _check_envelope(envelope: Envelope) -> None:
    if envelope.call != "batch":
        return
    if not envelope.batch_is_list:
        raise _Fault(Code.BAD_REQUEST, "batch", "`batch` is a list of events")
    if not envelope.count:
        raise _Fault(Code.EMPTY_BATCH, "batch", "the batch holds no event")
    if envelope.shared_bytes > MAX_EVENT_BYTES:
        raise _Fault(Code.PAYLOAD_TOO_LARGE, "context", f"{EXCEED_PAYLOAD_LIMIT}: a batch's context and integrations have at most {MAX_EVENT_BYTES:,} bytes")
    _refuse_faults(envelope.context, "context", "context")
    _refuse_faults(envelope.integrations, "integrations", "integrations")


def _refuse_faults(value: Any, prefix: str, here: str) -> None:
    fault = lenient_json.first_fault(value, MAX_DEPTH)
    if fault is None:
        return
    at = ".".join(part for part in (prefix, fault.path) if part) or here
    if fault.kind == "depth":
        raise _Fault(Code.NESTED_TOO_DEEPLY, at, f"objects and lists stand within one another at most {MAX_DEPTH} deep")
    raise _Fault(Code.NUMBER_INVALID, at, "not a number that JSON or a double can hold")


def _type(item: Json) -> EventType:
    given = item.get("type")
    if given is None:
        raise _Fault(Code.MISSING_TYPE, "type", "an event of a batch needs its type")
    if given not in EVENT_TYPES:
        raise _Fault(Code.INVALID_TYPE, "type", "the type is one of " + ", ".join(EVENT_TYPES))
    return cast("EventType", given)


def _identifier(item: Json, name: str) -> str | None:
    """An id as text; numbers become their digits, as the libraries do it."""
    given = item.get(name)
    if given is None or (type(given) is str and given):
        return given
    if type(given) is int:
        return str(given)
    if type(given) is float and abs(given) < _LARGEST_EXACT:
        return str(int(given)) if given.is_integer() else repr(given)
    raise _Fault(Code.ID_NOT_STRING, name, "an id is a string with something in it, or a number small enough to be exact")


def _required_identifier(item: Json, name: str, message: str) -> str:
    identifier = _identifier(item, name)
    if identifier is None:
        raise _Fault(Code.ID_REQUIRED, name, message)
    return identifier


def _message_id(item: Json) -> str | None:
    given = item.get("messageId")
    if given is None:
        return None
    if type(given) is not str:
        raise _Fault(Code.MESSAGE_ID_NOT_STRING, "messageId", "a messageId is a string")
    if len(given) > MAX_MESSAGE_ID_LENGTH:
        raise _Fault(Code.MESSAGE_ID_TOO_LONG, "messageId", f"a messageId has at most {MAX_MESSAGE_ID_LENGTH} characters, this one {len(given):,}")
    return given


def _time(given: Any, name: str) -> datetime | None:
    if given is None:
        return None
    time = timestamps.parse(given)
    if time is None:
        raise _Fault(Code.TIMESTAMP_INVALID, name, "a time is ISO 8601, or epoch seconds or milliseconds, between the years 1900 and 2200")
    return time


def _corrected(original: datetime | None, sent_at: datetime | None, received_at: datetime, at: str) -> datetime:
    """When it happened by our clock: the sender's clock was off by as much as its `sentAt` is."""
    if original is None:
        return received_at
    if sent_at is None:
        return original
    corrected = received_at - (sent_at - original)
    if corrected < timestamps.EARLIEST:  # nor can it be past the latest: see `MAX_SENT_BEFORE`
        raise _Fault(Code.TIMESTAMP_INVALID, at, "corrected by sentAt, the time is not between the years 1900 and 2200")
    return corrected


def _object(item: Json, name: str, code: Code) -> Json | None:
    given = item.get(name)
    if given is None or type(given) is dict:
        return given
    raise _Fault(code, name, f"`{name}` is a JSON object")


def _object_or_empty(given: Any, name: str, code: Code) -> Json:
    """PHP writes an empty object as an empty list."""
    if given is None or given == []:
        return {}
    if type(given) is not dict:
        raise _Fault(code, name, f"`{name}` is a JSON object")
    return given


def _merged(shared: Json, item: Json, name: str, code: Code) -> Json:
    """The batch's object with the item's own entries over it."""
    own = _object_or_empty(item.get(name), name, code)
    return {**shared, **own} if shared and own else own or shared


def _add_properties(item: Json, content: Json) -> None:
    properties = _object(item, "properties", Code.PROPERTIES_NOT_OBJECT)
    if properties:
        content["properties"] = properties


def _add_traits(content: Json, traits: Json | None) -> None:
    if traits:
        content["traits"] = traits


def _identify(item: Json, content: Json, context: Json) -> None:
    traits = _object(item, "traits", Code.TRAITS_NOT_OBJECT)
    if traits is None and type(context.get("traits")) is dict:
        traits = context["traits"]  # where RudderStack's libraries put them
    _add_traits(content, traits)


def _track(item: Json, content: Json, _context: Json) -> None:
    event = item.get("event")
    if event is None or event == "":
        raise _Fault(Code.EVENT_NOT_DEFINED, "event", "a track call needs the name of its event")
    if type(event) is not str:
        raise _Fault(Code.EVENT_NOT_STRING, "event", "the name of an event is a string")
    content["event"] = event
    _add_properties(item, content)


def _view(item: Json, content: Json, _context: Json) -> None:
    for name, code in (("name", Code.NAME_NOT_STRING), ("category", Code.CATEGORY_NOT_STRING)):
        given = item.get(name)
        if given is None:
            continue
        if type(given) is not str or not given:
            raise _Fault(code, name, f"`{name}` is a string with something in it")
        content[name] = given
    _add_properties(item, content)


def _group(item: Json, content: Json, _context: Json) -> None:
    content["groupId"] = _required_identifier(item, "groupId", "a group call needs its groupId")
    _add_traits(content, _object(item, "traits", Code.TRAITS_NOT_OBJECT))


def _alias(item: Json, content: Json, _context: Json) -> None:
    _required_identifier(item, "userId", "an alias call needs the userId that is to stay")
    previous_id = _identifier(item, "previousId")
    if previous_id is not None:
        content["previousId"] = previous_id
    elif "anonymousId" not in content:  # the browser library means its visitor
        raise _Fault(Code.ID_REQUIRED, "previousId", "an alias call needs the previousId that the userId stands for")


_OF_TYPE: Final = {"identify": _identify, "track": _track, "page": _view, "screen": _view, "group": _group, "alias": _alias}
"""What each call has beside the common fields. Raises `_Fault`."""


def _shown_type(given: Any) -> str | None:
    """A type that is none is shown if it is a plain word, as `Track` is."""
    return given if type(given) is str and len(given) <= MAX_TYPE_SHOWN and given.isidentifier() else None


def _shown(raw: bytes, write_key: str) -> str:
    """An item as a person may see it: without the key, and not more than is needed."""
    text = raw[: 4 * (MAX_BODY_SHOWN + len(write_key))].decode("utf-8", "replace")
    return text.replace(write_key, "…")[:MAX_BODY_SHOWN]
