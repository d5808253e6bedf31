"""Events of emails: what happened → the names that tell it, in lower case: of Segment's specification (https://segment.com/docs/connections/spec/email/) and of
mail systems. Facts hold which email each was of, and reports count them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "received": ("email delivered", "received email", "email received", "email sent"),
    "opened": ("email opened", "opened email"),
    "clicked": ("email clicked", "clicked email", "email link clicked"),
    "unsubscribed": ("email unsubscribed", "unsubscribed", "unsubscribed from list", "unsubscribed from email marketing"),
}
"""What reports count."""
_BESIDES: Final = ("email bounced", "email marked as spam", "email subscribed")
NAMES: Final = frozenset({*_BESIDES, *(name for names in EVENTS.values() for name in names)})
