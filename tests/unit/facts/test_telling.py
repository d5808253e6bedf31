"""Facts on their way to the queue: from the stream of CONTACTS as Lambda brings it, and from events."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.kit.builders import identify, page, track
from tests.kit.changes import StreamedWorld
from tests.kit.contacts import DIGESTS
from tests.kit.stores import MemoryPoison, MemoryQueue
from tributary.errors import StoreUnavailable
from tributary.facts.message import unpack
from tributary.facts.of_contacts import Change, Image
from tributary.facts.queued import QueuedFacts
from tributary.facts.tables import Kind
from tributary.facts.telling import CONTACTS, Telling, changes_of_stream
from tributary.ports import RowKey
from tributary.stream import StreamReader


def record(change: Change) -> dict[str, Any]:
    """As a stream of new and old images has it."""
    said: dict[str, Any] = {"Keys": {"pk": {"S": change.key.partition}, "sk": {"S": change.key.sort}}}
    for name, image in (("OldImage", change.old), ("NewImage", change.new)):
        if image is not None:
            said[name] = {**said["Keys"], "v": {"N": str(image.revision)}, "d": {"B": base64.b64encode(image.data).decode()}}
    return {"dynamodb": said}


def told(queue: MemoryQueue) -> dict[Kind, int]:
    counts: dict[Kind, int] = {}
    for message in queue.sent:
        for kind, rows in unpack(message.body).rows().items():
            counts[kind] = counts.get(kind, 0) + len(rows)
    return counts


def test_a_records_images_are_what_the_row_was_and_is() -> None:
    key = RowKey("contact#c", "root")
    changes = [
        Change(key=key, old=None, new=Image(1, b"a")),
        Change(key=key, old=Image(1, b"a"), new=Image(2, b"b")),
        Change(key=key, old=Image(2, b"b"), new=None),
    ]
    assert changes_of_stream([record(change) for change in changes]) == (changes, [])


@pytest.mark.parametrize(
    "image", [{"v": {"N": "x"}, "d": {"B": "YQ=="}}, {"v": {"N": "1"}}, {"v": {"N": "1"}, "d": {"B": "!"}}, {"v": {"S": "1"}, "d": {"B": ""}}]
)
def test_a_record_without_a_row_is_named_by_its_key(image: dict[str, Any]) -> None:
    broken = {"dynamodb": {"Keys": {"pk": {"S": "contact#c"}, "sk": {"S": "root"}}, "NewImage": image}}
    assert changes_of_stream([broken]) == ([], ["contact#c|root"])


def test_changes_are_told_and_counted() -> None:
    world, queue = StreamedWorld(), MemoryQueue()
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}))
    counts = Telling(facts=QueuedFacts(queue), digests=DIGESTS).changes(world.streamed.changes)
    assert told(queue) == {Kind.CONTACTS: counts["facts_contacts"], Kind.IDENTITIES: counts["facts_identities"]}
    assert counts["facts_identities"] == 2


def test_events_are_told_with_what_was_left_out_of_them() -> None:
    queue = MemoryQueue()
    visit = page(anonymous_id="b-1", properties={"url": "https://quay.example/?utm_source=forum&utm_medium=referral&utm_term=ana%40quay.example"})
    counts = Telling(facts=QueuedFacts(queue), digests=DIGESTS).events([visit, track(user_id="1")])
    assert told(queue) == {Kind.TOUCHES: 1, Kind.ACTIVITIES: 2}
    assert counts == {"facts_touches": 1, "facts_activities": 2, "left_out_personal": 1}


def test_a_queue_that_refuses_gives_the_batch_back() -> None:
    with pytest.raises(StoreUnavailable):
        Telling(facts=QueuedFacts(MemoryQueue(refuse=lambda _: True)), digests=DIGESTS).events([track(user_id="1")])


def test_a_row_that_cannot_be_told_is_set_aside_without_a_copy_and_the_rest_is_told() -> None:
    world, queue, poison = StreamedWorld(), MemoryQueue(), MemoryPoison()
    world.take(identify(user_id="1", traits={"email": "ana@quay.example"}))
    broken = Change(key=RowKey("contact#" + "c" * 32, "root"), old=None, new=Image(1, b"{ana@quay.example"))
    reader = StreamReader("contact_facts", Telling(facts=QueuedFacts(queue), digests=DIGESTS).changes, poison, CONTACTS)
    counts = reader.read([record(change) for change in (*world.streamed.changes, broken)])
    assert counts["set_aside"] == 1
    assert told(queue)[Kind.IDENTITIES] == 2
    assert [(row.place, row.key, row.code, row.body) for row in poison.rows.values()] == [
        ("contact_facts", "contact#" + "c" * 32 + "|root", "unreadable_message", b"")
    ]
