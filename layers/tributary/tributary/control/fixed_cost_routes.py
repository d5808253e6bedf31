"""The routes of `/api/fixed-costs`: costs that no advertisement has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tributary.control.answers import Version
from tributary.control.http import Answer, Call, Route
from tributary.control.refusals import refusing
from tributary.entered.fixed_costs import FixedCostDraft, FixedCosts
from tributary.operator import Versioned
from tributary.reports.query import FixedCost


class FixedCostAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A cost that no advertisement has."""

    id: str
    name: str
    frequency: Literal["daily", "once"]
    amount: Annotated[int, Meta(description="Minor units, of each day.")]
    currency: str
    first: date
    last: date | None
    platform: str | None
    source: str | None
    medium: str | None
    campaign: str | None
    version: Version


class FixedCostPage(msgspec.Struct, frozen=True, kw_only=True):
    """Every fixed cost, by id."""

    data: list[FixedCostAnswer]


@dataclass(frozen=True)
class FixedCostRoutes:
    costs: FixedCosts
    reporting_currency: Callable[[], str]

    def routes(self) -> list[Route]:
        path, one = "/api/fixed-costs", "/api/fixed-costs/{cost}"
        return [
            Route(
                method="GET",
                path=path,
                scope="fixed_costs:read",
                summary="Fixed costs",
                handle=refusing(self._all),
                answer=FixedCostPage,
                problems=[409],
            ),
            Route(
                method="GET",
                path=one,
                scope="fixed_costs:read",
                summary="A fixed cost",
                handle=refusing(self._one),
                answer=FixedCostAnswer,
                problems=[404, 409],
            ),
            Route(
                method="PUT",
                path=one,
                scope="fixed_costs:write",
                summary="Make a fixed cost, or replace it",
                description="The id is yours: small letters, digits, `_` and `-`. Reports know it from their next answer on, for the past too.",
                handle=refusing(self._put),
                body=FixedCostDraft,
                answer=FixedCostAnswer,
                versioned=True,
                problems=[409, 412],
            ),
            Route(
                method="DELETE",
                path=one,
                scope="fixed_costs:write",
                summary="Remove a fixed cost",
                description="For the past too: one that has ended gets its `last` day instead.",
                handle=refusing(self._delete),
                status=204,
                versioned=True,
                problems=[404, 409, 412],
            ),
        ]

    def _all(self, _: Call) -> Answer:
        return Answer(body=FixedCostPage(data=[_shown(cost) for cost in self.costs.all()]))

    def _one(self, call: Call) -> Answer:
        cost = self.costs.one(call.path["cost"])
        return Answer(body=_shown(cost), version=cost.version)

    def _put(self, call: Call) -> Answer:
        cost = self.costs.put(call.path["cost"], call.body, reporting_currency=self.reporting_currency(), version=call.version)
        return Answer(body=_shown(cost), version=cost.version)

    def _delete(self, call: Call) -> Answer:
        self.costs.delete(call.path["cost"], version=call.version)
        return Answer(status=204)


def _shown(cost: Versioned[FixedCost]) -> FixedCostAnswer:
    value = cost.value
    return FixedCostAnswer(
        id=value.id,
        name=value.name,
        frequency="once" if value.last == value.first else "daily",
        amount=value.amount,
        currency=value.currency,
        first=value.first,
        last=value.last,
        platform=value.platform,
        source=value.source,
        medium=value.medium,
        campaign=value.campaign,
        version=cost.version,
    )
