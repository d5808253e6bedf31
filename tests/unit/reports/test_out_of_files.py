"""A report out of the fact store is the oracle's: of facts written in any batches, before and after they were compacted, of people who are told to be one."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.fact_store import memory_store
from tests.oracle import reports
from tests.oracle.comparing import differences
from tests.oracle.credits import World
from tests.oracle.histories import queries, worlds
from tributary.facts.tables import Fact, Kind
from tributary.reports import engine
from tributary.reports.query import ReportType

KPIS = ("net_revenue", "gross_revenue", "orders", "customers", "new_customers", "leads", "refunds_by_date", "ad_spend")
BATCHES = 3
ROOM_FOR_ALL = 60.0
"""Seconds."""


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds(), st.data(), st.integers())
def test_a_report_out_of_files_says_what_the_oracle_says(world: World, data: st.DataObject, seed: int) -> None:
    with TemporaryDirectory() as folder:
        store = memory_store(Path(folder))
        for batch in in_batches(world, random.Random(seed)):
            store.sink.append(batch)
        asked = [msgspec.structs.replace(data.draw(queries(ReportType.ADVERTISEMENT)), kpis=KPIS) for _ in range(2)]
        for _ in ("as written", "compacted"):
            for query in asked:
                with store.facts.open(engine.needs(query)) as relations:
                    assert differences(query, reports.attributed(world, query), engine.answer(query, relations)) == []
            store.compaction().run(lambda: ROOM_FOR_ALL)


def in_batches(world: World, chance: random.Random) -> list[dict[Kind, list[Fact]]]:
    """Every fact once or twice, in an order of no meaning."""
    batches: list[dict[Kind, list[Fact]]] = [{} for _ in range(BATCHES)]
    for kind, rows in world.rows.items():
        for row in rows:
            for batch in chance.sample(batches, chance.randint(1, 2)):
                batch.setdefault(kind, []).append(row)
    return batches
