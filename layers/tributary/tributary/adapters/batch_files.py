"""S3: the files of entered batches, below `entered/` in the bucket of FACTS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PREFIX: Final = "entered/"
_MISSING: Final = frozenset({"NoSuchKey", "404"})


class S3BatchFiles:
    """`entered.batches.BatchFiles` on S3."""

    def __init__(self, client: Callable[[], S3Client], bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, body: bytes) -> None:
        try:
            self._client().put_object(Bucket=self._bucket, Key=_PREFIX + name, Body=body)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error

    def get(self, name: str) -> bytes | None:
        try:
            return self._client().get_object(Bucket=self._bucket, Key=_PREFIX + name)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise _unavailable(error) from error
        except BotoCoreError as error:
            raise _unavailable(error) from error

    def delete(self, name: str) -> None:
        try:
            self._client().delete_object(Bucket=self._bucket, Key=_PREFIX + name)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(error) from error


def _unavailable(error: BotoCoreError | ClientError) -> StoreUnavailable:
    """Says which error it was, and nothing of what was written."""
    said = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    return StoreUnavailable(f"the files of batches: {said}")
