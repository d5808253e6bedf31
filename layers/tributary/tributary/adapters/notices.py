"""Telling people, by SNS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.adapters import dynamo
from tributary.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_LONGEST_SUBJECT: Final = 100
"""Characters that SNS takes; no line breaks, printable ASCII."""


class SnsNotices:
    """`Notices` on an SNS topic."""

    def __init__(self, client: Callable[[], SNSClient], topic: str) -> None:
        self._client = client
        self._topic = topic

    def tell(self, subject: str, text: str) -> None:
        plain = subject.encode("ascii", "replace").decode()
        printable = "".join(letter if letter.isprintable() else " " for letter in plain)[:_LONGEST_SUBJECT]
        try:
            self._client().publish(TopicArn=self._topic, Subject=printable or "Tributary", Message=text)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"SNS did not take a notice: {dynamo.code_of(error)}") from error
