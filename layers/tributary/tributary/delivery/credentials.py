"""A connection's settings with its secrets in place."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import msgspec

from tributary.errors import SettingsInvalid
from tributary.ports import Destination, Secrets
from tributary.settings import Connection


class Credentials:
    """The settings of each connection for one batch: read once, and once more from the parameter store itself when the vendor refuses what was read. A bad key
    then costs one look-up a batch, whatever the number of people waiting. Groups ask from threads of their own."""

    def __init__(self, secrets: Secrets, destination: Destination) -> None:
        self._secrets = secrets
        self._names = destination.secret_settings
        self._lock = Lock()
        self._kept: dict[str, Mapping[str, Any]] = {}
        self._renewed: set[str] = set()

    def settings(self, connection: Connection) -> Mapping[str, Any]:
        """Raises `CredentialMissing`, `SettingsInvalid`, `StoreUnavailable`."""
        with self._lock:
            if connection.id not in self._kept:
                self._kept[connection.id] = self._read(connection, fresh=False)
            return self._kept[connection.id]

    def after_refusal(self, connection: Connection, refused: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Other settings than those that were refused; None when the store holds no others."""
        with self._lock:
            if connection.id not in self._renewed:
                self._kept[connection.id] = self._read(connection, fresh=True)
                self._renewed.add(connection.id)
            latest = self._kept[connection.id]
            return None if latest == refused else latest

    def _read(self, connection: Connection, *, fresh: bool) -> Mapping[str, Any]:
        if not self._names:
            return connection.settings
        raw = self._secrets.get(f"connections/{connection.id}", fresh=fresh)
        try:
            secret = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError):
            raise SettingsInvalid(f"the secret of {connection.id} is not a JSON object", field="secret") from None
        return {**connection.settings, **{name: value for name, value in secret.items() if name in self._names}}


def placeholders(connection: Connection, destination: Destination) -> Mapping[str, Any]:
    """Settings for requests that are looked at and never sent: each secret is its own name in angle brackets."""
    return {**connection.settings, **{name: f"<{name}>" for name in destination.secret_settings}}
