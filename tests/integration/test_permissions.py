"""What each function does with AWS, in fair weather and foul, is what its policy allows: the emulator asks nobody for a permission, AWS does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import boto3
import msgspec
import pytest

from local.fakes.fake import Fake
from local.fakes.konnektive.shop import Shop
from local.fakes.konnektive.vendor import Konnektive
from tests.kit.builders import NOON
from tests.kit.pipeline import CLIENTS, OF_FACTS, POSTBACK_SECRET, Clock, Pipeline, pipeline
from tests.kit.pipeline import FUNCTIONS as FUNCTIONS_RUN
from tests.kit.sync import FakedVendor
from tests.template.test_template import FUNCTIONS, as_list, folder_of, statements_of
from tributary.errors import VendorUnavailable
from tributary.generations import PARTITION, SORT, Generations
from tributary.ports import VendorAnswer, VendorRequest

TABLES = {"events": "EventsTable", "contacts": "ContactsTable", "config": "ConfigTable"}
QUEUES = {"ingest": "IngestQueue", "kissmetrics.fifo": "KissmetricsQueue", "sync.fifo": "SyncQueue", "facts": "FactsQueue"}
BUCKETS = {"facts": "FactsBucket"}
TOPICS = {"notices": "NoticeTopic"}
SINGLE = {"SendMessageBatch": "SendMessage", "ChangeMessageVisibilityBatch": "ChangeMessageVisibility"}

POLLING = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
POLLING |= {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
"""Lambda does these itself, in the function's name, as it writes logs and the bucket of failures; `tests/template` says who may."""

Use = tuple[str, str, str]
"""An action; the resource it is on, by its name in the template, a parameter by its name below the stack's prefix; of a table, the partition key."""


class Vendor:
    def __init__(self, status: int) -> None:
        self.status = status

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        return VendorAnswer(status=self.status, headers={}, body=b"")


def uses(operation: str, params: dict[str, Any]) -> Iterator[Use]:  # noqa: PLR0912  # a case a service
    """What IAM would be asked for a call."""
    match operation:
        case "TransactWriteItems":
            for item in params["TransactItems"]:
                ((kind, request),) = item.items()
                name = {"Put": "PutItem", "Delete": "DeleteItem", "Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem"}[kind]
                yield f"dynamodb:{name}", TABLES[request["TableName"]], _partition_of(request)
        case "BatchGetItem":
            for table, request in params["RequestItems"].items():
                for key in request["Keys"]:
                    yield "dynamodb:BatchGetItem", TABLES[table], key["pk"]["S"]
        case "BatchWriteItem":
            for table, requests in params["RequestItems"].items():
                for request in requests:
                    yield "dynamodb:BatchWriteItem", TABLES[table], request["PutRequest"]["Item"]["pk"]["S"]
        case "DeleteObjects":
            for item in params["Delete"]["Objects"]:
                yield "s3:DeleteObject", f"{BUCKETS[params['Bucket']]}/{item['Key']}", ""
        case "ListObjectsV2":
            yield "s3:ListBucket", BUCKETS[params["Bucket"]], ""
        case "PutObject":
            yield "s3:PutObject", f"{BUCKETS[params['Bucket']]}/{params['Key']}", ""
        case "GetObject":
            yield "s3:GetObject", f"{BUCKETS[params['Bucket']]}/{params['Key']}", ""
            yield "s3:ListBucket", BUCKETS[params["Bucket"]], ""  # that it is not there is told to those alone who may list
        case "Publish":
            yield "sns:Publish", TOPICS[params["TopicArn"].rsplit(":", 1)[1]], ""
        case "GetParameter":
            yield "ssm:GetParameter", params["Name"].split("/", 2)[2], ""
        case _ if "QueueUrl" in params:
            yield f"sqs:{SINGLE.get(operation, operation)}", QUEUES[params["QueueUrl"].rsplit("/", 1)[1]], ""
        case _:
            yield f"dynamodb:{operation}", TABLES[params["TableName"]], _partition_of(params)


def _partition_of(request: dict[str, Any]) -> str:
    """Of a get, a delete, a put, or a query, which all have it under `pk`."""
    for place, name in (("Key", "pk"), ("Item", "pk"), ("ExpressionAttributeValues", ":pk")):
        if place in request:
            return str(request[place][name]["S"])
    raise AssertionError(f"a call whose partition cannot be told: {sorted(request)}")


def watched(stack: Pipeline) -> set[tuple[str, Use]]:
    """Fills with (function, use) while the stack runs."""
    seen: set[tuple[str, Use]] = set()
    current = ["none"]
    invoke = stack.invoke

    def invoked(function: str, event: dict[str, Any]) -> Any:
        current[0] = function
        return invoke(function, event)

    def called(params: dict[str, Any], model: Any, **_: Any) -> None:
        seen.update((current[0], use) for use in uses(model.name, params))

    stack.invoke = invoked  # type: ignore[method-assign]
    for one in CLIENTS:
        client: Any = one()
        client.meta.events.register(f"provide-client-params.{client.meta.service_model.service_id.hyphenize()}", called)
    return seen


def allowed(function: str) -> set[Use]:
    """What the template allows a function beside polling; resources as in `uses`, of keys a pattern."""
    (properties,) = [one for one in FUNCTIONS.values() if folder_of(one) == function]
    return {
        (action, _name(resource), keys)
        for statement in statements_of(properties)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        for keys in _keys_of(statement)
        if action not in POLLING and not action.startswith("logs:") and "StreamFailuresBucket" not in _name(resource)
    }


def _keys_of(statement: dict[str, Any]) -> list[str]:
    if "Condition" not in statement:
        return ["*"]
    ((operator, condition),) = statement["Condition"].items()
    ((name, keys),) = condition.items()
    assert (operator, name) == ("ForAllValues:StringLike", "dynamodb:LeadingKeys"), "a condition that is not read here"
    return list(keys)


def _name(resource: dict[str, Any]) -> str:
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    if "Ref" in resource:
        return str(resource["Ref"])
    text = str(resource["Fn::Sub"])
    return text[2:].replace(".Arn}", "") if text.startswith("${") else text.rsplit("${AWS::StackName}/", 1)[-1]


def permits(granted: set[Use], use: Use) -> bool:
    action, resource, key = use
    return any(action == one and fnmatchcase(resource, where) and fnmatchcase(key, keys) for one, where, keys in granted)


def shop(number: int) -> dict[str, Any]:
    stamp = NOON.isoformat()
    base = {"timestamp": stamp, "userId": f"user-{number}"}
    return {
        "batch": [
            {
                "type": "page",
                "anonymousId": f"visit-{number}",
                "messageId": f"{number}-1",
                "timestamp": stamp,
                "properties": {"url": f"https://harbour.example/?seg_cid={number}"},
            },
            {"type": "identify", "anonymousId": f"visit-{number}", "messageId": f"{number}-2", "traits": {"email": f"p{number}@harbour.example"}, **base},
            {
                "type": "identify",
                "messageId": f"{number}-3",
                "traits": {"email": f"q{number}@harbour.example"},
                "timestamp": stamp,
                "anonymousId": f"b-{number}",
            },
            {"type": "track", "event": "Booked", "messageId": f"{number}-4", "context": {"traits": {"email": f"q{number}@harbour.example"}}, **base},
            {"type": "group", "groupId": "g", "messageId": f"{number}-5", **base},
            {"type": "alias", "previousId": f"old-{number}", "messageId": f"{number}-6", **base},
            {"type": "track", "messageId": f"{number}-7", **base},
            {"type": "track", "event": "Booked", "messageId": f"{number}-8", "timestamp": stamp, "userId": "x" * 300},
        ]
    }


@pytest.fixture(scope="module")
def seen() -> set[tuple[str, Use]]:
    vendor = Vendor(200)
    with pytest.MonkeyPatch.context() as patch, pipeline(patch, vendor, facts=True) as stack:
        used = watched(stack)
        # Somebody was erased: who writes facts reads whom.
        boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": "facts"}, "sk": {"S": "erased"}, "v": {"N": "1"}})
        first = shop(1)["batch"]
        for part in (first[:3], first[3:]):  # so that two contacts are there before they merge
            stack.post("/v1/batch", {"batch": part})
            stack.run(rounds=20)
        for number, status in enumerate((500, 400, 401), start=2):
            vendor.status = status
            stack.post("/v1/batch", shop(number))
            for _ in range(3):
                _one_round(stack)
        vendor.status = 200
        stack.restart()  # the sandbox that saw a 401 would wait a minute
        stack.run(rounds=40)
        connection = boto3.client("dynamodb").get_item(TableName="config", Key={"pk": {"S": "connection"}, "sk": {"S": "con_km"}})["Item"]
        connection["data"]["S"] = connection["data"]["S"].replace("}", ', "mode": "shadow"}')
        boto3.client("dynamodb").put_item(TableName="config", Item=connection)
        stack.restart()
        stack.post("/v1/batch", shop(9))
        stack.run(rounds=20)
        record = {
            "messageId": "q",
            "receiptHandle": "h",
            "body": "{}",
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1", "MessageGroupId": "g"},
        }
        broken = {"dynamodb": {"Keys": {"pk": {"S": "a"}, "sk": {"S": "b"}}}}
        unread = {"dynamodb": {**broken["dynamodb"], "NewImage": {"v": {"N": "x"}}}}
        for function, batch in (
            ("record", record),
            ("forward_kissmetrics", record),
            ("write_facts", record),
            ("fan_out", broken),
            ("resolve", broken),
            ("contact_facts", unread),
        ):
            stack.invoke(function, {"Records": [batch]})
    return used | of_an_account() | of_a_rebuild()


def of_a_rebuild() -> set[tuple[str, Use]]:
    """A second generation of contacts and facts: written beside the first, compacted, and served."""
    crm = SlowCrm()
    with pytest.MonkeyPatch.context() as patch, pipeline(patch, Vendor(200), account=crm, facts=True) as stack:
        used = watched(stack)
        _serve(Generations(serving=1, building=2))
        stack.tick()
        stack.run(rounds=80)
        boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": "2/facts"}, "sk": {"S": "erased"}, "v": {"N": "1"}})
        stack.invoke("compact_facts", {})
        stack.clock.time += timedelta(days=1)
        stack.invoke("compact_facts", {})
        stack.invoke("compact_facts", {"sweep": True})
        _serve(Generations(serving=2, retired=1))
        stack.restart()
        answer = stack.get("/api/reports/orders/ledger", "range=all")
        assert json.loads(answer["body"])["lines_found"] > 0, answer["body"]
        assert stack.crashes == 0
    return used


def _serve(generations: Generations) -> None:
    item = {"pk": {"S": PARTITION}, "sk": {"S": SORT}, "data": {"S": msgspec.json.encode(generations).decode()}, "version": {"N": "1"}}
    boto3.client("dynamodb").put_item(TableName="config", Item=item)


class SlowCrm:
    """An account that fails once and then takes its time."""

    def __init__(self) -> None:
        self.shop = Shop(seed=5)
        self.shop.grow(customers=5, months=2, now=NOON)

    def __call__(self, clock: Clock) -> FakedVendor:
        self._clock = clock
        self.vendor = FakedVendor(Fake(Konnektive(self.shop)), clock.now)
        self.vendor.before = self._before
        return self.vendor

    def _before(self, path: str, form: Any) -> None:
        if len(self.vendor.calls) < 4:
            raise VendorUnavailable("not yet")
        self._clock.time += timedelta(seconds=11)


def of_an_account() -> set[tuple[str, Use]]:
    """A first sync, a postback, a message that cannot be read, and the next day with its comparison."""
    crm = SlowCrm()
    with pytest.MonkeyPatch.context() as patch, pipeline(patch, Vendor(200), account=crm, facts=True) as stack:
        used = watched(stack)
        stack.tick()
        stack.run(rounds=80)
        order = next(iter(crm.shop.orders.rows.values())).id
        assert stack.call_webhook("/webhooks/konnektive/con_k", query=f"clientOrderId={order}&secret={POSTBACK_SECRET}")["statusCode"] == 200
        stack.run(rounds=20)
        record = {"messageId": "q", "receiptHandle": "h", "body": "{}", "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "g"}}
        stack.invoke("konnektive_poll", {"Records": [record]})
        # Somebody was erased; then facts are compacted, and a day later what was replaced is deleted.
        boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": "facts"}, "sk": {"S": "erased"}, "v": {"N": "1"}})
        stack.invoke("compact_facts", {})
        stack.clock.time += timedelta(days=1)
        stack.invoke("compact_facts", {})
        stack.invoke("compact_facts", {"sweep": True})
        stack.tick()
        stack.run(rounds=40)
        assert stack.crashes == 0
        for path, query in (("advertisement", ""), ("orders", "range=all&group_by=channel"), ("orders/ledger", "range=all")):
            answer = stack.get(f"/api/reports/{path}", query)
            assert answer["statusCode"] == 200, answer["body"]
        boto3.client("dynamodb").put_item(TableName="config", Item={"pk": {"S": "facts"}, "sk": {"S": "erased"}, "v": {"N": "1"}})
        stack.get("/api/reports/orders", "range=all")
    return used


def _one_round(stack: Pipeline) -> None:
    with suppress(AssertionError):  # a vendor that fails never comes to rest
        stack.run(rounds=1)


@pytest.mark.parametrize("function", [*FUNCTIONS_RUN, *OF_FACTS])
def test_a_function_is_allowed_what_it_does_and_no_more(function: str, seen: set[tuple[str, Use]]) -> None:
    granted = allowed(function)
    done = {use for who, use in seen if who == function}
    assert {use for use in done if not permits(granted, use)} == set(), "not allowed"
    assert {one for one in granted if not any(permits({one}, use) for use in done)} == set(), "allowed and never used"


@pytest.mark.parametrize(
    ("function", "action", "table", "key"),
    [
        ("intake", "dynamodb:GetItem", "ConfigTable", "connection"),
        ("forward_kissmetrics", "dynamodb:PutItem", "ConfigTable", "connection"),
        ("forward_kissmetrics", "dynamodb:PutItem", "ConfigTable", "suppressed#digest"),
        ("forward_kissmetrics", "dynamodb:DeleteItem", "ConfigTable", "parked#con_km"),
        ("forward_kissmetrics", "dynamodb:PutItem", "EventsTable", "user#orla-12"),
        ("forward_kissmetrics", "dynamodb:Query", "ConfigTable", "source"),
        ("fan_out", "dynamodb:PutItem", "EventsTable", "user#orla-12"),
        ("resolve", "dynamodb:PutItem", "EventsTable", "user#orla-12"),
        ("konnektive_schedule", "dynamodb:PutItem", "ConfigTable", "connection"),
        ("konnektive_schedule", "dynamodb:Query", "ConfigTable", "record#con_k#order#2026-03-04"),
        ("konnektive_poll", "dynamodb:PutItem", "ConfigTable", "connection"),
        ("konnektive_poll", "dynamodb:BatchWriteItem", "ConfigTable", "suppressed#digest"),
        ("konnektive_poll", "dynamodb:BatchGetItem", "ConfigTable", "key#hash"),
        ("konnektive_poll", "dynamodb:PutItem", "EventsTable", "konnektive#con_k#12"),
        ("compact_facts", "dynamodb:DeleteItem", "ConfigTable", "facts"),
        ("compact_facts", "dynamodb:BatchWriteItem", "ConfigTable", "erased"),
        ("compact_facts", "s3:DeleteObject", "FactsBucket", "entered/rates/1.csv"),
        ("webhooks", "dynamodb:PutItem", "ConfigTable", "sync#con_k"),
        ("reports_api", "dynamodb:Query", "ConfigTable", "connection"),
        ("reports_api", "dynamodb:Query", "ConfigTable", "keys"),
        ("reports_api", "dynamodb:GetItem", "ConfigTable", "sync#con_k"),
        ("reports_api", "dynamodb:BatchGetItem", "ContactsTable", "identifier#digest"),
        ("reports_api", "dynamodb:Query", "ContactsTable", "contact#id"),
        ("reports_api", "s3:GetObject", "FactsBucket/entered/ad-spend/batch", ""),
        ("webhooks", "dynamodb:Query", "ConfigTable", "record#con_k#order#2026-03-04"),
    ],
)
def test_a_function_that_goes_astray_leaves_other_rows_alone(function: str, action: str, table: str, key: str) -> None:
    assert not permits(allowed(function), (action, table, key))
