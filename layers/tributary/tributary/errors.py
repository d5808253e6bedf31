"""Every error, by what happens next.

    TributaryError
    ├── RetryError      hand the message back, with a delay
    │     ├── VendorUnavailable   network, 5xx: counts towards the age
    │     │     └── NotTheApi     an answer, but not one of the API that was asked: a wrong address, or a gateway in between
    │     ├── VendorThrottled     429, 408: the time spent waiting does not count
    │     ├── StoreUnavailable    an AWS call failed
    │     ├── WriteConflict       another worker wrote the same rows first
    │     ├── Unexpected          a fault of ours: counts towards the age, as a deploy may mend it in time
    │     └── DeadlineNear        the function's time is nearly up: not an attempt
    ├── ParkError       store it with its reason for a person, acknowledge
    │     ├── InvalidForVendor    the vendor would refuse or misread it
    │     ├── VendorRefused       a final 4xx
    │     ├── AnswerTooLarge      …
    │     ├── TooOld              retried for as long as the destination's window
    │     ├── ConnectionDeleted   the connection it was meant for is gone
    │     ├── QueueExpiryNear     it has to wait on, and the queue would soon drop it
    │     ├── UnreadableMessage   our own message does not parse
    │     ├── RowUnreadable       a record of a source has no id, or a field without which it would be misread
    │     └── ReportTooLarge      a report needs more memory or time than its function has
    └── HaltError       our configuration or credential is wrong: stop this destination, alarm, lose nothing
          ├── CredentialRefused
          ├── CredentialMissing
          ├── SettingsInvalid
          ├── ConnectionUnreadable  another release wrote its row
          └── SourceRefused         a source that we ask does not let us in

A message says what and where, never a body, a key or an email.
"""

from __future__ import annotations

import traceback
from enum import StrEnum
from pathlib import PurePath
from typing import ClassVar


def place_of(error: BaseException) -> str:
    """The exception's class and the line that raised it. Not its text: that may hold what an event holds."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else type(error).__name__


class Disposition(StrEnum):
    RETRY = "retry"
    PARK = "park"
    HALT = "halt"


class TributaryError(Exception):
    """Base of all; `code` is stable and may be alarmed on."""

    code: ClassVar[str]
    disposition: ClassVar[Disposition]


class RetryError(TributaryError):
    """Try again later. `retry_after`: seconds the other side asked for, if it did. `counts`: whether the wait is part of the age."""

    code = "retry"
    disposition = Disposition.RETRY
    counts: ClassVar[bool] = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VendorUnavailable(RetryError):
    """No answer, or 5xx."""

    code = "vendor_unavailable"


class NotTheApi(VendorUnavailable):
    """Something answered that is not the API that was asked: an address that is wrong, or a gateway's page of the moment."""

    code = "not_the_api"


class VendorThrottled(RetryError):
    """429 or 408: a healthy vendor that wants us slower."""

    code = "vendor_throttled"
    counts = False


class StoreUnavailable(RetryError):
    """One of our own AWS calls failed."""

    code = "store_unavailable"
    counts = False


class WriteConflict(RetryError):
    """Another worker wrote the same rows first: read them again."""

    code = "write_conflict"
    counts = False


class Unexpected(RetryError):
    """A fault of ours that nobody foresaw. Retried, as the next deploy may mend it; parked by age if none does. Names the exception's class and line only."""

    code = "unexpected"


class DeadlineNear(RetryError):
    """Not tried: the function's own time is nearly up."""

    code = "deadline_near"
    counts = False


class ParkError(TributaryError):
    """Never going to succeed as it is."""

    code = "park"
    disposition = Disposition.PARK


class InvalidForVendor(ParkError):
    """The vendor would refuse it, or worse, misread it. `field` names what is wrong."""

    code = "invalid_for_vendor"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class VendorRefused(ParkError):
    """A final answer: a 4xx other than 401, 403, 408 and 429, or a redirect."""

    code = "vendor_refused"


class AnswerTooLarge(ParkError):
    """The vendor's answer passed the size we read."""

    code = "answer_too_large"


class TooOld(ParkError):
    """Retried for the whole window."""

    code = "too_old"


class ConnectionDeleted(ParkError):
    """The connection was deleted while deliveries for it were waiting."""

    code = "connection_deleted"


class QueueExpiryNear(ParkError):
    """Has to wait on (paused, halted, or it failed once more) while the queue would drop it within hours."""

    code = "queue_expiry_near"


class UnreadableMessage(ParkError):
    """One of our own messages does not parse: an unknown schema version, or a fault of ours."""

    code = "unreadable_message"


class RowUnreadable(ParkError):
    """A record of a polled vendor has no id, or a field without which it would be misread. `field` names it, by the vendor's name."""

    code = "row_unreadable"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class ReportTooLarge(ParkError):
    """A report needs more memory, room or time than its function has. The text says what would help."""

    code = "report_too_large"


class HaltError(TributaryError):
    """Nobody's event is at fault: the connection's configuration is."""

    code = "halt"
    disposition = Disposition.HALT


class CredentialRefused(HaltError):
    """401 or 403 with a fresh credential."""

    code = "credential_refused"


class CredentialMissing(HaltError):
    """The connection's secret is not in the parameter store."""

    code = "credential_missing"


class SettingsInvalid(HaltError):
    """A stored setting does not fit. `field` names it."""

    code = "settings_invalid"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class ConnectionUnreadable(HaltError):
    """The connection's row is not one that this release reads: a newer one wrote it, and was rolled back."""

    code = "connection_unreadable"


class SourceRefused(HaltError):
    """A source that we ask does not let us in, and says why; asked again, it might lock the user out. `problem`: `login`, `address` or `permission`; the text
    says what a person has to do."""

    code = "source_refused"

    def __init__(self, message: str, *, problem: str, endpoint: str = "") -> None:
        super().__init__(message)
        self.problem = problem
        self.endpoint = endpoint
