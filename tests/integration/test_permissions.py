"""What each function does with AWS, in fair weather and foul, is what its policy allows: the emulator asks nobody for a permission, AWS does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest

from tests.kit.builders import NOON
from tests.kit.pipeline import Pipeline, pipeline
from tests.template.test_template import FUNCTIONS, folder_of
from tributary.adapters import aws
from tributary.ports import VendorAnswer, VendorRequest

TABLES = {"events": "EventsTable", "contacts": "ContactsTable", "config": "ConfigTable"}
QUEUES = {"ingest": "IngestQueue", "kissmetrics.fifo": "KissmetricsQueue"}
SINGLE = {"SendMessageBatch": "SendMessage", "ChangeMessageVisibilityBatch": "ChangeMessageVisibility"}

Use = tuple[str, str]
"""An action and the resource it is on, by its name in the template; a parameter by its name below the stack's prefix."""


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
                yield f"dynamodb:{name}", TABLES[request["TableName"]]
        case "BatchGetItem":
            for table in params["RequestItems"]:
                yield "dynamodb:BatchGetItem", TABLES[table]
        case "GetParameter":
            yield "ssm:GetParameter", params["Name"].split("/", 2)[2]
        case _ if "QueueUrl" in params:
            yield f"sqs:{SINGLE.get(operation, operation)}", QUEUES[params["QueueUrl"].rsplit("/", 1)[1]]
        case _:
            yield f"dynamodb:{operation}", TABLES[params["TableName"]]


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
    """What the template allows a function, resources as in `uses`."""
    (properties,) = [one for one in FUNCTIONS.values() if folder_of(one) == function]
    found: set[Use] = set()
    for policy in properties["Policies"]:
        for statement in policy["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            found |= {(action, _name(resource)) for action in actions for resource in resources}
    return found


def _name(resource: dict[str, Any]) -> str:
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    return str(resource["Fn::Sub"]).rsplit("${AWS::StackName}/", 1)[-1]


def permits(granted: set[Use], use: Use) -> bool:
    action, resource = use
    return any(action == one and (resource == where or (where.endswith("/*") and resource.startswith(where[:-1]))) for one, where in granted)


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
    granted = {(action, resource) for action, resource in allowed(function) if not action.startswith("s3:")}  # Lambda itself writes to the bucket
    done = {use for who, use in seen if who == function}
    assert {use for use in done if not permits(granted, use)} == set(), "not allowed"
    assert {one for one in granted if not any(permits({one}, use) for use in done)} == set(), "allowed and never used"
