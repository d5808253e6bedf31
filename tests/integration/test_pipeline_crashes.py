"""The whole pipeline, killed at each AWS call it makes, before AWS has the call and after: nothing is lost, nothing counts twice, each person's order holds.

This covers every named step (record's put, the list's line, fan_out's send, resolve's transactions, the forwarder's rows and visibility) without naming them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.builders import NOON
from tests.kit.pipeline import Pipeline, kill_at, pipeline
from tributary.destinations.encoding import encode_pairs
from tributary.errors import VendorUnavailable
from tributary.ports import VendorAnswer, VendorRequest

SHOP: list[dict[str, Any]] = [
    {"type": "page", "anonymousId": "visit-9", "messageId": "m-1", "name": "Home"},
    {"type": "identify", "anonymousId": "visit-9", "userId": "orla-12", "messageId": "m-2", "traits": {"email": "orla@harbour.example", "plan": "crew"}},
    {
        "type": "track",
        "userId": "orla-12",
        "messageId": "m-3",
        "event": "Order Completed",
        "properties": {"order_id": "H-1", "revenue": 76, "products": [{"sku": "R"}]},
    },
    {"type": "track", "userId": "ulf-3", "messageId": "m-4", "event": "Product Viewed", "properties": {"sku": "R"}},
    {"type": "identify", "userId": "ulf-3", "messageId": "m-5", "traits": {"email": "ulf@harbour.example"}},
    {"type": "alias", "previousId": "sess-71", "userId": "ulf-3", "messageId": "m-6"},
    {"type": "track", "userId": "ulf-3", "messageId": "m-7", "properties": {"no": "event name"}},
]
STAMP = NOON.isoformat().replace("+00:00", "Z")
BATCH = {"batch": [{**event, "timestamp": STAMP} for event in SHOP]}

IN_ORDER = {
    "visit-9": ["Viewed Home Page"],
    "orla-12": ["/s orla-12", "/a orla-12", "Order Completed", "/s orla-12"],
    "ulf-3": ["Product Viewed", "/s ulf-3", "/a sess-71"],
}


class Vendor:
    """Keeps what it applied. `fail`: the numbers of the calls that break after it applied them."""

    def __init__(self, fail: frozenset[int] = frozenset()) -> None:
        self.applied: list[str] = []
        self.people: list[tuple[str, str]] = []
        self.calls = 0
        self.fail = fail

    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        self.calls += 1
        given = dict(request.query or request.form or ())
        self.applied.append(request.url + "?" + encode_pairs(request.query or request.form or ()))
        path = request.url.rsplit("/", 1)[1]
        person = given["_n"] if path == "a" and given["_p"] == "sess-71" else given["_p"]
        self.people.append((person, given["_n"] if path == "e" else f"/{path} {given['_p']}"))
        if self.calls in self.fail:
            raise VendorUnavailable("the connection broke")
        return VendorAnswer(status=200, headers={}, body=b"GIF89a")

    def first_times(self, person: str) -> list[str]:
        """What the vendor saw of a person, repeats of the same request left out."""
        seen: set[str] = set()
        found = []
        for (who, what), wire in zip(self.people, self.applied, strict=True):
            if who == person and wire not in seen:
                found.append(what)
            seen.add(wire)
        return found


def state(stack: Pipeline) -> dict[str, Any]:
    """What is left in the stores, without what may differ between two runs that mean the same."""
    events = [row for row in stack.rows("events") if row["sk"]["S"].startswith("event#")]
    return {
        "events": [(row["pk"]["S"], row["sk"]["S"], bytes(row["d"]["B"])) for row in events],
        "contacts": [(row["pk"]["S"], row["sk"]["S"]) for row in stack.rows("contacts")],
    }


def run(monkeypatch: pytest.MonkeyPatch, *, number: int = 0, applied: bool = False, vendor: Vendor | None = None) -> tuple[Vendor, dict[str, Any], int, int]:
    vendor = vendor or Vendor()
    with pipeline(monkeypatch, vendor) as stack:
        assert stack.post("/v1/batch", BATCH)["statusCode"] == 200
        made = kill_at(number, applied=applied)
        stack.run(rounds=40)
        return vendor, state(stack), made(), stack.crashes


@pytest.fixture(scope="module")
def undisturbed() -> tuple[Vendor, dict[str, Any], int]:
    with pytest.MonkeyPatch.context() as patch:
        vendor, left, calls, _ = run(patch)
    return vendor, left, calls


def test_an_undisturbed_day_reaches_kissmetrics_once_and_in_order(undisturbed: tuple[Vendor, dict[str, Any], int]) -> None:
    vendor, left, _ = undisturbed
    assert len(vendor.applied) == len(set(vendor.applied)) == 8
    for person, expected in IN_ORDER.items():
        assert vendor.first_times(person) == expected
    assert len(left["events"]) == 6


@pytest.mark.parametrize("applied", [False, True], ids=["before-aws-has-it", "after-aws-has-it"])
def test_killed_at_any_aws_call_and_run_again_it_ends_the_same(
    monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[Vendor, dict[str, Any], int], applied: bool
) -> None:
    calm, left, calls = undisturbed
    assert calls > 15
    for number in range(1, calls + 1):
        vendor, after, _, crashes = run(monkeypatch, number=number, applied=applied)
        assert crashes >= 1, f"call {number} was not reached"
        assert set(vendor.applied) == set(calm.applied), f"call {number}"
        assert after == left, f"call {number}"
        for person, expected in IN_ORDER.items():
            assert vendor.first_times(person) == expected, f"call {number}"


def test_a_vendor_that_applies_and_then_breaks_gets_the_same_bytes_again(
    monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[Vendor, dict[str, Any], int]
) -> None:
    calm, left, _ = undisturbed
    for number in range(1, len(calm.applied) + 1):
        vendor, after, _, _ = run(monkeypatch, vendor=Vendor(frozenset({number})))
        assert set(vendor.applied) == set(calm.applied)
        assert after == left
        for person, expected in IN_ORDER.items():
            assert vendor.first_times(person) == expected
