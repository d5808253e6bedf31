"""AWS clients: one of each a sandbox, built on first use, with timeouts shorter than any function's own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

CLIENT_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
)
"""botocore's own timeouts are 60 s, longer than most of our functions live."""

CALLER_CONFIG: Final = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
"""Where somebody waits for the answer: a look-up and a send that both fail take 18 s, within the gateway's 30."""


@cache
def dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=CLIENT_CONFIG)


@cache
def sqs() -> SQSClient:
    return boto3.client("sqs", config=CLIENT_CONFIG)


@cache
def ssm() -> SSMClient:
    return boto3.client("ssm", config=CLIENT_CONFIG)


@cache
def sns() -> SNSClient:
    return boto3.client("sns", config=CLIENT_CONFIG)


@cache
def s3() -> S3Client:
    return boto3.client("s3", config=CLIENT_CONFIG)


@cache
def dynamodb_for_caller() -> DynamoDBClient:
    return boto3.client("dynamodb", config=CALLER_CONFIG)


@cache
def ssm_for_caller() -> SSMClient:
    return boto3.client("ssm", config=CALLER_CONFIG)


@cache
def s3_for_caller() -> S3Client:
    return boto3.client("s3", config=CALLER_CONFIG)


@cache
def sqs_for_caller() -> SQSClient:
    return boto3.client("sqs", config=CALLER_CONFIG)
