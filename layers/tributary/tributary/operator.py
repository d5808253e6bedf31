"""Operating a stack: account, sources, connections and keys. The control API, the command line and the local launcher all do it through `Operator`.

Settings are versioned rows of CONFIG; what belongs together is committed together, so that a key never stands without its source and a disabled source never
keeps a working key. Two people who edit the same row: the second is told (`VersionConflict`). A key is given back once, by whoever makes it, and only its
hash is stored; a connection's credentials go to the parameter store, and only their names are stored beside the rest.

    source/<id>   connection/<id>   account/settings   keys/<key id> (for lists; holds the hash)   key#<hash>/key (what a caller's key is looked up by)
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets as random
import unicodedata
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType

from tributary import access
from tributary.conditions import MAX_DEPTH, Condition, depth
from tributary.contacts.traits import KNOWN_TRAITS
from tributary.currencies import is_currency
from tributary.drafts import AccountChange, ConnectionChange, KeyRotation, NewConnection, NewKey, NewSource, SourceChange
from tributary.errors import CredentialMissing, SettingsInvalid
from tributary.identity.digests import DIGEST_KEY_NAME
from tributary.identity.identifiers import is_email
from tributary.settings import Account, Connection, Key, Source, UnreadableConnection

MAX_WRITE_KEYS: Final = 20
"""Keys of one source that still work. A source and its keys are written in one transaction, which takes 100 rows."""
"""Where a connection's requests go, in every destination's settings."""

MAX_SETTINGS_BYTES: Final = 16_384
"""A connection's settings, its filter and the report defaults each: CONFIG rows are read in every batch."""

DIGEST_KEY_BYTES: Final = 32

_UNPRINTED: Final = ("Cc", "Zl", "Zp")
"""Of Unicode's categories: control characters and line ends. Joiners are not among them: emoji and scripts need them."""

T = TypeVar("T")


class Refused(Exception):
    """What was asked for cannot be done; nothing was changed. `code` is stable, `field` names what is at fault where one is. No values, no keys in the text."""

    code: ClassVar[str]

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(Refused):
    code = "not_found"


class Invalid(Refused):
    code = "invalid_value"


class VersionConflict(Refused):
    """The row was changed since it was read."""

    code = "version_conflict"


class Unreadable(Refused):
    """A newer release wrote it, or a hand did: what this one cannot read it does not change either."""

    code = "unreadable"


class InUse(Refused):
    """Something else refers to it."""

    code = "in_use"


@dataclass(frozen=True)
class Row:
    """A row of CONFIG: JSON text and the number of times it was written."""

    data: str
    version: int


@dataclass(frozen=True)
class PutRow:
    """Write a row whose version is `expected`; 0: there must be none. Its version becomes `expected + 1`."""

    pk: str
    sk: str
    data: str
    expected: int


@dataclass(frozen=True)
class DeleteRow:
    pk: str
    sk: str
    expected: int


Change = PutRow | DeleteRow


class Rows(Protocol):
    """CONFIG's versioned rows."""

    def get(self, pk: str, sk: str) -> Row | None:
        """Strongly consistent. Raises `StoreUnavailable`."""

    def under(self, pk: str) -> Sequence[tuple[str, Row]]:
        """Every row of a partition with its sort key, by sort key."""

    def commit(self, changes: Sequence[Change]) -> None:
        """All or none, at most 100. Raises `VersionConflict`, or `StoreUnavailable`."""


class SecretStore(Protocol):
    """The parameter store, below the stack's prefix, for writing."""

    def get(self, name: str) -> str:
        """The secret as it is now. Raises `CredentialMissing`."""

    def put(self, name: str, value: str) -> None: ...

    def put_once(self, name: str, value: str) -> bool:
        """Write it unless it is there: a secret that is there stays. Says whether it was written."""

    def delete(self, name: str) -> None:
        """Remove it; no matter if it is not there."""


@dataclass(frozen=True)
class ConnectionKind:
    """What settings mean to a type of connection."""

    secret_settings: Set[str]
    parse_settings: Callable[[Mapping[str, Any]], object]
    """Raises `SettingsInvalid` naming the field."""
    is_origin: bool = False
    """Whether events come from it, under its id as their source; else it is a destination."""
    address_setting: str = "endpoint"
    """Where requests, and the credentials with them, go."""
    beside: Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], None] | None = None
    """Check settings against those of the other connections of the type. Raises `SettingsInvalid`."""
    try_out: Callable[[Mapping[str, Any]], None] | None = None
    """Use the settings once before they are kept. Raises `SettingsInvalid` for what a person has to mend; says nothing of an account that is merely slow."""


@dataclass(frozen=True)
class Versioned(Generic[T]):
    value: T
    version: int


@dataclass(frozen=True)
class MadeSource:
    source: Versioned[Source]
    write_key: str
    key: Key


@dataclass(frozen=True)
class MadeKey:
    key: Key
    secret: str
    """The key itself: shown once."""


@dataclass(frozen=True)
class Initialised:
    """What `init` made; None or False where it was there before."""

    digest_key: bool
    source: MadeSource | None
    api_key: MadeKey | None


class _KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """`keys/<id>`: the key and where its other row is."""

    key: Key
    hash: str


@dataclass(frozen=True)
class _StoredKey:
    key: Key
    hash: str
    version: int


class Operator:
    """Use cases on settings. `kinds`: the destination types by name. Raises `Refused` and `StoreUnavailable`."""

    def __init__(
        self, *, rows: Rows, secrets: SecretStore, kinds: Mapping[str, ConnectionKind], now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._rows = rows
        self._secrets = secrets
        self._kinds = kinds
        self._now = now

    # ---------------------------------------------------------------- the first hour

    def init(self) -> Initialised:
        """Make what a new stack lacks: the digest key (never replaced: every digest depends on it), a first source and a first API key. Safe to repeat."""
        made = self._secrets.put_once(DIGEST_KEY_NAME, base64.b64encode(random.token_bytes(DIGEST_KEY_BYTES)).decode())
        if not made:
            self._check_digest_key()
        source = None if self.sources() else self.create_source(NewSource(label="First source"))
        has_api_key = any(key.kind == "api" and access.state_of(key, self._now()) is access.KeyState.USABLE for key in self.keys())
        api_key = None if has_api_key else self.create_key(NewKey(label="First key", scopes=[access.ALL_SCOPES]))
        return Initialised(digest_key=made, source=source, api_key=api_key)

    def _check_digest_key(self) -> None:
        try:
            size = len(base64.b64decode(self._secrets.get(DIGEST_KEY_NAME), validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size < DIGEST_KEY_BYTES:
            raise Invalid(f"the parameter {DIGEST_KEY_NAME} is not the base64 text of {DIGEST_KEY_BYTES} bytes; digests made with it would not be safe")

    # ---------------------------------------------------------------- account

    def account(self) -> Versioned[Account]:
        """The account's settings; defaults at version 0 until somebody sets them."""
        row = self._rows.get("account", "settings")
        return Versioned(Account(), 0) if row is None else _read(row, Account)

    def update_account(self, change: AccountChange, *, version: int | None = None) -> Versioned[Account]:
        """Change what the draft names. `version`: the one the caller has seen, if it matters to them."""
        current = _of_version(self.account(), version)
        if change.time_zone is not UNSET:
            check_time_zone(change.time_zone)
        if change.reporting_currency is not UNSET and not is_currency(change.reporting_currency):
            raise Invalid("not an ISO 4217 currency code such as USD", field="reporting_currency")
        if change.alert_email is not UNSET and change.alert_email and not is_email(change.alert_email):
            raise Invalid("not an email address", field="alert_email")
        if change.report_defaults is not UNSET:
            _check_size(change.report_defaults, "report_defaults")
            _check_report_defaults(change.report_defaults)
        if change.report_fields is not UNSET and (known := sorted(KNOWN_TRAITS & set(change.report_fields))):
            raise Invalid(f"not custom fields: {', '.join(known)}", field="report_fields")
        account = msgspec.structs.replace(current.value, **_named(change))
        return self._put("account", "settings", current, account)

    # ---------------------------------------------------------------- sources

    def sources(self) -> list[Versioned[Source]]:
        """Every source, by id."""
        return [_read(row, Source) for _, row in self._rows.under("source")]

    def origins(self) -> dict[str, str]:
        """Id → label of everything that events come from: the sources, and the accounts that are read."""
        accounts = [one.value for one in self.connections() if not isinstance(one, UnreadableConnection)]
        return {
            **{source.value.id: source.value.label for source in self.sources()},
            **{one.id: one.label for one in accounts if one.type in self._kinds and self._kinds[one.type].is_origin},
        }

    def source(self, source: str) -> Versioned[Source]:
        row = self._rows.get("source", source)
        if row is None:
            raise NotFound("there is no such source")
        return _read(row, Source)

    def create_source(self, draft: NewSource, *, id: str | None = None) -> MadeSource:
        """A source and its first write key. `id`: of a source that is being brought back, since it is half of its events' identity."""
        if id is not None and re.fullmatch(r"src_[a-z0-9]{1,32}", id) is None:
            raise Invalid("a source's id is src_ and up to 32 small letters and digits", field="id")
        check_label(draft.label)
        self._check_linked(draft.linked_connection)
        source = Source(
            id=id or access.new_id("src"),
            label=draft.label,
            enabled=draft.enabled,
            linked_connection=draft.linked_connection,
            created_at=self._now(),
        )
        key, secret = self._new_write_key(source)
        self._commit([PutRow("source", source.id, _json(source), 0), *_key_rows(_StoredKey(key, access.hash_key(secret), 0))])
        return MadeSource(Versioned(source, 1), secret, key)

    def update_source(self, source: str, change: SourceChange, *, version: int | None = None) -> Versioned[Source]:
        """Change a source; whether it is enabled is written on its keys with it, which is where intake reads it."""
        current = _of_version(self.source(source), version)
        check_label(change.label)
        self._check_linked(_named(change).get("linked_connection", ""))
        changed = msgspec.structs.replace(current.value, **_named(change))
        keys = []
        if changed.enabled != current.value.enabled:
            keys = [
                _StoredKey(msgspec.structs.replace(stored.key, source_enabled=changed.enabled), stored.hash, stored.version)
                for stored in self._keys_of(source)
                if stored.key.revoked_at is None
            ]
        return self._put("source", source, current, changed, *(row for key in keys for row in _key_rows(key)))

    def delete_source(self, source: str, *, version: int | None = None) -> None:
        """Remove a source and revoke its keys; its events stay in the log. Refused while a connection names it: a connection whose list of sources became empty
        would take events from all of them."""
        current = _of_version(self.source(source), version)
        connections = self.connections()
        users = [one.value.id for one in connections if isinstance(one, Versioned) and source in one.value.sources]
        if users:
            raise InUse(f"connections take events from this source: {', '.join(users)}")
        unreadable = [one.id for one in connections if isinstance(one, UnreadableConnection)]
        if unreadable:
            raise InUse(f"connections that this release cannot read may take events from this source: {', '.join(unreadable)}")
        revoked = [
            _StoredKey(msgspec.structs.replace(stored.key, revoked_at=self._now()), stored.hash, stored.version)
            for stored in self._keys_of(source)
            if stored.key.revoked_at is None
        ]
        self._commit([DeleteRow("source", source, current.version), *(row for key in revoked for row in _key_rows(key))])

    def rotate_write_key(self, source: str, rotation: KeyRotation) -> MadeKey:
        """A new write key; those until now stop working after the time given, so that senders can be moved."""
        current = self.source(source)
        until = self._now() + timedelta(seconds=rotation.keep_old_for_s)
        usable = [stored for stored in self._keys_of(source) if stored.key.revoked_at is None and not _expired(stored.key, self._now())]
        if len(usable) >= MAX_WRITE_KEYS:
            raise Invalid(f"this source has {MAX_WRITE_KEYS} keys that still work; revoke some")
        ending = [
            _StoredKey(msgspec.structs.replace(stored.key, expires_at=min(until, stored.key.expires_at or until)), stored.hash, stored.version)
            for stored in usable
        ]
        key, secret = self._new_write_key(current.value)
        made = _StoredKey(key, access.hash_key(secret), 0)
        # The source is written too, so that a change of it that has not seen the new key fails.
        touched = PutRow("source", source, _json(current.value), current.version)
        self._commit([touched, *(row for stored in [made, *ending] for row in _key_rows(stored))])
        return MadeKey(key, secret)

    # ---------------------------------------------------------------- keys

    def keys(self) -> list[Key]:
        """Every key, revoked ones too, by id."""
        return [stored.key for stored in self._stored_keys()]

    def create_key(self, draft: NewKey) -> MadeKey:
        """An API key with scopes."""
        check_label(draft.label)
        for number, scope in enumerate(draft.scopes):
            if scope != access.ALL_SCOPES and scope not in access.SCOPES:
                raise Invalid(f"not a scope; there are {', '.join(access.SCOPES)} and *", field=f"scopes[{number}]")
        if draft.expires_at is not None and draft.expires_at <= self._now():
            raise Invalid("this time is past", field="expires_at")
        secret = access.new_api_key()
        key = Key(id=access.new_id("key"), kind="api", label=draft.label, scopes=sorted(set(draft.scopes)), created_at=self._now(), expires_at=draft.expires_at)
        self._commit(_key_rows(_StoredKey(key, access.hash_key(secret), 0)))
        return MadeKey(key, secret)

    def revoke_key(self, key: str) -> Key:
        """Revoke an API key or a write key; a revoked one stays in the list. Safe to repeat."""
        row = self._rows.get("keys", key)
        if row is None:
            raise NotFound("there is no such key")
        stored = _read_key(row)
        if stored.key.revoked_at is not None:
            return stored.key
        revoked = msgspec.structs.replace(stored.key, revoked_at=self._now())
        self._commit(_key_rows(_StoredKey(revoked, stored.hash, stored.version)))
        return revoked

    # ---------------------------------------------------------------- connections

    def connections(self) -> list[Versioned[Connection] | UnreadableConnection]:
        """Every connection, by id."""
        return [_read_connection(id, row) for id, row in self._rows.under("connection")]

    def connection(self, connection: str) -> Versioned[Connection]:
        row = self._rows.get("connection", connection)
        if row is None:
            raise NotFound("there is no such connection")
        found = _read_connection(connection, row)
        if isinstance(found, UnreadableConnection):
            raise Unreadable("this release cannot read this connection")
        return found

    def create_connection(self, draft: NewConnection, *, id: str | None = None) -> Versioned[Connection]:
        """A connection; its credentials are stored first, so that its first event finds them."""
        if id is not None and re.fullmatch(r"con_[a-z0-9]{1,32}", id) is None:
            raise Invalid("a connection's id is con_ and up to 32 small letters and digits", field="id")
        if id is not None and self._rows.get("connection", id) is not None:
            raise VersionConflict("there is a connection of this id")
        kind = self.check_connection(draft)
        self._check_sources(draft.sources)
        self._try_out(draft.type, _given(draft.settings))
        plain, secret = _split(kind, _given(draft.settings))
        connection = Connection(
            id=id or access.new_id("con"),
            type=draft.type,
            label=draft.label,
            settings=plain,
            secrets=sorted(secret),
            enabled=draft.enabled,
            mode=draft.mode,
            history=draft.history,
            sources=draft.sources,
            filter=draft.filter,
            consent_categories=draft.consent_categories,
            consent_default=draft.consent_default,
            created_at=self._now(),
        )
        if secret:
            self._secrets.put(_secret_name(connection.id), _json(secret))
        self._commit([PutRow("connection", connection.id, _json(connection), 0)])
        return Versioned(connection, 1)

    def update_connection(self, connection: str, change: ConnectionChange, *, version: int | None = None) -> Versioned[Connection]:
        """Change a connection; only what is named is checked, so that one whose credential is gone can still be paused. The row goes first: whoever loses to
        another's change has changed no credential."""
        current = _of_version(self.connection(connection), version)
        named = _named(change)
        check_label(change.label)
        _check_filter(named.get("filter"))
        self._check_sources(named.get("sources", []))
        _check_means_something(self._kind(current.value.type), named)
        if change.settings is UNSET:
            return self._put("connection", connection, current, msgspec.structs.replace(current.value, **named))
        kind = self._kind(current.value.type)
        old = self.secret_settings(current.value)
        merged = _given({**current.value.settings, **old, **change.settings})
        self._check_settings(kind, merged)
        plain, secret = _split(kind, merged)
        _check_move(kind.address_setting, current.value.settings, plain, kept=[name for name in old if change.settings.get(name) is None])
        self._try_out(current.value.type, merged, own=connection)
        changed = msgspec.structs.replace(current.value, **{**named, "settings": plain, "secrets": sorted(secret)})
        written = self._put("connection", connection, current, changed, force=secret != old)
        if secret and secret != old:
            self._secrets.put(_secret_name(connection), _json(secret))
        elif old and not secret:
            self._secrets.delete(_secret_name(connection))
        return written

    def delete_connection(self, connection: str, *, version: int | None = None) -> None:
        """Remove a connection and its credentials. Refused while a source is linked to it: the links in its pages would then name another's customers."""
        current = _of_version(self.connection(connection), version)
        users = [source.value.id for source in self.sources() if source.value.linked_connection == connection]
        if users:
            raise InUse(f"sources are linked to this connection: {', '.join(users)}")
        self._commit([DeleteRow("connection", connection, current.version)])
        self._secrets.delete(_secret_name(connection))

    def check_connection(self, draft: NewConnection) -> ConnectionKind:
        """Raise `Invalid` for what could not be made, its sources apart."""
        kind = self._kind(draft.type)
        check_label(draft.label)
        self._check_settings(kind, _given(draft.settings))
        _check_filter(draft.filter)
        _check_means_something(kind, {name: getattr(draft, name) for name in _OF_DESTINATIONS})
        return kind

    def secret_settings(self, connection: Connection) -> dict[str, Any]:
        """The credentials of a connection: for comparing and merging, never for showing."""
        if not connection.secrets:
            return {}
        try:
            return msgspec.json.decode(self._secrets.get(_secret_name(connection.id)), type=dict[str, Any])
        except CredentialMissing:
            return {}

    def secret_names(self, type: str) -> Set[str]:
        """Which settings of a type are credentials."""
        return self._kind(type).secret_settings

    # ---------------------------------------------------------------- inside

    def _try_out(self, type: str, settings: Mapping[str, Any], *, own: str | None = None) -> None:
        """`own`: the connection whose settings they are, if there is one already."""
        kind = self._kind(type)
        try:
            if kind.beside is not None:
                there = [one.value for one in self.connections() if not isinstance(one, UnreadableConnection)]
                kind.beside(settings, [one.settings for one in there if one.type == type and one.id != own])
            if kind.try_out is not None:
                kind.try_out(settings)
        except SettingsInvalid as error:
            raise Invalid(str(error), field=f"settings.{error.field}") from error

    def _check_settings(self, kind: ConnectionKind, settings: Mapping[str, Any]) -> None:
        _check_size(settings, "settings")
        try:
            kind.parse_settings(settings)
        except SettingsInvalid as error:
            raise Invalid(str(error), field=f"settings.{error.field}") from error

    def _check_sources(self, sources: Sequence[str]) -> None:
        known = self.origins().keys() if sources else set()
        for number, source in enumerate(sources):
            if source not in known:
                raise Invalid("there is no such source", field=f"sources[{number}]")

    def _check_linked(self, connection: str) -> None:
        if connection and self._rows.get("connection", connection) is None:
            raise Invalid("there is no such connection", field="linked_connection")

    def _kind(self, type: str) -> ConnectionKind:
        if type not in self._kinds:
            raise Invalid(f"not a type of connection; there are {', '.join(sorted(self._kinds))}", field="type")
        return self._kinds[type]

    def _new_write_key(self, source: Source) -> tuple[Key, str]:
        key = Key(id=access.new_id("key"), kind="write", label=source.label, source=source.id, source_enabled=source.enabled, created_at=self._now())
        return key, access.new_write_key()

    def _stored_keys(self) -> list[_StoredKey]:
        return [_read_key(row) for _, row in self._rows.under("keys")]

    def _keys_of(self, source: str) -> list[_StoredKey]:
        return [stored for stored in self._stored_keys() if stored.key.source == source]

    def _put(self, pk: str, sk: str, current: Versioned[T], changed: T, *others: Change, force: bool = False) -> Versioned[T]:
        """Write a row that was read; one that stays the same keeps its version, unless something outside it changes with it."""
        if changed == current.value and not others and not force:
            return current
        self._commit([PutRow(pk, sk, _json(changed), current.version), *others])
        return Versioned(changed, current.version + 1)

    def _commit(self, changes: Sequence[Change]) -> None:
        """Every change of settings passes here: a row of an audit trail belongs into the same commit."""
        self._rows.commit(changes)


def known_kinds(*, try_konnektive: Callable[[Mapping[str, Any]], None] | None = None) -> dict[str, ConnectionKind]:
    """The types of connections there are. `try_konnektive`: given only where the account may be asked from, which is not everybody's desk: it lets in the
    addresses that its API user lists."""
    from tributary.destinations import kissmetrics  # noqa: PLC0415  (the command line's start-up does not need them)
    from tributary.sources.konnektive import settings as konnektive  # noqa: PLC0415

    return {
        "kissmetrics": ConnectionKind(secret_settings=kissmetrics.DESTINATION.secret_settings, parse_settings=kissmetrics.parse_settings),
        "konnektive": ConnectionKind(
            secret_settings=konnektive.SECRET_SETTINGS,
            parse_settings=konnektive.parse_settings,
            is_origin=True,
            address_setting="baseUrl",
            beside=konnektive.check_beside,
            try_out=try_konnektive,
        ),
    }


def check_label(label: str | UnsetType, field: str = "label") -> None:
    """Raise `Invalid` for one that nobody could read in a table."""
    if label is UNSET:
        return
    if not label.strip() or any(unicodedata.category(character) in _UNPRINTED for character in label):
        raise Invalid(f"a {field} has something to read in it, and no control characters", field=field)


def _named(change: msgspec.Struct) -> dict[str, Any]:
    """The fields that a change names."""
    fields = ((name, getattr(change, name)) for name in change.__struct_fields__)
    return {name: value for name, value in fields if value is not UNSET}


def _of_version(current: Versioned[T], version: int | None) -> Versioned[T]:
    if version is not None and version != current.version:
        raise VersionConflict(f"it was changed since: it is at version {current.version} now, not {version}")
    return current


def check_time_zone(name: str, field: str = "time_zone") -> None:
    """Raise `Invalid` for one that the database of time zones does not have."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:  # a malformed name, a folder of the database, no such zone
        raise Invalid("not an IANA time zone such as America/New_York", field=field) from error


def _check_report_defaults(defaults: Mapping[str, Any]) -> None:
    from tributary.reports.asking import check_defaults  # noqa: PLC0415  (nothing else here knows of reports)

    for wrong in check_defaults(defaults):
        raise Invalid(f"{wrong.message[:1].lower()}{wrong.message[1:].rstrip('.')}", field=f"report_defaults.{wrong.field}")


def _check_move(setting: str, before: Mapping[str, Any], after: Mapping[str, Any], *, kept: Sequence[str]) -> None:
    """A stored credential goes to no other address than the one it was given for: else whoever may change a connection could read it there."""
    if kept and before.get(setting) != after.get(setting):
        raise Invalid("give the credential again, as it would be sent to another address", field=f"settings.{kept[0]}")


_OF_DESTINATIONS: Final = ("sources", "filter", "history", "consent_categories")


def _check_means_something(kind: ConnectionKind, given: Mapping[str, Any]) -> None:
    """What says which events a destination takes says nothing of an account that is read."""
    for name in _OF_DESTINATIONS:
        if kind.is_origin and given.get(name):
            raise Invalid("means nothing for an account that events come from", field=name)


def _check_filter(filter: Condition | None) -> None:
    if filter is None:
        return
    if depth(filter) > MAX_DEPTH:
        raise Invalid(f"conditions stand more than {MAX_DEPTH} deep", field="filter")
    _check_size(msgspec.to_builtins(filter), "filter")


def _check_size(value: Mapping[str, Any], field: str) -> None:
    if len(msgspec.json.encode(value)) > MAX_SETTINGS_BYTES:
        raise Invalid(f"larger than {MAX_SETTINGS_BYTES} bytes", field=field)


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value: null is as good as left out."""
    return {name: value for name, value in settings.items() if value is not None}


def _split(kind: ConnectionKind, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What may be seen, and what may not."""
    plain = {name: value for name, value in settings.items() if name not in kind.secret_settings}
    return plain, {name: value for name, value in settings.items() if name in kind.secret_settings}


def _secret_name(connection: str) -> str:
    return f"connections/{connection}"


def _expired(key: Key, now: datetime) -> bool:
    return key.expires_at is not None and key.expires_at <= now


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _read(row: Row, type: type[T]) -> Versioned[T]:
    return Versioned(msgspec.json.decode(row.data, type=type), row.version)


def _read_connection(id: str, row: Row) -> Versioned[Connection] | UnreadableConnection:
    try:
        return _read(row, Connection)
    except (msgspec.MsgspecError, RecursionError):
        return UnreadableConnection(id)


def _read_key(row: Row) -> _StoredKey:
    kept = msgspec.json.decode(row.data, type=_KeyRow)
    return _StoredKey(kept.key, kept.hash, row.version)


def _key_rows(stored: _StoredKey) -> list[Change]:
    """Both rows of a key, which always change together."""
    return [
        PutRow("keys", stored.key.id, _json(_KeyRow(key=stored.key, hash=stored.hash)), stored.version),
        PutRow(f"key#{stored.hash}", "key", _json(stored.key), stored.version),
    ]
