"""Rules of template.yaml that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tributary import environments
from tributary.clock import SCALE_VARIABLE
from tributary.delivery.batch import Outcome

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as `{"Ref": …}` and `{"Fn::…": …}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: str(value).split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)

TEMPLATE: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader=_Loader)  # a SafeLoader
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
FUNCTIONS = {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Function"}
QUEUES = {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::SQS::Queue"}
DEFAULT_TIMEOUT: int = TEMPLATE["Globals"]["Function"]["Timeout"]

ENVIRONMENTS: dict[str, type] = {
    "intake": environments.IntakeEnv,
    "record": environments.RecordEnv,
    "fan_out": environments.FanOutEnv,
    "resolve": environments.ResolveEnv,
    "forward_kissmetrics": environments.ForwarderEnv,
    "control_api": environments.ControlEnv,
}


def folder_of(function: dict[str, Any]) -> str:
    return str(function["CodeUri"]).removeprefix("functions/")


def mappings(kind: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    return [
        (name, function, event["Properties"]) for name, function in FUNCTIONS.items() for event in function.get("Events", {}).values() if event["Type"] == kind
    ]


def test_every_function_folder_is_deployed_and_holds_its_handler_alone() -> None:
    folders = sorted(path for path in (ROOT / "functions").iterdir() if path.is_dir() and path.name != "__pycache__")
    assert [path.name for path in folders] == sorted(folder_of(function) for function in FUNCTIONS.values())
    for folder in folders:
        assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["handler.py"]


@pytest.mark.parametrize("folder", sorted(ENVIRONMENTS))
def test_a_functions_variables_are_the_fields_of_its_environment(folder: str) -> None:
    (function,) = [function for function in FUNCTIONS.values() if folder_of(function) == folder]
    variables = set(function["Environment"]["Variables"]) - {"POWERTOOLS_SERVICE_NAME"}
    assert variables == {field.name.upper() for field in dataclasses.fields(ENVIRONMENTS[folder])}
    assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == folder


def test_every_function_has_an_environment_here() -> None:
    assert set(ENVIRONMENTS) == {folder_of(function) for function in FUNCTIONS.values()}


def test_a_handler_imports_the_package_and_third_parties_alone() -> None:
    for handler in (ROOT / "functions").glob("*/handler.py"):
        imported = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(handler.read_text()))
            for name in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )
        }
        assert "handler" not in imported
        assert "functions" not in imported
        assert "boto3" not in imported, f"{handler.parent.name}: only the adapters import boto3"


def test_time_is_not_sped_up_in_the_cloud() -> None:
    assert SCALE_VARIABLE not in (ROOT / "template.yaml").read_text()
    assert SCALE_VARIABLE not in (ROOT / "samconfig.toml").read_text()


def test_a_sqs_trigger_reports_partial_failures_and_has_a_maximum_concurrency() -> None:
    triggers = mappings("SQS")
    assert triggers
    for name, _, properties in triggers:
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        assert properties["ScalingConfig"]["MaximumConcurrency"] >= 2, name


def test_a_queue_stays_invisible_for_six_times_its_functions_timeout() -> None:
    for name, function, properties in mappings("SQS"):
        queue = properties["Queue"]["Fn::GetAtt"][0]
        assert QUEUES[queue]["VisibilityTimeout"] >= 6 * function.get("Timeout", DEFAULT_TIMEOUT), name


def test_a_queue_keeps_fourteen_days_and_hands_crashes_to_a_dead_letter_queue_of_its_kind() -> None:
    dead_letters = {queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] for queue in QUEUES.values() if "RedrivePolicy" in queue}
    for name, queue in QUEUES.items():
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600, name
        assert queue["SqsManagedSseEnabled"] is True, name
        if name not in dead_letters:
            assert queue["RedrivePolicy"]["maxReceiveCount"] == 1000, name
            target = QUEUES[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
            assert target.get("FifoQueue") == queue.get("FifoQueue"), name


def test_every_dead_letter_queue_and_every_stream_function_has_an_alarm() -> None:
    alarmed = json.dumps([resource["Properties"]["Dimensions"] for resource in RESOURCES.values() if resource["Type"] == "AWS::CloudWatch::Alarm"])
    for queue in QUEUES.values():
        if "RedrivePolicy" in queue:
            assert queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] in alarmed
    for name, _, _ in mappings("DynamoDB"):
        assert name in alarmed


def test_a_stream_has_two_readers_that_take_inserts_of_events_alone_and_retry_until_the_record_is_twenty_hours_old() -> None:
    triggers = mappings("DynamoDB")
    assert len(triggers) == 2
    for name, _, properties in triggers:
        assert properties["MaximumRetryAttempts"] == -1, name
        assert properties["MaximumRecordAgeInSeconds"] == 20 * 3600, name
        assert properties["BisectBatchOnFunctionError"] is True, name
        assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["StreamFailuresBucket", "Arn"]}, name
        (only,) = properties["FilterCriteria"]["Filters"]
        assert json.loads(only["Pattern"]) == {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "event#"}]}}}}, name


@pytest.mark.parametrize("outcome", [Outcome.HALTED, Outcome.PARKED])
def test_a_halt_and_a_parked_delivery_raise_an_alarm_on_the_metric_that_a_forwarder_writes(outcome: Outcome) -> None:
    alarms = [resource["Properties"] for resource in RESOURCES.values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    ours = [alarm for alarm in alarms if alarm["MetricName"] == outcome]
    forwarders = [folder_of(function) for function in FUNCTIONS.values() if folder_of(function).startswith("forward_")]
    watched = {tuple(sorted((one["Name"], one["Value"]) for one in alarm["Dimensions"])) for alarm in ours}
    assert watched == {(("destination", name.removeprefix("forward_")), ("service", name)) for name in forwarders}
    for alarm in ours:
        assert alarm["Namespace"] == TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]


def test_two_stacks_of_an_account_do_not_share_their_metrics() -> None:
    assert TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == {"Ref": "AWS::StackName"}


def test_a_function_behind_the_gateway_ends_before_the_gateway_gives_up() -> None:
    for name, function, _ in mappings("HttpApi"):
        assert function.get("Timeout", DEFAULT_TIMEOUT) < 30, name


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, function in FUNCTIONS.items():
        for policy in function["Policies"]:
            assert isinstance(policy, dict), f"{name}: a named policy grants more than is read here"
            found += [(name, statement) for statement in policy["Statement"]]
    return found


def test_no_policy_names_all_actions_or_all_resources() -> None:
    for name, statement in statements():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions), name
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in resources, name


def test_each_function_has_a_role_of_its_own_and_a_log_that_ends() -> None:
    for name, function in FUNCTIONS.items():
        assert "Role" not in function, name
        assert RESOURCES[function["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]["RetentionInDays"], name


def test_intake_may_do_no_more_than_send_and_look_up_a_key() -> None:
    allowed = {
        action
        for name, statement in statements()
        if name == "IntakeFunction"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert allowed == {"sqs:SendMessage", "dynamodb:GetItem"}


def test_no_physical_name_is_fixed() -> None:
    for name, resource in RESOURCES.items():
        for key in ("TableName", "QueueName", "FunctionName", "BucketName", "LogGroupName", "TopicName", "RoleName", "AlarmName", "LayerName"):
            assert key not in resource.get("Properties", {}), f"{name} fixes {key}: two stacks in one account would collide"


def test_what_holds_a_shops_data_outlives_the_stack() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}:
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name
