"""SQS: sending. One call carries at most ten messages and 1 MiB in all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from tributary.errors import StoreUnavailable
from tributary.messages import MAX_MESSAGE_BYTES
from tributary.ports import OutMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_ENTRIES: Final = 10
_ROUNDS: Final = 3
"""How often the refused entries of a call are sent again before the whole is given back."""


class SqsQueue:
    """`MessageQueue` on SQS, standard or FIFO.

    Order within a group: entries are sent in order, and a call's refused entries are sent again before any later call. Where SQS refuses one entry and takes a
    later one of the same group in the same call, those two swap; it is counted, for `take_swapped`.
    """

    def __init__(self, client: Callable[[], SQSClient], url: str) -> None:
        self._client = client
        self._url = url
        self._swapped = 0

    def take_swapped(self) -> int:
        """How many messages have fallen behind a later one of their group since this was last asked."""
        swapped, self._swapped = self._swapped, 0
        return swapped

    def send(self, messages: Sequence[OutMessage]) -> None:
        try:
            for chunk in _chunks(messages):
                self._send_chunk(chunk)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable(f"SQS refused to take messages: {type(error).__name__}") from error

    def _send_chunk(self, chunk: Sequence[OutMessage]) -> None:
        left = list(chunk)
        for _ in range(_ROUNDS):
            answer = self._client().send_message_batch(QueueUrl=self._url, Entries=[_entry(number, message) for number, message in enumerate(left)])
            failed = sorted(int(entry["Id"]) for entry in answer.get("Failed", []))
            if not failed:
                return
            self._count_swaps(left, failed)
            left = [left[number] for number in failed]
        raise StoreUnavailable(f"SQS refused {len(left)} of {len(chunk)} messages, {_ROUNDS} times")

    def _count_swaps(self, sent: Sequence[OutMessage], failed: Sequence[int]) -> None:
        refused = set(failed)
        for number in failed:
            group = sent[number].group
            if group is not None and any(sent[later].group == group and later not in refused for later in range(number + 1, len(sent))):
                self._swapped += 1


def _entry(number: int, message: OutMessage) -> SendMessageBatchRequestEntryTypeDef:
    entry: SendMessageBatchRequestEntryTypeDef = {"Id": str(number), "MessageBody": message.body}
    if message.group is not None:
        entry["MessageGroupId"] = message.group
    if message.deduplication is not None:
        entry["MessageDeduplicationId"] = message.deduplication
    return entry


def _chunks(messages: Sequence[OutMessage]) -> Iterator[list[OutMessage]]:
    chunk: list[OutMessage] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if chunk and (len(chunk) == _ENTRIES or size + length > MAX_MESSAGE_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += length
    if chunk:
        yield chunk
