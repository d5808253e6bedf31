"""Which stack the command line speaks to, and with whose credentials: a deployed one by its name, or the one that runs on this machine.

A launcher uses it as a library: `operator_of(of_stack("tributary", endpoint_url=..., credentials=("test", "test"))).init()`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tributary.operator import Operator, known_kinds

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

LOCAL_STACK_FILE: Final = Path(".local/stack.json")
LOCAL_REGION: Final = "us-east-1"
LOCAL_CREDENTIALS: Final = ("test", "test")
"""The emulator takes any; real ones are never sent to it."""
DEFAULT_STACK: Final = "tributary"

_OUTPUTS: Final = ("ConfigTable", "EventsTable", "ContactsTable", "SyncQueueUrl", "FactsQueueUrl", "FactsBucket")


class TargetMissing(Exception):
    """The stack cannot be found or reached. The text is one line that says what to do."""


@dataclass(frozen=True)
class Target:
    """A stack, and a session to speak to it."""

    stack: str
    session: boto3.Session
    endpoint_url: str | None
    config_table: str
    events_table: str
    contacts_table: str
    sync_queue_url: str
    facts_queue_url: str
    facts_bucket: str
    api_url: str

    @property
    def prefix(self) -> str:
        """Where its secrets stand in the parameter store."""
        return f"/{self.stack}"

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return self.session.client("dynamodb", endpoint_url=self.endpoint_url, config=_config(self.endpoint_url))

    @cached_property
    def s3(self) -> S3Client:
        return self.session.client("s3", endpoint_url=self.endpoint_url, config=_config(self.endpoint_url))

    @cached_property
    def sqs(self) -> SQSClient:
        return self.session.client("sqs", endpoint_url=self.endpoint_url, config=_config(self.endpoint_url))

    @cached_property
    def ssm(self) -> SSMClient:
        return self.session.client("ssm", endpoint_url=self.endpoint_url, config=_config(self.endpoint_url))


def of_stack(
    name: str, *, endpoint_url: str | None = None, region: str | None = None, profile: str | None = None, credentials: tuple[str, str] | None = None
) -> Target:
    """A deployed stack, by its CloudFormation outputs. Raises `TargetMissing`."""
    import boto3  # noqa: PLC0415  (half a second that `--help` need not wait for)
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError  # noqa: PLC0415

    try:
        key_id, secret = credentials or (None, None)
        session = boto3.Session(region_name=region, profile_name=profile, aws_access_key_id=key_id, aws_secret_access_key=secret)
        stacks = session.client("cloudformation", endpoint_url=endpoint_url, config=_config(endpoint_url)).describe_stacks(StackName=name)["Stacks"]
    except NoRegionError as error:
        raise TargetMissing("No AWS region is set: give --region, or set AWS_REGION.") from error
    except NoCredentialsError as error:
        raise TargetMissing("No AWS credentials were found: run `aws configure`, set AWS_PROFILE, or use --local.") from error
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise TargetMissing(f"There is no stack named {name} in this account and region: run `make deploy`, or give --stack and --region.") from error
        raise TargetMissing(f"AWS refused to describe the stack {name}: {error.response['Error']['Code']}.") from error
    except BotoCoreError as error:
        raise TargetMissing(f"AWS could not be asked for the stack {name}: {_one_line(error)}") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
    missing = [output for output in _OUTPUTS if output not in outputs]
    if missing:
        raise TargetMissing(f"The stack {name} has no output {missing[0]}: it is not Tributary's, or it is still being deployed.")
    return Target(
        stack=name,
        session=session,
        endpoint_url=endpoint_url,
        config_table=outputs["ConfigTable"],
        events_table=outputs["EventsTable"],
        contacts_table=outputs["ContactsTable"],
        sync_queue_url=outputs["SyncQueueUrl"],
        facts_queue_url=outputs["FactsQueueUrl"],
        facts_bucket=outputs["FactsBucket"],
        api_url=outputs.get("ApiUrl", ""),
    )


def of_local(path: Path = LOCAL_STACK_FILE) -> Target:
    """The stack that `make local` runs here. Raises `TargetMissing`."""
    try:
        said: dict[str, Any] = json.loads(path.read_text())
        emulator_url = str(said["emulator_url"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetMissing(f"No local stack is running ({path} is not there or not complete): start one with `make local`.") from error
    target = of_stack(str(said.get("stack_name", DEFAULT_STACK)), endpoint_url=emulator_url, region=LOCAL_REGION, credentials=LOCAL_CREDENTIALS)
    # The template's output is an address of AWS, which leads nowhere here.
    return replace(target, api_url=str(said.get("api_url", "")))


def operator_of(target: Target) -> Operator:
    """The use cases on a target's settings."""
    from tributary.adapters.settings_store import DynamoRows, SsmSecretStore  # noqa: PLC0415

    return Operator(
        rows=DynamoRows(lambda: target.dynamodb, target.config_table),
        secrets=SsmSecretStore(lambda: target.ssm, target.prefix),
        kinds=known_kinds(),
    )


def _config(endpoint_url: str | None) -> Config | None:
    """An emulator on this machine is not reached through a proxy."""
    from botocore.config import Config  # noqa: PLC0415

    return None if endpoint_url is None else Config(proxies={})


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
