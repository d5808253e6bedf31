"""What each function does with AWS, in fair weather and foul, is what its policy allows: the emulator asks nobody for a permission, AWS does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest

from tests.kit.builders import NOON
from tests.kit.pipeline import Pipeline, pipeline
from tests.template.test_template import FUNCTIONS, as_list, folder_of, statements_of
from tributary.adapters import aws
from tributary.ports import VendorAnswer, VendorRequest

TABLES = {"events": "EventsTable", "contacts": "ContactsTable", "config": "ConfigTable"}
QUEUES = {"ingest": "IngestQueue", "kissmetrics.fifo": "KissmetricsQueue"}
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


def uses(operation: str, params: dict[str, Any]) -> Iterator[Use]:
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
    for client in (aws.dynamodb(), aws.sqs(), aws.ssm(), aws.dynamodb_for_caller(), aws.sqs_for_caller()):
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
        if action not in POLLING and not action.startswith(("logs:", "s3:"))
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
    return str(resource["Fn::Sub"]).rsplit("${AWS::StackName}/", 1)[-1]


def permits(granted: set[Use], use: Use) -> bool:
    action, resource, key = use
    return any(action == one and fnmatchcase(resource, where) and fnmatchcase(key, keys) for one, where, keys in granted)


def shop(number: int) -> dict[str, Any]:
    stamp = NOON.isoformat()
    base = {"timestamp": stamp, "userId": f"user-{number}"}
    return {
        "batch": [
            {"type": "page", "anonymousId": f"visit-{number}", "messageId": f"{number}-1", "timestamp": stamp},
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
    with pytest.MonkeyPatch.context() as patch, pipeline(patch, vendor) as stack:
        used = watched(stack)
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
        for function, batch in (("record", record), ("forward_kissmetrics", record), ("fan_out", broken), ("resolve", broken)):
            stack.invoke(function, {"Records": [batch]})
        return used


def _one_round(stack: Pipeline) -> None:
    with suppress(AssertionError):  # a vendor that fails never comes to rest
        stack.run(rounds=1)


@pytest.mark.parametrize("function", ["intake", "record", "fan_out", "resolve", "forward_kissmetrics"])
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
    ],
)
def test_a_function_that_goes_astray_leaves_other_rows_alone(function: str, action: str, table: str, key: str) -> None:
    assert not permits(allowed(function), (action, table, key))
