"""How long to wait, and when to give up: numbers alone. A destination or a lane with other needs is another `Policy`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

LONGEST_VISIBILITY: Final = 42_300
"""SQS hides a message for at most 43,200 s from when it was received; a quarter of an hour of that belongs to the function that holds it."""


class Verdict(StrEnum):
    """What an age means."""

    RETRY = "retry"
    PARK = "park"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Seconds throughout, of the rules' clock."""

    answer: float = 10
    """A vendor's whole answer: Segment's own limit. Ten messages of one person then fit into a function of two minutes."""
    closing: float = 15
    """Kept of the function's time for what follows an answer: the attempt row, the parked row, two changes of visibility."""
    first_delay: float = 10
    longest_delay: float = 20 * 60
    """10 s doubling up to here makes about twenty attempts in four hours, and a vendor that is back is met again within twenty minutes."""
    longest_asked: float = 60 * 60
    """A `Retry-After` of a day would hide a person's later events behind one answer; an hour is believed."""
    spread: float = 60
    """What a `Retry-After` is stretched by at most, so that those who were told the same moment do not all come at it."""
    window: float = 4 * 60 * 60
    """Age at which a counted failure parks: Segment's window too."""
    longest_waiting: float = 30 * 60
    """Between two looks at what may not be sent now. At this pace two weeks are 672 receives, of the thousand that the queue allows."""
    patience: int = 100
    """Receives after which a wait that does not count is the longest, for the same reason: a vendor that says 429 for a week must not use up the thousand."""
    halt_memory: float = 60
    """A connection that was halted is not tried again within this by the same sandbox."""
    settling: float = 60
    """A connection that is not known may have been made just now: settings are read at most every 30 s."""
    kept_in_queue: timedelta = timedelta(days=13, hours=12)
    """The queue drops a message after 14 days, silently; what has to wait on after this is parked."""

    def after_failure(self, count: int, receive_count: int, *, counts: bool, asked: float | None, chance: float) -> float:
        """The wait after the `count`-th failed attempt. Full jitter: anything between nothing and the ceiling, so that a crowd that failed together does not
        return together. `asked`: what the vendor asked for, which is the least that is waited. `chance`: between 0 and 1."""
        ceiling = min(self.longest_delay, self.first_delay * 2.0 ** min(count - 1, 30))
        wait = ceiling * chance
        if asked is not None and asked > 0:
            believed = min(asked, self.longest_asked)
            wait = max(wait, believed + min(believed, self.spread) * chance)
        if not counts and receive_count > self.patience:
            wait = max(wait, self.longest_waiting)
        return wait

    def while_waiting(self, receive_count: int) -> float:
        """Until what may not be sent now is looked at again: a minute, then two, up to half an hour."""
        return min(60.0 * receive_count, self.longest_waiting)

    def verdict(self, age: float) -> Verdict:
        """What a counted failure at this age leads to."""
        return Verdict.PARK if age >= self.window else Verdict.RETRY
