"""First touch, last touch and lead source, whatever the order of the events."""

from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from tests.kit.builders import NOON, later, page
from tributary.events import Event, Page
from tributary.touches.journey import MAX_LISTED, Journey, journey_of
from tributary.touches.touch import Touch


def at(second: int, query: str = "", referrer: str | None = None, *, agent: str = "", name: str = "") -> Page:
    about = {"url": f"https://quay.example/{name}?{query}", **({"referrer": referrer} if referrer else {})}
    return page(timestamp=later(second, than=later(-1_000_000)), message_id=f"m-{second}-{name}", context={"page": about, "userAgent": agent})


def _named(touch: Touch | None) -> str | None:
    return touch.source or touch.channel.value if touch is not None else None


def _summary(journey: Journey) -> tuple[str | None, ...]:
    return tuple(map(_named, (journey.first_touch, journey.last_touch, journey.last_non_direct_touch, journey.lead_source)))


JOURNEY = [
    at(10, "utm_source=google&utm_medium=cpc"),
    at(20, "utm_source=fb&utm_medium=cpc"),
    at(25, referrer="https://quay.example/"),
    at(30, "utm_source=klaviyo&utm_medium=email"),
    at(40),
    at(50, "utm_source=bing&utm_medium=cpc", agent="AhrefsBot/7.0"),
]
KNOWN_AT = later(24, than=later(-1_000_000))


@given(st.permutations(JOURNEY))
def test_first_last_and_lead_source_do_not_depend_on_the_order_of_events(events: list[Event]) -> None:
    journey = journey_of(events, KNOWN_AT)
    assert _summary(journey) == ("google", "direct", "klaviyo", "fb")
    assert (journey.count, journey.bots) == (4, 1)
    assert [_named(touch) for touch in journey.touches] == ["direct", "klaviyo", "fb", "google"]


def test_somebody_the_shop_knew_before_they_came_has_their_first_touch_as_lead_source() -> None:
    assert _summary(journey_of(JOURNEY, later(0, than=later(-1_000_000))))[3] == "google"


def test_a_touch_at_the_very_moment_the_person_became_known_is_the_lead_source() -> None:
    assert _summary(journey_of(JOURNEY, JOURNEY[3].timestamp))[3] == "klaviyo"


def test_until_the_person_is_known_the_last_touch_is_the_lead_source() -> None:
    assert _summary(journey_of(JOURNEY))[3] == "direct"


def test_a_journey_of_direct_visits_has_a_direct_one_for_everything() -> None:
    assert _summary(journey_of([at(1), at(2)], NOON)) == ("direct",) * 4


def test_nobody_came() -> None:
    assert journey_of([at(5, referrer="https://quay.example/")]) == Journey()


@given(st.permutations([at(7, "utm_source=a", name="a"), at(7, "utm_source=b", name="b"), at(7, "utm_source=c", name="c")]))
def test_touches_of_one_moment_are_told_apart_in_the_same_way(events: list[Event]) -> None:
    assert _summary(journey_of(events)) == ("a", "c", "c", "c")


def test_only_the_latest_touches_are_listed_and_all_are_counted() -> None:
    events = [at(second, f"utm_source=s{second}") for second in range(MAX_LISTED + 30)]
    random.Random(4).shuffle(events)
    journey = journey_of(events)
    assert journey.count == MAX_LISTED + 30
    assert [touch.source for touch in journey.touches] == [f"s{second}" for second in range(MAX_LISTED + 29, 29, -1)]
    assert _named(journey.first_touch) == "s0"


def test_a_long_journey_is_not_held_in_memory() -> None:
    events = (at(second, f"utm_source=s{second}") for second in range(10_000))
    tracemalloc.start()
    journey_of(events)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert highest < 1_000_000  # a tenth of what the touches alone would take
