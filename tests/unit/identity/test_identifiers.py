"""What names a person in an event."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.kit.builders import alias, group, identify, page, track
from tributary.events import Event
from tributary.identity.identifiers import (
    MAX_EXTERNAL_IDS,
    Identifier,
    Strength,
    email_of,
    identifiers_of,
    is_blocked,
    link_of,
    partitions_of,
    stable_identifier,
)


def _named(event: Event, region: str = "US") -> list[tuple[str, str]]:
    return [(identifier.kind, identifier.value) for identifier in identifiers_of(event, region)]


@pytest.mark.parametrize(
    "value",
    [
        *[
            "",
            "  ",
            "null",
            "NULL",
            "-1",
            "0",
            "000-000",
            "0000-00-00",
            "anonymous",
            "Guest",
            "undefined",
            "[object Object]",
            "None",
            "NaN",
            "n/a",
            "{{userId}}",
        ],
        *["test@mail.example", "NoReply@shop.example", "guest@shop.example", " no-reply@shop.example "],
    ],
)
def test_a_value_that_many_people_share_names_nobody(value: str) -> None:
    assert is_blocked(value)
    assert _named(identify(user_id=value, anonymous_id=value, traits={"email": value, "phone": value})) == []
    assert stable_identifier(identify(user_id=value, message_id="m-1")) == "msg#m-1"


@pytest.mark.parametrize("value", ["1", "10", "-10", "info@shop.example", "nullo", "guest-4711", "testa@shop.example"])
def test_a_value_that_only_looks_like_a_shared_one_names_its_person(value: str) -> None:
    assert not is_blocked(value)
    assert len(_named(identify(user_id=value))) == 1


def test_an_event_names_its_user_email_phone_and_browser_the_strongest_first() -> None:
    event = identify(user_id="42", anonymous_id="b-1", traits={"email": " Ana@Quay.example ", "phone": "(202) 555-0123"})
    assert _named(event) == [("user", "42"), ("email", "ana@quay.example"), ("phone", "+12025550123"), ("anonymous", "b-1")]


def test_a_user_id_that_is_an_email_is_an_email_and_keeps_its_spelling_where_that_differs() -> None:
    assert _named(track(user_id="ana@quay.example")) == [("email", "ana@quay.example")]
    assert _named(track(user_id="Ana@Quay.example")) == [("email", "ana@quay.example"), ("spelling", "Ana@Quay.example")]


def test_every_partition_of_the_log_that_an_event_may_be_in_is_found_from_what_it_names() -> None:
    events: list[Event] = [
        track(user_id="42"),
        track(user_id="ana@quay.example"),
        track(user_id="Ana@Quay.example"),
        track(anonymous_id="b-1"),
        track(properties={"email": "Ana@quay.example"}),
        track(user_id="42", owner="konnektive#con_1#901"),
    ]
    for event in events:
        partitions = {partition for identifier in identifiers_of(event) for partition in partitions_of(identifier)}
        assert stable_identifier(event) in partitions


@pytest.mark.parametrize(
    "event",
    [
        track(properties={"email": "ana@quay.example"}),
        track(user_id="guest", anonymous_id="b-1", properties={"email": "ana@quay.example"}),
        track(user_id="42", context={"traits": {"email": "ana@quay.example"}}),
        identify(user_id="42", context={"traits": {"email": "ana@quay.example"}}),
        group(user_id="42", context={"traits": {"email": "ana@quay.example"}}),
    ],
)
def test_an_email_is_found_in_traits_context_and_properties(event: Event) -> None:
    assert Identifier("email", "ana@quay.example") in link_of(event).identifiers


@pytest.mark.parametrize("named", [{"user_id": "42"}, {"owner": "konnektive#c#1"}])
def test_an_email_that_somebodys_event_mentions_is_not_theirs_but_may_be_an_erased_persons(named: dict[str, str]) -> None:
    event = track(**named, properties={"email": "friend@quay.example"})
    friend = Identifier("email", "friend@quay.example")
    assert friend not in link_of(event).identifiers
    assert friend in identifiers_of(event)


def test_a_groups_own_email_is_the_groups() -> None:
    assert email_of(group(user_id="42", traits={"email": "office@quay.example"})) is None


@pytest.mark.parametrize(
    ("traits", "region", "number"),
    [
        ({"phone": "+49 30 901820"}, "US", "+4930901820"),
        ({"phone": "030 901820"}, "DE", "+4930901820"),
        ({"phone": "030 901820", "address": {"country": "de"}}, "US", "+4930901820"),
        ({"phone": "030 901820", "country": "DE"}, "US", "+4930901820"),
        ({"phone": "202-555-0123", "address": {"country": "United States"}}, "US", "+12025550123"),
        ({"phone": "030 901820"}, "US", None),
        ({"phone": "1111111111"}, "US", None),
        ({"phone": "call me"}, "US", None),
        ({"phone": "1" * 5_000}, "US", None),
        ({"phone": 2025550123}, "US", None),
    ],
)
def test_a_phone_is_read_in_its_country_and_ignored_where_it_is_no_number(traits: dict[str, Any], region: str, number: str | None) -> None:
    assert _named(identify(traits=traits), region) == ([("phone", number)] if number else [])


def test_a_phone_among_properties_is_not_the_persons() -> None:
    assert _named(track(user_id="42", properties={"phone": "+12025550123"})) == [("user", "42")]


def test_external_ids_are_read_in_segments_form_and_whatever_has_another_is_passed_over() -> None:
    listed: list[Any] = [
        {"id": "7", "type": "crm", "collection": "users", "encoding": "none"},
        {"id": 8, "type": "loyalty"},
        {"id": "99", "type": "user_id"},
        {"id": "b-9", "type": "anonymous_id"},
        {"id": "Ben@Quay.example", "type": "email"},
        {"id": "202 555 0124", "type": "phone"},
        {"id": "acme", "type": "crm", "collection": "accounts"},
        {"id": "Nw==", "type": "crm", "encoding": "base64"},
        {"id": "null", "type": "crm"},
        {"id": True, "type": "crm"},
        {"id": "7", "type": "a#b"},
        {"id": "7", "type": ""},
        {"id": "7", "type": "x" * 65},
        "7",
    ]
    assert _named(track(context={"externalIds": listed})) == [
        ("user", "99"),
        ("email", "ben@quay.example"),
        ("phone", "+12025550124"),
        ("crm", "7"),
        ("loyalty", "8"),
        ("anonymous", "b-9"),
    ]
    assert _named(track(context={"externalIds": {"crm": "7"}})) == []


def test_no_event_names_more_than_fits_a_transaction() -> None:
    listed = [{"id": f"id-{number}", "type": f"kind-{number}"} for number in range(500)]
    everything = alias("old", user_id="Ana@Quay.example", anonymous_id="b-1", owner="konnektive#con_1#901", context={"externalIds": listed})
    assert len(identifiers_of(everything)) <= MAX_EXTERNAL_IDS + 8


def test_the_owner_of_a_pollers_record_is_an_identifier_of_its_connection() -> None:
    assert _named(track(owner="konnektive#con_1#901")) == [("konnektive:con_1", "901")]
    assert _named(track(owner="something else")) == []
    assert _named(track(owner="konnektive#con_1#0")) == []


def test_an_alias_names_its_previous_id_in_both_readings() -> None:
    link = link_of(alias("sess-71", user_id="42", anonymous_id="b-1"))
    assert [tuple(identifier) for identifier in link.identifiers] == [("user", "42"), ("user", "sess-71"), ("anonymous", "b-1"), ("anonymous", "sess-71")]
    assert link.strength is Strength.EXPLICIT


def test_an_alias_from_an_email_links_the_email() -> None:
    assert _named(alias("old@quay.example", user_id="42")) == [("user", "42"), ("email", "old@quay.example")]


@pytest.mark.parametrize("event", [alias("sess-71"), alias("guest", user_id="42"), alias("sess-71", user_id="guest", anonymous_id="b-1")])
def test_an_alias_that_lacks_an_id_links_no_two(event: Event) -> None:
    assert len(identifiers_of(event)) <= 1
    assert link_of(event).strength is Strength.STRONG


def test_an_event_of_nothing_but_a_browser_names_that_browser_alone() -> None:
    others = {"externalIds": [{"id": "b-2", "type": "anonymous_id"}]}
    assert _named(identify(anonymous_id="b-1", context=others)) == [("anonymous", "b-1")]
    assert link_of(identify(anonymous_id="b-1", context=others)).is_anonymous
    assert _named(identify(user_id="42", anonymous_id="b-1", context=others)) == [("user", "42"), ("anonymous", "b-1"), ("anonymous", "b-2")]


@pytest.mark.parametrize("context", [{"traits": "text"}, {"traits": []}, {"externalIds": None}, {"traits": {"email": 7, "phone": {}, "address": "x"}}])
def test_junk_where_ids_may_stand_is_passed_over(context: dict[str, Any]) -> None:
    assert _named(page(user_id="42", context=context)) == [("user", "42")]


def test_the_phone_library_is_loaded_by_the_first_number_alone() -> None:
    code = "import sys, tributary.contacts.resolver, tributary.contacts.describe; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "layers/tributary"}, check=False).returncode == 0
