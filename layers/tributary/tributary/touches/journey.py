"""First touch, last touch and lead source of a person, read in one pass over their events, in any order, in bounded memory.

* First and last touch are the earliest and the latest. The last one that is not direct stands beside: what brought somebody who then came back by a bookmark.
* Lead source is the touch that the contact's creation is attributed to: the last one at or before the moment the person became known; where there is none (the
  shop knew the person first), the first touch.

A machine's visits are counted and are none of these.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from tributary.events import Event
from tributary.touches.channels import Channel
from tributary.touches.touch import Touch, touch_of

MAX_LISTED: Final = 50
"""The latest touches that a journey lists: what a person reads. All of them count."""


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    first_touch: Touch | None = None
    last_touch: Touch | None = None
    last_non_direct_touch: Touch | None = None
    """The last touch itself where all are direct."""
    lead_source: Touch | None = None
    touches: tuple[Touch, ...] = ()
    """The latest, the newest first."""
    count: int = 0
    """All touches, also those that are not listed."""
    bots: int = 0
    """Visits of machines."""


def journey_of(events: Iterable[Event], lead_at: datetime | None = None) -> Journey:
    """`lead_at`: when the person became known; None: not yet, so that every touch so far leads there."""
    first: Touch | None = None
    last: Touch | None = None
    non_direct: Touch | None = None
    lead: Touch | None = None
    latest: list[tuple[tuple[datetime, str, str], Touch]] = []
    count = bots = 0
    for touch in map(touch_of, events):
        if touch is None:
            continue
        if touch.channel is Channel.BOT:
            bots += 1
            continue
        count += 1
        first = touch if first is None or touch.order < first.order else first
        last = _later(last, touch)
        if not touch.is_direct:
            non_direct = _later(non_direct, touch)
        if lead_at is None or touch.at <= lead_at:
            lead = _later(lead, touch)
        entry = (touch.order, touch)
        if len(latest) < MAX_LISTED:
            heapq.heappush(latest, entry)
        else:
            heapq.heappushpop(latest, entry)
    return Journey(
        first_touch=first,
        last_touch=last,
        last_non_direct_touch=non_direct or last,
        lead_source=lead or first,
        touches=tuple(touch for _, touch in sorted(latest, key=lambda entry: entry[0], reverse=True)),
        count=count,
        bots=bots,
    )


def _later(one: Touch | None, other: Touch) -> Touch:
    return other if one is None or other.order > one.order else one
