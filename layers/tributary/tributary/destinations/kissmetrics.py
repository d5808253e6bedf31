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
from typing import Any, Final, Literal, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from tributary.clock import Clock, SystemClock
from tributary.destinations.answers import check_status
from tributary.destinations.encoding import encoded_length
from tributary.destinations.values import amount, flat, number_text, unix_seconds
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
_CONTROL_NAMES: Final = frozenset({"_k", "_p", "_n", "_t", "_d", "_p2", "_ip", "_ua"})
"""Parameters that mean something to Kissmetrics: never taken from a caller's properties."""
_ORDER_COMPLETED: Final = re.compile(r"[ _]?completed[ _]?order|[ _]?order[ _]?completed[ _]?\Z", re.IGNORECASE | re.ASCII)
_BECOME_SPACES: Final = str.maketrans(",:", "  ")
_PLAIN_HTTP_HOSTS: Final = frozenset({"127.0.0.1", "localhost"})
_SETTINGS: Final = ("apiKey", "prefixProperties", "trackCategorizedPages", "trackNamedPages", "endpoint", "keyCase")
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
    """How the billing property and group traits are spelled: `Billing amount` and `Group - Name`, or `Billing Amount` and `Group - name`; one to Kissmetrics."""


@dataclass(frozen=True, kw_only=True)
class KissmetricsDestination:
    """What the delivery engine knows of Kissmetrics."""

    type: str = "kissmetrics"
    integration_names: Set[str] = frozenset({"KISSmetrics", "Kissmetrics"})
    secret_settings: Set[str] = frozenset({"apiKey"})
    clock: Clock = field(default_factory=SystemClock)

    def build(self, event: Event, settings: Mapping[str, Any]) -> list[VendorRequest]:
        return build(event, parse_settings(settings))

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
    call = _call_of(event, settings)
    if call is None:
        return []
    if _is_blank_name(event.event):
        raise InvalidForVendor("an event name of nothing but blanks, commas and colons", field="event")
    is_order = _ORDER_COMPLETED.match(event.event) is not None
    notes: list[str] = []
    products = _products(event.properties, notes) if is_order else []
    properties = _event_properties(event.event, event.properties, _revenue(event.properties, or_total=is_order), settings, notes)
    requests = [call.record(event.event, properties, notes)]
    for index, product in products:
        notes = []
        properties = _event_properties(event.event, product, _revenue(product, or_total=False), settings, notes)
        # Kissmetrics keeps one value of a property a second, so each product has a second of its own.
        requests.append(call.set(properties, notes, seconds_later=index))
    return requests


def _page(event: Page | Screen, settings: KissmetricsSettings, kind: Literal["Page", "Screen"]) -> list[VendorRequest]:
    call = _call_of(event, settings)
    title = _page_title(event, settings)
    if call is None or title is None:
        return []
    properties = _prefixed(f"{kind} - ", flat(event.properties), settings)
    if _is_given(event.name):
        properties[f"{kind} - name"] = event.name
    if _is_given(event.category):
        properties[f"{kind} - category"] = event.category
    return [call.record(f"Viewed {title} {kind}", properties, [])]


def _identify(event: Identify, settings: KissmetricsSettings) -> list[VendorRequest]:
    call = _call_of(event, settings)
    if call is None:
        return []
    notes: list[str] = []
    traits = _unprefixed(flat(event.traits), notes)
    if _is_given(event.user_id):
        traits["id"] = event.user_id
    alias = _alias_of_both_ids(event, call, notes)
    return [call.set(traits, notes), *alias]


def _alias_of_both_ids(event: Identify, call: _Call, notes: list[str]) -> list[VendorRequest]:
    """Ties the visitor to the person they turned out to be. Not where either id is one that many people share: nobody can take an alias back."""
    if not (_is_given(event.user_id) and _is_given(event.anonymous_id)):
        return []
    user, visitor = _identity(event.user_id, "userId"), _identity(event.anonymous_id, "anonymousId")
    for field_name, identity in (("userId", user), ("anonymousId", visitor)):
        if is_blocked(identity):
            notes.append(f"no alias is sent: many people share this {field_name}")
            return []
    return [call.alias(user, visitor)]


def _group(event: Group, settings: KissmetricsSettings) -> list[VendorRequest]:
    call = _call_of(event, settings)
    if call is None:
        return []
    traits = {_group_key(name, settings): text for name, text in flat(event.traits).items() if name.lower() != "id"}
    return [call.set({"Group - id": event.group_id, **_prefixed("Group - ", traits, settings)}, [])]


def _group_key(name: str, settings: KissmetricsSettings) -> str:
    return name[:1].upper() + name[1:] if settings.key_case == "seed" else name


def _alias(event: Alias, settings: KissmetricsSettings) -> list[VendorRequest]:
    """Without a previous id, as the browser sends it, the anonymous one is meant."""
    previous, previous_field = (event.previous_id, "previousId") if _is_given(event.previous_id) else (event.anonymous_id, "anonymousId")
    call = _call_of(event, settings)
    if call is None or not (_is_given(previous) and _is_given(event.user_id)):
        return []
    for field_name, identity in ((previous_field, previous), ("userId", event.user_id)):
        if is_blocked(_identity(identity, field_name)):
            raise InvalidForVendor(f"many people share this {field_name}, and nobody can take an alias back", field=field_name)
    return [call.alias(previous, event.user_id)]


class _Call(NamedTuple):
    """What the requests of one event have in common."""

    settings: KissmetricsSettings
    person: str
    seconds: int
    client: Parameters

    def record(self, name: str, properties: Parameters, notes: list[str]) -> VendorRequest:
        control = {"_k": self.settings.api_key, "_p": self.person, "_n": name, "_t": str(self.seconds), "_d": "1", **self.client}
        if len(name) > MAX_NAME:
            notes.append(f"the event name has {len(name)} characters, Kissmetrics documents {MAX_NAME}")
        return self._request("/e", control, properties, self._noted(properties, self.seconds, notes))

    def set(self, properties: Parameters, notes: list[str], *, seconds_later: int = 0) -> VendorRequest:
        seconds = self.seconds + seconds_later
        control = {"_k": self.settings.api_key, "_p": self.person, "_t": str(seconds), "_d": "1", **self.client}
        return self._request("/s", control, properties, self._noted(properties, seconds, notes))

    def alias(self, identity: str, other: str) -> VendorRequest:
        """Without a time: an alias holds for ever and backwards."""
        return self._request("/a", {"_k": self.settings.api_key, "_p": identity, "_n": other, **self.client}, {}, ())

    def _request(self, path: str, control: Parameters, properties: Parameters, notes: Sequence[str]) -> VendorRequest:
        pairs = (*control.items(), *properties.items())
        url = self.settings.endpoint + path
        if encoded_length(pairs) <= MAX_QUERY:
            return VendorRequest(method="GET", url=url, query=pairs, notes=notes)
        return VendorRequest(method="POST", url=url, form=pairs, notes=notes)

    @staticmethod
    def _noted(properties: Parameters, seconds: int, notes: list[str]) -> Sequence[str]:
        if seconds < OLDEST_STORED:
            notes.append("happened before 2009, which Kissmetrics does not store")
        if max(map(len, properties), default=0) > MAX_NAME:
            notes.extend([f"a property name has {len(name)} characters, Kissmetrics documents {MAX_NAME}" for name in properties if len(name) > MAX_NAME])
        if max(map(len, properties.values()), default=0) > MAX_VALUE:
            notes.extend(
                [
                    f"the value of {_shown(name)} has {len(value)} characters, Kissmetrics documents {MAX_VALUE}"
                    for name, value in properties.items()
                    if len(value) > MAX_VALUE
                ]
            )
        return tuple(notes)


def _call_of(event: Event, settings: KissmetricsSettings) -> _Call | None:
    """None for an event that names nobody. Raises `InvalidForVendor` for an identity that is too long."""
    if _is_given(event.user_id):
        person = _identity(event.user_id, "userId")
    elif _is_given(event.anonymous_id):
        person = _identity(event.anonymous_id, "anonymousId")
    else:
        return None
    client = {
        parameter: value for parameter, name in (("_ip", "ip"), ("_ua", "userAgent")) if isinstance(value := event.context.get(name), str) and value.strip()
    }
    return _Call(settings, person, unix_seconds(event.timestamp), client)


def _identity(value: str, field_name: str) -> str:
    if len(value) > MAX_IDENTITY:
        raise InvalidForVendor(f"the {field_name} has {len(value)} characters, Kissmetrics takes {MAX_IDENTITY}", field=field_name)
    return value


def _is_given(text: str | None) -> TypeGuard[str]:
    return text is not None and bool(text.strip())


def _is_blank_name(name: str) -> bool:
    """Whether nothing is left of an event name at Kissmetrics, which turns commas and colons into spaces."""
    return not name.translate(_BECOME_SPACES).strip()


def _page_title(event: Page | Screen, settings: KissmetricsSettings) -> str | None:
    """What the page is called in its event: its name, else its category; None if the settings, or the page, have neither."""
    if settings.track_named_pages and event.name is not None and not _is_blank_name(event.name):
        return event.name
    if settings.track_categorized_pages:
        for category in (event.category, event.properties.get("category")):
            if isinstance(category, str) and not _is_blank_name(category):
                return category
    return None


def _products(properties: Mapping[str, Any], notes: list[str]) -> list[tuple[int, Mapping[str, Any]]]:
    """The order's products and their places in it."""
    listed = properties.get("products")
    if listed is None:
        return []
    if not isinstance(listed, list):
        notes.append("no products are sent: `products` is not a list")
        return []
    products: list[tuple[int, Mapping[str, Any]]] = [(index, product) for index, product in enumerate(listed) if isinstance(product, dict)]
    if len(products) < len(listed):
        notes.append(f"{len(listed) - len(products)} of {len(listed)} products are not sent: they are not objects")
    return products


def _revenue(properties: Mapping[str, Any], *, or_total: bool) -> float | None:
    """What is billed: `revenue`, or an order's `total` where `revenue` is absent, empty or zero; None if that is no number, or zero."""
    revenue = properties.get("revenue")
    if or_total and (revenue is None or revenue in (0, "")):
        revenue = properties.get("total")
    return amount(revenue) or None


def _event_properties(event_name: str, properties: Mapping[str, Any], revenue: float | None, settings: KissmetricsSettings, notes: list[str]) -> Parameters:
    """A track event's properties, or one of its products, under the names they are sent by."""
    texts = flat({name: value for name, value in properties.items() if name != "products"})
    if revenue is not None:
        texts["revenue"] = number_text(revenue)
    named = _prefixed(f"{event_name} - ", texts, settings) if settings.prefix_properties else _prefixed("", _unprefixed(texts, notes), settings)
    if revenue is not None:
        named[_BILLING_PROPERTY[settings.key_case]] = texts["revenue"]
    return named


def _prefixed(prefix: str, texts: Parameters, settings: KissmetricsSettings) -> Parameters:
    """The billing property, in whatever case it is written, is never prefixed: Kissmetrics' revenue report looks for it by its name."""
    billing = _BILLING_PROPERTY[settings.key_case]
    return {billing if name.lower() == _BILLING_LOWER else prefix + name: text for name, text in texts.items()}


def _unprefixed(texts: Parameters, notes: list[str]) -> Parameters:
    """Without the names that mean something else to Kissmetrics, and without nameless ones."""
    kept = {name: text for name, text in texts.items() if name not in _CONTROL_NAMES and name.strip()}
    if len(kept) < len(texts):
        notes.append(f"{len(texts) - len(kept)} properties are not sent: Kissmetrics' own parameters have their names, or they have none")
    return kept


def _shown(name: str) -> str:
    return f"`{name}`" if _FIT_FOR_A_LOG.fullmatch(name) else "a property"


def _toggle(settings: Mapping[str, Any], name: str) -> bool:
    value = settings.get(name, True)
    if not isinstance(value, bool):
        raise SettingsInvalid(f"{name} must be true or false", field=name)
    return value


def _api_key(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsInvalid("apiKey is required", field="apiKey")
    if value.split() != [value]:
        raise SettingsInvalid("apiKey holds white space", field="apiKey")
    return value


def _key_case(value: object) -> KeyCase:
    if value == "seed":
        return "seed"
    if value == "source":
        return "source"
    raise SettingsInvalid("keyCase must be `seed` or `source`", field="keyCase")


def _endpoint(value: object) -> str:
    if value == DEFAULT_ENDPOINT:
        return DEFAULT_ENDPOINT
    if not isinstance(value, str):
        raise SettingsInvalid("endpoint must be a URL", field="endpoint")
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError:
        raise SettingsInvalid("endpoint is not a URL", field="endpoint") from None
    if not host or value.split() != [value]:
        raise SettingsInvalid("endpoint is not a URL with a host", field="endpoint")
    if url.scheme != "https" and not (url.scheme == "http" and host in _PLAIN_HTTP_HOSTS):
        raise SettingsInvalid("endpoint must be https", field="endpoint")
    if url.query or url.fragment or "?" in value or "#" in value or "@" in url.netloc:
        raise SettingsInvalid("endpoint must be a host and perhaps a path, without credentials, query or fragment", field="endpoint")
    return value.rstrip("/")


DESTINATION: Final = KissmetricsDestination()
