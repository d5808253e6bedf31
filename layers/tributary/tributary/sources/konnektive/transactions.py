"""Transactions: money that moved, or was refused, and the chargeback that is set on its sale and may be taken back.

Konnektive writes a refund as a positive amount in a row of its own; amounts here are positive, and the event says which way the money went. A refund's
`revenue` alone is negative, as Segment has it: who books `revenue` takes the refund off.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from tributary.events import Json
from tributary.sources.konnektive import reading as read
from tributary.sources.konnektive.building import Happened, Meaning, Record, attribution_properties, campaign_tags, custom_properties, tag

SUCCESS: Final = "SUCCESS"
_PAYMENTS: Final = frozenset({"SALE", "CAPTURE"})
_ATTEMPTS: Final = frozenset({"SALE", "AUTHORIZE", "CAPTURE"})


def meaning(record: Record) -> Meaning:
    row, currency = record.row, record.currency
    amount = abs(read.required_minor(row, "totalAmount", currency) or 0)
    charged_back = _charged_back(record, amount)
    type_, response = read.enum(row, "txnType"), read.enum(row, "responseType")
    facts: dict[str, Any] = {
        "type": type_,
        "response": response,
        "amount": amount,
        "currency": currency,
        "cycle": read.whole(row, "billingCycleNumber"),
        "chargeback": charged_back,
        "reversed": record.known.get("reversed", False) or (bool(record.known.get("charged_back")) and charged_back is None),
        "charged_back": charged_back is not None,
        "day": record.place.day,
        "parent": read.id_of(row, "parentTxnId"),
    }
    facts["told"] = sorted({*record.known.get("told", ()), *([name] if (name := _outcome(facts)) is not None else [])})
    return Meaning(says=[type_, response, amount, currency, charged_back], facts={name: value for name, value in facts.items() if value})


def happened(record: Record, said: Meaning) -> list[Happened]:
    return _of_outcome(record, said) + _of_chargeback(record, said)


def _of_outcome(record: Record, said: Meaning) -> list[Happened]:
    name = _outcome(said.facts)
    before = None if record.before is None else (_outcome(record.known), record.known.get("amount"), record.known.get("currency"))
    if name is None or before == (name, said.facts.get("amount"), said.facts.get("currency")):
        return []
    at = record.created if record.before is None else record.since
    # Each outcome has one id, so that a crash before the state is written never makes a second payment of one, whatever becomes of it meanwhile. Only a
    # correction of what is known to have been told has another.
    says = [said.facts.get(field) for field in ("type", "response", "amount", "currency")] if name in record.known.get("told", ()) else None
    properties, tags = _OF_OUTCOME[name](record, said.facts), {}
    if name == "Order Refunded":
        tags = {tag("order refunded"): True}
    elif name == "Payment Received":
        tags = campaign_tags(record)
    return [Happened(event=name, slug=name.lower().replace(" ", "-"), at=at, says=says, properties=properties, tags=tags)]


def _of_chargeback(record: Record, said: Meaning) -> list[Happened]:
    before, amount = record.known.get("chargeback", 0) if record.known.get("charged_back") else None, said.facts.get("chargeback", 0)
    if said.facts.get("charged_back"):
        if before == amount:
            return []
        return [_chargeback(record, "Chargeback Received", amount, _charged_back_at(record), applied=True)]
    if before is not None:
        return [_chargeback(record, "Chargeback Reversed", before, record.since, applied=False)]
    return []


def _chargeback(record: Record, name: str, amount: int, at: datetime, *, applied: bool) -> Happened:
    properties = {
        "order_id": _order(record),
        "transaction_id": record.place.id,
        "amount": read.number_of(amount, record.currency),
        "currency": record.currency,
        "reason_code": read.text(record.row, "chargebackReasonCode", 64),
        "date": read.day_of(record.row, "chargebackDate"),
    }
    return Happened(event=name, slug=name.lower().replace(" ", "-"), at=at, says=amount, properties=properties, tags={tag("chargeback"): applied})


def _charged_back(record: Record, amount: int) -> int | None:
    """The amount that was charged back; None if none was. A row without the field at all says nothing of it."""
    known = record.known
    if "isChargedback" not in record.row:
        return known.get("chargeback", 0) if known.get("charged_back") else None
    if not read.flag(record.row, "isChargedback"):
        return None
    found = read.required_minor(record.row, "chargebackAmount", record.currency)
    return amount if not found else abs(found)


def _charged_back_at(record: Record) -> datetime:
    """The bank's date, at the first time; after a reversal only the row's own time comes behind it."""
    at = record.local_moment(record.row, "chargebackDate")
    return record.since if at is None or record.known.get("reversed") or record.known.get("charged_back") else max(at, record.created)


def _outcome(facts: dict[str, Any]) -> str | None:
    """The event of a transaction's type and answer. A refund without an answer was made outside of any gateway."""
    type_, response = facts.get("type"), facts.get("response")
    if response == SUCCESS and type_ in _PAYMENTS:
        return "Payment Received"
    if type_ in _ATTEMPTS and response is not None and "DECLINE" in response:
        return "Payment Declined"
    if type_ == "REFUND" and response in (SUCCESS, None):
        return "Order Refunded"
    if type_ == "VOID" and response == SUCCESS:
        return "Payment Voided"
    return None


def _order(record: Record) -> str | None:
    """The order's public id."""
    return read.id_of(record.row, "orderId") or read.id_of(record.row, "clientOrderId")


def _received(record: Record, facts: dict[str, Any]) -> Json:
    return {
        **_common(record, facts),
        "billing_cycle": facts.get("cycle"),
        "kind": str(facts["type"]).lower(),
        "payment_method": read.enum(record.row, "paySource"),
        "merchant": read.text(record.row, "merchant"),
        **attribution_properties(record.row),
        **custom_properties(record.row),
    }


def _declined(record: Record, facts: dict[str, Any]) -> Json:
    return {
        **_common(record, facts),
        "billing_cycle": facts.get("cycle"),
        "recycle": read.whole(record.row, "recycleNumber"),
        "decline": "hard" if facts["response"].startswith("HARD") else "soft",
        "reason": read.text(record.row, "responseText"),
    }


def _refunded(record: Record, facts: dict[str, Any]) -> Json:
    return {
        "order_id": _order(record),
        "refund_id": record.place.id,
        "parent_transaction_id": read.id_of(record.row, "parentTxnId"),
        "total": read.number_of(facts.get("amount", 0), record.currency),
        "revenue": read.number_of(-facts.get("amount", 0), record.currency),
        "currency": record.currency,
        "reason": read.text(record.row, "refundReason"),
        "product": read.text(record.row, "refundProductName"),
    }


def _voided(record: Record, facts: dict[str, Any]) -> Json:
    return {**_common(record, facts), "parent_transaction_id": read.id_of(record.row, "parentTxnId")}


def _common(record: Record, facts: dict[str, Any]) -> Json:
    return {
        "transaction_id": record.place.id,
        "order_id": _order(record),
        "amount": read.number_of(facts.get("amount", 0), record.currency),
        "currency": record.currency,
    }


_OF_OUTCOME: Final = {"Payment Received": _received, "Payment Declined": _declined, "Order Refunded": _refunded, "Payment Voided": _voided}
