"""The tracking API: a call → its answer, with the events in the queue before the answer says so.

What is refused is kept as well: an item with its reason beside the events, a whole request (of a key that is known) on its own, so that a person sees it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from tributary.access import CachedKeys, KeyState, state_of
from tributary.errors import StoreUnavailable
from tributary.events import EVENT_TYPES
from tributary.intake import write_key
from tributary.intake.http import Answer, BodyTooLarge, BodyUnreadable, Request, gif_answer, json_answer, unpacked
from tributary.intake.packing import pack
from tributary.intake.rate import EventRate
from tributary.ports import MessageQueue, OutMessage
from tributary.settings import Key
from tributary.sources import segment_api, segment_pixel
from tributary.sources.segment_api import Accepted, Call, Caller, Code, Envelope, NotAnEnvelope

RETRY_AFTER_UNAVAILABLE: Final = 5
"""Seconds after a 503: an SQS or DynamoDB that fails twice in a row is back within this or not soon."""
MAX_REJECTED_ANSWERED: Final = 100
"""The answer names these; all of them are in the list of recent events."""

RATE_LIMITED: Final = "rate_limited"
UNAVAILABLE: Final = "unavailable"

_METRICS_CALL: Final = "m"
"""The browser library's counters about itself."""
_PIXEL: Final = "pixel/"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An answer and what to report of it. Nothing personal, no key."""

    answer: Answer
    code: str
    """`ok`, or why not."""
    source: str | None = None
    accepted: int = 0
    rejected: int = 0
    replaced: int = 0
    """Characters that were no characters."""
    lost: bool = False
    """What was refused is in no list and what was sent in no queue: the answer alone tells of it."""

    def counts(self) -> dict[str, int]:
        """For metrics: what there was, zeros left out."""
        status = self.answer.status
        counts = {
            "requests": 1,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "characters_replaced": self.replaced,
            "refused": status in (400, 401, 404, 405),
            "throttled": self.code == RATE_LIMITED,
            "unavailable": self.code == UNAVAILABLE,
            "lost": self.lost,
        }
        return {name: int(count) for name, count in counts.items() if count}

    def report(self) -> dict[str, str | int | None]:
        """For the log."""
        return {"code": self.code, "status": self.answer.status, "source": self.source, "accepted": self.accepted, "rejected": self.rejected}


class _Refused(Exception):
    """The end of a request that is not filed under any source."""

    def __init__(self, status: int, code: str, message: str, *, at: str | None = None, source: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.at = at
        self.source = source
        self.retry_after = retry_after


class Intake:
    """`accept_unknown`: answer 200 to a key that is not known, as Segment does, and drop what came with it."""

    def __init__(self, *, keys: CachedKeys, queue: MessageQueue, rate: EventRate, accept_unknown: bool = False) -> None:
        self._keys = keys
        self._queue = queue
        self._rate = rate
        self._accept_unknown = accept_unknown

    def handle(self, request: Request) -> Outcome:
        """Raises nothing for what a caller sent, nor for AWS being away."""
        call = request.call
        if request.method == "OPTIONS" or (call == _METRICS_CALL and request.method == "POST"):
            return _done(request)
        if _is_pixel(request):
            outcome = self._guarded(request, segment_api.CALLS.get(call.removeprefix(_PIXEL)), lambda: segment_pixel.body_of(request.query))
            # Whatever became of it: a picture in a letter has nobody to tell, nor does it come again.
            return replace(outcome, answer=gif_answer(request), lost=outcome.lost or outcome.code in (RATE_LIMITED, UNAVAILABLE))
        if request.method != "POST":
            return _refused(request, _Refused(405, "method_not_allowed", "events are posted"))
        return self._guarded(request, segment_api.CALLS.get(call), lambda: unpacked(request, segment_api.MAX_REQUEST_BYTES))

    def _guarded(self, request: Request, call: Call | None, read_body: Callable[[], bytes]) -> Outcome:
        try:
            return self._take(request, call, read_body)
        except _Refused as refused:
            if self._accept_unknown and refused.code in (Code.UNKNOWN_SOURCE, Code.SOURCE_DISABLED):
                return _done(request, code=refused.code, source=refused.source)
            return _refused(request, refused)
        except write_key.KeyUnclear as unclear:
            return _refused(request, _Refused(unclear.status, unclear.code, unclear.message, at=unclear.at))
        except StoreUnavailable:
            return _refused(request, _Refused(503, UNAVAILABLE, "the events could not be stored; send them again", retry_after=RETRY_AFTER_UNAVAILABLE))

    def _take(self, request: Request, call: Call | None, read_body: Callable[[], bytes]) -> Outcome:
        if call is None and not _is_pixel(request):
            raise _Refused(404, "unknown_call", "the calls are /v1/identify, track, page, screen, group, alias, batch and import")
        header_key = write_key.of_header(request.headers)
        opened = _opened(call, request, read_body)
        if isinstance(opened, _Unopened) and header_key is None and opened.write_key is None:
            raise _Refused(400, opened.code, opened.message, at=opened.at)  # whose it is stands in what cannot be read
        key_text = write_key.agreed(header_key, opened.write_key)
        key = self._usable(key_text, request)
        assert key.source is not None
        self._throttle(key, opened.count)
        caller = Caller(
            source=key.source,
            write_key=key_text,
            received_at=request.received_at,
            ip=request.ip,
            client_side=request.from_a_page or request.call in segment_api.BROWSER_CALLS,
        )
        if isinstance(opened, _Unopened):
            accepted = segment_api.refuse(opened.code, opened.at, opened.message, body=opened.body, write_key=key_text)
            return self._answered(request, caller, call, accepted, replaced=0)
        return self._answered(request, caller, call, segment_api.accept(opened, caller), replaced=opened.replaced)

    def _usable(self, key_text: str, request: Request) -> Key:
        row = self._keys.row(key_text)
        state = state_of(row, request.received_at)
        if row is None or row.kind != "write" or row.source is None:
            raise _Refused(401, Code.UNKNOWN_SOURCE, "the write key is not known")
        if state is not KeyState.USABLE:
            raise _Refused(401, Code.SOURCE_DISABLED, _REASONS[state], source=row.source)
        return row

    def _throttle(self, key: Key, events: int) -> None:
        wait = self._rate.wait(key.id, max(events, 1))
        if wait:
            seconds = max(1, math.ceil(wait))
            raise _Refused(429, RATE_LIMITED, f"more events than this key may send; try again in {seconds} s", source=key.source, retry_after=seconds)

    def _answered(self, request: Request, caller: Caller, call: Call | None, accepted: Accepted, *, replaced: int) -> Outcome:
        messages = [OutMessage(body=text) for text in pack(caller.source, caller.received_at, accepted.events, accepted.rejected)]
        lost = False
        try:
            self._queue.send(messages)
        except StoreUnavailable:
            if accepted.refusal is None:
                raise
            lost = True
        code = _code_of(call, accepted)
        if accepted.refusal is not None:
            refusal = accepted.refusal
            answer = json_answer(request, 400, _failure(refusal.code, refusal.message, refusal.field))
        else:
            answer = json_answer(request, 200, _success(code, accepted))
        return Outcome(
            answer=answer,
            code=code,
            source=caller.source,
            accepted=len(accepted.events),
            rejected=accepted.rejected_count,
            replaced=replaced,
            lost=lost,
        )


@dataclass(frozen=True)
class _Unopened:
    """A body that cannot be read as far as its events; an `Envelope` otherwise."""

    code: Code
    message: str
    body: bytes
    at: str = "body"
    write_key: str | None = None
    count: int = 1


_REASONS: Final = {
    KeyState.REVOKED: "the write key was revoked",
    KeyState.EXPIRED: "the write key has expired",
    KeyState.SOURCE_DISABLED: "the source of this write key is disabled",
}


def _is_pixel(request: Request) -> bool:
    return request.method == "GET" and request.call.startswith(_PIXEL)


def _opened(call: Call | None, request: Request, read_body: Callable[[], bytes]) -> Envelope | _Unopened:
    # A query is shown decoded, so that a key in it is found and left out.
    body = request.body or unquote(request.query).encode()
    key = segment_pixel.write_key_of(request.query) if _is_pixel(request) else None
    if call is None:
        return _Unopened(Code.INVALID_TYPE, "the type is one of " + ", ".join(EVENT_TYPES), body, at="type", write_key=key)
    try:
        body = read_body()
        return segment_api.open_envelope(call, body)
    except (BodyUnreadable, NotAnEnvelope) as error:
        return _Unopened(Code.BAD_REQUEST, str(error), body, write_key=key)
    except BodyTooLarge:
        message = f"{segment_api.EXCEED_PAYLOAD_LIMIT}: a request has at most {segment_api.MAX_REQUEST_BYTES:,} bytes, inflated"
        return _Unopened(Code.PAYLOAD_TOO_LARGE, message, body)


def _code_of(call: Call | None, accepted: Accepted) -> str:
    """`ok`, or the one reason; of a batch whose items had several, Segment's word for that."""
    if accepted.refusal is not None:
        return accepted.refusal.code
    if not accepted.rejected_count:
        return "ok"
    if call != "batch" or accepted.rejected[0].code == Code.EMPTY_BATCH:
        return accepted.rejected[0].code
    return Code.MULTI_USER_ERROR if accepted.events else Code.EMPTY_BATCH_RESULT


def _success(code: str, accepted: Accepted) -> dict[str, Any]:
    """A 200 never has an `error`: the Ruby library takes one for a failure."""
    body: dict[str, Any] = {"success": True, "code": code, "message": _message_of(accepted)}
    if accepted.rejected_count:
        body["accepted"] = len(accepted.events)
        body["rejected"] = [
            {"index": item.index, "code": item.code, "field": item.field, "message": item.message} for item in accepted.rejected[:MAX_REJECTED_ANSWERED]
        ]
    if accepted.ignored:
        body["ignored"] = list(accepted.ignored)
    return body


def _message_of(accepted: Accepted) -> str:
    total = len(accepted.events) + accepted.rejected_count
    if not accepted.rejected_count:
        return "accepted"
    return accepted.rejected[0].message if total == 1 else f"{accepted.rejected_count:,} of {total:,} were rejected"


def _failure(code: str, message: str, at: str | None) -> dict[str, Any]:
    body = {"success": False, "code": code, "message": message, "error": code}
    return body if at is None else {**body, "field": at}


def _done(request: Request, *, code: str = "ok", source: str | None = None) -> Outcome:
    """A 200 with nothing in it, and behind it."""
    return Outcome(answer=json_answer(request, 200, {"success": True, "code": "ok", "message": "accepted"}), code=code, source=source)


def _refused(request: Request, refused: _Refused) -> Outcome:
    answer = json_answer(request, refused.status, _failure(refused.code, refused.message, refused.at), retry_after=refused.retry_after)
    return Outcome(answer=answer, code=refused.code, source=refused.source)
