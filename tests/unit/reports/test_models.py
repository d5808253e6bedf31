"""Each attribution model on small worked cases."""

from __future__ import annotations

import pytest

from tests.kit.facts import MemoryFacts
from tests.kit.report_facts import asked, facts, lead, order, total, touch, values
from tributary.reports.query import Model


def _four() -> MemoryFacts:
    """100.00 on the 29th; touches 21, 14, 7 and 0 days before; a lead since the second."""
    return facts(
        touch("ann", "03-08", "paid_search", campaign="a"),
        touch("ann", "03-15", "email", campaign="b"),
        touch("ann", "03-22", "paid_social", campaign="c"),
        touch("ann", "03-29", "direct", campaign="d"),
        lead("ann", "03-16"),
        order("ann", "03-29", 10_000),
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Model.FIRST_TOUCH, {"a": 10_000}),
        (Model.LAST_TOUCH, {"d": 10_000}),
        (Model.LAST_NON_DIRECT, {"c": 10_000}),
        (Model.FIRST_NON_DIRECT, {"a": 10_000}),
        (Model.LAST_PAID, {"c": 10_000}),
        (Model.FIRST_PAID, {"a": 10_000}),
        (Model.LEAD_SOURCE, {"b": 10_000}),
        (Model.LINEAR, {"a": 2_500, "b": 2_500, "c": 2_500, "d": 2_500}),
        (Model.POSITION, {"a": 4_000, "b": 1_000, "c": 1_000, "d": 4_000}),
        (Model.W_SHAPED, {"a": 3_000, "b": 3_000, "c": 1_000, "d": 3_000}),
        (Model.TIME_DECAY, {"a": 667, "b": 1_333, "c": 2_667, "d": 5_333}),
        (Model.ANY_TOUCH, {"a": 10_000, "b": 10_000, "c": 10_000, "d": 10_000}),
        (Model.FULL_IMPACT, {"a": 10_000, "b": 10_000, "d": 10_000}),
    ],
)
def test_each_model_gives_its_credit(model: Model, expected: dict[str, int]) -> None:
    report = asked(_four(), model=model, group_by=("campaign",))
    assert values(report, "net_revenue") == expected
    assert total(report, "net_revenue") == 10_000
    assert total(report, "orders") == 1
    assert report.overlapping == (model in (Model.ANY_TOUCH, Model.FULL_IMPACT))
    assert report.coverage_pct == 100
