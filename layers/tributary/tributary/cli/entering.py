"""`tributary.cli ad-spend`, `rates` and `fixed-costs`: what people enter for reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.table import Table

from tributary.cli.show import table_of
from tributary.currencies import MINOR_UNITS
from tributary.entered.batches import Batch
from tributary.entered.csv_files import FileUnreadable
from tributary.entered.entering import Entering, Outcome, entering_of
from tributary.entered.reading import Reader, Row, RowError
from tributary.operator import Invalid, Versioned
from tributary.reports.query import FixedCost

if TYPE_CHECKING:
    from tributary.cli.target import Target

_JSON_STARTS: Final = (b"{", b"[")


class _Body(msgspec.Struct):
    rows: list[msgspec.Raw]


def entering_to(target: Target) -> Entering:
    from tributary.adapters.batch_files import S3BatchFiles  # noqa: PLC0415
    from tributary.adapters.queues import SqsQueue  # noqa: PLC0415
    from tributary.adapters.settings_store import DynamoRows  # noqa: PLC0415
    from tributary.cli.target import operator_of  # noqa: PLC0415
    from tributary.facts.queued import QueuedFacts  # noqa: PLC0415

    return entering_of(
        rows=DynamoRows(lambda: target.dynamodb, target.config_table),
        files=S3BatchFiles(lambda: target.s3, target.facts_bucket),
        sink=QueuedFacts(SqsQueue(lambda: target.sqs, target.facts_queue_url)),
        operator=operator_of(target),
        now=lambda: datetime.now(UTC),
    )


def rows_of(file: Path) -> Sequence[Any] | bytes:
    """What `Entering` takes: a CSV as it is; of JSON, `{"rows": [...]}` or the list alone, each row. Raises `FileUnreadable`."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise FileUnreadable("unreadable", f"{file} cannot be read: {error.strerror}.") from error
    if not body.lstrip().startswith(_JSON_STARTS):
        return body
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw]) if body.lstrip().startswith(b"[") else msgspec.json.decode(body, type=_Body).rows
    except msgspec.DecodeError as error:
        raise FileUnreadable("malformed_json", f"{file} looks like JSON and is none, or has no rows.") from error


def amount_of(text: str, currency: str) -> int:
    """A decimal of the currency, as minor units. Raises `Invalid`."""
    reader = Reader(Row(1, {"amount": text}), "csv")
    amount = reader.money("amount", currency)
    if amount is None:
        raise Invalid(reader.errors[0].reason if reader.errors else "It is needed.", field="amount")
    return amount


def told(outcome: Outcome) -> Iterable[str]:
    """What became of a file, a line each."""
    batch = outcome.batch
    if outcome.repeated:
        yield f"These rows are here already, as {batch.id}: nothing was done."
    else:
        yield f"{batch.rows} rows of {_days(batch)} were taken; reports have them within a minute."
    yield from refused(outcome.errors, batch.refused)
    if outcome.ignored:
        yield f"Columns that were not read: {', '.join(outcome.ignored)}."


def refused(errors: Sequence[RowError], rows: int | None = None) -> Iterable[str]:
    """Why rows were not taken, a line each."""
    if errors:
        yield f"{len({error.row for error in errors}) if rows is None else rows} rows were not taken:"
    for error in errors:
        yield f"  row {error.row}{'' if error.column is None else f', {error.column}'}: {error.reason}"


def batches(found: Iterable[Batch], waiting: Set[str]) -> Table:
    rows = [
        (
            one.id,
            f"{one.received_at:%Y-%m-%d %H:%M:%S}",
            one.label,
            _days(one),
            str(one.rows),
            str(one.refused) if one.refused else "",
            "waits to be told" if one.id in waiting else "",
        )
        for one in found
    ]
    return table_of(("id", "entered", "label", "days", "rows", "refused", ""), rows)


def costs(found: Iterable[Versioned[FixedCost]]) -> Table:
    rows = [
        (
            one.value.id,
            one.value.name,
            _amount(one.value),
            "once" if one.value.first == one.value.last else "daily",
            _span(one.value.first, one.value.last),
            ", ".join(f"{name}={value}" for name in ("platform", "source", "medium", "campaign") if (value := getattr(one.value, name)) is not None),
        )
        for one in found
    ]
    return table_of(("id", "name", "amount", "", "days", "for"), rows)


def _amount(cost: FixedCost) -> str:
    return f"{Decimal(cost.amount).scaleb(-MINOR_UNITS[cost.currency]):f} {cost.currency}"


def _days(batch: Batch) -> str:
    return _span(batch.first, batch.last)


def _span(first: date, last: date | None) -> str:
    if last is None:
        return f"since {first}"
    return f"{first}" if first == last else f"{first} to {last}"
