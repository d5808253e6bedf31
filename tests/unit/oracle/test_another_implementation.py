"""The oracle's weights are those of an implementation that somebody else wrote, for the models that it has."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from tests.oracle.models import weights
from tributary.facts.tables import TouchFact
from tributary.reports.query import Model

CHANNELS = ["email", "direct", "paid_search", "display"]
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def journeys() -> list[list[TouchFact]]:
    """Two hundred paths of one to eight touches, no two of one moment."""
    chance = random.Random(4)
    found = []
    for journey in range(200):
        hours = sorted(chance.sample(range(720), chance.randint(1, 8)))
        found.append(
            [
                TouchFact(
                    key=f"{journey:016x}{hour:016x}",
                    person=f"{journey:032x}",
                    happened_at=START + timedelta(hours=hour),
                    connection="src_1",
                    channel=chance.choice(CHANNELS),
                )
                for hour in hours
            ]
        )
    return found


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        (Model.FIRST_TOUCH, "run_first_click"),
        (Model.LAST_TOUCH, "run_last_click"),
        (Model.LINEAR, "run_linear"),
        (Model.POSITION, "run_position_based"),
        (Model.TIME_DECAY, "run_time_decay"),
    ],
)
def test_channels_get_what_the_other_implementation_gives_them(model: Model, theirs: str, journeys: list[list[TouchFact]]) -> None:
    mine: dict[str, Fraction] = {}
    for path in journeys:
        for touch, weight in zip(path, weights(model, path, lead_at=None), strict=True):
            mine[touch.channel] = mine.get(touch.channel, Fraction()) + weight
    got = getattr(_other(journeys), theirs)().to_dict()
    expected = dict(zip(got["channels"], got["attribution"], strict=True))
    # It computes in floats, and we round a weight of time decay to nine digits.
    assert {channel: float(weight) for channel, weight in mine.items()} == pytest.approx(expected, abs=1e-6)


def _other(journeys: list[list[TouchFact]]) -> Any:
    """Imported here: it brings two large data frame packages along, which nothing else needs."""
    import mam
    import polars

    touches = [(path[0].person, touch.happened_at, touch.channel, touch is path[-1]) for path in journeys for touch in path]
    frame = polars.DataFrame(touches, schema=["person", "at", "channel", "converted"], orient="row")
    return mam.MAM(
        frame, format_type="session", channels_colname="channel", journey_with_conv_colname="converted", datetime_colname="at", user_id_colname="person"
    )
