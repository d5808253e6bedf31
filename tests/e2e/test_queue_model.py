"""The emulator's FIFO queues do what the model of them does, so that what is tested on the model holds on the stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import boto3
import pytest

from tests.kit.deployed import unique
from tests.kit.queue_scenarios import SCENARIOS, Fifo, SqsFifo

pytestmark = pytest.mark.e2e


class StackWithEmulator(Protocol):
    @property
    def emulator_url(self) -> str: ...


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_emulator(stack: StackWithEmulator, scenario: Callable[[Fifo], None]) -> None:
    client = boto3.client("sqs", endpoint_url=stack.emulator_url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    scenario(SqsFifo(client, unique("model")))
