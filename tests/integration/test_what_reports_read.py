"""Which files a report reads: those of the kinds and months that its question can need, each once, and none again while nothing has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest

from tests.bench.report_cases import CASES, Case
from tests.kit.fact_store import Store, aws_store, node
from tributary.facts.tables import (
    ALL_MONTHS,
    ActivityFact,
    AdSpendFact,
    ContactFact,
    Fact,
    IdentityFact,
    Kind,
    OrderFact,
    RateFact,
    SubscriptionFact,
    TagInterval,
    TagsFact,
    TouchFact,
    WeakLinkFact,
)
from tributary.ports import Facts
from tributary.reports import engine

MONTHS = ("2025-11", "2026-02", "2026-03", "2026-04", "2026-06", "2026-08")
"""Of the cases' range, the months before that its lookback reaches and does not, and one to come."""
WHO_IS_WHO = {Kind.IDENTITIES, Kind.WEAK_LINKS}


class Bucket:
    """A store with a file of every kind and month; it counts what is got from S3, as (kind, month)."""

    def __init__(self, store: Store, s3: Any) -> None:
        self.store = store
        self.got: Counter[tuple[str, str]] = Counter()
        for month in MONTHS:
            store.sink.append(_facts(month))
        s3.meta.events.register("before-call.s3.GetObject", self._count)

    def _count(self, params: Mapping[str, Any], **_: object) -> None:
        kind, month = unquote(params["url_path"]).split("/")[-3:-1]
        self.got[kind, month.removeprefix("month=")] += 1


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with aws_store(tmp_path_factory.mktemp("facts")) as (store, _, s3):
        yield Bucket(store, s3)


def _facts(month: str) -> dict[Kind, Sequence[Fact]]:
    number = MONTHS.index(month)
    at = datetime.fromisoformat(f"{month}-15").replace(tzinfo=UTC)
    day = date.fromisoformat(f"{month}-15")
    person, key = node(7), node(100 + number)
    whole: dict[Kind, Sequence[Fact]] = {
        Kind.CONTACTS: [ContactFact(key=person, person=person, lead_at=at)],
        Kind.SUBSCRIPTIONS: [SubscriptionFact(key=key, person=person, connection="crm", subscription_id="S", started_at=at, currency="USD")],
        Kind.TAGS: [TagsFact(key=person, person=person, tags=(TagInterval(tag="vip", applied_at=at),))],
        Kind.IDENTITIES: [IdentityFact(key=node(8), contact=person)],
        Kind.WEAK_LINKS: [WeakLinkFact(key=node(9), customers=(person,))],
        Kind.RATES: [RateFact(key=key, batch="b", day=day, from_currency="EUR", to_currency="USD", rate=Decimal("1.1"))],
    }
    return {
        Kind.TOUCHES: [TouchFact(key=key, person=person, happened_at=at, connection="site", channel="email", campaign="spring")],
        Kind.ACTIVITIES: [ActivityFact(key=key, person=person, happened_at=at, connection="site", type="page", page="shop.example.com/quiz")],
        Kind.ORDERS: [OrderFact(key=key, person=person, connection="crm", order_id=month, happened_at=at, sold_at=at, currency="USD", gross=100)],
        Kind.AD_SPEND: [AdSpendFact(key=key, batch="b", day=day, platform="google", currency="USD", spend=5)],
        **(whole if number == 0 else {}),
    }


def ask(facts: Facts, case: Case) -> None:
    with facts.open(engine.needs(case.query)) as relations:
        engine.answer(case.query, relations)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_report_reads_what_it_can_need_and_when_it_is_asked_again_nothing(bucket: Bucket, case: Case) -> None:
    """What it can need is what a statement written by hand for the same question reads."""
    facts = bucket.store.reader(case.name)
    bucket.got.clear()
    ask(facts, case)
    read = {place for place in bucket.got if place[0] not in WHO_IS_WHO}
    needed = {(kind, month) for kind, months in case.months_read.items() for month in (*MONTHS, ALL_MONTHS) if any(one.holds(month) for one in months)}
    assert read
    assert read - needed == set()
    assert set(bucket.got.values()) == {1}
    bucket.got.clear()
    ask(facts, case)
    assert not bucket.got
