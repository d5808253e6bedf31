"""The age of a delivery: how long it has been failing through no patience of ours.

It counts from the first real failure, less the time after each outcome that does not count (429, 408, an open breaker, a pause, a halt) until the next look at
it. So an event that was never really tried has no age, whatever it waited for.

`since`: a clock's `seconds_since`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from tributary.ports import Attempt

Since = Callable[[datetime], float]


def after_failure(before: Attempt | None, *, at: datetime, counts: bool, code: str, status: int | None, since: Since) -> Attempt:
    """The row after a failed attempt at `at`, which is now."""
    first = before.first_failure if before else None
    return Attempt(
        first_failure=at if first is None and counts else first,
        count=(before.count if before else 0) + 1,
        last_at=at,
        last_code=code,
        last_status=status,
        last_counted=counts,
        excluded_seconds=_excluded(before, since),
    )


def while_waiting(before: Attempt, *, at: datetime, code: str, since: Since) -> Attempt:
    """The row once it is seen that nothing may be sent now: from here to the next look, time does not count. Not an attempt."""
    return replace(before, last_at=at, last_code=code, last_counted=False, excluded_seconds=_excluded(before, since))


def age(attempt: Attempt, since: Since) -> float:
    """Seconds; 0 for an event that was never really tried."""
    if attempt.first_failure is None:
        return 0.0
    return max(0.0, since(attempt.first_failure) - _excluded(attempt, since))


def _excluded(attempt: Attempt | None, since: Since) -> float:
    """What has been excluded up to now. Before the first real failure there is nothing to exclude from."""
    if attempt is None or attempt.first_failure is None:
        return 0.0
    return attempt.excluded_seconds + (0.0 if attempt.last_counted else since(attempt.last_at))
