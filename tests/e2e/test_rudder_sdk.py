"""RudderStack's SDK for Python, an older relative of Segment's, against the deployed stack: Basic credentials alone, gzip by default, traits in the context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rudderstack.analytics as rudder_analytics
from rudderstack.analytics.client import Client

from tests.kit.deployed import Deployed, RunningStack, unique

pytestmark = [
    pytest.mark.e2e,
    # The SDK's own, on newer interpreters.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


@pytest.fixture
def deployed(stack: RunningStack) -> Iterator[Deployed]:
    with Deployed(stack) as deployed:
        yield deployed


def sdk(deployed: Deployed, **settings: Any) -> Any:
    """The SDK is untyped."""
    client: Any = Client
    return client(**{"write_key": deployed.stack.write_key, "host": deployed.stack.api_url, "timeout": 30, **settings})


@pytest.mark.parametrize("gzip", [True, False], ids=["gzip", "plain"])
def test_every_call_of_the_sdk_is_recorded_once_and_reaches_kissmetrics_in_order(deployed: Deployed, gzip: bool) -> None:
    user = unique("user")
    ids = [unique(name) for name in ("page", "identify", "track", "screen", "group", "alias")]
    refused: list[Exception] = []
    client = sdk(deployed, gzip=gzip, on_error=lambda error, _: refused.append(error))
    client.page(user, name="Pricing", message_id=ids[0])
    client.identify(user, {"email": f"{user}@harbour.example", "seats": 14}, message_id=ids[1])
    client.track(user, "Berth Booked", {"pier": "C"}, message_id=ids[2])
    client.screen(user, name="Cart", message_id=ids[3])
    client.group(user, "harbour", {"name": "Harbour Ltd"}, message_id=ids[4])
    client.alias(f"old-{user}", user, message_id=ids[5])
    client.shutdown()
    assert refused == []
    lines = deployed.until_listed(ids)
    assert sorted((line["message_id"], line["type"], line["status"]) for line in lines) == sorted((id, id.split("-")[0], "accepted") for id in ids)
    requests = deployed.kissmetrics.until([user, f"old-{user}"], 6)
    assert [(request["path"], request["params"].get("_n")) for request in requests] == [
        ("/e", "Viewed Pricing Page"),
        ("/s", None),
        ("/e", "Berth Booked"),
        ("/e", "Viewed Cart Screen"),
        ("/s", None),
        ("/a", user),
    ]
    assert requests[1]["params"]["email"] == f"{user}@harbour.example"
    assert requests[1]["params"]["seats"] == "14"


def test_the_data_plane_url_of_its_module_is_all_that_is_set(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = rudder_analytics
    user = unique("user")
    monkeypatch.setattr(module, "write_key", deployed.stack.write_key)
    monkeypatch.setattr(module, "dataPlaneUrl", deployed.stack.api_url)
    monkeypatch.setattr(module, "default_client", None)
    module.track(user, "Berth Booked", {"pier": "C"})
    module.shutdown()
    [request] = deployed.kissmetrics.until([user], 1)
    assert request["params"]["Berth Booked - pier"] == "C"


def test_a_wrong_write_key_fails_at_once_instead_of_after_ten_tries(deployed: Deployed) -> None:
    refused: list[Any] = []
    client = sdk(deployed, write_key="wk_" + "x" * 29, on_error=lambda error, _: refused.append(error))
    client.track("somebody", "Berth Booked")
    client.shutdown()
    assert [error.status for error in refused] == [401]
    assert refused[0].code != "unknown"
