from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.kit.builders import identify, track
from tributary.conditions import Condition, depth, matches

ORDER = track("Order Completed", user_id="orla-12", properties={"revenue": 120, "coupon": "SPRING-10", "gift": True, "tags": ["vip", "new"], "note": None})


def condition(data: dict[str, Any]) -> Condition:
    return msgspec.convert(data, Condition)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"type": ["track", "page"]}, True),
        ({"type": ["identify"]}, False),
        ({"event": ["Order Completed"]}, True),
        ({"event": ["order completed"]}, False),
        ({"field": "properties.revenue", "is": "greater_than", "value": 100}, True),
        ({"field": "properties.revenue", "is": "greater_than", "value": 120}, False),
        ({"field": "properties.revenue", "is": "at_least", "value": 120}, True),
        ({"field": "properties.revenue", "is": "less_than", "value": 121}, True),
        ({"field": "properties.revenue", "is": "at_most", "value": 119}, False),
        ({"field": "properties.revenue", "is": "greater_than", "value": "100"}, False),
        ({"field": "properties.gift", "is": "at_least", "value": 1}, False),
        ({"field": "properties.gift", "is": "equals", "value": True}, True),
        ({"field": "properties.gift", "is": "equals", "value": 1}, False),
        ({"field": "properties.coupon", "is": "starts_with", "value": "SPRING"}, True),
        ({"field": "properties.coupon", "is": "ends_with", "value": "-10"}, True),
        ({"field": "properties.coupon", "is": "contains", "value": "ING"}, True),
        ({"field": "properties.tags", "is": "contains", "value": "vip"}, True),
        ({"field": "properties.coupon", "is": "one_of", "value": ["X", "SPRING-10"]}, True),
        ({"field": "properties.absent", "is": "exists"}, False),
        ({"field": "properties.note", "is": "exists"}, False),
        ({"field": "properties.absent", "is": "missing"}, True),
        ({"field": "properties.absent", "is": "equals", "value": 1}, False),
        ({"field": "properties.absent", "is": "not_equals", "value": 1}, True),
        ({"field": "properties.coupon.deep", "is": "exists"}, False),
        ({"field": "userId", "is": "equals", "value": "orla-12"}, True),
        ({"all": [{"type": ["track"]}, {"event": ["Order Completed"]}]}, True),
        ({"all": [{"type": ["track"]}, {"event": ["Other"]}]}, False),
        ({"any": [{"event": ["Other"]}, {"field": "properties.gift", "is": "equals", "value": True}]}, True),
        ({"any": []}, False),
        ({"not": {"event": ["Other"]}}, True),
    ],
)
def test_a_condition_is_met_or_not(data: dict[str, Any], expected: bool) -> None:
    assert matches(condition(data), ORDER) is expected


def test_an_event_name_is_only_a_tracks() -> None:
    assert not matches(condition({"event": ["Order Completed"]}), identify(user_id="u"))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"type": ["track"], "event": ["x"]},
        {"field": "properties.x"},
        {"is": "equals"},
        {"type": ["sale"]},
        {"field": "a", "is": "resembles"},
        {"colour": "red"},
    ],
)
def test_a_condition_that_means_nothing_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        condition(data)


def test_depth_counts_conditions_inside_one_another() -> None:
    assert depth(condition({"all": [{"any": [{"type": ["page"]}]}, {"type": ["track"]}]})) == 3
