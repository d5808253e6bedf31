"""Random orders, subscriptions and tags, and a plain model of them: all events of a person in the order of their versions, one after the other into dicts, with
`Decimal`. What a contact holds has to be the same, however the events came."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from hypothesis import strategies as st

from tributary.events import Event, Track

ORDERS: Final = ("Checkout Started", "Order Completed", "Order Updated", "Order Declined", "Order Cancelled")
PARCELS: Final = ("Order Shipped", "Order Delivered")
PAYMENTS: Final = ("Payment Received", "Payment Declined")
CHARGEBACKS: Final = ("Chargeback Received", "Chargeback Reversed")
SUBSCRIPTIONS: Final = ("Trial Started", "Trial Converted", "Subscription Renewed", "Subscription Cancelled", "Subscription Paused", "Subscription Updated")
_DIGITS: Final = {"USD": 2, "JPY": 0, "KWD": 3}
_HEADER: Final = {
    "number": "order_number",
    "status": "status",
    "reason": "reason",
    "type": "order_type",
    "billing_cycle": "billing_cycle",
    "subscription_id": "subscription_id",
    "campaign_id": "campaign_id",
    "campaign": "campaign_name",
    "affiliate_id": "affiliate_id",
    "affiliation": "affiliation",
    "coupon": "coupon",
    "payment_method": "payment_method",
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_amounts = st.sampled_from([10, 0, 10.5, 0.1, 44.95, 1.005, "1,000.00", "7.125", 1e3])
_codes = st.sampled_from([None, None, "USD", "JPY", "KWD", "usd"])
_transactions = st.sampled_from(["t-1", "t-2", None])


def _present(**said: Any) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


@st.composite
def products(draw: st.DrawFn) -> list[dict[str, Any]]:
    one = st.fixed_dictionaries({"sku": st.sampled_from(["KIT-1", "KIT-2"])}, optional={"quantity": st.sampled_from([1, 2, "3"]), "price": _amounts})
    return draw(st.lists(one, max_size=2))


@st.composite
def commerce(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """The name and the properties of an event of an order or a subscription."""
    order = draw(st.sampled_from(["o-1", "o-2"]))
    code = draw(_codes)
    name = draw(st.sampled_from([*ORDERS, *PARCELS, *PAYMENTS, *CHARGEBACKS, "Payment Voided", "Order Refunded", "Order Refunded", *SUBSCRIPTIONS]))
    amount, transaction = draw(st.none() | _amounts), draw(_transactions)
    if name in ORDERS:
        said = _present(total=amount, tax=draw(st.none() | _amounts), discount=draw(st.none() | _amounts), coupon=draw(st.sampled_from([None, "SPRING"])))
        said |= _present(products=draw(st.none() | products()), campaign_id=draw(st.sampled_from([None, 12, "13"])), currency=code, order_id=order)
        return name, said | _present(reason=draw(st.sampled_from([None, "late"])), billing_cycle=draw(st.sampled_from([None, 1, 2])))
    if name in PARCELS:
        return name, {"order_id": order}
    if name in SUBSCRIPTIONS:
        said = _present(price=amount, currency=code, cycle=draw(st.sampled_from([None, 1, 2])), next_bill_date=draw(st.sampled_from([None, "2026-04-01"])))
        said |= _present(status=draw(st.sampled_from([None, "trial", "active"])), cancel_reason=draw(st.sampled_from([None, "price"])), sku="KIT-1")
        return name, {"subscription_id": draw(st.sampled_from(["s-1", 2])), **said}
    if name == "Order Refunded":
        return name, _present(order_id=order, total=amount, currency=code, refund_id=transaction)
    said = _present(order_id=order, amount=amount, currency=code, transaction_id=transaction)
    return name, said | _present(parent_transaction_id=draw(_transactions) if name == "Payment Voided" else None)


tags = st.dictionaries(st.sampled_from(["customer", "vip", "lead"]), st.booleans(), min_size=1, max_size=2)


def tells(event: Event) -> bool:
    """Whether it speaks of an order, a subscription or a tag."""
    return bool(event.context.get("tags")) or (isinstance(event, Track) and ("order_id" in event.properties or "subscription_id" in event.properties))


def modelled(events: Iterable[Event]) -> dict[str, Any]:
    """As `describe` shows it. `events`: of one person, in the order of their versions."""
    orders: dict[tuple[str, str], _Order] = {}
    subscriptions: dict[tuple[str, str], _Subscription] = {}
    tagged: dict[str, list[tuple[datetime, bool]]] = {}
    for event in events:
        for tag, applied in event.context.get("tags", {}).items():
            tagged.setdefault(tag, []).append((_at(event), applied))
        if isinstance(event, Track) and "order_id" in event.properties:
            order = event.properties["order_id"]
            orders.setdefault((event.source, order), _Order(event.source, order)).hear(event)
        if isinstance(event, Track) and event.event in SUBSCRIPTIONS:
            number = str(event.properties["subscription_id"])
            subscriptions.setdefault((event.source, number), _Subscription(event.source, number)).hear(event)
    in_order = sorted(orders.values(), key=lambda order: (order.first, order.said["source"], order.said["order_id"]))
    sold = [order.sold_at for order in orders.values() if order.sold_at is not None]
    lifetime: dict[str, dict[str, int]] = {}
    for order in orders.values():
        for code, numbers in order.money().items():
            mine = lifetime.setdefault(code, dict.fromkeys(numbers, 0))
            for what, amount in numbers.items():
                mine[what] += amount
    return {
        "customer_at": written(min(sold, default=None)),
        "sales": len(sold),
        "lifetime": _balances(lifetime),
        "orders": [order.shown() for order in in_order],
        "subscriptions": [one.shown() for one in sorted(subscriptions.values(), key=lambda one: (one.first, one.said["source"], one.said["subscription_id"]))],
        "tags": [_tag(name, marks) for name, marks in sorted(tagged.items())],
        "skus": list(dict.fromkeys(product["sku"] for order in in_order for product in order.items[1])),
        "campaign_ids": list(dict.fromkeys(str(order.said["campaign_id"]) for order in in_order if order.said["campaign_id"] is not None)),
    }


class _Order:
    def __init__(self, source: str, order_id: str) -> None:
        self.said: dict[str, Any] = {"source": source, "order_id": order_id, **dict.fromkeys(_HEADER)}
        self.amounts: dict[str, Any] | None = None
        self.items: tuple[str | None, list[dict[str, Any]]] = (None, [])
        self.payments: dict[str, tuple[Event, bool, dict[str, Any]]] = {}
        self.refunds: dict[str, tuple[Event, dict[str, Any]]] = {}
        self.voids: dict[str, tuple[Event, dict[str, Any]]] = {}
        self.chargebacks: dict[str, tuple[Event, bool, dict[str, Any]]] = {}
        self.history: list[tuple[str, Event]] = []
        self.completed: datetime | None = None
        self.started: datetime | None = None
        self.paid_apart = False

    def hear(self, event: Track) -> None:
        said, name = event.properties, event.event
        transaction = said.get("transaction_id", event.message_id)
        self.paid_apart = self.paid_apart or "payments" in event.context
        if name in ORDERS:
            for field, theirs in _HEADER.items():
                if theirs in said:
                    self.said[field] = said[theirs] if theirs == "billing_cycle" else str(said[theirs])
            self.amounts = said if "total" in said else self.amounts
            self.items = (_code(said), said["products"]) if "products" in said else self.items
        if name == "Order Completed" and self.completed is None:
            self.completed = _at(event)
        if name == "Checkout Started" and self.started is None:
            self.started = _at(event)
        if name in PAYMENTS:
            self.payments[transaction] = (event, name == "Payment Received", said)
        if name == "Payment Voided":
            self.voids[transaction] = (event, said)
        if name == "Order Refunded":
            self.refunds[said.get("refund_id", event.message_id)] = (event, said)
        if name in CHARGEBACKS:
            self.chargebacks[transaction] = (event, name == "Chargeback Reversed", said)
        if name != "Order Updated" and (name in (*ORDERS, *PARCELS, "Order Refunded")):
            self.history.append((name.split()[1].lower(), event))

    @property
    def first(self) -> datetime:
        """The earliest that still shows: a payment said again later stands at the later time."""
        kept = [entry[0] for found in (self.payments, self.refunds, self.voids, self.chargebacks) for entry in found.values()]
        return min([_at(event) for event in (*kept, *(event for _, event in self.history))], default=_EPOCH)

    @property
    def currency(self) -> str:
        if self.amounts is not None and (code := _code(self.amounts)) is not None:
            return code
        named = [(event.version, event.source, code) for event, _, said in self.payments.values() if "amount" in said and (code := _code(said)) is not None]
        named += [(event.version, event.source, code) for event, said in self.refunds.values() if "total" in said and (code := _code(said)) is not None]
        return min(named)[2] if named else "USD"

    @property
    def taken(self) -> dict[str, dict[str, Any]]:
        return {key: said for key, (_, received, said) in self.payments.items() if received}

    @property
    def voided(self) -> set[str]:
        return {said["parent_transaction_id"] for _, said in self.voids.values() if "parent_transaction_id" in said} & self.taken.keys()

    @property
    def sold_at(self) -> datetime | None:
        if self.paid_apart and not self.taken:
            return None
        paid = [_at(event) for key, (event, received, _) in self.payments.items() if received and key not in self.voided]
        return self.completed if self.completed is not None else min(paid, default=None)

    def bill(self) -> dict[str, int] | None:
        code, said = self.currency, self.amounts or {}
        parts = {name: _minor(said.get(name, 0), code) for name in ("discount", "tax", "shipping")}
        if self.amounts is None:
            paid = [_minor(one["amount"], code) for one in self.taken.values() if "amount" in one and (_code(one) or code) == code]
            return {"gross": sum(paid), **parts, "total": sum(paid)} if paid else None
        total = _minor(said["total"], code)
        return {"gross": total + parts["discount"], **parts, "total": total}

    def money(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        empty = dict.fromkeys(("gross", "discount", "tax", "shipping", "total", "received", "voided", "refunded", "charged_back", "returned"), 0)

        def add(what: str, said: dict[str, Any], name: str) -> None:
            if name in said:
                code = _code(said) or self.currency
                found.setdefault(code, dict(empty))[what] += _minor(said[name], code)

        for said in self.taken.values():
            add("received", said, "amount")
        for key in self.voided if self.sold_at is not None else ():
            add("voided", self.taken[key], "amount")
        for _, said in self.refunds.values():
            add("refunded", said, "total")
        bill = self.bill()
        if bill is not None and any("total" not in said for _, said in self.refunds.values()):
            mine = found.setdefault(self.currency, dict(empty))
            mine["refunded"] = max(mine["refunded"], bill["total"])
        for key, (_, taken_back, said) in self.chargebacks.items():
            if not taken_back:
                add("charged_back", said if "amount" in said else self.taken.get(key, {}), "amount")
        if bill is not None and self.sold_at is not None:
            mine = found.setdefault(self.currency, dict(empty))
            mine.update(bill)
            if self.paid_apart and any("amount" in said and (_code(said) or self.currency) == self.currency for said in self.taken.values()):
                mine |= {"total": mine["received"], "gross": mine["received"] + bill["discount"]}
        for mine in found.values():
            given_back = mine["refunded"] + mine["charged_back"] + mine["voided"]
            kept = mine["total"] - given_back
            net = kept - mine["tax"] - mine["shipping"]
            # No less than what was kept, nor than nothing.
            mine["returned"] = max(min(kept, 0) - net, 0)
        return found

    def shown(self) -> dict[str, Any]:
        code, bill = self.currency, self.bill()
        states = [state for state, _ in self.history if state not in ("shipped", "delivered", "refunded")]
        parcels = [state for state, _ in self.history if state in ("shipped", "delivered")]
        items_code = self.items[0] or code
        return {
            **self.said,
            "state": states[-1] if states else None,
            "fulfilment": parcels[-1] if parcels else None,
            "started_at": written(self.started),
            "sold_at": written(self.sold_at),
            "comes_to": None if bill is None else {name: _money(number, code) for name, number in bill.items()},
            "money": _balances(self.money()),
            "items": [
                {
                    "product_id": None,
                    "sku": product["sku"],
                    "name": None,
                    "quantity": int(product.get("quantity", 1)),
                    "unit_price": _money(_minor(product["price"], items_code), items_code) if "price" in product else None,
                }
                for product in self.items[1]
            ],
            "items_beyond_the_bound": 0,
            "payments": [
                {"id": key, "at": written(_at(event)), "received": received, "amount": self._part(said, "amount"), "method": None, "reason": None}
                for key, (event, received, said) in _in_order(self.payments)
            ],
            "refunds": [
                {"id": key, "at": written(_at(event)), "amount": self._part(said, "total"), "payment": None, "reason": None}
                for key, (event, said) in _in_order(self.refunds)
            ],
            "voids": [
                {"id": key, "at": written(_at(event)), "amount": self._part(said, "amount"), "payment": said.get("parent_transaction_id")}
                for key, (event, said) in _in_order(self.voids)
            ],
            "chargebacks": [
                {"payment": key, "at": written(_at(event)), "reversed": taken_back, "amount": self._part(said, "amount"), "reason": None}
                for key, (event, taken_back, said) in _in_order(self.chargebacks)
            ],
            "money_beyond_the_bound": 0,
            "history": [{"state": state, "at": written(_at(event))} for state, event in self.history],
        }

    def _part(self, said: dict[str, Any], name: str) -> dict[str, Any] | None:
        code = _code(said) or self.currency
        return _money(_minor(said[name], code), code) if name in said else None


class _Subscription:
    def __init__(self, source: str, subscription_id: str) -> None:
        names = ("status", "order_id", "product_id", "sku", "name", "quantity", "cycle", "final_cycle", "interval_days", "price", "shipping", "total_billed")
        self.said: dict[str, Any] = {"source": source, "subscription_id": subscription_id, **dict.fromkeys(names), "total_refunded": None}
        self.said |= {"started_at": None, "trial": {"started_at": None, "ends": None, "converted_at": None}, "next_bill_date": None, "cancellation": None}
        self.said |= {"pause_scheduled": None, "cancellation_scheduled": None, "history": []}
        self.next: str | None = None
        self.first = _EPOCH

    def hear(self, event: Track) -> None:
        said, mine, at = event.properties, self.said, written(_at(event))
        state = said.get("status") or {"Started": "trial", "Converted": "active", "Renewed": "active", "Cancelled": "cancelled", "Paused": "paused"}.get(
            event.event.split()[1]
        )
        if state is not None:
            self.first = _at(event) if self.first == _EPOCH else self.first
            mine["history"].append({"state": state, "at": at})
        mine |= {name: said[name] for name in ("status", "sku", "cycle") if name in said}
        if "price" in said:
            code = _code(said) or "USD"
            mine["price"] = _money(_minor(said["price"], code), code)
        self.next = said.get("next_bill_date", self.next)
        if state == "trial" and "next_bill_date" in said:
            mine["trial"]["ends"] = said["next_bill_date"]
        if event.event == "Trial Started":
            mine["started_at"] = mine["started_at"] or at
            mine["trial"]["started_at"] = mine["trial"]["started_at"] or at
        if event.event == "Trial Converted":
            mine["trial"]["converted_at"] = mine["trial"]["converted_at"] or at
        if event.event == "Subscription Cancelled":
            mine["cancellation"] = {"at": at, "reason": said.get("cancel_reason")}

    def shown(self) -> dict[str, Any]:
        state = self.said["history"][-1]["state"] if self.said["history"] else None
        return self.said | {"state": state, "next_bill_date": self.next if state in ("trial", "active") else None}


def _tag(name: str, marks: list[tuple[datetime, bool]]) -> dict[str, Any]:
    marks = sorted(marks)  # of two at one moment, applied stands
    applied = [at for at, is_applied in marks if is_applied]
    removed = [at for at, is_applied in marks if not is_applied]
    since = None
    if marks[-1][1]:
        since = next(at for at, is_applied in marks[max((number + 1 for number, (_, one) in enumerate(marks) if not one), default=0) :] if is_applied)
    return {
        "name": name,
        "applied": marks[-1][1],
        "since": written(since),
        "first_applied": written(min(applied, default=None)),
        "last_removed": written(max(removed, default=None)),
    }


def _in_order(found: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(found.items(), key=lambda entry: (entry[1][0].version, entry[1][0].source, entry[0]))


def _balances(found: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    shown = []
    for code, numbers in sorted(found.items()):
        net = numbers["total"] + numbers["returned"] - sum(numbers[name] for name in ("tax", "shipping", "refunded", "charged_back", "voided"))
        shown.append({"currency": code, **{name: _money(number, code) for name, number in (numbers | {"net": net}).items()}})
    return shown


def _code(said: dict[str, Any]) -> str | None:
    return said["currency"].upper() if "currency" in said else None


def _minor(value: Any, code: str) -> int:
    return int((Decimal(str(value).replace(",", "")) * 10 ** _DIGITS[code]).to_integral_value(ROUND_HALF_EVEN))


def _money(amount: int, code: str) -> dict[str, Any]:
    written = format(Decimal(amount) / 10 ** _DIGITS[code], f",.{_DIGITS[code]}f")
    return {"amount": amount, "currency": code, "text": f"{written} {code}"}


def _at(event: Event) -> datetime:
    return min(event.timestamp, event.received_at + timedelta(minutes=5))


def written(moment: datetime | None) -> str | None:
    """A time as contacts are described with it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
