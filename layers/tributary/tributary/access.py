"""Who may call: keys, their cache and their scopes; one module for every entrance, in process, so that each refusal has our own body and headers.

Only a key's SHA-256 is stored or kept in memory. Intake asks `CachedKeys`; the APIs ask `Access`, which reads the header, and `require`, which checks a scope.
What is cached is at most 30 s old, so a revoked key, or the key of a disabled source, is refused within 30 s; writes and deletes ask the store itself, so there
it is at once.

Light on purpose: intake's cold start pays for every import here.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from tributary.settings import Key

CACHE_SECONDS: Final = 30
"""How long an answer of the store is believed: the promise is that a revoked key is refused within 30 s."""
CACHE_SIZE: Final = 1_000
"""Keys kept of each kind of answer. Known and unknown keys are kept apart, so that a flood of junk keys never pushes out a real one."""
MAX_KEY_LENGTH: Final = 200
"""Longer than any key of ours: not worth a look-up."""

WRITE_KEY_PREFIX: Final = "wk_"
API_KEY_PREFIX: Final = "tk_"
_WRITE_KEY_RANDOM: Final = 29
_API_KEY_RANDOM: Final = 40

ALL_SCOPES: Final = "*"
SCOPES: Final[tuple[str, ...]] = (
    "account:read",
    "account:write",
    "ad_spend:read",
    "ad_spend:write",
    "connections:read",
    "connections:write",
    "events:read",
    "events:read_bodies",
    "fixed_costs:read",
    "fixed_costs:write",
    "keys:read",
    "keys:write",
    "rates:read",
    "rates:write",
    "reports:read",
    "reports:read_people",
    "sources:read",
    "sources:write",
    "syncs:read",
    "syncs:write",
)
"""Every scope there is, `<resource>:<verb>`; `*` stands for all of them, also those of later versions. No scope implies another."""

REALM: Final = "tributary"


class KeyStore(Protocol):
    """Keys by their hash."""

    def find(self, key_hash: str) -> Key | None:
        """The key as it is now (strongly consistent), revoked ones included. Raises `StoreUnavailable`."""


class KeyState(StrEnum):
    """What a presented key is worth."""

    USABLE = "usable"
    UNKNOWN = "key_unknown"
    REVOKED = "key_revoked"
    EXPIRED = "key_expired"
    SOURCE_DISABLED = "source_disabled"


class AccessRefused(Exception):
    """A 401 or 403. `code` is stable; `scope` names what a 403 lacked; `presented` says whether there was a credential at all."""

    def __init__(self, message: str, *, status: int, code: str, presented: bool = True, scope: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.presented = presented
        self.scope = scope

    @property
    def challenge(self) -> str:
        """The `WWW-Authenticate` header that belongs to the answer (RFC 6750)."""
        if self.scope is not None:
            return f'Bearer realm="{REALM}", error="insufficient_scope", scope="{self.scope}"'
        return f'Bearer realm="{REALM}", error="invalid_token"' if self.presented else f'Bearer realm="{REALM}"'


def hash_key(key: str) -> str:
    """The SHA-256 of a key, as 64 hex digits. Keys are random, so neither salt nor stretching would add anything."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_write_key() -> str:
    """A write key: `wk_` and 29 random characters, 32 in all, as long as Segment's."""
    return WRITE_KEY_PREFIX + _random(_WRITE_KEY_RANDOM)


def new_api_key() -> str:
    """An API key: `tk_` and 40 random characters."""
    return API_KEY_PREFIX + _random(_API_KEY_RANDOM)


def new_id(prefix: str) -> str:
    """An id such as `src_…`: 16 random letters and digits behind the prefix, safe in a path, a key and a shell."""
    return f"{prefix}_" + "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(16))


def state_of(key: Key | None, now: datetime) -> KeyState:
    """What a key is worth at a time."""
    if key is None:
        return KeyState.UNKNOWN
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.expires_at is not None and key.expires_at <= now:
        return KeyState.EXPIRED
    return KeyState.USABLE if key.source_enabled else KeyState.SOURCE_DISABLED


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CachedKeys:
    """The store behind a bounded cache; answers that a key is unknown are cached too."""

    def __init__(self, store: KeyStore, monotonic: Callable[[], float] = time.monotonic, *, seconds: float = CACHE_SECONDS) -> None:
        self._store = store
        self._monotonic = monotonic
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, Key]] = OrderedDict()
        self._unknown: OrderedDict[str, tuple[float, None]] = OrderedDict()

    def row(self, key: str, *, fresh: bool = False) -> Key | None:
        """The key's row whatever it is worth; `state_of` says that."""
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            return None
        key_hash = hash_key(key)
        if not fresh:
            kept = self._known.get(key_hash) or self._unknown.get(key_hash)
            if kept is not None and self._monotonic() - kept[0] < self._seconds:
                return kept[1]
        # The time before the answer: the answer may be older than its arrival, never younger.
        asked_at = self._monotonic()
        found = self._store.find(key_hash)
        self._known.pop(key_hash, None)
        self._unknown.pop(key_hash, None)
        if found is None:
            self._unknown[key_hash] = (asked_at, None)
            _trim(self._unknown)
        else:
            self._known[key_hash] = (asked_at, found)
            _trim(self._known)
        return found


class Access:
    """Reads the API key of a request and checks it."""

    def __init__(self, keys: CachedKeys, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._keys = keys
        self._now = now

    def authenticate(self, headers: Mapping[str, str], *, fresh: bool = False) -> Key:
        """The key that the request carries; header names in lower case. `fresh` for whatever writes or deletes. Raises `AccessRefused` with 401."""
        key = self._keys.row(_presented(headers), fresh=fresh)
        state = state_of(key, self._now())
        if key is None or state is not KeyState.USABLE:
            raise AccessRefused(_REASONS[state], status=401, code=str(state))
        if key.kind != "api":
            raise AccessRefused("A write key sends events; this needs an API key (tk_…).", status=401, code="key_of_another_kind")
        return key


def require(key: Key, scope: str) -> None:
    """Raises `AccessRefused` with 403, naming the scope, unless the key has it."""
    if scope not in key.scopes and ALL_SCOPES not in key.scopes:
        raise AccessRefused(f"This needs a key with the scope {scope}.", status=403, code="scope_missing", scope=scope)


_REASONS: Final = {
    KeyState.UNKNOWN: "This API key is unknown.",
    KeyState.REVOKED: "This API key was revoked.",
    KeyState.EXPIRED: "This API key has expired.",
    KeyState.SOURCE_DISABLED: "The source of this key is disabled.",
}


def _presented(headers: Mapping[str, str]) -> str:
    """The key of `Authorization: Bearer …` or `X-Api-Key: …`. The gateway joins repeated headers with a comma, which no key holds."""
    authorization = headers.get("authorization")
    api_key = headers.get("x-api-key")
    if authorization is None and api_key is None:
        raise AccessRefused("Send an API key as `Authorization: Bearer tk_…` or `X-Api-Key: tk_…`.", status=401, code="key_missing", presented=False)
    if authorization is not None and api_key is not None:
        raise AccessRefused("Send the API key in one header, `Authorization` or `X-Api-Key`.", status=401, code="key_ambiguous")
    if "," in (authorization or api_key or ""):
        raise AccessRefused("The header with the API key was sent more than once.", status=401, code="key_ambiguous")
    if api_key is not None:
        return api_key.strip()
    scheme, _, value = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not value.strip():
        raise AccessRefused("The `Authorization` header is not of the form `Bearer tk_…`.", status=401, code="key_malformed")
    return value.strip()


def _random(length: int) -> str:
    return secrets.token_urlsafe(length)[:length]


def _trim(entries: OrderedDict[str, tuple[float, Key]] | OrderedDict[str, tuple[float, None]]) -> None:
    while len(entries) > CACHE_SIZE:
        entries.popitem(last=False)
