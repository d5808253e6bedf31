"""Random histories of a few people who share devices, change emails, alias themselves, and buy."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.kit import commerce
from tests.kit.builders import NOON
from tributary.events import Alias, Event, Group, Identify, Page, Track
from tributary.log_codec import key_of

USERS = ["u-1", "u-2", "u-3", "Ana@quay.example", "guest"]
BROWSERS = ["b-1", "b-2", "b-3", "b-4", "null"]
EMAILS = ["ana@quay.example", "Ben@quay.example", "noreply@quay.example"]
PHONES = ["(202) 555-0101", "+12025550102", "12"]

_maybe_user = st.none() | st.sampled_from(USERS)
_maybe_browser = st.none() | st.sampled_from(BROWSERS)
_traits = st.fixed_dictionaries(
    {},
    optional={
        "plan": st.sampled_from(["crew", "captain", None]),
        "deck": st.integers(0, 2),
        "email": st.sampled_from(EMAILS),
        "phone": st.sampled_from(PHONES),
    },
)
_external = st.lists(st.fixed_dictionaries({"type": st.sampled_from(["crm", "loyalty"]), "id": st.sampled_from(["7", "8"])}), max_size=1)
_times = st.integers(0, 3)
_customers = st.sampled_from([None, "901", "902", "903", "[Contacts.Id]"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    """One event; its message id and receipt are set by `histories`."""
    context: dict[str, Any] = {"externalIds": found} if (found := draw(_external)) else {}
    if draw(st.integers(0, 4)) == 0:
        context["tags"] = draw(commerce.tags)
    if draw(st.integers(0, 3)) == 0:
        context["payments"] = "told"
    base: dict[str, Any] = {
        "source": draw(st.sampled_from(["src_a", "src_b"])),
        "message_id": "",
        "timestamp": NOON + timedelta(seconds=draw(_times)),
        "received_at": NOON,
        "user_id": draw(_maybe_user),
        "anonymous_id": draw(_maybe_browser),
        "context": context,
        "owner": draw(st.sampled_from([None, None, None, "konnektive#con_1#901", "konnektive#con_1#902"])),
    }
    match draw(st.sampled_from(["identify", "identify", "track", "page", "page", "group", "alias", "commerce", "commerce", "commerce"])):
        case "identify":
            return Identify(**base, traits=draw(_traits))
        case "track":
            return Track(**base, event="Berth Booked", properties={"email": draw(st.sampled_from(EMAILS))} if draw(st.booleans()) else {})
        case "commerce":
            name, properties = draw(commerce.commerce())
            return Track(**base, event=name, properties=properties)
        case "page":
            return Page(**base, name="Home", properties={"url": f"https://quay.example/?seg_cid={customer}"} if (customer := draw(_customers)) else {})
        case "group":
            return Group(**base, group_id=draw(st.sampled_from(["g-1", "g-2"])), traits={"size": draw(st.integers(0, 2))})
        case _:
            return Alias(**base, previous_id=draw(st.sampled_from(USERS + BROWSERS)))


@st.composite
def histories(draw: st.DrawFn, *, max_size: int = 12) -> list[Event]:
    """Events as they arrived, one after another, each new to the log. Now and then one has the message id of another, somebody else's
    (not one that buys: of two such the model would have to know which counts)."""
    said = numbered(draw(st.lists(events(), min_size=1, max_size=max_size)))
    keys = {key_of(event) for event in said}
    for number in draw(st.sets(st.integers(0, len(said) - 1), max_size=3)):
        reusing = msgspec.structs.replace(said[number], message_id="m-00")
        if key_of(reusing) not in keys and not commerce.tells(said[number]):
            keys.add(key_of(reusing))
            said[number] = reusing
    return said


def numbered(said: Sequence[Event]) -> list[Event]:
    return [
        msgspec.structs.replace(event, message_id=f"m-{number:02}", received_at=NOON + timedelta(seconds=10, milliseconds=number))
        for number, event in enumerate(said)
    ]


def shuffled_batches(said: Sequence[Event], seed: int) -> list[list[Event]]:
    """The same events in another order, cut into batches, some of them delivered again."""
    chance = random.Random(seed)
    left = [*said, *(event for event in said if chance.random() < 0.3)]
    chance.shuffle(left)
    batches: list[list[Event]] = []
    while left:
        size = chance.randint(1, 4)
        batches.append(left[:size])
        left = left[size:]
    return batches
