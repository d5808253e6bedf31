"""The official Segment SDK for Python against the deployed stack: changing its host is all that a shop does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.kit.deployed import Deployed, RunningStack, unique

pytestmark = pytest.mark.e2e


@pytest.fixture
def deployed(stack: RunningStack) -> Iterator[Deployed]:
    with Deployed(stack) as deployed:
        yield deployed


def sdk(deployed: Deployed, **settings: Any) -> Any:
    """The SDK is untyped."""
    client: Any = Client
    return client(**{"write_key": deployed.stack.write_key, "host": deployed.stack.api_url, "timeout": 30, **settings})


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("sync_mode", [False, True], ids=["threaded", "blocking"])
def test_every_call_of_the_sdk_is_recorded_once_and_reaches_kissmetrics_in_order(deployed: Deployed, sync_mode: bool, gzip: bool) -> None:
    user, visitor = unique("user"), unique("visitor")
    ids = [unique(name) for name in ("page", "identify", "track", "screen", "group", "alias")]
    refused: list[Exception] = []
    client = sdk(deployed, sync_mode=sync_mode, gzip=gzip, on_error=lambda error, _: refused.append(error))
    client.page(user, name="Pricing", message_id=ids[0])
    client.identify(user, {"email": f"{user}@harbour.example", "seats": 14}, anonymous_id=visitor, message_id=ids[1])
    client.track(user, "Berth Booked", {"pier": "C", "revenue": 84.2}, message_id=ids[2])
    client.screen(user, name="Cart", message_id=ids[3])
    client.group(user, "harbour", {"name": "Harbour Ltd"}, message_id=ids[4])
    client.alias(f"old-{user}", user, message_id=ids[5])
    if not sync_mode:
        client.shutdown()
    assert refused == []
    lines = deployed.until_listed(ids)
    assert sorted((line["message_id"], line["type"], line["status"]) for line in lines) == sorted((id, id.split("-")[0], "accepted") for id in ids)
    requests = deployed.kissmetrics.until([user, f"old-{user}"], 7)
    assert [(request["path"], request["params"].get("_n")) for request in requests] == [
        ("/e", "Viewed Pricing Page"),
        ("/s", None),
        ("/a", visitor),
        ("/e", "Berth Booked"),
        ("/e", "Viewed Cart Screen"),
        ("/s", None),
        ("/a", user),
    ]
    assert requests[1]["params"]["email"] == f"{user}@harbour.example"
    assert requests[3]["params"]["Billing amount"] == "84.2"
    assert requests[5]["params"]["Group - Name"] == "Harbour Ltd"
    assert deployed.kissmetrics.silently_ignored(user, f"old-{user}") == []


def test_events_of_one_user_keep_the_order_of_the_sdk_over_many_batches(deployed: Deployed) -> None:
    user = unique("user")
    client = sdk(deployed, upload_size=3)
    for number in range(10):
        client.track(user, f"Step {number}", message_id=unique("step"))
    client.shutdown()
    requests = deployed.kissmetrics.until([user], 10)
    assert [request["params"]["_n"] for request in requests] == [f"Step {number}" for number in range(10)]


def test_a_time_set_by_the_shop_reaches_kissmetrics(deployed: Deployed) -> None:
    """Two days back, give or take the transit, which is taken for an error of the shop's clock."""
    user = unique("user")
    happened = datetime.now(UTC) - timedelta(days=2)
    client = sdk(deployed, sync_mode=True)
    client.track(user, "Berth Booked", timestamp=happened, message_id=unique("track"))
    [request] = deployed.kissmetrics.until([user], 1)
    assert 0 <= int(request["params"]["_t"]) - int(happened.timestamp()) <= 30


def test_a_wrong_write_key_ends_a_blocking_call_with_its_status_and_code(deployed: Deployed) -> None:
    client = sdk(deployed, write_key="wk_" + "x" * 29, sync_mode=True)
    with pytest.raises(Exception, match="401") as refusal:
        client.track("somebody", "Berth Booked")
    error: Any = refusal.value
    assert (type(error).__name__, error.status) == ("APIError", 401)
    assert error.code not in ("", "unknown")


def test_a_wrong_write_key_fails_the_threaded_sdk_at_once_instead_of_after_ten_tries(deployed: Deployed) -> None:
    refused: list[Any] = []
    client = sdk(deployed, write_key="wk_" + "x" * 29, on_error=lambda error, _: refused.append(error))
    began = time.monotonic()
    client.track("somebody", "Berth Booked")
    client.shutdown()
    assert [error.status for error in refused] == [401]
    assert time.monotonic() - began < 10
