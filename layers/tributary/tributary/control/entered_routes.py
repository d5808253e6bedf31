"""The routes of `/api/ad-spend` and `/api/rates`: batches of rows that people enter for reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from tributary.control.answers import Moment, NextCursor
from tributary.control.http import Answer, Call, Route
from tributary.control.paging import DEFAULT_LIMIT, MAX_LIMIT, page_of
from tributary.control.problems import Problem
from tributary.control.refusals import refusing
from tributary.currencies import is_currency
from tributary.entered.ad_spend import AdSpendRow
from tributary.entered.batches import MAX_KEPT_ERRORS, Batch, Batches
from tributary.entered.csv_files import FileUnreadable
from tributary.entered.entering import MAX_BODY_BYTES, MAX_ROWS, Entering, NoUsableRows, Outcome, Said, TooManyRows
from tributary.entered.rates import RateRow
from tributary.entered.reading import MAX_TEXT, RowError
from tributary.operator import Invalid, check_label, check_time_zone

MAX_LISTED_ERRORS: Final = MAX_KEPT_ERRORS

_LAST_NUMBER: Final = 10**17
"""Above every batch's: the newest come first in a list that is sorted upwards."""


_Platform = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$")]
_Named = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
_Label = Annotated[str, Meta(max_length=100, description="How people tell the batch from others, as the file's name.")]
_Whole = Annotated[bool, Meta(description="Take nothing if one row cannot be taken.")]


class NewAdSpend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What advertisements cost."""

    rows: Annotated[list[msgspec.Raw], Meta(description=f"At most {MAX_ROWS}.")]


class NewRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What currencies were worth in one another."""

    rows: Annotated[list[msgspec.Raw], Meta(description=f"At most {MAX_ROWS}.")]


class AdSpendQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    platform: Annotated[_Platform | None, Meta(description="Of rows that do not name theirs, as `facebook`.")] = None
    account_id: Annotated[_Named | None, Meta(description="Of rows that do not name theirs.")] = None
    currency: Annotated[
        Annotated[str, Meta(max_length=3)] | None, Meta(description="Of rows that do not name theirs; the account's reporting currency without it.")
    ] = None
    timezone: Annotated[_Named | None, Meta(description="Of rows that do not name theirs.")] = None
    label: _Label = ""
    all_or_nothing: _Whole = False


class RatesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: Annotated[_Named | None, Meta(description="Who says so, of rows that do not name it.")] = None
    label: _Label = ""
    all_or_nothing: _Whole = False


class BatchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many at most.")] = DEFAULT_LIMIT
    cursor: Annotated[Annotated[str, Meta(max_length=8192)] | None, Meta(description="`next_cursor` of the page before.")] = None


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that stands."""

    id: str
    label: str
    received_at: Moment
    rows: Annotated[int, Meta(description="That were taken.")]
    refused: Annotated[int, Meta(description="That were not.")]
    first_day: date
    last_day: date
    waiting: Annotated[
        bool,
        Meta(description="It is kept, and reports do not have it yet: the call that entered it broke off. The next call that writes hands it on."),
    ]


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Batches, the newest first."""

    data: list[BatchAnswer]
    next_cursor: NextCursor


class BatchWithErrors(BatchAnswer, frozen=True, kw_only=True):
    """A batch, and what was wrong with the rows that were not taken."""

    errors: Annotated[list[RowError], Meta(description=f"The first {MAX_KEPT_ERRORS}.")]


class EnteredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows."""

    batch: BatchAnswer
    repeated: Annotated[bool, Meta(description="It was here before: nothing was done.")]
    errors: Annotated[list[RowError], Meta(description=f"Why rows were not taken: the first {MAX_LISTED_ERRORS}.")]
    errors_left_out: int
    ignored_columns: Annotated[list[str], Meta(description="Columns of a CSV that were not read.")]


@dataclass(frozen=True)
class EnteredRoutes:
    entering: Entering

    def routes(self) -> list[Route]:
        spend, rates = "/api/ad-spend", "/api/rates"
        return [
            Route(
                method="POST",
                path=spend,
                scope="ad_spend:write",
                summary="Enter what advertisements cost",
                description="JSON, or CSV as ad platforms export it. A row of the same advertisement and day replaces an earlier one. Rows that cannot be "
                "taken are named with their reasons; the others are taken.",
                handle=_refusing(self._enter_spend),
                query=AdSpendQuery,
                body=NewAdSpend,
                rows=AdSpendRow,
                answer=EnteredAnswer,
                status=201,
                problems=[409],
                max_body=MAX_BODY_BYTES,
                csv=True,
                idempotent=True,
            ),
            Route(
                method="POST",
                path=rates,
                scope="rates:write",
                summary="Enter what currencies were worth in one another",
                description="JSON or CSV. A row of the same day and currencies replaces an earlier one.",
                handle=_refusing(self._enter_rates),
                query=RatesQuery,
                body=NewRates,
                rows=RateRow,
                answer=EnteredAnswer,
                status=201,
                problems=[409],
                max_body=MAX_BODY_BYTES,
                csv=True,
                idempotent=True,
            ),
            *_of_batches(spend, "ad_spend", self.entering.spend),
            *_of_batches(rates, "rates", self.entering.rates),
        ]

    def _enter_spend(self, call: Call) -> Answer:
        query: AdSpendQuery = call.query
        currency = None if query.currency is None else query.currency.upper()
        if currency is not None and not is_currency(currency):
            raise Invalid("not an ISO 4217 currency code such as USD", field="currency")
        if query.timezone is not None:
            check_time_zone(query.timezone, "timezone")
        _check_label(query.label)
        said = Said(
            label=query.label,
            platform=query.platform,
            account_id=query.account_id,
            currency=currency,
            time_zone=query.timezone,
            whole=query.all_or_nothing,
            key=call.idempotency_key,
        )
        return _entered(self.entering.ad_spend(_given(call), said))

    def _enter_rates(self, call: Call) -> Answer:
        query: RatesQuery = call.query
        _check_label(query.label)
        said = Said(label=query.label, source=query.source, whole=query.all_or_nothing, key=call.idempotency_key)
        return _entered(self.entering.rates_of(_given(call), said))


def _of_batches(path: str, scope: str, batches: Batches[Any]) -> list[Route]:
    """The list, one of it, and taking one back."""
    one = f"{path}/batches/{{batch}}"

    def listed(call: Call) -> Answer:
        query: BatchQuery = call.query
        page, following = page_of(batches.all(), lambda batch: (f"{_LAST_NUMBER - batch.number:018d}", batch.id), limit=query.limit, cursor=query.cursor)
        waiting = batches.waiting()
        return Answer(body=BatchPage(data=[_shown(batch, waiting) for batch in page], next_cursor=following))

    def shown(call: Call) -> Answer:
        batch = batches.one(call.path["batch"])
        body = BatchWithErrors(**_fields(_shown(batch, batches.waiting())), errors=batches.errors(batch))
        return Answer(body=body)

    def deleted(call: Call) -> Answer:
        batches.delete(call.path["batch"])
        return Answer(status=204)

    return [
        Route(
            method="GET", path=f"{path}/batches", scope=f"{scope}:read", summary="Batches that were entered", handle=listed, query=BatchQuery, answer=BatchPage
        ),
        Route(method="GET", path=one, scope=f"{scope}:read", summary="A batch and its errors", handle=_refusing(shown), answer=BatchWithErrors, problems=[404]),
        Route(
            method="DELETE",
            path=one,
            scope=f"{scope}:write",
            summary="Take a batch back",
            description="What its rows had replaced shows again. Safe to repeat.",
            handle=_refusing(deleted),
            status=204,
            problems=[404],
        ),
    ]


def _check_label(label: str) -> None:
    if label:
        check_label(label)


def _given(call: Call) -> Sequence[Any] | bytes:
    return call.body if isinstance(call.body, bytes) else call.body.rows


def _entered(outcome: Outcome) -> Answer:
    errors = list(outcome.errors[:MAX_LISTED_ERRORS])
    body = EnteredAnswer(
        batch=_shown(outcome.batch, frozenset()),
        repeated=outcome.repeated,
        errors=errors,
        errors_left_out=len(outcome.errors) - len(errors),
        ignored_columns=list(outcome.ignored),
    )
    return Answer(status=201, body=body)


def _fields(answer: BatchAnswer) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in BatchAnswer.__struct_fields__}


def _shown(batch: Batch, waiting: Set[str]) -> BatchAnswer:
    return BatchAnswer(
        id=batch.id,
        label=batch.label,
        received_at=batch.received_at,
        rows=batch.rows,
        refused=batch.refused,
        first_day=batch.first,
        last_day=batch.last,
        waiting=batch.id in waiting,
    )


def _refusing(handle: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
    """The use case's refusals, as problems."""

    def guarded(call: Call) -> Answer:
        try:
            return handle(call)
        except NoUsableRows as refused:
            errors = list(refused.errors[:MAX_LISTED_ERRORS])
            raise Problem(status=400, code="no_usable_rows", field="rows", detail="Nothing was taken; `errors` says why.", errors=errors) from refused
        except TooManyRows as refused:
            raise Problem(status=413, code="too_many_rows", field="rows", detail=f"A request has at most {MAX_ROWS} rows.") from refused
        except FileUnreadable as refused:
            raise Problem(status=400, code=refused.code, field=refused.column or "body", detail=str(refused)) from refused

    return refusing(guarded)
