"""What is entered, as reports see it: through the messages of the facts queue into files, and out by the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from tests.kit.config import Bench
from tests.kit.entered import MemoryBatchFiles
from tests.kit.fact_store import Store, aws_store, memory_store, read
from tributary.entered.entering import Entering, Said, entering_of
from tributary.facts.message import pack, unpack
from tributary.facts.tables import Fact, Kind, Months

EVER = Months()


class Queued:
    """`FactSink`: as the queue and `write_facts` hand rows on, `late` messages when `flush` says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.held: list[str] = []

    def append(self, rows: Mapping[Kind, Sequence[Fact]]) -> None:
        self.held += pack(rows)

    def flush(self, *, newest_first: bool = False) -> None:
        for body in reversed(self.held) if newest_first else self.held:
            self._store.sink.append(unpack(body).rows())
        self.held = []


def entering(store: Store) -> tuple[Entering, Queued]:
    bench, queue = Bench(store.clock), Queued(store)
    return entering_of(rows=bench.rows, files=MemoryBatchFiles(), sink=queue, operator=bench.operator, now=store.clock.now), queue


def spent(store: Store) -> list[tuple[str, int, str]]:
    return sorted((str(row["day"]), row["spend"], row["currency"]) for row in read(store.facts, Kind.AD_SPEND, {Kind.AD_SPEND: EVER}))


FIRST = b"date,platform,campaign_id,spend,currency\n2026-02-28,google,7,1000,JPY\n2026-03-01,google,7,1.5,KWD\n"
SECOND = b"date,platform,campaign_id,spend,currency\n2026-03-01,google,7,2,KWD\n2026-03-02,google,7,3,KWD\n"


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_batch_that_is_taken_back_leaves_what_it_had_replaced_in_whatever_order_the_messages_come(tmp_path: Path, newest_first: bool) -> None:
    store = memory_store(tmp_path)
    entered, queue = entering(store)
    entered.ad_spend(FIRST, Said())
    second = entered.ad_spend(SECOND, Said()).batch.id
    if not newest_first:
        queue.flush()
        assert spent(store) == [("2026-02-28", 1000, "JPY"), ("2026-03-01", 2000, "KWD"), ("2026-03-02", 3000, "KWD")]
        store.clock.move(60)
    entered.spend.delete(second)
    queue.flush(newest_first=newest_first)
    store.clock.move(60)
    assert spent(store) == [("2026-02-28", 1000, "JPY"), ("2026-03-01", 1500, "KWD")]


def test_rates_come_out_to_the_last_digit(tmp_path: Path) -> None:
    with aws_store(tmp_path) as (store, _, _):
        entered, queue = entering(store)
        rates = {"EUR": "1.084200000001", "BTN": "987654321012345.000000000001"}
        rows = [f'{{"day": "2026-03-01", "from": "{code}", "to": "USD", "rate": {rate}}}'.encode() for code, rate in rates.items()]
        entered.rates_of(rows, Said(source="ECB"))
        queue.flush()
        found = {row["from_currency"]: (row["rate"], row["source"]) for row in read(store.facts, Kind.RATES, {Kind.RATES: EVER})}
    assert found == {code: (Decimal(rate), "ECB") for code, rate in rates.items()}
