"""From the events of a shop to its reports, twice: by the code, and by the documents. Both say the same, for any history and any question about it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.kit.event_facts import EventFacts
from tests.oracle.buying import ACCOUNTS
from tests.oracle.comparing import differences
from tests.oracle.credits import World
from tests.oracle.events import LINKED, Shop, shops, smallest
from tests.oracle.histories import Chance
from tests.oracle.purchases import ASSUMED
from tests.oracle.recorded import REPORT_FIELDS, world_of
from tests.unit.reports.test_same_as_the_oracle import CASES
from tributary.facts.of_contacts import Settings
from tributary.facts.tables import Kind
from tributary.reports import frame
from tributary.reports.query import Query

FEW = 8
MANY = 15
"""Times as many shops where there is time."""
ACCOUNT = Settings(currency=ASSUMED, report_fields=frozenset(REPORT_FIELDS))


def test_reports_say_what_the_events_say() -> None:
    compare(FEW)


@pytest.mark.slow
def test_reports_say_what_the_events_of_many_shops_say() -> None:
    compare(MANY * FEW)


def compare(count: int) -> None:
    """Each shop is asked a question of each kind. One that shows an error is made smaller here: leaving out an event at a time takes fewer tries."""

    @settings(
        max_examples=count,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(shop=shops(), data=st.data())
    def compared(shop: Shop, data: st.DataObject) -> None:
        world = world_of(shop)
        with told(shop) as facts:
            for name, case in CASES.items():
                query = msgspec.structs.replace(data.draw(case.queries), kpis=case.kpis)
                if compared_with(world, name, query, facts):
                    pytest.fail(explained(shop, name, query))

    compared()


@contextmanager
def told(shop: Shop) -> Iterator[EventFacts]:
    """The shop's facts, by the code."""
    with tempfile.TemporaryDirectory() as folder:
        facts = EventFacts(Path(folder), ACCOUNT, LINKED, ACCOUNTS, Chance(f"{shop.seed} on the way"))
        facts.enter({Kind.AD_SPEND: shop.spend, Kind.RATES: shop.rates})
        facts.take(shop.events)
        yield facts


def compared_with(world: World, name: str, query: Query, facts: EventFacts) -> list[str]:
    """What the answer and the oracle's differ by."""
    oracle = CASES[name].oracle
    before = oracle(world, frame.replace_range(query, query.compare)) if query.compare is not None else None
    return differences(query, oracle(world, query), facts.report(query), before)


def explained(shop: Shop, name: str, query: Query) -> str:
    """The events that an error needs, the question, and what differs."""

    def found(shop: Shop) -> list[str]:
        with told(shop) as facts:
            return compared_with(world_of(shop), name, query, facts)

    shop = smallest(shop, lambda smaller: bool(found(smaller)))
    return "\n".join([repr(shop), repr(msgspec.structs.replace(query, kpis=())), *found(shop)])
