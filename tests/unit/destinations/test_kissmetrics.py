"""The Kissmetrics destination: what it refuses, notes, and makes of lengths. What it sends, case by case, is in `tests/golden/kissmetrics`."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.destinations.encoding import encode_pairs
from tributary.destinations.kissmetrics import DESTINATION, KissmetricsDestination
from tributary.errors import CredentialRefused, InvalidForVendor, VendorRefused, VendorThrottled, VendorUnavailable
from tributary.events import Alias, Event, Group, Identify, Page, Screen, Track, encode
from tributary.ports import Destination, VendorAnswer, VendorRequest

_WHEN = datetime(2026, 4, 18, 9, 30, 15, 250_000, tzinfo=UTC)
_TEXT = st.text(max_size=8)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_NAMES = _TEXT | st.sampled_from(
    ["revenue", "total", "products", "Billing Amount", "billing amount", "id", "Id", "name", "category", "_k", "_p", "_n", "_t", "_d"]
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES | st.lists(st.dictionaries(_NAMES, _VALUES, max_size=3), max_size=3), max_size=5)


def _common(**more: Any) -> dict[str, Any]:
    return {"source": "src_web", "message_id": "m-1", "timestamp": _WHEN, "received_at": _WHEN, "user_id": "maya-31", **more}


def _track(event: str = "Bike Rented", **more: Any) -> Track:
    return Track(**_common(event=event, **more))


def _build(event: Event, **settings: object) -> list[VendorRequest]:
    return DESTINATION.build(event, {"apiKey": "shop-key", **settings})


def _field_refused(event: Event, **settings: object) -> str:
    with pytest.raises(InvalidForVendor) as raised:
        _build(event, **settings)
    assert "bikes.example" not in str(raised.value)
    return raised.value.field


def test_the_engine_knows_it_as_a_destination() -> None:
    destination: Destination = DESTINATION
    assert destination.type == "kissmetrics"
    assert destination.integration_names == {"KISSmetrics", "Kissmetrics"}
    assert destination.secret_settings == {"apiKey"}


_EVERY_CALL: list[Event] = [
    _track(),
    Page(**_common(name="Prices")),
    Screen(**_common(name="Basket")),
    Identify(**_common()),
    Group(**_common(group_id="club-6")),
    Alias(**_common(previous_id="visitor-9a")),
]


@pytest.mark.parametrize("event", _EVERY_CALL, ids=lambda event: event.type)
def test_an_event_that_names_nobody_is_not_sent(event: Event) -> None:
    assert _build(event)
    for nobody in (None, "", "  ", "\n"):
        assert _build(msgspec.structs.replace(event, user_id=nobody, anonymous_id=nobody)) == []


@pytest.mark.parametrize("event", _EVERY_CALL, ids=lambda event: event.type)
def test_a_person_of_255_characters_is_sent_and_one_more_is_refused(event: Event) -> None:
    assert _build(msgspec.structs.replace(event, user_id="é" * 255))
    assert _field_refused(msgspec.structs.replace(event, user_id="é" * 256)) == "userId"


@pytest.mark.parametrize("event", _EVERY_CALL[:5], ids=lambda event: event.type)
def test_a_visitor_of_255_characters_is_sent_and_one_more_is_refused(event: Event) -> None:
    assert _build(msgspec.structs.replace(event, user_id=None, anonymous_id="v" * 255))
    assert _field_refused(msgspec.structs.replace(event, user_id=None, anonymous_id="v" * 256)) == "anonymousId"


def test_both_identities_of_an_alias_have_the_limit() -> None:
    assert _field_refused(Alias(**_common(previous_id="p" * 256))) == "previousId"
    assert _field_refused(Alias(**_common(anonymous_id="v" * 256))) == "anonymousId"
    assert _field_refused(Alias(**_common(previous_id="visitor-9a") | {"user_id": "u" * 256})) == "userId"
    assert len(_build(Alias(**_common(previous_id="p" * 255) | {"user_id": "u" * 255}))) == 1


def test_an_identify_whose_alias_would_be_refused_is_refused_whole() -> None:
    assert _field_refused(Identify(**_common(anonymous_id="v" * 256))) == "anonymousId"


@pytest.mark.parametrize(("ids", "field"), [({"previous_id": "guest"}, "previousId"), ({"anonymous_id": "0"}, "anonymousId")])
def test_an_alias_of_what_many_people_share_is_refused(ids: dict[str, str], field: str) -> None:
    assert _field_refused(Alias(**_common(**ids))) == field
    assert _field_refused(Alias(**_common(previous_id="visitor-9a") | {"user_id": "undefined"})) == "userId"


@pytest.mark.parametrize("name", ["", " ", ",", " : , :", "\t\n"])
def test_an_event_of_which_kissmetrics_keeps_no_name_is_refused(name: str) -> None:
    assert _field_refused(_track(name)) == "event"
    assert len(_build(_track(f"{name}x"))) == 1


def test_properties_nested_deeper_than_python_can_follow_are_refused_and_nobody_else_suffers() -> None:
    deep: Any = {"a": 1}
    for _ in range(100_000):
        deep = {"a": deep}
    assert _field_refused(_track(properties={"deep": deep})) == "properties"
    assert _field_refused(Identify(**_common(traits={"deep": [deep]}))) == "traits"
    while isinstance(deep, dict):  # taken apart by hand: a deep object is also freed one call inside another
        deep = deep["a"]


def _length_of_properties(note: str) -> tuple[VendorRequest, int]:
    [request] = _build(_track(properties={"note": note}), prefixProperties=False)
    return request, len(encode_pairs(request.query or request.form or ()))


def test_a_query_of_2048_characters_is_a_get_and_one_more_a_post() -> None:
    _, length = _length_of_properties("")
    longest, length_of_longest = _length_of_properties("x" * (2048 - length))
    assert (longest.method, length_of_longest) == ("GET", 2048)
    assert longest.form is None
    longer, length_of_longer = _length_of_properties("x" * (2049 - length))
    assert (longer.method, length_of_longer) == ("POST", 2049)
    assert not longer.query
    assert longer.url == longest.url == "https://trk.kissmetrics.io/e"
    assert dict(longer.form or ())["note"] == "x" * (2049 - length)


def test_the_length_is_that_of_the_encoded_text() -> None:
    request, _ = _length_of_properties("½" * 400)
    assert request.method == "POST"


def test_each_request_of_an_order_has_its_own_length() -> None:
    order = _track("Order Completed", properties={"note": "x" * 2100, "products": [{"sku": "PUMP"}, {"sku": "y" * 2100}]})
    assert [(request.method, request.url[-2:]) for request in _build(order)] == [("POST", "/e"), ("GET", "/s"), ("POST", "/s")]


def test_the_same_event_makes_the_same_requests() -> None:
    order = _track("Order Completed", properties={"revenue": 5, "products": [{"sku": "PUMP"}, {"sku": "BELL"}]}, context={"ip": "198.51.100.23"})
    assert _build(order) == _build(copy.deepcopy(order))


@given(properties=_OBJECTS, prefix=st.booleans(), name=st.sampled_from(["Order Completed", "Bike Rented"]))
def test_whatever_the_properties_the_control_parameters_are_ours(properties: dict[str, Any], prefix: bool, name: str) -> None:
    event = _track(name, properties=properties)
    before = encode(event) if _is_json(properties) else repr(event)
    requests = _build(event, prefixProperties=prefix)
    for index, request in enumerate(requests):
        pairs = request.query or request.form or ()
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))
        control = {name: value for name, value in pairs if name in {"_k", "_p", "_n", "_t", "_d", "_p2", "_ip", "_ua"}}
        seconds = int(control.pop("_t"))
        assert control == {"_k": "shop-key", "_p": "maya-31", "_d": "1"} | ({"_n": name} if index == 0 else {})
        assert seconds == 1776504615 if index == 0 else seconds >= 1776504615
        assert sum(name.lower() == "billing amount" for name in names) <= 1
        assert request.encoded == encode_pairs(pairs)
    assert (encode(event) if _is_json(properties) else repr(event)) == before


def _is_json(properties: dict[str, Any]) -> bool:
    try:
        msgspec.json.encode(properties)
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


@given(traits=_OBJECTS)
def test_whatever_the_traits_a_person_and_a_group_are_set(traits: dict[str, Any]) -> None:
    [person] = _build(Identify(**_common(traits=traits)))
    assert dict(person.query or person.form or ())["id"] == "maya-31"
    [group] = _build(Group(**_common(group_id="club-6", traits=traits)))
    assert [value for name, value in group.query or group.form or () if name.lower() == "group - id"] == ["club-6"]


def _notes(event: Event, **settings: object) -> list[str]:
    return [note for request in _build(event, **settings) for note in request.notes]


def test_an_ordinary_event_has_no_notes() -> None:
    context = {"ip": "198.51.100.23", "userAgent": "B" * 600}
    assert _notes(_track(properties={"note": "x" * 512, "n" * (255 - len("Bike Rented - ")): 1}, context=context)) == []


def test_names_and_values_that_kissmetrics_may_cut_are_sent_whole_and_noted() -> None:
    event = _track("E" * 256, properties={"note": "x" * 513, "p": 1})
    [request] = _build(event, prefixProperties=False)
    pairs = dict(request.query or request.form or ())
    assert pairs["_n"] == "E" * 256
    assert pairs["note"] == "x" * 513
    assert request.notes == [
        "the event name has 256 characters, Kissmetrics documents 255",
        "the value of `note` has 513 characters, Kissmetrics documents 512",
    ]


def test_a_long_event_name_is_noted_as_a_name_alone() -> None:
    assert _notes(_track("E" * 600)) == ["the event name has 600 characters, Kissmetrics documents 255"]


def test_a_property_name_is_too_long_with_its_prefix() -> None:
    assert _notes(_track(properties={"n" * 250: 1})) == ["a property name has 264 characters, Kissmetrics documents 255"]


def test_a_note_names_no_property_that_could_hold_personal_data() -> None:
    notes = _notes(_track(properties={"zoe@bikes.example": "x" * 513, "00441632960123": "x" * 513}), prefixProperties=False)
    assert notes == ["the value of a property has 513 characters, Kissmetrics documents 512"] * 2


def test_what_happened_before_2009_is_sent_and_noted() -> None:
    early = _track("Order Completed", properties={"products": [{"sku": "PUMP"}]})
    early = msgspec.structs.replace(early, timestamp=datetime(2008, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert _notes(early) == ["happened before 2009, which Kissmetrics does not store"] * 2
    assert _notes(msgspec.structs.replace(early, timestamp=datetime(2009, 1, 1, tzinfo=UTC))) == []


def test_products_that_are_left_out_are_noted_with_the_order() -> None:
    assert _notes(_track("Order Completed", properties={"products": "PUMP"})) == ["no products are sent: `products` is not a list"]
    some = _track("Order Completed", properties={"products": ["PUMP", {"sku": "BELL"}, None]})
    assert _build(some)[0].notes == ["2 of 3 products are not sent: they are not objects"]
    assert _build(some)[1].notes == []
    assert _notes(_track("Order Completed", properties={"products": None})) == []


def test_properties_that_are_left_out_for_their_name_are_noted() -> None:
    expected = ["2 properties are not sent: they have no name, or that of a parameter of Kissmetrics' own"]
    assert _notes(_track(properties={"_n": 1, "": 2, "size": "M"}), prefixProperties=False) == expected
    assert _notes(Identify(**_common(traits={"_p2": 1, "_ua": 2}))) == expected


def test_an_alias_that_is_left_out_is_noted_with_the_set() -> None:
    assert _notes(Identify(**_common(anonymous_id="undefined"))) == ["no alias is sent: many people share this anonymousId"]


def test_a_time_before_1970_is_rounded_down() -> None:
    event = msgspec.structs.replace(_track(), timestamp=datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC))
    assert dict(_build(event)[0].query)["_t"] == "-2"


class _Noon:
    def now(self) -> datetime:
        return datetime(2026, 4, 18, 12, 0, 0, tzinfo=UTC)

    def seconds_since(self, moment: datetime) -> float:
        raise NotImplementedError

    def to_wait(self, seconds: float) -> float:
        raise NotImplementedError


def _answer(status: int, **headers: str) -> VendorAnswer:
    return VendorAnswer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=b"GIF89a")


@pytest.mark.parametrize("status", [200, 204, 304])
def test_an_answer_of_success_is_success(status: int) -> None:
    DESTINATION.check(_answer(status))


@pytest.mark.parametrize(
    ("status", "error"),
    [(302, VendorRefused), (400, VendorRefused), (401, CredentialRefused), (403, CredentialRefused), (429, VendorThrottled), (500, VendorUnavailable)],
)
def test_any_other_answer_is_its_error(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"Kissmetrics answered {status}"):
        DESTINATION.check(_answer(status))


def test_a_wait_given_as_a_date_is_counted_from_now() -> None:
    with pytest.raises(VendorThrottled) as raised:
        KissmetricsDestination(clock=_Noon()).check(_answer(429, retry_after="Sat, 18 Apr 2026 12:01:30 GMT"))
    assert raised.value.retry_after == 90
