"""Resolve on moto: the real handler from the log's stream, the real adapter under threads, answers that are lost."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.builders import identify, page, track
from tests.kit.contacts import DIGESTS, ContactsOnDynamo, deliver, model, people_in, resolver
from tests.kit.histories import histories, shuffled_batches
from tests.kit.moto import create_table, dynamodb_table
from tests.kit.pipeline import Pipeline, pipeline
from tributary import log_codec
from tributary.adapters import aws
from tributary.adapters.contacts import DynamoContacts
from tributary.adapters.event_log import DynamoEventLog
from tributary.contacts.describe import describe
from tributary.contacts.reading import read_contact
from tributary.events import Event
from tributary.facts.message import unpack
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.ports import ContactRow, RowKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PERSONAL = ("ana@quay.example", "+12025550123", "visit-9", "Ana Ruiz")


class Stack:
    """CONTACTS and EVENTS on moto."""

    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client
        create_table(client, "events")
        self.log = DynamoEventLog(lambda: client, "events")
        self.contacts = DynamoContacts(lambda: client, "table")

    def people(self) -> Any:
        return people_in(ContactsOnDynamo(self.contacts, self._everything))

    def _everything(self) -> Iterator[ContactRow]:
        for page_of_rows in self.client.get_paginator("scan").paginate(TableName="table"):
            for item in page_of_rows["Items"]:
                yield ContactRow(RowKey(item["pk"]["S"], item["sk"]["S"]), int(item["v"]["N"]), bytes(item["d"]["B"]))


@contextmanager
def stack() -> Iterator[Stack]:
    with dynamodb_table() as client:
        yield Stack(client)


def _one_call_at_a_time(client: Any) -> None:
    """moto is not made for threads: a call of it is not atomic. DynamoDB's are; between two calls anything goes, here too."""
    lock = threading.Lock()
    make_api_call = client._make_api_call

    def locked(operation: str, parameters: Any) -> Any:
        with lock:
            return make_api_call(operation, parameters)

    client._make_api_call = locked


def _in_threads(on: Stack, batches: Sequence[Sequence[Event]], workers: int) -> None:
    _one_call_at_a_time(on.client)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for batch in batches[number::workers]:
                deliver(resolver(on.contacts, on.log), on.log, batch)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(max_size=12), st.integers())
def test_any_order_repetition_and_batching_gives_the_same_people_on_dynamodb(said: list[Event], seed: int) -> None:
    with stack() as on:
        for batch in shuffled_batches(said, seed):
            deliver(resolver(on.contacts, on.log), on.log, batch)
        assert on.people() == model(said)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(max_size=12), st.integers())
def test_concurrent_workers_give_the_same_people_on_dynamodb(said: list[Event], seed: int) -> None:
    with stack() as on:
        _in_threads(on, shuffled_batches(said, seed), workers=3)
        assert on.people() == model(said)


def test_twenty_workers_on_one_person_lose_no_link_on_dynamodb() -> None:
    events: list[Event] = [track(user_id="1", anonymous_id=f"b-{number}") for number in range(20)]
    events += [identify(user_id="1", traits={"email": f"ana{number}@quay.example"}) for number in range(10)]
    events += [identify(traits={"email": f"ana{number}@quay.example", "deck": number}) for number in range(10)]
    random.Random(3).shuffle(events)
    with stack() as on:
        _in_threads(on, [[event] for event in events], workers=20)
        assert on.people() == model(events)


@pytest.mark.parametrize("operation", ["PutItem", "TransactWriteItems"])
def test_a_write_that_dynamodb_made_and_whose_answer_is_lost_counts_once(operation: str) -> None:
    """The SDK tries again by itself: a transaction by its token, a conditional put against its own first try."""
    story: list[Event] = [
        identify(anonymous_id="b", traits={"plan": "crew"}),
        identify(user_id="1", anonymous_id="b"),
        track(properties={"email": "ana@quay.example"}),
        identify(user_id="1", traits={"email": "ana@quay.example"}),
        track(user_id="1"),
    ]
    tried = 0
    for lost in range(1, 20):
        with stack() as on:
            left = [lost]

            def lose_answer(request: Any, left: list[int] = left, client: Any = on.client, **_: Any) -> None:
                if json.loads(request.body).get("TableName") == "events":
                    return
                left[0] -= 1
                if left[0] == 0:
                    getattr(client, "put_item" if operation == "PutItem" else "transact_write_items")(**_as_call(request.body))
                    raise ReadTimeoutError(endpoint_url=request.url)

            on.client.meta.events.register_first(f"before-send.dynamodb.{operation}", lose_answer)
            for event in story:
                deliver(resolver(on.contacts, on.log), on.log, [event])
            assert on.people() == model(story)
            contact = read_contact(on.contacts, DIGESTS, Identifier("user", "1"))
            assert contact is not None
            assert contact.merge_count == 1, "counted once"
            if left[0] > 0:
                break
            tried += 1
    assert tried >= 2, "each write's answer was lost once"


def _as_call(body: bytes) -> dict[str, Any]:
    """A request's JSON as arguments for the client: binaries are base64 text on the wire."""

    def decoded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: base64.b64decode(one) if key == "B" else decoded(one) for key, one in value.items()}
        return [decoded(one) for one in value] if isinstance(value, list) else value

    call: dict[str, Any] = decoded(json.loads(body))
    return call


class NoVendor:
    """Nothing is forwarded here."""


def _records(*events: Event) -> dict[str, Any]:
    records = []
    for event in events:
        pk, sk = log_codec.key_of(event)
        image = {"pk": {"S": pk}, "sk": {"S": sk}, "p": {"B": base64.b64encode(log_codec.pack(event)).decode()}}
        records.append({"eventName": "INSERT", "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}, "NewImage": image}})
    return {"Records": records}


@contextmanager
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    with pipeline(monkeypatch, NoVendor()) as running:
        yield running


def _contact(kind: str, value: str) -> dict[str, Any] | None:
    contact = read_contact(DynamoContacts(aws.dynamodb, "contacts"), Digests(b"k" * 32), Identifier(kind, value))
    return describe(contact, []) if contact else None


def test_the_handler_makes_one_person_of_a_shoppers_events(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Event] = [
        page(anonymous_id="visit-9"),
        identify(user_id="42", anonymous_id="visit-9", traits={"email": "ana@quay.example", "phone": "+12025550123", "name": "Ana Ruiz"}),
        track(properties={"email": "ana@quay.example"}),
    ]
    with handler(monkeypatch) as running:
        assert running.invoke("resolve", _records(*events)) is None
        described = _contact("phone", "+12025550123")
    assert described is not None
    assert {(one["kind"], one["value"]) for one in described["identifiers"]} == {
        ("user", "42"),
        ("email", "ana@quay.example"),
        ("phone", "+12025550123"),
        ("anonymous", "visit-9"),
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert (metrics["resolved"], metrics["anonymous"], metrics["attached"], metrics["created"]) == ([2.0], [1.0], [4.0], [1.0])
    assert not any(secret in json.dumps(lines) for secret in PERSONAL)


def test_a_record_that_cannot_be_read_is_set_aside_and_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = _records(track(user_id="1"), track(user_id="2", message_id="m-bad"), track(user_id="3"))
    batch["Records"][1]["dynamodb"]["NewImage"]["p"]["B"] = "AAAA"
    with handler(monkeypatch) as running:
        running.invoke("resolve", batch)
        assert [_contact("user", user) is not None for user in "123"] == [True, False, True]
        (row,) = [row for row in running.rows("events") if row["pk"]["S"] == "poison#resolve"]
    assert (row["sk"]["S"], row["code"]["S"]) == ("user#2|event#src_shop#m-bad", "unreadable_message")


def test_what_was_done_is_told_to_the_facts_queue_but_not_of_erased_people(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = [page(anonymous_id="visit-9"), track(user_id="42"), track(user_id="43")]
    with handler(monkeypatch) as running:
        erased = Digests(b"k" * 32).of(Identifier("user", "42"))
        boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": f"suppressed#{erased}"}, "sk": {"S": "suppressed"}})
        running.invoke("resolve", _records(*events))
        sqs = boto3.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName="facts")["QueueUrl"])["Messages"]
    assert {fact.person for fact in unpack(message["Body"]).activities} == {
        Digests(b"k" * 32).of(Identifier(kind, value)) for kind, value in (("anonymous", "visit-9"), ("user", "43"))
    }


def test_nothing_personal_stands_in_a_key_of_contacts(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = [
        identify(user_id="42-secret", anonymous_id="visit-9", traits={"email": "ana@quay.example", "phone": "+12025550123"}),
        identify(user_id="43-secret", traits={"email": "ana@quay.example"}),
    ]
    with handler(monkeypatch) as running:
        running.invoke("resolve", _records(*events))
        keys = json.dumps([(row["pk"], row["sk"]) for row in running.rows("contacts")])
    assert len(keys) > 500
    assert not any(secret in keys for secret in (*PERSONAL, "secret"))


def test_events_posted_to_the_api_come_out_as_people(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(monkeypatch, NoVendor()) as running:
        said: list[dict[str, Any]] = [
            {"type": "identify", "anonymousId": "visit-9", "messageId": "m-1", "traits": {"plan": "crew"}},
            {"type": "identify", "anonymousId": "visit-9", "userId": "42", "messageId": "m-2", "traits": {"email": "ana@quay.example"}},
            {"type": "alias", "previousId": "sess-71", "userId": "42", "messageId": "m-3"},
            {"type": "group", "groupId": "g-1", "userId": "42", "messageId": "m-4", "traits": {"size": 3}},
        ]
        batch = [{**event, "integrations": {"All": False}} for event in said]
        assert running.post("/v1/batch", {"batch": batch})["statusCode"] == 200
        running.run()
        described = _contact("anonymous", "sess-71")
    assert described is not None
    assert described["custom_fields"] == {"plan": "crew"}
    assert [one["id"] for one in described["groups"]] == ["g-1"]
    assert running.crashes == 0
