"""The settings of a Konnektive connection.

`parse_settings` is what the control API checks with and what is stored; `settings_of` is what the code works with. Names on the wire are camelCase.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from tributary.currencies import is_currency
from tributary.errors import SettingsInvalid

DEFAULT_BASE_URL: Final = "https://api.konnektive.com"
DEFAULT_TIME_ZONE: Final = "America/New_York"
"""Konnektive's own default; only its support changes an account's."""
STREAMS: Final = ("customers", "orders", "transactions", "purchases", "campaigns", "products")
SECRET_SETTINGS: Final = frozenset({"password", "postbackSecret"})
POSTBACK_FIELDS: Final = ("clientOrderId", "orderId", "clientPurchaseId", "purchaseId", "customerId", "customerType", "secret")
"""What we read of a postback, by Konnektive's names; `secret` is ours."""

MAX_CREDENTIAL: Final = 32
"""Characters of a login and of a password that Konnektive's API takes."""
MIN_POSTBACK_SECRET: Final = 16
MAX_POSTBACK_SECRET: Final = 128
POLL_MINUTES: Final = (5, 1_440)
LOOKBACK_DAYS: Final = (1, 35)
MAX_POSTBACK_NAMES: Final = 50
CUSTOM_FIELD_PREFIX: Final = "customField:"

_PLAIN_HTTP_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SECRET: Final = re.compile(r"[A-Za-z0-9._~\-]+")
"""What stands in a path, a query and a header as it is."""


class KonnektiveSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A connection's settings, checked."""

    login_id: str
    password: str
    base_url: str = DEFAULT_BASE_URL
    time_zone: str = DEFAULT_TIME_ZONE
    """Of the account: every time and every day of the API is its wall clock's."""
    currency: str = "USD"
    """Of rows that name none."""
    user_id: str = "email"
    """What an event's `userId` is: `email`, `customerId` or `customField:<name>`."""
    streams: tuple[str, ...] = STREAMS
    history_start: str = ""
    """ISO date; empty: from the account's first day."""
    poll_minutes: int = 15
    postback_fields: dict[str, str] = {}
    """The merchant's own name for a field of its postbacks → Konnektive's."""
    postback_secret: str = ""
    """Empty: no postback is taken."""
    lookback_days: int = 1

    def __repr__(self) -> str:
        """Without its secrets: a state of a walk may be shown."""
        return f"KonnektiveSettings(base_url={self.base_url!r}, time_zone={self.time_zone!r})"


def parse_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Check a connection's settings, secrets included, and fill in the defaults. Raises `SettingsInvalid` naming the one that is missing, unknown or does
    not fit."""
    parsed: dict[str, Any] = msgspec.to_builtins(settings_of(settings))
    return parsed


def settings_of(settings: Mapping[str, Any]) -> KonnektiveSettings:
    """`parse_settings`, as a struct."""
    for name in settings:
        if name not in _NAMES:
            raise SettingsInvalid(f"Konnektive has no setting {name!r}; it has {', '.join(_NAMES)}", field=name)
    return KonnektiveSettings(
        login_id=_credential(settings.get("loginId"), "loginId"),
        password=_password(settings.get("password")),
        base_url=_base_url(settings.get("baseUrl", DEFAULT_BASE_URL)),
        time_zone=_time_zone(settings.get("timeZone", DEFAULT_TIME_ZONE)),
        currency=_currency(settings.get("currency", "USD")),
        user_id=_user_id(settings.get("userId", "email")),
        streams=_streams(settings.get("streams", STREAMS)),
        history_start=_history_start(settings.get("historyStart", "")),
        poll_minutes=_whole_number(settings.get("pollMinutes", 15), "pollMinutes", POLL_MINUTES),
        postback_fields=_postback_fields(settings.get("postbackFields", {})),
        postback_secret=_postback_secret(settings.get("postbackSecret", "")),
        lookback_days=_whole_number(settings.get("lookbackDays", 1), "lookbackDays", LOOKBACK_DAYS),
    )


def check_beside(settings: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> None:
    """Each account numbers its customers by itself: as user ids, customer 701 of one would be customer 701 of another. Raises `SettingsInvalid`."""
    if others and "customerId" in {settings.get("userId"), *(other.get("userId") for other in others)}:
        raise SettingsInvalid("of several accounts none can have `customerId` as userId: the same number is another person in each", field="userId")


_NAMES: Final = KonnektiveSettings.__struct_encode_fields__


def _credential(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsInvalid(f"{name} is required", field=name)
    if value != value.strip() or not value.isprintable():
        raise SettingsInvalid(f"{name} begins or ends with white space, or holds what cannot be printed", field=name)
    if len(value) > MAX_CREDENTIAL:
        raise SettingsInvalid(f"{name} has {len(value)} characters; Konnektive takes at most {MAX_CREDENTIAL}", field=name)
    return value


def _password(value: object) -> str:
    password = _credential(value, "password")
    if "&" in password:
        message = "password holds an `&`, with which Konnektive's API does not accept it: give the API user a password without one"
        raise SettingsInvalid(message, field="password")
    return password


def _base_url(value: object) -> str:
    if not isinstance(value, str):
        raise SettingsInvalid("baseUrl must be a URL", field="baseUrl")
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError:
        raise SettingsInvalid("baseUrl is not a URL", field="baseUrl") from None
    if not host or value.split() != [value]:
        raise SettingsInvalid("baseUrl is not a URL with a host", field="baseUrl")
    if url.scheme != "https" and not (url.scheme == "http" and host in _PLAIN_HTTP_HOSTS):
        raise SettingsInvalid("baseUrl must be https", field="baseUrl")
    if "?" in value or "#" in value or "@" in url.netloc:
        raise SettingsInvalid("baseUrl must be a host and perhaps a path, without credentials, query or fragment", field="baseUrl")
    return value.rstrip("/")


def _time_zone(value: object) -> str:
    if isinstance(value, str) and _ZONE_NAME.fullmatch(value) is not None:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            pass
        else:
            return value
    raise SettingsInvalid("timeZone is not the name of a time zone, such as America/New_York", field="timeZone")


def _currency(value: object) -> str:
    if not isinstance(value, str) or not is_currency(value):
        raise SettingsInvalid("currency is not a code of ISO 4217, such as USD", field="currency")
    return value


def _user_id(value: object) -> str:
    if value in ("email", "customerId") and isinstance(value, str):
        return value
    if isinstance(value, str) and value.startswith(CUSTOM_FIELD_PREFIX):
        name = value.removeprefix(CUSTOM_FIELD_PREFIX)
        if name and name == name.strip():
            return value
    raise SettingsInvalid("userId must be `email`, `customerId` or `customField:<name>`", field="userId")


def _streams(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise SettingsInvalid(f"streams must be a list of one or more of {', '.join(STREAMS)}", field="streams")
    for stream in value:
        if stream not in STREAMS:
            raise SettingsInvalid(f"streams holds what is none of {', '.join(STREAMS)}", field="streams")
    return tuple(stream for stream in STREAMS if stream in value)


def _history_start(value: object) -> str:
    if value == "":
        return ""
    if isinstance(value, str) and _DATE.fullmatch(value) is not None:
        try:
            date.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise SettingsInvalid("historyStart must be a date such as 2024-03-09, or empty for all there is", field="historyStart")


def _whole_number(value: object, name: str, bounds: tuple[int, int]) -> int:
    least, most = bounds
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise SettingsInvalid(f"{name} must be a whole number from {least} to {most}", field=name)
    return value


def _postback_fields(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > MAX_POSTBACK_NAMES:
        raise SettingsInvalid(f"postbackFields must be an object of at most {MAX_POSTBACK_NAMES} names", field="postbackFields")
    seen = set()
    for name, meant in value.items():
        if not isinstance(name, str) or not name.strip() or name.strip().lower() in seen:
            raise SettingsInvalid("postbackFields holds an empty name, or the same name twice: upper and lower case are one", field="postbackFields")
        if meant not in POSTBACK_FIELDS:
            raise SettingsInvalid(f"postbackFields maps to what is none of {', '.join(POSTBACK_FIELDS)}; leave out the others", field="postbackFields")
        seen.add(name.strip().lower())
    return {name.strip(): meant for name, meant in value.items()}


def _postback_secret(value: object) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not MIN_POSTBACK_SECRET <= len(value) <= MAX_POSTBACK_SECRET or _SECRET.fullmatch(value) is None:
        message = f"postbackSecret must be {MIN_POSTBACK_SECRET} to {MAX_POSTBACK_SECRET} letters, digits and `-._~`, or empty to take no postbacks"
        raise SettingsInvalid(message, field="postbackSecret")
    return value
