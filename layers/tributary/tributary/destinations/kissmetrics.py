"""Kissmetrics: one HTTP request a call, everything in its parameters.

It answers 200 to anything, a wrong key or an identity that is too long included, so whatever can be checked is checked before sending. A person is `_p`; there
is no call to identify one. `_t` counts only with `_d=1`. The same request twice is kept once, so a resend is harmless.

What is sent follows Segment's own Kissmetrics destination; `docs/vendors/kissmetrics.md` has the mapping, the limits and where this differs on purpose.
https://support.kissmetrics.io/reference/api-specifications-1
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TypeGuard

import msgspec

from tributary.clock import Clock, SystemClock
from tributary.destinations.addresses import parts_of
from tributary.destinations.answers import check_status
from tributary.destinations.encoding import encode_each, encode_remembered
from tributary.destinations.values import amount, flatten_into, number_text, unix_seconds
from tributary.errors import InvalidForVendor, SettingsInvalid
from tributary.events import Alias, Event, Group, Identify, Page, Screen, Track
from tributary.identity.identifiers import is_blocked
from tributary.ports import VendorAnswer, VendorRequest

KeyCase = Literal["seed", "source"]

DEFAULT_ENDPOINT: Final = "https://trk.kissmetrics.io"

MAX_QUERY: Final = 2048
"""Characters of an encoded query that still go as GET; longer ones go as a POST form."""
MAX_IDENTITY: Final = 255
"""Characters of `_p`, and of both identities of an alias. Kissmetrics would take a longer one for somebody else, so it is refused."""
MAX_NAME: Final = 255
"""Characters that Kissmetrics documents for the name of an event or property; longer ones are sent and noted."""
MAX_VALUE: Final = 512
"""The same for the value of a property."""
OLDEST_STORED: Final = unix_seconds(datetime(2009, 1, 1, tzinfo=UTC))
"""Kissmetrics stores nothing that happened before."""

_BILLING_PROPERTY: Final[Mapping[KeyCase, str]] = {"seed": "Billing amount", "source": "Billing Amount"}
_BILLING_LOWER: Final = "billing amount"
_BILLING_LENGTH: Final = len(_BILLING_LOWER)
_CONTROL_NAMES: Final = frozenset({"_k", "_p", "_n", "_t", "_d", "_p2", "_ip", "_ua"})
"""Parameters that mean something to Kissmetrics: never taken from a caller's properties."""
_NOT_A_PROPERTY: Final = _CONTROL_NAMES | {"", " "}
_ORDER_COMPLETED: Final = re.compile(r"[ _]?completed[ _]?order|[ _]?order[ _]?completed[ _]?\Z", re.IGNORECASE | re.ASCII)
_BECOME_SPACES: Final = str.maketrans(",:", "  ")
_SETTINGS: Final = ("apiKey", "prefixProperties", "trackCategorizedPages", "trackNamedPages", "endpoint", "keyCase")
_MAY_BE_SOMEBODY: Final = frozenset({"test", "testing", "user", "example", "na"})
"""Names, also before an @, that our own matching rather leaves alone, and that one person may have all the same: their alias is sent, as Segment sends it."""
_FIT_FOR_A_LOG: Final = re.compile(r"(?!.*[0-9]{6})[A-Za-z0-9_ .$-]{1,80}")
"""Names of events and properties that cannot hold an email, a phone number or a card number."""

Parameters = dict[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class KissmetricsSettings:
    """A connection's settings, checked. The first three toggles and the key are those of Segment's destination."""

    api_key: str
    prefix_properties: bool = True
    """Whether a track event's properties carry its name: `Signed Up - plan`."""
    track_categorized_pages: bool = True
    track_named_pages: bool = True
    endpoint: str = DEFAULT_ENDPOINT
    key_case: KeyCase = "seed"
    """How the billing property and group traits are spelled: `Billing amount` and `Group - Name`, or `Billing Amount` and `Group - name`."""


@dataclass(frozen=True, kw_only=True)
class KissmetricsDestination:
    """What the delivery engine knows of Kissmetrics."""

    type: str = "kissmetrics"
    integration_names: Set[str] = frozenset({"KISSmetrics", "Kissmetrics"})
    secret_settings: Set[str] = frozenset({"apiKey"})
    clock: Clock = field(default_factory=SystemClock)

    def build(self, event: Event, settings: Mapping[str, Any]) -> list[VendorRequest]:
        return build(event, _parsed(settings))

    def check(self, answer: VendorAnswer) -> None:
        # 304: an old tracker's answer to a request it had seen
        check_status(answer, vendor="Kissmetrics", now=self.clock.now(), also_success={304})


def parse_settings(settings: Mapping[str, Any]) -> KissmetricsSettings:
    """Check a connection's settings, secrets included. Raises `SettingsInvalid` naming the one that is missing, unknown or does not fit."""
    for name in settings:
        if name not in _SETTINGS:
            raise SettingsInvalid(f"Kissmetrics has no setting {name!r}; it has {', '.join(_SETTINGS)}", field=name)
    return KissmetricsSettings(
        api_key=_api_key(settings.get("apiKey")),
        prefix_properties=_toggle(settings, "prefixProperties"),
        track_categorized_pages=_toggle(settings, "trackCategorizedPages"),
        track_named_pages=_toggle(settings, "trackNamedPages"),
        endpoint=_endpoint(settings.get("endpoint", DEFAULT_ENDPOINT)),
        key_case=_key_case(settings.get("keyCase", "seed")),
    )


@lru_cache(maxsize=64)
def _parsed_items(items: tuple[tuple[str, Any], ...]) -> KissmetricsSettings:
    return parse_settings(dict(items))


def _parsed(settings: Mapping[str, Any]) -> KissmetricsSettings:
    """`parse_settings`, once for as long as the settings stay the same."""
    try:
        return _parsed_items(tuple(settings.items()))
    except TypeError:  # one of them is a list or an object
        return parse_settings(settings)


def build(event: Event, settings: KissmetricsSettings) -> list[VendorRequest]:
    """The requests for an event, in the order they must be sent: each only after the one before has succeeded.

    None for an event that names nobody, and for a page or screen that the settings leave out or that has neither name nor category. Raises `InvalidForVendor`
    for what Kissmetrics would misread: an identity of over 255 characters, an event without a name, an alias of what many people share.
    """
    try:
        match event:
            case Track():
                return _track(event, settings)
            case Page():
                return _page(event, settings, "Page")
            case Screen():
                return _page(event, settings, "Screen")
            case Identify():
                return _identify(event, settings)
            case Group():
                return _group(event, settings)
            case Alias():
                return _alias(event, settings)
    except RecursionError:
        raise InvalidForVendor(f"a {event.type} nested too deep to flatten", field="traits" if isinstance(event, Identify | Group) else "properties") from None


def _track(event: Track, settings: KissmetricsSettings) -> list[VendorRequest]:
    person = _person(event)
    if person is None:
        return []
    if _is_blank_name(event.event):
        raise InvalidForVendor("an event name of nothing but blanks, commas and colons", field="event")
    is_order = _ORDER_COMPLETED.match(event.event) is not None
    prefix = f"{event.event} - " if settings.prefix_properties else ""
    call = _call_by(person, event, settings)
    drafts = [call.record(event.event)]
    _add_event_properties(drafts[0], prefix, event.properties, _revenue(event.properties, or_total=is_order), settings)
    if is_order:
        for index, product in _products(event.properties.get("products"), drafts[0].notes):
            # Kissmetrics keeps one value of a property a second, so each product has a second of its own.
            draft = call.set(seconds_later=index)
            _add_event_properties(draft, prefix, product, _revenue(product, or_total=False), settings)
            drafts.append(draft)
    return _requests(call, drafts, settings)


def _page(event: Page | Screen, settings: KissmetricsSettings, kind: Literal["Page", "Screen"]) -> list[VendorRequest]:
    person = _person(event)
    title = _page_title(event, settings)
    if person is None or title is None:
        return []
    call = _call_by(person, event, settings)
    draft = call.record(f"Viewed {title} {kind}")
    _add_properties(draft, f"{kind} - ", event.properties, settings)
    if _is_given(event.name):
        draft.parameters[f"{kind} - name"] = event.name
    if _is_given(event.category):
        draft.parameters[f"{kind} - category"] = event.category
    return _requests(call, [draft], settings)


def _identify(event: Identify, settings: KissmetricsSettings) -> list[VendorRequest]:
    person = _person(event)
    if person is None:
        return []
    call = _call_by(person, event, settings)
    draft = call.set()
    flatten_into(draft.parameters, _without_control_names(event.traits, draft.notes))
    if _is_given(event.user_id):
        draft.parameters["id"] = event.user_id
    return _requests(call, [draft, *_alias_of_both_ids(event, call, draft.notes)], settings)


def _alias_of_both_ids(event: Identify, call: _Call, notes: list[str]) -> list[_Draft]:
    """Ties the visitor to the person they turned out to be. Not where either id names nobody: nobody can take an alias back."""
    if not (_is_given(event.user_id) and _is_given(event.anonymous_id)):
        return []
    user, visitor = _identity(event.user_id, "userId"), _identity(event.anonymous_id, "anonymousId")
    for field_name, identity in (("userId", user), ("anonymousId", visitor)):
        if _names_nobody(identity):
            notes.append(f"no alias is sent: many people share this {field_name}")
            return []
    return [call.alias(visitor)]


def _group(event: Group, settings: KissmetricsSettings) -> list[VendorRequest]:
    person = _person(event)
    if person is None:
        return []
    call = _call_by(person, event, settings)
    draft = call.set()
    draft.parameters["Group - id"] = event.group_id
    _add_properties(draft, "Group - ", {_group_key(name, settings): value for name, value in event.traits.items() if name.lower() != "id"}, settings)
    return _requests(call, [draft], settings)


def _group_key(name: str, settings: KissmetricsSettings) -> str:
    return name[:1].upper() + name[1:] if settings.key_case == "seed" else name


def _alias(event: Alias, settings: KissmetricsSettings) -> list[VendorRequest]:
    """Without a previous id, as the browser sends it, the anonymous one is meant."""
    previous, previous_field = (event.previous_id, "previousId") if _is_given(event.previous_id) else (event.anonymous_id, "anonymousId")
    if not (_is_given(previous) and _is_given(event.user_id)):
        return []
    for field_name, identity in ((previous_field, previous), ("userId", event.user_id)):
        if _names_nobody(_identity(identity, field_name)):
            raise InvalidForVendor(f"many people share this {field_name}, and nobody can take an alias back", field=field_name)
    call = _call_by(previous, event, settings)
    return _requests(call, [call.alias(event.user_id)], settings)


class _Draft(msgspec.Struct, frozen=True):
    """A request in the making."""

    path: str
    parameters: Parameters
    """All but those of `_Call.repeated`."""
    notes: list[str]


class _Call(msgspec.Struct, frozen=True):
    """What the requests of one event have in common."""

    seconds: int
    repeated: Parameters
    """Parameters that come again with other events: the key and the browser."""
    own: Parameters
    """Who did it, and from where."""

    def record(self, name: str) -> _Draft:
        draft = _Draft("/e", {**self.own, "_n": name, "_t": str(self.seconds), "_d": "1"}, self._notes())
        if len(name) > MAX_NAME:
            draft.notes.append(f"the event name has {len(name)} characters, Kissmetrics documents {MAX_NAME}")
        return draft

    def set(self, *, seconds_later: int = 0) -> _Draft:
        return _Draft("/s", {**self.own, "_t": str(self.seconds + seconds_later), "_d": "1"}, self._notes())

    def alias(self, other: str) -> _Draft:
        """Without a time: an alias holds for ever and backwards."""
        return _Draft("/a", {**self.own, "_n": other}, [])

    def _notes(self) -> list[str]:
        return [] if self.seconds >= OLDEST_STORED else ["happened before 2009, which Kissmetrics does not store"]


def _call_by(person: str, event: Event, settings: KissmetricsSettings) -> _Call:
    repeated, own = {"_k": settings.api_key}, {"_p": person}
    if _is_given(ip := event.context.get("ip")):
        own["_ip"] = ip
    if _is_given(user_agent := event.context.get("userAgent")):
        repeated["_ua"] = user_agent
    return _Call(unix_seconds(event.timestamp), repeated, own)


def _person(event: Event) -> str | None:
    """Who did it; None for an event that names nobody. Raises `InvalidForVendor` for an identity that is too long."""
    if _is_given(event.user_id):
        return _identity(event.user_id, "userId")
    if _is_given(event.anonymous_id):
        return _identity(event.anonymous_id, "anonymousId")
    return None


def _requests(call: _Call, drafts: Sequence[_Draft], settings: KissmetricsSettings) -> list[VendorRequest]:
    repeated = tuple(call.repeated.items())
    encoded_repeated = "&".join([f"{name}={encode_remembered(value)}" for name, value in repeated])
    requests = []
    for draft, encoded_own in zip(drafts, encode_each([draft.parameters for draft in drafts]), strict=True):
        if len(encoded_own) > MAX_NAME:
            _note_limits(draft, len(encoded_own))
        pairs = (*repeated, *draft.parameters.items())
        encoded = f"{encoded_repeated}&{encoded_own}"
        url = settings.endpoint + draft.path
        if len(encoded) <= MAX_QUERY:
            requests.append(VendorRequest(method="GET", url=url, query=pairs, notes=draft.notes, encoded=encoded))
        else:
            requests.append(VendorRequest(method="POST", url=url, form=pairs, notes=draft.notes, encoded=encoded))
    return requests


def _note_limits(draft: _Draft, encoded_length: int) -> None:
    if max(map(len, draft.parameters)) > MAX_NAME:
        draft.notes.extend(
            [f"a property name has {len(name)} characters, Kissmetrics documents {MAX_NAME}" for name in draft.parameters if len(name) > MAX_NAME]
        )
    if encoded_length > MAX_VALUE and max(map(len, draft.parameters.values())) > MAX_VALUE:
        draft.notes.extend(
            [
                f"the value of {_shown(name)} has {len(value)} characters, Kissmetrics documents {MAX_VALUE}"
                for name, value in draft.parameters.items()
                if len(value) > MAX_VALUE and name not in _CONTROL_NAMES
            ]
        )


def _add_event_properties(draft: _Draft, prefix: str, properties: Mapping[str, Any], revenue: float | None, settings: KissmetricsSettings) -> None:
    """A track event's properties, or one of its products, under the names they are sent by; `prefix` is empty for bare names."""
    if revenue is not None:
        properties = {**properties, "revenue": revenue}
    if "products" in properties:
        properties = {**properties, "products": None}
    _add_properties(draft, prefix, properties, settings)
    if revenue is not None:
        draft.parameters[_BILLING_PROPERTY[settings.key_case]] = number_text(revenue)


def _add_properties(draft: _Draft, prefix: str, properties: Mapping[str, Any], settings: KissmetricsSettings) -> None:
    """Flattened, and the billing property, in whatever case the caller writes it, without prefix and in one spelling: Kissmetrics' revenue report looks for
    it by its name."""
    if not prefix:
        properties = _without_control_names(properties, draft.notes)
    flatten_into(draft.parameters, properties, prefix)
    if _BILLING_LENGTH in map(len, properties):
        for name in properties:
            if name.lower() == _BILLING_LOWER and prefix + name in draft.parameters:
                draft.parameters[_BILLING_PROPERTY[settings.key_case]] = draft.parameters.pop(prefix + name)


def _without_control_names(properties: Mapping[str, Any], notes: list[str]) -> Mapping[str, Any]:
    """Without the names that mean something else to Kissmetrics, and the nameless."""
    if _NOT_A_PROPERTY.isdisjoint(properties):
        return properties
    kept = {name: value for name, value in properties.items() if name not in _NOT_A_PROPERTY}
    notes.append(f"{len(properties) - len(kept)} properties are not sent: they have no name, or that of a parameter of Kissmetrics' own")
    return kept


def _products(listed: object, notes: list[str]) -> list[tuple[int, Mapping[str, Any]]]:
    """The order's products and their places in it."""
    if not isinstance(listed, list):
        if listed is not None:
            notes.append("no products are sent: `products` is not a list")
        return []
    products = [(index, product) for index, product in enumerate(listed) if isinstance(product, dict)]
    if len(products) < len(listed):
        notes.append(f"{len(listed) - len(products)} of {len(listed)} products are not sent: they are not objects")
    return products  # type: ignore[return-value]


def _revenue(properties: Mapping[str, Any], *, or_total: bool) -> float | None:
    """What is billed: `revenue`, or an order's `total` where `revenue` is absent, empty, zero or false; None if that is no number, or zero."""
    revenue = properties.get("revenue")
    if or_total and (revenue is None or revenue in (0, "", False)):
        revenue = properties.get("total")
    return None if revenue is None else amount(revenue) or None


def _page_title(event: Page | Screen, settings: KissmetricsSettings) -> str | None:
    """What the page is called in its event: its name, else its category; None if the settings, or the page, have neither."""
    if settings.track_named_pages and event.name is not None and not _is_blank_name(event.name):
        return event.name
    if settings.track_categorized_pages:
        for category in (event.category, event.properties.get("category")):
            if isinstance(category, str) and not _is_blank_name(category):
                return category
    return None


def _identity(value: str, field_name: str) -> str:
    if len(value) > MAX_IDENTITY:
        raise InvalidForVendor(f"the {field_name} has {len(value)} characters, Kissmetrics takes {MAX_IDENTITY}", field=field_name)
    return value


def _names_nobody(identity: str) -> bool:
    """Whether programs send it for everybody whose id they lack: `guest`, `undefined`, zeros. An alias of it would make all of them one person."""
    return is_blocked(identity) and identity.strip().lower().partition("@")[0] not in _MAY_BE_SOMEBODY


def _is_given(text: object) -> TypeGuard[str]:
    """Whether it is a text with something in it."""
    return isinstance(text, str) and bool(text.strip())


def _is_blank_name(name: str) -> bool:
    """Whether nothing is left of an event name at Kissmetrics, which turns commas and colons into spaces."""
    return not name[:1].isalnum() and not name.translate(_BECOME_SPACES).strip()


def _shown(name: str) -> str:
    return f"`{name}`" if _FIT_FOR_A_LOG.fullmatch(name) else "a property"


def _toggle(settings: Mapping[str, Any], name: str) -> bool:
    value = settings.get(name, True)
    if not isinstance(value, bool):
        raise SettingsInvalid(f"the setting {name} is true or false", field=name)
    return value


def _api_key(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise SettingsInvalid("the setting apiKey is a text", field="apiKey")
    if value is None or not value.strip():
        raise SettingsInvalid("the setting apiKey is required", field="apiKey")
    if value.split() != [value]:
        raise SettingsInvalid("the setting apiKey holds white space", field="apiKey")
    return value


def _key_case(value: object) -> KeyCase:
    if value == "seed":
        return "seed"
    if value == "source":
        return "source"
    raise SettingsInvalid("the setting keyCase is `seed` or `source`", field="keyCase")


def _endpoint(value: object) -> str:
    if value == DEFAULT_ENDPOINT:
        return DEFAULT_ENDPOINT
    if not isinstance(value, str):
        raise SettingsInvalid("the setting endpoint is a URL", field="endpoint")
    url = parts_of(value)
    if url.query or url.fragment or "?" in value or "#" in value or "@" in url.netloc:
        raise SettingsInvalid("the setting endpoint is a host and perhaps a path, without credentials, query or fragment", field="endpoint")
    return value.rstrip("/")


DESTINATION: Final = KissmetricsDestination()
