"""Every figure of a report is the oracle's, which works it out by the meaning alone, for small random shops and any question about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle import funnel, reports, subscriptions, value_over_time
from tests.oracle.comparing import Shop, differences
from tests.oracle.credits import World
from tests.oracle.histories import attributions, cohorts, funnels, queries, worlds
from tests.oracle.reports import Answer
from tributary.reports import engine, frame
from tributary.reports.definitions import ORDER_KPIS
from tributary.reports.funnel import KPIS
from tributary.reports.query import Query, ReportType
from tributary.reports.value_over_time import cohort_kpis

QUESTIONS = 4
"""Asked of each shop: loading one costs more than an answer."""
MANY = 12
"""Times as many shops where there is time."""
ATTRIBUTED = st.sampled_from([ReportType.ORDERS, ReportType.ACQUISITION, ReportType.ADVERTISEMENT, ReportType.ATTRIBUTION, ReportType.LEAD_SOURCE])
INTERVALS = (1, 7, 30, 90)
OF_BILLS = (*reports.MONEY, "bills", "realised_ltv")
"""What a report of subscriptions says of their orders."""


@dataclass(frozen=True)
class Case:
    queries: st.SearchStrategy[Query]
    oracle: Callable[[World, Query], Answer]
    kpis: tuple[str, ...]
    shops: int


CASES = {
    "of orders": Case(ATTRIBUTED.flatmap(attributions), reports.attributed, tuple(ORDER_KPIS), shops=20),
    "of leads and spend": Case(ATTRIBUTED.flatmap(attributions), reports.attributed, tuple(engine.REPORTS[ReportType.ADVERTISEMENT].kpis()), shops=8),
    "subscriptions": Case(
        queries(ReportType.SUBSCRIPTIONS, dimensions=["product", "connection", "country", "field:plan"]),
        subscriptions.subscriptions,
        tuple(kpi for kpi in engine.REPORTS[ReportType.SUBSCRIPTIONS].kpis() if kpi not in OF_BILLS),
        shops=8,
    ),
    "value over time": Case(
        cohorts(INTERVALS),
        value_over_time.value_over_time,
        tuple(cohort_kpis(INTERVALS)),
        shops=6,
    ),
    "funnel": Case(funnels(), funnel.funnel, tuple(KPIS), shops=6),
}


@pytest.mark.parametrize("report", CASES)
def test_a_report_says_what_the_oracle_says(report: str) -> None:
    compare(CASES[report], shops=CASES[report].shops)


@pytest.mark.slow
@pytest.mark.parametrize("report", CASES)
def test_a_report_says_what_the_oracle_says_of_many_shops(report: str) -> None:
    compare(CASES[report], shops=MANY * CASES[report].shops)


def compare(case: Case, *, shops: int) -> None:
    @settings(max_examples=shops, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(world=worlds(), data=st.data())
    def compared(world: World, data: st.DataObject) -> None:
        shop = Shop(world)
        for _ in range(QUESTIONS):
            query = msgspec.structs.replace(data.draw(case.queries), kpis=case.kpis)
            before = case.oracle(world, frame.replace_range(query, query.compare)) if query.compare is not None else None
            assert differences(query, case.oracle(world, query), shop.report(query), before) == []

    compared()
