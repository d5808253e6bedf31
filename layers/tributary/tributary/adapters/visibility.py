"""SQS: when messages that we hold are seen again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class SqsVisibility:
    """`Visibility` on SQS: one call for up to ten messages."""

    def __init__(self, client: Callable[[], SQSClient], url: str) -> None:
        self._client = client
        self._url = url

    def change(self, receipts: Sequence[str], seconds: int) -> None:
        try:
            answer = self._client().change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds} for number, receipt in enumerate(receipts)],
            )
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"SQS did not change a visibility: {type(error).__name__}") from error
        if answer.get("Failed"):
            raise StoreUnavailable(f"SQS refused {len(answer['Failed'])} of {len(receipts)} changes of visibility")
