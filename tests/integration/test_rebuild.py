"""A rebuild on moto: what was derived is derived once more beside it, while events go on coming, is found equal, and is served."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from tests.integration.test_konnektive import Crm, Kissmetrics, synced
from tests.kit.pipeline import Pipeline, pipeline
from tributary.adapters import aws
from tributary.adapters.contacts import DynamoContacts
from tributary.cli.rebuilding import Rebuild, Verdict
from tributary.cli.target import Target
from tributary.contacts.reading import Contact, read_contact
from tributary.facts.tables import Kind
from tributary.generations import FIRST, Generations
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier
from tributary.ports import WriteRow
from tributary.rebuild.states import RebuildRefused

PAGE = {"type": "page", "name": "Offer", "anonymousId": "b-1", "properties": {"url": "https://shop.example/offer?utm_source=lighthouse&utm_medium=email"}}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto copies a table while another thread writes to it, and fails."""
    monkeypatch.setattr("tributary.cli.rebuilding.PARTS", 1)
    monkeypatch.setattr("tributary.cli.rebuilding.DELETES", 1)


def rebuild(stack: Pipeline) -> Rebuild:
    return Rebuild(
        Target(
            stack="shop",
            session=boto3.Session(region_name="us-east-1"),
            endpoint_url=None,
            config_table="config",
            events_table="events",
            contacts_table="contacts",
            sync_queue_url="",
            facts_queue_url=stack.facts_url,
            facts_bucket="facts",
            api_url="",
        )
    )


def send(stack: Pipeline, *events: dict[str, Any]) -> None:
    answer = stack.post("/v1/batch", {"batch": [{"messageId": f"m-{event['type']}-{event.get('userId')}-{event.get('name')}", **event} for event in events]})
    assert answer["statusCode"] == 200
    stack.run(rounds=60)


def identified(user: str, **more: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "traits": {"email": f"{user}@quay.example"}, **more}


def replayed(stack: Pipeline, work: Rebuild, now: Generations) -> Verdict:
    assert now.building is not None
    work.replay(now.building, lambda _count: None)
    stack.run(rounds=200)
    return work.compare(now)


def of_email(email: str, generation: int) -> Contact | None:
    return read_contact(DynamoContacts(aws.dynamodb, "contacts", generation=lambda: generation), Digests(b"k" * 32), Identifier("email", email))


def test_what_is_built_beside_says_the_same_and_is_served_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(monkeypatch, Kissmetrics(), account=Crm(customers=4, months=1), facts=True) as stack:
        synced(stack)
        send(stack, PAGE, identified("ada", anonymousId="b-1"))
        work = rebuild(stack)
        now = work.begin()
        stack.restart()  # as half a minute does: functions look for generations anew
        send(stack, identified("bea", context={"tags": {"vip": True}}))

        verdict = replayed(stack, work, now)

        assert verdict.is_equal
        assert verdict.people.same > 4
        assert {kind for kind, rows in verdict.rows.items() if rows} == {
            Kind.TOUCHES,
            Kind.ACTIVITIES,
            Kind.ORDERS,
            Kind.SUBSCRIPTIONS,
            Kind.CONTACTS,
            Kind.TAGS,
        }

        switched = work.states.switch()
        stack.restart()
        assert switched == Generations(serving=2, retired=1)
        send(stack, identified("cleo"))
        assert of_email("cleo@quay.example", 2) is not None
        assert of_email("cleo@quay.example", FIRST) is None

        gone = work.drop(FIRST)
        assert work.states.dropped() == Generations(serving=2)
        assert gone["rows"] > 0 < gone["files"]
        assert of_email("ada@quay.example", FIRST) is None
        assert of_email("ada@quay.example", 2) is not None
        assert not [row for row in stack.rows("contacts") if not row["pk"]["S"].startswith("2/")]
        assert not [row for row in stack.rows("config") if row["pk"]["S"] == "facts"]
        keys = [item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket="facts")["Contents"]]
        assert {key.split("/")[0] for key in keys} == {"2"}


def test_what_is_served_and_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(monkeypatch, Kissmetrics(), facts=True) as stack:
        send(stack, PAGE, identified("ada", anonymousId="b-1"), identified("bea", context={"tags": {"vip": True}}))
        store = DynamoContacts(aws.dynamodb, "contacts")
        (tags,) = [row for row in store.everything() if row.key.sort == "tags"]
        store.commit([WriteRow(tags.key, tags.data.replace(b"vip", b"VIP"), tags.revision)])
        stack.run(rounds=60)
        work = rebuild(stack)
        now = work.begin()
        stack.restart()

        verdict = replayed(stack, work, now)

        assert not verdict.is_equal
        assert len(verdict.people.changed) == 1
        assert [kind for kind, _ in verdict.facts] == [Kind.TAGS]


def test_one_rebuild_at_a_time_and_what_is_given_up_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipeline(monkeypatch, Kissmetrics(), facts=True) as stack:
        send(stack, identified("ada"))
        work = rebuild(stack)
        assert work.begin() == work.begin() == Generations(serving=1, building=2)
        assert work.states.give_up() == Generations(serving=1, retired=2)
        with pytest.raises(RebuildRefused):
            work.states.switch()
        with pytest.raises(RebuildRefused):
            work.begin()
        work.drop(2)
        assert work.states.dropped() == Generations(serving=1)
        assert of_email("ada@quay.example", FIRST) is not None
