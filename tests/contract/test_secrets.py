"""The parameter store and the rows set aside."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from tests.kit.builders import NOON, always
from tests.kit.moto import Faults, dynamodb_table
from tributary.adapters.aws import CLIENT_CONFIG
from tributary.adapters.poison import DynamoPoisonRecords
from tributary.adapters.secrets import SsmSecrets, digests_from
from tributary.errors import CredentialMissing, StoreUnavailable
from tributary.identity.digests import Digests
from tributary.identity.identifiers import Identifier

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@pytest.fixture
def ssm() -> Iterator[SSMClient]:
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=CLIENT_CONFIG)


class Monotonic:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def store(ssm: SSMClient, value: str) -> None:
    ssm.put_parameter(Name="/shop/connections/con_1", Value=value, Type="SecureString", Overwrite=True)


def test_a_secret_is_kept_thirty_seconds_unless_asked_afresh(ssm: SSMClient) -> None:
    clock = Monotonic()
    secrets = SsmSecrets(lambda: ssm, "/shop", clock)
    store(ssm, "one")
    assert secrets.get("connections/con_1") == "one"
    store(ssm, "two")
    clock.now = 29
    assert secrets.get("connections/con_1") == "one"
    assert secrets.get("connections/con_1", fresh=True) == "two"
    store(ssm, "three")
    clock.now = 60
    assert secrets.get("connections/con_1") == "three"


def test_a_secret_that_is_not_there_halts_and_a_store_that_does_not_answer_is_tried_again(ssm: SSMClient) -> None:
    secrets = SsmSecrets(lambda: ssm, "/shop")
    with pytest.raises(CredentialMissing, match="connections/con_9"):
        secrets.get("connections/con_9")
    Faults(ssm).refuse("GetParameter", times=9)
    with pytest.raises(StoreUnavailable):
        secrets.get("connections/con_1")


def test_the_digest_key_is_read_as_base64(ssm: SSMClient) -> None:
    ssm.put_parameter(Name="/shop/digest-key", Value=base64.b64encode(b"k" * 32).decode(), Type="SecureString")
    person = Identifier("email", "orla@harbour.example")
    assert digests_from(SsmSecrets(lambda: ssm, "/shop")).of(person) == Digests(b"k" * 32).of(person)


def test_digests_differ_by_key_and_by_kind() -> None:
    one, other = Digests(b"1"), Digests(b"2")
    assert len({one.of(Identifier("user", "x")), one.of(Identifier("anonymous", "x")), other.of(Identifier("user", "x"))}) == 3


def test_a_record_set_aside_keeps_its_body_and_is_written_once() -> None:
    with dynamodb_table() as client:
        poison = DynamoPoisonRecords(lambda: client, "table", always(NOON))
        for _ in range(2):
            poison.park("record", "q-1", "unreadable_message", b"what came")
        (row,) = client.scan(TableName="table")["Items"]
        assert (row["pk"]["S"], row["sk"]["S"], row["code"]["S"]) == ("poison#record", "q-1", "unreadable_message")
        assert zlib.decompress(bytes(row["body"]["B"])) == b"what came"
        Faults(client).refuse("PutItem", times=9)
        with pytest.raises(StoreUnavailable):
            poison.park("record", "q-2", "unreadable_message")
