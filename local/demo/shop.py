"""The tea shop's own software: it sends the afternoon with the official Segment SDK, as any shop would."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from segment.analytics.client import Client

from local.demo.session import Moment

_TIMEOUT: Final = 30
"""Seconds: the first request waits for a cold function."""


class Shop:
    """`start`: when the afternoon began. `refused` fills with what the SDK could not send."""

    def __init__(self, *, api_url: str, write_key: str, start: datetime) -> None:
        self._api_url = api_url.rstrip("/")
        self._write_key = write_key
        self._start = start
        self.refused: list[str] = []

    def send(self, moments: Sequence[Moment]) -> None:
        """Send calls in order and return when Tributary has answered all; gzip, from the SDK's own thread."""
        untyped: Any = Client
        sdk = untyped(write_key=self._write_key, host=self._api_url, gzip=True, timeout=_TIMEOUT, max_retries=3, on_error=self._on_error)
        try:
            for moment in moments:
                # The SDK writes into the context that it is given.
                getattr(sdk, moment.call)(**copy.deepcopy(dict(moment.arguments)), timestamp=self._at(moment), message_id=moment.id)
        finally:
            sdk.shutdown()

    def send_by_hand(self, batch: Sequence[tuple[Moment, Mapping[str, Any]]]) -> int:
        """A batch without the SDK, which checks what it sends; answers the status."""
        items = [{**body, "messageId": moment.id, "timestamp": self._at(moment).isoformat()} for moment, body in batch]
        body = {"batch": items, "sentAt": datetime.now(UTC).isoformat()}
        return httpx.post(f"{self._api_url}/v1/batch", json=body, auth=(self._write_key, ""), timeout=_TIMEOUT).status_code

    def _at(self, moment: Moment) -> datetime:
        return self._start + timedelta(seconds=moment.at)

    def _on_error(self, error: Exception, batch: Sequence[Any]) -> None:
        self.refused.extend([str(error)] * len(batch))
