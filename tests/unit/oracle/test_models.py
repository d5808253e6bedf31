"""The models' published figures: what each touch of a path gets, by the oracle that the reports are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tests.oracle.models import path_of, split, weights
from tributary.facts.tables import TouchFact
from tributary.reports.query import Model

ORDERED_AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
HUNDRED = 10_000
"""Cents."""


def path(*ages: float, channels: Sequence[str] = ()) -> list[TouchFact]:
    """Touches so many days before the order."""
    return [
        TouchFact(
            key=f"{number:032x}",
            person=f"{1:032x}",
            happened_at=ORDERED_AT - timedelta(days=age),
            connection="src_1",
            channel=channels[number] if channels else "referral",
        )
        for number, age in enumerate(ages)
    ]


def cents(model: Model, touches: list[TouchFact], *, lead_age: float | None = None) -> list[int]:
    lead_at = None if lead_age is None else ORDERED_AT - timedelta(days=lead_age)
    return split(HUNDRED, weights(model, touches, lead_at=lead_at))


@pytest.mark.parametrize(
    ("model", "ages", "expected"),
    [
        (Model.LINEAR, (21, 14, 7, 0), [2500, 2500, 2500, 2500]),
        (Model.POSITION, (21, 14, 7, 0), [4000, 1000, 1000, 4000]),
        (Model.TIME_DECAY, (21, 14, 7, 0), [667, 1333, 2667, 5333]),
        (Model.TIME_DECAY, (10, 3, 0), [1757, 3514, 4729]),
        (Model.POSITION, (5,), [10_000]),
        (Model.POSITION, (5, 4), [5000, 5000]),
        (Model.POSITION, (5, 4, 3), [4000, 2000, 4000]),
        (Model.POSITION, (7, 6, 5, 4, 3, 2, 1), [4000, 400, 400, 400, 400, 400, 4000]),
        (Model.FIRST_TOUCH, (21, 14, 7, 0), [10_000, 0, 0, 0]),
        (Model.LAST_TOUCH, (21, 14, 7, 0), [0, 0, 0, 10_000]),
    ],
)
def test_a_hundred_is_handed_out_as_the_model_says(model: Model, ages: tuple[float, ...], expected: list[int]) -> None:
    assert cents(model, path(*ages)) == expected


def test_w_shaped_gives_a_third_milestone_to_the_touch_that_made_the_lead() -> None:
    assert cents(Model.W_SHAPED, path(21, 14, 7, 0), lead_age=10) == [3000, 3000, 1000, 3000]


@pytest.mark.parametrize(
    ("ages", "lead_age", "expected"),
    [
        ((9, 5, 1), 9, [6000, 1000, 3000]),  # it came first, too: both milestones are its
        ((9, 5, 1), 0.5, [3000, 1000, 6000]),
        ((9, 5, 1), 5, [3333, 3333, 3334]),  # no rest: scaled to the whole
        ((9, 1), 9, [6667, 3333]),
        ((9,), None, [10_000]),
        ((9, 5, 3, 1), 20, [6000, 500, 500, 3000]),  # a lead before any touch: the first one stands for it
    ],
)
def test_w_shaped_adds_milestones_that_fall_on_one_touch(ages: tuple[float, ...], lead_age: float | None, expected: list[int]) -> None:
    assert cents(Model.W_SHAPED, path(*ages), lead_age=lead_age) == expected


@pytest.mark.parametrize(
    ("model", "channels", "expected"),
    [
        (Model.LAST_NON_DIRECT, ("email", "paid_search", "direct"), 1),
        (Model.FIRST_NON_DIRECT, ("direct", "email", "direct"), 1),
        (Model.LAST_NON_DIRECT, ("direct", "direct"), 1),
        (Model.FIRST_NON_DIRECT, ("direct", "direct"), 0),
        (Model.FIRST_PAID, ("email", "affiliate", "display"), 1),
        (Model.LAST_PAID, ("paid_social", "paid_other", "email"), 1),
        (Model.LAST_PAID, ("email", "direct"), 1),
        (Model.FIRST_PAID, ("email", "direct"), 0),
    ],
)
def test_channels_that_do_not_fit_are_passed_over_unless_there_is_nothing_else(model: Model, channels: tuple[str, ...], expected: int) -> None:
    touches = path(*range(len(channels), 0, -1), channels=channels)
    assert weights(model, touches, lead_at=None) == [Fraction(int(number == expected)) for number in range(len(channels))]


@pytest.mark.parametrize(("lead_age", "expected"), [(6, 0), (5, 1), (0, 2), (30, 0), (None, 0)])
def test_the_lead_source_is_the_last_touch_until_then_or_else_the_first(lead_age: float | None, expected: int) -> None:
    assert cents(Model.LEAD_SOURCE, path(9, 5, 1), lead_age=lead_age)[expected] == HUNDRED


def test_full_impact_gives_all_to_first_lead_and_last_touch() -> None:
    assert weights(Model.FULL_IMPACT, path(9, 7, 5, 1), lead_at=ORDERED_AT - timedelta(days=6)) == [1, 1, 0, 1]


def test_a_cent_that_is_left_goes_to_the_later_of_equal_touches() -> None:
    assert split(100, [Fraction(1, 3)] * 3) == [33, 33, 34]
    assert split(-100, [Fraction(1, 3)] * 3) == [-33, -33, -34]
    assert split(1, [Fraction(2, 5), Fraction(1, 5), Fraction(2, 5)]) == [0, 0, 1]


def test_a_path_begins_with_the_lookback_and_ends_at_the_very_moment_of_the_order() -> None:
    touches = path(-0.001, 0, 29, 30, 30.001)
    assert path_of(touches, ORDERED_AT, 30) == [touches[3], touches[2], touches[1]]
    assert len(path_of(touches, ORDERED_AT, None)) == 4


def test_machines_are_on_no_path() -> None:
    assert path_of(path(2, 1, channels=("bot", "email")), ORDERED_AT, 30)[0].channel == "email"
