"""Rules of template.yaml that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from samtranslator.translator.transform import transform

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
ALARMS = {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
API: dict[str, Any] = RESOURCES["Api"]["Properties"]
DEFAULT_TIMEOUT: int = TEMPLATE["Globals"]["Function"]["Timeout"]

ENVIRONMENTS: dict[str, type] = {
    "intake": environments.IntakeEnv,
    "record": environments.RecordEnv,
    "fan_out": environments.FanOutEnv,
    "resolve": environments.ResolveEnv,
    "contact_facts": environments.ContactFactsEnv,
    "write_facts": environments.WriteFactsEnv,
    "compact_facts": environments.CompactFactsEnv,
    "reports_api": environments.ReportsEnv,
    "forward_kissmetrics": environments.ForwarderEnv,
    "control_api": environments.ControlEnv,
    "konnektive_schedule": environments.KonnektiveScheduleEnv,
    "konnektive_poll": environments.KonnektivePollEnv,
    "webhooks": environments.WebhooksEnv,
}


def folder_of(function: dict[str, Any]) -> str:
    return str(function["CodeUri"]).removeprefix("functions/")


def mappings(kind: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    return [
        (name, function, event["Properties"]) for name, function in FUNCTIONS.items() for event in function.get("Events", {}).values() if event["Type"] == kind
    ]


def role_of(function: dict[str, Any]) -> str:
    name, attribute = function["Role"]["Fn::GetAtt"]
    assert attribute == "Arn"
    return str(name)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements_of(function: dict[str, Any]) -> list[dict[str, Any]]:
    """What a function's role allows."""
    return [statement for policy in RESOURCES[role_of(function)]["Properties"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def granted(function: dict[str, Any], *services: str) -> set[tuple[str, str]]:
    """(action, resource as JSON) of these services."""
    return {
        (action, json.dumps(resource))
        for statement in statements_of(function)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if action.split(":")[0] in services
    }


@cache
def translated() -> dict[str, Any]:
    """The resources that SAM makes of the template: what CloudFormation is given."""
    document = json.loads(json.dumps(TEMPLATE))
    for resource in document["Resources"].values():
        for place in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][place] = "s3://packaged/code"  # as `sam package` leaves it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        resources: dict[str, Any] = transform(document, {}, SimpleNamespace(load=dict))["Resources"]
    return resources


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
    alarmed = json.dumps([alarm["Dimensions"] for alarm in ALARMS.values()])
    for queue in QUEUES.values():
        if "RedrivePolicy" in queue:
            assert queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] in alarmed
    for name, _, _ in mappings("DynamoDB"):
        assert name in alarmed


STREAMS = {"FanOutFunction": "EventsTable", "ResolveFunction": "EventsTable", "ContactFactsFunction": "ContactsTable"}


def test_a_stream_has_two_readers_at_most_that_retry_until_the_record_is_twenty_hours_old() -> None:
    triggers = mappings("DynamoDB")
    assert {name: properties["Stream"] for name, _, properties in triggers} == {name: {"Fn::GetAtt": [table, "StreamArn"]} for name, table in STREAMS.items()}
    for name, _, properties in triggers:
        assert properties["MaximumRetryAttempts"] == -1, name
        assert properties["MaximumRecordAgeInSeconds"] == 20 * 3600, name
        assert properties["BisectBatchOnFunctionError"] is True, name
        assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["StreamFailuresBucket", "Arn"]}, name


def test_the_readers_of_the_log_take_inserts_of_events_alone() -> None:
    for name, _, properties in mappings("DynamoDB"):
        if STREAMS[name] == "EventsTable":
            (only,) = properties["FilterCriteria"]["Filters"]
            assert json.loads(only["Pattern"]) == {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "event#"}]}}}}, name


def test_the_reader_of_contacts_is_brought_what_a_row_was_and_what_it_is_also_where_it_was_removed() -> None:
    assert RESOURCES["ContactsTable"]["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    (properties,) = [properties for name, _, properties in mappings("DynamoDB") if STREAMS[name] == "ContactsTable"]
    assert "FilterCriteria" not in properties


def test_facts_are_written_in_large_batches_within_half_a_minute() -> None:
    (properties,) = [properties for name, _, properties in mappings("SQS") if name == "WriteFactsFunction"]
    assert 20 <= properties["MaximumBatchingWindowInSeconds"] <= 30
    assert properties["BatchSize"] == 10_000
    assert properties["ScalingConfig"] == {"MaximumConcurrency": 2}


@pytest.mark.parametrize("outcome", [Outcome.HALTED, Outcome.PARKED])
def test_a_halt_and_a_parked_delivery_raise_an_alarm_on_the_metric_that_a_forwarder_writes(outcome: Outcome) -> None:
    ours = [alarm for alarm in ALARMS.values() if alarm["MetricName"] == outcome]
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


def test_each_function_has_a_role_of_its_own_and_a_log_that_ends() -> None:
    assert len({role_of(function) for function in FUNCTIONS.values()}) == len(FUNCTIONS)
    for name, function in FUNCTIONS.items():
        log = function["LoggingConfig"]["LogGroup"]["Ref"]
        assert RESOURCES[log]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name
        own = json.dumps({"Fn::GetAtt": [log, "Arn"]})
        assert granted(function, "logs") == {("logs:CreateLogStream", own), ("logs:PutLogEvents", own)}, name


def test_what_is_deployed_has_no_policy_of_aws_and_none_on_everything() -> None:
    roles = {name: resource["Properties"] for name, resource in translated().items() if resource["Type"] == "AWS::IAM::Role"}
    schedules = {properties["RoleArn"]["Fn::GetAtt"][0] for _, _, properties in mappings("ScheduleV2")}
    assert set(roles) == {role_of(function) for function in FUNCTIONS.values()} | schedules, "SAM made a role, with managed policies on every queue and stream"
    for name, role in roles.items():
        assert "ManagedPolicyArns" not in role, name
        for statement in [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]:
            assert not any("*" in action for action in as_list(statement["Action"])), name
            assert not any(resource == "*" for resource in as_list(statement["Resource"])), name
    other = {resource["Type"] for resource in translated().values()} & {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}
    assert other == set(), "a policy that is not read here"


def test_a_function_polls_its_own_queue_alone() -> None:
    polled = {name: properties["Queue"]["Fn::GetAtt"][0] for name, _, properties in mappings("SQS")}
    for name, function in FUNCTIONS.items():
        queue = json.dumps({"Fn::GetAtt": [polled[name], "Arn"]}) if name in polled else None
        polling = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
        assert {use for use in granted(function, "sqs") if use[0] in polling} == {(action, queue) for action in polling if queue}, name


def test_a_function_reads_a_stream_and_writes_to_the_bucket_of_failures_only_if_it_is_a_reader() -> None:
    actions = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
    failures = {
        ("s3:PutObject", json.dumps({"Fn::Sub": "${StreamFailuresBucket.Arn}/*"})),
        ("s3:ListBucket", json.dumps({"Fn::GetAtt": ["StreamFailuresBucket", "Arn"]})),
    }
    for name, function in FUNCTIONS.items():
        wanted: set[tuple[str, str]] = set()
        if table := STREAMS.get(name):
            stream, streams = json.dumps({"Fn::GetAtt": [table, "StreamArn"]}), json.dumps({"Fn::Sub": f"${{{table}.Arn}}/stream/*"})
            wanted = {(action, stream) for action in actions} | {("dynamodb:ListStreams", streams)} | failures
        given = {use for use in granted(function, "dynamodb", "s3") if use[0] in actions | {"dynamodb:ListStreams"} or "StreamFailuresBucket" in use[1]}
        assert given == wanted, name


def test_intake_may_do_no_more_than_send_and_look_up_a_key() -> None:
    allowed = {action for action, _ in granted(FUNCTIONS["IntakeFunction"], "sqs", "dynamodb", "ssm", "s3")}
    assert allowed == {"sqs:SendMessage", "dynamodb:GetItem"}


def test_a_fifo_queue_is_as_fast_as_its_groups_are_many() -> None:
    fifo = {name: queue for name, queue in QUEUES.items() if queue.get("FifoQueue") and "RedrivePolicy" in queue}
    assert fifo
    for name, queue in fifo.items():
        assert queue["DeduplicationScope"] == "messageGroup", name
        assert queue["FifoThroughputLimit"] == "perMessageGroupId", name
        assert "ContentBasedDeduplication" not in queue, f"{name}: the sender names what is the same message"


def test_the_tracking_api_and_control_have_limits_of_their_own() -> None:
    routes = {f"{properties['Method']} {properties['Path']}" for _, _, properties in mappings("HttpApi")}
    limits, limit = API["RouteSettings"], {"Ref": "RequestsPerSecond"}
    assert limits.keys() <= routes, "CloudFormation refuses a limit of a route that is not there"
    assert routes - limits.keys() == {"ANY /v1/{proxy+}"}
    assert API["DefaultRouteSettings"] == {"ThrottlingBurstLimit": limit, "ThrottlingRateLimit": limit}
    for route, own in limits.items():
        assert 0 < own["ThrottlingRateLimit"] <= own["ThrottlingBurstLimit"] <= 100, route


def test_intake_answers_every_method_below_v1_itself() -> None:
    routes = [(properties["Method"], properties["Path"]) for name, _, properties in mappings("HttpApi") if name == "IntakeFunction"]
    assert routes == [("ANY", "/v1/{proxy+}")]
    assert "CorsConfiguration" not in API, "the gateway would answer preflights itself, without the headers that intake knows"


def test_the_access_log_names_no_person_and_no_key() -> None:
    log = API["AccessLogSettings"]
    assert log["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
    assert RESOURCES["ApiLogs"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert "\n" not in log["Format"], "the gateway takes one line"
    values = set(json.loads(log["Format"]).values())
    assert {"$context.requestId", "$context.routeKey", "$context.status", "$context.responseLatency", "$context.integrationErrorMessage"} <= values
    harmless = {"requestId", "requestTimeEpoch", "httpMethod", "routeKey", "status", "responseLength", "responseLatency", "error.message"}
    harmless |= {"integrationStatus", "integrationLatency", "integrationErrorMessage"}
    assert {value.removeprefix("$context.") for value in values} <= harmless


def test_logs_are_json_without_lambdas_own_lines_of_every_call() -> None:
    assert TEMPLATE["Globals"]["Function"]["LoggingConfig"] == {"LogFormat": "JSON", "SystemLogLevel": "WARN"}
    for name, resource in translated().items():
        if resource["Type"] == "AWS::Lambda::Function":
            assert resource["Properties"]["LoggingConfig"].keys() == {"LogFormat", "SystemLogLevel", "LogGroup"}, name


def test_an_alarm_goes_to_the_topic_and_watches_one_metric() -> None:
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert "Metrics" not in alarm, f"{name}: the local stack does not deploy an alarm on an expression"
        assert alarm["TreatMissingData"] == "notBreaching", name


def watched(namespace: str, metric: str) -> list[Any]:
    """What the alarms on a metric look at: (dimension, value) of each."""
    found = [alarm for alarm in ALARMS.values() if (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric)]
    return [[(one["Name"], one["Value"]) for one in alarm["Dimensions"]] for alarm in found]


def test_a_stream_batch_that_is_given_up_raises_an_alarm() -> None:
    sources = [
        name
        for name, resource in translated().items()
        if resource["Type"] == "AWS::Lambda::EventSourceMapping" and "StartingPosition" in resource["Properties"]
    ]
    assert len(sources) == len(STREAMS)
    for name in sources:
        assert translated()[name]["Properties"]["MetricsConfig"] == {"Metrics": ["EventCount"]}, "the metric is not there unless it is asked for"
    seen = watched("AWS/Lambda", "OnFailureDestinationDeliveredEventCount")
    assert sorted(seen, key=str) == sorted([[("EventSourceMappingUUID", {"Ref": name})] for name in sources], key=str)


def test_a_queue_that_is_never_to_wait_raises_an_alarm_when_it_does() -> None:
    assert watched("AWS/SQS", "ApproximateAgeOfOldestMessage") == [
        [("QueueName", {"Fn::GetAtt": [queue, "QueueName"]})] for queue in ("IngestQueue", "SyncQueue", "FactsQueue")
    ]


def test_what_does_nothing_but_crash_raises_an_alarm_before_anything_is_lost() -> None:
    forwarders = [name for name, function in FUNCTIONS.items() if folder_of(function).startswith("forward_")]
    assert watched("AWS/Lambda", "Errors") == [[("FunctionName", {"Ref": name})] for name in (*forwarders, "CompactFactsFunction")]


def test_an_api_that_fails_raises_an_alarm() -> None:
    assert watched("AWS/ApiGateway", "5xx") == [[("ApiId", {"Ref": "Api"})]]


def test_a_parameter_takes_no_number_that_cannot_work() -> None:
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        if parameter["Type"] == "Number":
            assert "AllowedValues" in parameter or parameter["MinValue"] >= 1, name
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    taken = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
    assert TEMPLATE["Parameters"]["LogRetentionDays"]["AllowedValues"] == taken


def test_the_bucket_refuses_who_comes_without_tls() -> None:
    policies = [resource for resource in RESOURCES.values() if resource["Type"] == "AWS::S3::BucketPolicy"]
    assert [policy["Properties"]["Bucket"] for policy in policies] == [{"Ref": name} for name, one in RESOURCES.items() if one["Type"] == "AWS::S3::Bucket"]
    for policy in policies:
        assert policy["DeletionPolicy"] == "RetainExceptOnCreate", "the bucket outlives the stack, and so must this"
        (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
        bucket = policy["Properties"]["Bucket"]["Ref"]
        assert statement == {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [{"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }


def test_an_output_says_what_it_is_and_the_alarm_topic_is_one() -> None:
    assert TEMPLATE["Outputs"]["AlarmTopicArn"]["Value"] == {"Ref": "AlarmTopic"}
    for name, output in TEMPLATE["Outputs"].items():
        assert output["Description"], name


def test_every_resource_carries_a_tag_to_count_its_costs_by() -> None:
    """A stack's tags go to all that it makes."""
    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert re.fullmatch(r"application=\w+", deploy["tags"])


def test_no_physical_name_is_fixed() -> None:
    for name, resource in RESOURCES.items():
        for key in ("TableName", "QueueName", "FunctionName", "BucketName", "LogGroupName", "TopicName", "RoleName", "AlarmName", "LayerName"):
            assert key not in resource.get("Properties", {}), f"{name} fixes {key}: two stacks in one account would collide"


def test_what_holds_a_shops_data_outlives_the_stack() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}:
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name
