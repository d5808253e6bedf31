"""The files of batches, in memory and on S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from tests.kit.entered import MemoryBatchFiles
from tributary.adapters.aws import CALLER_CONFIG
from tributary.adapters.batch_files import S3BatchFiles
from tributary.entered.batches import BatchFiles
from tributary.errors import StoreUnavailable


@pytest.fixture(params=["memory", "s3"])
def files(request: pytest.FixtureRequest) -> Iterator[BatchFiles]:
    if request.param == "memory":
        yield MemoryBatchFiles()
        return
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        client.create_bucket(Bucket="facts")
        yield S3BatchFiles(lambda: client, "facts")


def test_a_file_is_kept_replaced_and_removed(files: BatchFiles) -> None:
    assert files.get("ad-spend/one") is None
    files.put("ad-spend/one", b"1")
    files.put("ad-spend/one", b"\x00\xff")
    files.put("rates/one", b"2")
    assert (files.get("ad-spend/one"), files.get("rates/one")) == (b"\x00\xff", b"2")
    files.delete("ad-spend/one")
    files.delete("ad-spend/one")
    assert (files.get("ad-spend/one"), files.get("rates/one")) == (None, b"2")


@pytest.mark.parametrize("ask", [lambda files: files.put("a", b""), lambda files: files.get("a"), lambda files: files.delete("a")])
def test_a_bucket_that_is_not_there_or_does_not_answer_is_unavailable_and_not_empty(ask: Callable[[BatchFiles], object]) -> None:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=CALLER_CONFIG)
        with pytest.raises(StoreUnavailable):
            ask(S3BatchFiles(lambda: client, "nowhere"))

        def silence(request: object, **_: object) -> None:
            raise ReadTimeoutError(endpoint_url="s3")

        client.meta.events.register_first("before-send.s3", silence)
        with pytest.raises(StoreUnavailable):
            ask(S3BatchFiles(lambda: client, "facts"))
