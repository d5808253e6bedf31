"""A shop that lives: a seeded history of any size, days to play forward, and single happenings to make.

    shop = Shop(seed=7)
    shop.grow(customers=2000, months=18, now=now)     a history that ends now
    shop.play(now + timedelta(days=3))                sales, rebills, cancellations as they fall due
    shop.happen("partial_refund", at=now)             one thing, to a record named or chosen

The same calls give the same shop. Every change moves `dateUpdated` of the records whose rows show it, and is counted in `ledger` where it is made. Time inside
is whole seconds of UTC; records have the account's wall clock. A shop does not move by itself:
what fell due since it was last played happens when it is played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from local.fakes.konnektive import catalogue
from local.fakes.konnektive.catalogue import Attribution, Campaign, Product
from local.fakes.konnektive.model import Customer, Fulfillment, Happening, Item, Order, Purchase, R, Record, Table, Transaction
from local.fakes.konnektive.reports import reports
from local.fakes.konnektive.truth import Ledger

MINUTE: Final = 60
DAY: Final = 86_400
ACCOUNT_ZONE: Final = "America/New_York"

LEAD_ONLY: Final = 0.24
FIRST_DECLINE: Final = 0.1
MAX_RECYCLES: Final = 3

TRIAL, ACTIVE, PAUSED, COMPLETE, CANCELLED = "TRIAL", "ACTIVE", "PAUSED", "COMPLETE", "CANCELLED"
RECYCLING, RECYCLE_FAILED = "RECYCLE_BILLING", "RECYCLE_FAILED"


class HappeningRefused(ValueError):
    """There is no such happening, or nothing that it could happen to."""


class Shop:
    """`zone` is the account's, in which all its times and days are."""

    def __init__(self, *, seed: int = 1, zone: str = ACCOUNT_ZONE, second_currency: str = "JPY") -> None:
        if second_currency not in catalogue.SECOND_CURRENCIES:
            raise HappeningRefused(f"second_currency: one of {', '.join(catalogue.SECOND_CURRENCIES)}")
        self.zone = ZoneInfo(zone)
        self.campaigns = catalogue.campaigns(second_currency)
        self.customers: Table[Customer] = Table()
        self.orders: Table[Order] = Table()
        self.purchases: Table[Purchase] = Table()
        self.transactions: Table[Transaction] = Table()
        self.fulfillments: Table[Fulfillment] = Table()
        self.ledger = Ledger()
        self.happenings: list[Happening] = []
        self.now = 0
        self._random = Random(seed)
        self._due: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers: Counter[str] = Counter(customer=700, order=4100, item=9000, purchase=600, transaction=90_000, fulfillment=300, plan=0)
        self._daily_arrivals = 0.0
        self._shown = (-1, "")

    # ------------------------------------------------------------------ time

    def local(self, at: int) -> str:
        """What the account's clock shows."""
        if at != self._shown[0]:  # one happening asks many times
            self._shown = (at, datetime.fromtimestamp(at, self.zone).strftime("%Y-%m-%d %H:%M:%S"))
        return self._shown[1]

    def grow(self, *, customers: int, months: int = 18, now: datetime) -> None:
        """Give the account a history of `months` that ends `now`, so that it has `customers` in all. What is added lies in the past, under newer ids."""
        until = int(now.timestamp())
        span = months * 30 * DAY
        missing = customers - len(self.customers)
        later, self._due = self._due, []
        for share in sorted(self._random.random() for _ in range(max(missing, 0))):
            self._plan(until - span + int(span * share**0.8), self._arrive)  # a shop that grows
        self._run(until, not_before=0)
        for entry in later:
            heappush(self._due, entry)
        if customers and not self._daily_arrivals:
            self._plan(until + self._gap(customers / (months * 30)), self._keep_arriving)
        self._daily_arrivals = len(self.customers) / (months * 30)
        self.now = max(self.now, until)

    def play(self, until: datetime) -> None:
        """Let happen what is due by then. What was due before the shop's own time happens at that: no record changes in the past."""
        self._run(int(until.timestamp()), not_before=self.now)

    def crowd(self, *, orders: int, day: date, customers: int = 1000) -> None:
        """A day with this many one-off sales, cheaply: a few buyers, one product, nothing that comes of it later."""
        start = int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())
        product = self.campaigns[2].offers[0]
        buyers = [self._customer(start + index % DAY, self.campaigns[2]) for index in range(min(customers, orders))]
        for index in range(orders):
            # A day with 23 hours is one too; the newest of the shop's seconds is before its end.
            at = start + index * 80_000 // orders
            order = self._order(at, buyers[index % len(buyers)], self.campaigns[2], kind="NEW_SALE")
            order.items = [self._item(order, product, price=product.price)]
            self._pay(at, order, order.items)
        self.now = max(self.now, start + 80_000)

    def _run(self, until: int, *, not_before: int) -> None:
        while self._due and self._due[0][0] <= until:
            due, _, act, arguments = heappop(self._due)
            self.now = max(due, not_before)
            act(self.now, *arguments)
        self.now = max(self.now, until)

    def _plan(self, at: int, act: Callable[..., object], *arguments: Any) -> None:
        heappush(self._due, (at, self._number("plan"), act, arguments))

    def _gap(self, daily: float) -> int:
        return max(1, int(self._random.expovariate(daily) * DAY))

    def _keep_arriving(self, at: int) -> None:
        self._arrive(at)
        self._plan(at + self._gap(self._daily_arrivals), self._keep_arriving)

    # ------------------------------------------------------------------ buyers

    def _arrive(self, at: int) -> None:
        campaign = self._random.choices(self.campaigns, catalogue.CAMPAIGN_WEIGHTS)[0]
        customer = self._customer(at, campaign)
        order = self._lead(at, customer, campaign)
        if self._chance(LEAD_ONLY):
            if self._chance(0.1):
                self._plan(at + self._between(1, 20) * DAY, self._lead_again, order)
            return
        self._plan(at + self._between(MINUTE, 15 * MINUTE), self._check_out, order)
        if self._chance(0.02):
            self._plan(at + self._between(1, 15 * MINUTE), self._change_email, customer)
        elif self._chance(0.03):
            self._plan(at + self._between(1, 200) * DAY, self._change_address if self._chance(0.5) else self._change_email, customer)
        if self._chance(0.15):
            self._plan(at + self._between(20, 200) * DAY, self._buy_again, customer)

    def _lead_again(self, at: int, order: Order) -> None:
        """A later form of the same buyer reuses the order that was never paid."""
        self._touch(at, order, order.customer)
        self._tell("Partial", at, order)
        self._check_out(at, order)

    def _buy_again(self, at: int, customer: Customer) -> None:
        if not customer.blacklisted:
            self._check_out(at, self._lead(at, customer, customer.campaign))

    def _customer(self, at: int, campaign: Campaign, email: str | None = None) -> Customer:
        number = self._number("customer")
        first, last = self._random.choice(catalogue.FIRST_NAMES), self._random.choice(catalogue.LAST_NAMES)
        city, state, postal_code = self._random.choice(catalogue.PLACES[campaign.country])
        card, bin_ = self._random.choice(catalogue.CARDS)
        customer = Customer(
            created=self.local(at),
            updated=self.local(at),
            active=self.local(at),
            id=number,
            campaign=campaign,
            first_name=first,
            last_name=last,
            email=email or f"{first.lower()}.{last.lower()}.{number}@buyers.example",
            phone=f"555{number:07d}",
            street=f"{self._between(1, 99)} {self._random.choice(catalogue.STREETS)}",
            city=city,
            state=state,
            country=campaign.country,
            postal_code=postal_code,
            ip=f"198.51.100.{number % 254 + 1}",
            attribution=self._attribution(number),
            pay_source="PAYPAL" if self._chance(0.08) else "CREDITCARD",
            card=(card, bin_, f"{number % 10_000:04d}", f"{self._between(1, 12):02d}/2031"),
            email_opt_in=self._chance(0.8),
            custom={"quiz": self._random.choice(catalogue.QUIZ)} if self._chance(0.4) else {},
        )
        self.customers.add(number, customer)
        self.ledger.counts["customers"] += 1
        return customer

    def _attribution(self, number: int) -> Attribution:
        if self._chance(0.3):
            affiliate, source_id, title = self._random.choice(catalogue.AFFILIATES)
            values = (f"clk-{number}", self._random.choice(("pub-1", "pub-2", None)), f"sub-{number % 5}", None, None)
            return Attribution(affiliate=affiliate, source_id=source_id, source_title=title, values=values, referer="https://reviews.example/best")
        utm, referer = self._random.choices(catalogue.UTMS, catalogue.UTM_WEIGHTS)[0]
        return Attribution(utm=utm, referer=referer) if self._chance(0.9) else Attribution()

    def _change_email(self, at: int, customer: Customer, email: str | None = None) -> None:
        customer.email = email or f"new.{customer.email}"
        self._touch(at, customer)
        self._tell("Customer Updated", at, customer=customer)

    def _change_address(self, at: int, customer: Customer) -> None:
        customer.street = f"{self._between(100, 999)} {self._random.choice(catalogue.STREETS)}"
        self._touch(at, customer)
        self._tell("Customer Updated", at, customer=customer)

    def _blacklist(self, at: int, customer: Customer) -> None:
        customer.blacklisted = True
        self._touch(at, customer)

    # ------------------------------------------------------------------ orders

    def _lead(self, at: int, customer: Customer, campaign: Campaign) -> Order:
        order = self._order(at, customer, campaign, kind="NEW_SALE")
        self._tell("Partial", at, order)
        return order

    def _order(self, at: int, customer: Customer, campaign: Campaign, *, kind: str) -> Order:
        order = Order(
            created=self.local(at),
            updated=self.local(at),
            number=self._number("order"),
            id=f"{self._random.getrandbits(40):010X}",
            customer=customer,
            campaign=campaign,
            attribution=customer.attribution,
            type=kind,
            email=customer.email,
            custom=(f"cart-{customer.id}", None, None, None, None) if customer.id % 4 == 0 else (None,) * 5,
        )
        self.orders.add(order.id, order)
        self.ledger.status("orders", None, order.status)
        customer.orders.append(order)
        self._touch(at, customer)
        return order

    def _check_out(self, at: int, order: Order, offer: Product | None = None) -> None:
        """The buyer pays, or tries to."""
        offer = offer or self._random.choice(order.campaign.offers)
        order.coupon = catalogue.COUPON[0] if offer.recurring is None and self._chance(0.15) else None
        order.items = [self._item(order, offer, price=offer.price)]
        if self._chance(FIRST_DECLINE):
            self._decline(at, order, hard=self._chance(0.3))
            if self._chance(0.4):
                self._plan(at + self._between(2 * MINUTE, 30 * MINUTE), self._pay_after_decline, order)
        elif self._chance(0.03):
            self._set_order(at, order, "PENDING")
            held = self._transaction(at, order, "AUTHORIZE", order.items)
            self._plan(at + self._between(2, 20) * 60 * MINUTE, self._review, order, held)
        elif order.currency == "JPY" and self._chance(0.1):
            order.customer.pay_source = "COD"
            self._set_order(at, order, "COD_PENDING")
            self._plan(at + self._between(3, 6) * DAY, self._sell, order)
        else:
            self._sell(at, order)

    def _review(self, at: int, order: Order, held: Transaction) -> None:
        if self._chance(0.85):
            self._sell(at, order, held)
        else:
            self._transaction(at, order, "VOID", held.items, parent=held, reason="QA declined")
            self.ledger.counts["voids"] += 1
            self._set_order(at, order, "CANCELLED")

    def _decline(self, at: int, order: Order, *, hard: bool) -> None:
        self._set_order(at, order, "DECLINED")
        self._transaction(at, order, "SALE", order.items, response="HARD_DECLINE" if hard else "SOFT_DECLINE")
        self._tell("Decline", at, order)

    def _pay_after_decline(self, at: int, order: Order) -> None:
        order.decline_save = True
        self._sell(at, order)

    def _sell(self, at: int, order: Order, held: Transaction | None = None) -> Transaction:
        """The first payment of an order, and what will come of it."""
        payment = self._pay(at, order, order.items, held)
        self._ship(at, order)
        if order.campaign.upsells and self._chance(0.3):
            self._plan(at + self._between(30, 5 * MINUTE), self._upsell, order)
        self._plan_regret(at, payment)
        return payment

    def _pay(self, at: int, order: Order, items: list[Item], held: Transaction | None = None) -> Transaction:
        purchase = self._subscribe(at, order, items)
        payment = self._transaction(at, order, "CAPTURE" if held else "SALE", items, parent=held, purchase=purchase)
        self._set_order(at, order, "COMPLETE")
        self._tell("New Sale", at, order, payment, purchase)
        return payment

    def _upsell(self, at: int, order: Order) -> None:
        if order.status != "COMPLETE":
            return
        product = self._random.choice(order.campaign.upsells)
        item = self._item(order, product, price=product.price, upsell=True)
        order.items.append(item)
        purchase = self._subscribe(at, order, [item])
        payment = self._transaction(at, order, "SALE", [item], purchase=purchase)
        self._touch(at, order)
        self._tell("Upsell", at, order, payment, purchase)
        self._plan_regret(at, payment)

    def _item(self, order: Order, product: Product, *, price: int, upsell: bool = False, shipping: int | None = None) -> Item:
        discount = price * catalogue.COUPON[1] // 10_000 if order.coupon and not upsell else 0
        tax = (price - discount) * catalogue.TAX.get(order.customer.state, 0) // 10_000
        shipping = product.shipping if shipping is None else shipping
        return Item(id=self._number("item"), product=product, price=price, shipping=shipping, tax=tax, discount=discount, upsell=upsell)

    def _transaction(
        self,
        at: int,
        order: Order,
        kind: str,
        items: list[Item],
        *,
        response: str = "SUCCESS",
        amount: int | None = None,
        parent: Transaction | None = None,
        purchase: Purchase | None = None,
        cycle: int = 1,
        recycle: int = 0,
        reason: str | None = None,
        external: bool = False,
    ) -> Transaction:
        """The one place at which money moves."""
        text = {"HARD_DECLINE": catalogue.HARD_DECLINES, "SOFT_DECLINE": catalogue.SOFT_DECLINES}.get(response, ("Approved",))
        transaction = Transaction(
            created=self.local(at),
            updated=self.local(at),
            number=self._number("transaction"),
            id=f"{self._random.getrandbits(48):012X}",
            order=order,
            parent=parent,
            type=kind,
            response=response,
            text="External refund" if external else self._random.choice(text),
            amount=sum(item.total for item in items) if amount is None else amount,
            cycle=cycle,
            recycle=recycle,
            items=list(items),  # an order gets more of them later
            purchase=purchase,
            merchant=parent.merchant if parent else self._random.choice(catalogue.MERCHANTS),
            pay_source=order.customer.pay_source,
            reason=reason,
        )
        self.transactions.add(transaction.number, transaction)
        order.transactions.append(transaction)
        if purchase is not None:
            purchase.transactions.append(transaction)
        order.customer.active = max(order.customer.active, transaction.created)
        self._touch(at, order.customer)
        self.ledger.counts["transactions"] += 1
        booking = self._booking(transaction)
        if response != "SUCCESS":
            self.ledger.counts["declines"] += 1
            booking.declines += cycle == 1
            booking.rebill_declines += cycle > 1
        elif transaction.paid:
            self.ledger.counts["payments"] += 1
            self.ledger.money("gross", transaction.created[:10], order.currency, transaction.amount)
            self._book_sale(transaction, 1)
            if purchase is not None:
                purchase.billed += transaction.amount
        return transaction

    def _booking(self, transaction: Transaction) -> Any:
        sale = transaction.parent if transaction.type in ("REFUND", "VOID") and transaction.parent else transaction
        return self.ledger.booked[sale.created[:10], sale.order.currency, sale.order.campaign.id]

    def _book_sale(self, payment: Transaction, sign: int) -> None:
        booking = self._booking(payment)
        if payment.cycle == 1:
            booking.sales += sign
            booking.sales_amount += sign * payment.amount
        else:
            booking.rebills += sign
            booking.rebills_amount += sign * payment.amount
        booking.tax += sign * sum(item.tax for item in payment.items)

    def _set_order(self, at: int, order: Order, status: str) -> None:
        self.ledger.status("orders", order.status, status)
        order.status = status
        self._touch(at, order)

    # ------------------------------------------------------------------ shipping

    def _ship(self, at: int, order: Order) -> None:
        items = [item for item in order.items if item.product.physical]
        if not items:
            return
        fulfillment = Fulfillment(
            created=self.local(at),
            updated=self.local(at),
            number=self._number("fulfillment"),
            id=f"{self._random.getrandbits(40):010X}",
            order=order,
            items=items,
        )
        self.fulfillments.add(fulfillment.number, fulfillment)
        self.ledger.status("fulfillments", None, fulfillment.status)
        order.fulfillments.append(fulfillment)
        self._plan(at + self._between(DAY, 3 * DAY), self._ship_out, fulfillment)

    def _ship_out(self, at: int, fulfillment: Fulfillment) -> None:
        if fulfillment.status != "PENDING":
            return
        if fulfillment.order.status != "COMPLETE":
            self._set_fulfillment(at, fulfillment, "CANCELLED")
            return
        fulfillment.shipped, fulfillment.tracking = self.local(at), f"1Z{fulfillment.number:010d}"
        self._set_fulfillment(at, fulfillment, "SHIPPED")
        self._tell("Fulfillment Shipped", at, fulfillment.order)
        self._plan(at + self._between(2 * DAY, 6 * DAY), self._deliver, fulfillment)

    def _deliver(self, at: int, fulfillment: Fulfillment) -> None:
        if fulfillment.status != "SHIPPED":
            return
        fulfillment.delivered = self.local(at)
        self._set_fulfillment(at, fulfillment, "DELIVERED")
        self._tell("Fulfillment Delivered", at, fulfillment.order)

    def _set_fulfillment(self, at: int, fulfillment: Fulfillment, status: str) -> None:
        self.ledger.status("fulfillments", fulfillment.status, status)
        fulfillment.status = status
        self._touch(at, fulfillment, fulfillment.order)

    # ------------------------------------------------------------------ subscriptions

    def _subscribe(self, at: int, order: Order, items: list[Item]) -> Purchase | None:
        for item in items:
            if item.product.recurring is None:
                continue
            purchase = Purchase(
                created=self.local(at),
                updated=self.local(at),
                number=self._number("purchase"),
                id=f"{self._random.getrandbits(40):010X}",
                order=order,
                customer=order.customer,
                product=item.product,
                status=TRIAL if item.product.trial_days else ACTIVE,
            )
            item.purchase = purchase
            self.purchases.add(purchase.id, purchase)
            order.customer.purchases.append(purchase)
            self.ledger.status("subscriptions", None, purchase.status)
            self._plan_bill(at, purchase, item.product.trial_days or item.product.interval_days)
            return purchase
        return None

    def _plan_bill(self, at: int, purchase: Purchase, days: int) -> None:
        """The next rebill, early in the morning of its day, and what may come in between."""
        due = at - at % DAY + days * DAY + self._between(10, 12) * 60 * MINUTE + self._between(0, 59)
        purchase.next_bill = self.local(due)[:10]
        self._plan(due, self._bill, purchase, purchase.turn)
        if self._chance(0.25 if purchase.status == TRIAL else 0.13):
            act = self._schedule_cancel if self._chance(0.2) else self._cancel
            self._plan(self._between(at + 60, due), act, purchase, purchase.turn)
        elif self._chance(0.04):
            self._plan(self._between(at + 60, due), self._pause, purchase, purchase.turn)

    def _bill(self, at: int, purchase: Purchase, turn: int) -> None:
        if turn != purchase.turn:
            return
        if purchase.cancel_scheduled:
            self._cancel(at, purchase, turn)
            return
        self._rebill(at, purchase)

    def _rebill(self, at: int, purchase: Purchase, outcome: str | None = None) -> Order:
        """Each cycle is an order of its own; a retry is another transaction of that."""
        purchase.turn += 1
        order = self._order(at, purchase.customer, purchase.order.campaign, kind="RECURRING")
        order.attribution = purchase.order.attribution
        item = self._item(order, purchase.product, price=purchase.recurring, shipping=0)
        item.purchase = purchase
        order.items = [item]
        self._attempt(at, purchase, order, 0, purchase.turn, outcome=outcome)
        return order

    def _attempt(self, at: int, purchase: Purchase, order: Order, recycle: int, turn: int, *, outcome: str | None = None) -> None:
        if turn != purchase.turn:
            return
        outcome = outcome or self._random.choices(("SUCCESS", "SOFT_DECLINE", "HARD_DECLINE"), (85, 12, 3) if recycle == 0 else (45, 45, 10))[0]
        cycle = purchase.cycle + 1
        transaction = self._transaction(at, order, "SALE", order.items, response=outcome, purchase=purchase, cycle=cycle, recycle=recycle)
        if outcome == "SUCCESS":
            purchase.cycle, purchase.recycle = cycle, 0
            self._set_order(at, order, "COMPLETE")
            self._ship(at, order)
            if cycle == purchase.product.final_cycle:
                purchase.next_bill = None
                self._set_purchase(at, purchase, COMPLETE)
            else:
                self._set_purchase(at, purchase, ACTIVE)
                self._plan_bill(at, purchase, purchase.product.interval_days)
            self._tell("Recurring Order", at, order, transaction, purchase)
            self._plan_regret(at, transaction)
            return
        self._set_order(at, order, "DECLINED")
        purchase.recycle = recycle + 1
        if outcome == "HARD_DECLINE" or recycle == MAX_RECYCLES:
            purchase.next_bill = None
            self._set_purchase(at, purchase, RECYCLE_FAILED)
            self._tell("Recycle Failed", at, order, transaction, purchase)
        else:
            retry = at + 3 * DAY
            purchase.next_bill = self.local(retry)[:10]
            self._set_purchase(at, purchase, RECYCLING)
            self._tell("Rebill Decline", at, order, transaction, purchase)
            self._plan(retry, self._attempt, purchase, order, recycle + 1, purchase.turn)

    def _schedule_cancel(self, at: int, purchase: Purchase, turn: int) -> None:
        if turn == purchase.turn:
            purchase.cancel_scheduled = True
            self._touch(at, purchase, purchase.order)

    def _cancel(self, at: int, purchase: Purchase, turn: int | None = None, reason: str | None = None) -> None:
        if turn not in (None, purchase.turn) or purchase.status in (CANCELLED, COMPLETE, RECYCLE_FAILED):
            return
        purchase.turn += 1
        purchase.next_bill, purchase.cancel_scheduled, purchase.pause_scheduled = None, False, False
        purchase.cancelled_at, purchase.cancel_reason = self.local(at), reason or self._random.choice(catalogue.CANCEL_REASONS)
        self._set_purchase(at, purchase, CANCELLED)
        self._tell("Cancel", at, purchase.order, None, purchase)

    def _pause(self, at: int, purchase: Purchase, turn: int | None = None) -> None:
        if turn not in (None, purchase.turn):
            return
        purchase.turn += 1
        purchase.next_bill = None
        self._set_purchase(at, purchase, PAUSED)
        self._tell("Pause", at, purchase.order, None, purchase)
        if turn is not None and self._chance(0.6):
            self._plan(at + self._between(15, 60) * DAY, self._reactivate, purchase, purchase.turn)

    def _reactivate(self, at: int, purchase: Purchase, turn: int | None = None) -> None:
        if turn not in (None, purchase.turn):
            return
        purchase.turn += 1
        self._set_purchase(at, purchase, TRIAL if purchase.product.trial_days and purchase.cycle == 1 else ACTIVE)
        self._plan_bill(at, purchase, purchase.product.interval_days)
        self._tell("Reactivate", at, purchase.order, None, purchase)

    def _set_purchase(self, at: int, purchase: Purchase, status: str) -> None:
        self.ledger.status("subscriptions", purchase.status, status)
        purchase.status = status
        # The order that it came from shows its status and its next bill.
        self._touch(at, purchase, purchase.order)

    # ------------------------------------------------------------------ money back

    def _plan_regret(self, at: int, payment: Transaction) -> None:
        if self._chance(0.07):
            self._plan(at + self._between(2 * DAY, 20 * DAY), self._regret, payment)
        elif self._chance(0.012):
            self._plan(at + self._between(1, 3 * 60 * MINUTE), self._void_order, payment.order)
        elif self._chance(0.015):
            self._plan(at + self._between(15 * DAY, 60 * DAY), self._charge_back, payment)

    def _regret(self, at: int, payment: Transaction) -> None:
        if not payment.remaining:
            return
        way = self._random.random()
        if way < 0.5:
            self._refund_order(at, payment.order, external=False)
        elif way < 0.85:
            self._refund(at, payment, max(1, payment.remaining * self._between(10, 70) // 100))
        elif way < 0.95:
            self._refund(at, payment, payment.remaining, external=True)
        else:
            self._refund_order(at, payment.order, external=False)
            self._set_order(at, payment.order, "CANCELLED")
        if payment.purchase is not None and self._chance(0.4):
            self._cancel(at, payment.purchase)

    def _refund_order(self, at: int, order: Order, *, external: bool) -> list[Transaction]:
        return [self._refund(at, payment, payment.remaining, external=external) for payment in list(order.payments) if payment.remaining]

    def _refund(self, at: int, payment: Transaction, amount: int, *, external: bool = False, reason: str | None = None) -> Transaction:
        order = payment.order
        reason = reason or self._random.choice(catalogue.REFUND_REASONS)
        refund = self._transaction(
            at, order, "REFUND", payment.items, amount=amount, parent=payment, purchase=payment.purchase, cycle=payment.cycle, reason=reason, external=external
        )
        payment.refunded += amount
        self.ledger.counts["refunds"] += 1
        self.ledger.money("refunded", refund.created[:10], order.currency, amount)
        booking = self._booking(refund)
        booking.refunds += 1
        booking.refunds_amount += amount
        if payment.purchase is not None:
            payment.purchase.refunded += amount
            self._touch(at, payment.purchase)
        whole = not order.refundable and not any(other.chargeback for other in order.payments)
        self._set_order(at, order, "REFUNDED" if whole and order.status == "COMPLETE" else order.status)
        self._tell("Full Refund" if whole else "Partial Refund", at, order, refund, payment.purchase)
        return refund

    def _void_order(self, at: int, order: Order) -> list[Transaction]:
        voids: list[Transaction] = []
        if not _voidable(order):
            return voids
        for payment in list(order.payments):
            void = self._transaction(at, order, "VOID", payment.items, parent=payment, purchase=payment.purchase, cycle=payment.cycle, reason="Voided")
            payment.voided = True
            self.ledger.counts["voids"] += 1
            self.ledger.money("voided", void.created[:10], order.currency, payment.amount)
            self._book_sale(payment, -1)
            if payment.purchase is not None:
                payment.purchase.refunded += payment.amount
                self._touch(at, payment.purchase)
                self._cancel(at, payment.purchase, reason="Order voided")
            voids.append(void)
        self._set_order(at, order, "CANCELLED")
        self._tell("Void", at, order, voids[-1])
        return voids

    def _charge_back(self, at: int, payment: Transaction) -> None:
        if not payment.remaining:
            return
        amount = payment.remaining
        code, note = self._random.choice(catalogue.CHARGEBACK_CODES)
        payment.chargeback = (amount, self.local(at)[:10], code, note)
        self._count_chargeback(at, payment, amount, 1)
        self._tell("Chargeback", at, payment.order, payment, payment.purchase)
        if self._chance(0.25):
            self._plan(at + self._between(10 * DAY, 25 * DAY), self._revert_chargeback, payment)
        elif self._chance(0.3):
            self._blacklist(at, payment.order.customer)
        if payment.purchase is not None and self._chance(0.7):
            self._cancel(at, payment.purchase, reason="Chargeback")

    def _revert_chargeback(self, at: int, payment: Transaction) -> None:
        if payment.chargeback is None:
            return
        amount, payment.chargeback = payment.chargeback[0], None
        self._count_chargeback(at, payment, amount, -1)

    def _count_chargeback(self, at: int, payment: Transaction, amount: int, sign: int) -> None:
        counts = self.ledger.counts
        counts["chargebacks"] += sign
        counts["chargebacks_set" if sign > 0 else "chargebacks_reverted"] += 1
        self.ledger.money("charged_back", self.local(at)[:10], payment.order.currency, sign * amount)
        booking = self._booking(payment)
        booking.chargebacks += sign
        booking.chargebacks_amount += sign * amount
        # The order shows no chargeback, only what can still be refunded.
        self._touch(at, payment, payment.order)
        if payment.purchase is not None:
            self._touch(at, payment.purchase)

    # ------------------------------------------------------------------ one thing, on demand

    def happen(self, what: str, *, at: datetime, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make one thing happen, at `at` or, if that has passed in this shop, at its own time. `about` may name a record (customerId, orderId, purchaseId,
        transactionId: the ids of the API) and what `HAPPENINGS` says; without, the newest record that fits is taken. Returns the ids concerned."""
        if what not in HAPPENINGS:
            raise HappeningRefused(f"happen: one of {', '.join(sorted(HAPPENINGS))}")
        about = about or {}
        known = {"customerId", "orderId", "purchaseId", "transactionId", *HAPPENINGS[what]}
        if unknown := sorted(about.keys() - known):
            raise HappeningRefused(f"{unknown[0]}: not a parameter of {what}; it knows {', '.join(sorted(known))}")
        self.now = max(self.now, int(at.timestamp()))
        made: dict[str, Any] = getattr(self, f"_make_{what}")(self.now, about)
        return {"at": self.local(self.now), **made}

    def _make_new_sale(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        wanted = about.get("offer", "one_off")
        currency = about.get("currency", "USD")
        offers = [(campaign, offer) for campaign in self.campaigns if campaign.currency == currency for offer in campaign.offers if wanted == _kind(offer)]
        if not offers:
            raise HappeningRefused(f"offer, currency: no {wanted} in {currency}; offers are trial, subscription and one_off")
        campaign, offer = offers[0]
        customer = self._one(self.customers, about, "customerId", lambda _: True) if "customerId" in about else None
        customer = customer or self._customer(at, campaign, about.get("email"))
        order = self._lead(at, customer, campaign)
        order.items = [self._item(order, offer, price=offer.price)]
        payment = self._pay(at, order, order.items)
        self._ship(at, order)
        return _ids(order, payment, payment.purchase)

    def _make_lead(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        return _ids(self._lead(at, self._customer(at, self.campaigns[0], about.get("email")), self.campaigns[0]))

    def _make_decline(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        order = self._lead(at, self._customer(at, self.campaigns[0], about.get("email")), self.campaigns[0])
        order.items = [self._item(order, self.campaigns[0].offers[0], price=self.campaigns[0].offers[0].price)]
        self._decline(at, order, hard=bool(about.get("hard", False)))
        return _ids(order, order.transactions[-1])

    def _make_upsell(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        order = self._one(self.orders, about, "orderId", lambda order: order.status == "COMPLETE" and order.type == "NEW_SALE")
        self._upsell(at, order)
        return _ids(order, order.transactions[-1])

    def _make_rebill(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        purchase = self._purchase(about, (TRIAL, ACTIVE))
        order = self._rebill(at, purchase, about.get("outcome", "SUCCESS"))
        return _ids(order, order.transactions[-1], purchase)

    def _make_partial_refund(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        payment = self._payment(about, lambda payment: payment.remaining > 1)
        amount = about.get("amount", payment.remaining // 2)
        if not isinstance(amount, int) or not 0 < amount < payment.remaining:
            raise HappeningRefused(f"amount: minor units, above 0 and below the {payment.remaining} that are left")
        refund = self._refund(at, payment, amount, external=bool(about.get("external", False)))
        return _ids(payment.order, refund, payment.purchase)

    def _make_full_refund(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        payment = self._payment(about, lambda payment: payment.remaining > 0)
        refund = self._refund_order(at, payment.order, external=bool(about.get("external", False)))[-1]
        return _ids(payment.order, refund, payment.purchase)

    def _make_void(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        payment = self._payment(about, lambda payment: _voidable(payment.order))
        voids = self._void_order(at, payment.order)
        return _ids(payment.order, voids[-1], payment.purchase)

    def _make_chargeback(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        payment = self._payment(about, lambda payment: payment.remaining > 0)
        code, note = catalogue.CHARGEBACK_CODES[0]
        amount = payment.remaining
        payment.chargeback = (amount, self.local(at)[:10], code, note)
        self._count_chargeback(at, payment, amount, 1)
        self._tell("Chargeback", at, payment.order, payment, payment.purchase)
        return _ids(payment.order, payment, payment.purchase)

    def _make_chargeback_reverted(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        payment = self._payment(about, lambda payment: payment.chargeback is not None)
        self._revert_chargeback(at, payment)
        return _ids(payment.order, payment, payment.purchase)

    def _make_trial_cancelled(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        purchase = self._purchase(about, (TRIAL,))
        self._cancel(at, purchase, reason=about.get("reason"))
        return _ids(purchase.order, None, purchase)

    def _make_cancel(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        purchase = self._purchase(about, (TRIAL, ACTIVE, PAUSED, RECYCLING))
        self._cancel(at, purchase, reason=about.get("reason"))
        return _ids(purchase.order, None, purchase)

    def _make_pause(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        purchase = self._purchase(about, (TRIAL, ACTIVE))
        self._pause(at, purchase)
        return _ids(purchase.order, None, purchase)

    def _make_reactivate(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        purchase = self._purchase(about, (PAUSED, CANCELLED))
        self._reactivate(at, purchase)
        return _ids(purchase.order, None, purchase)

    def _make_email_changed(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        customer = self._one(self.customers, about, "customerId", lambda _: True)
        self._change_email(at, customer, about.get("email"))
        return {"customerId": customer.id, "email": customer.email}

    def _make_address_edited(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        customer = self._one(self.customers, about, "customerId", lambda _: True)
        self._change_address(at, customer)
        return {"customerId": customer.id}

    def _make_blacklisted(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        customer = self._one(self.customers, about, "customerId", lambda _: True)
        self._blacklist(at, customer)
        return {"customerId": customer.id}

    def _make_sale_and_refund(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        made = self._make_new_sale(at, about)
        refund = self._refund_order(at, self.orders.rows[made["orderId"]], external=False)[-1]
        return {**made, "refundId": refund.number}

    def _make_shipped(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        order = self._one(self.orders, about, "orderId", lambda order: any(parcel.status == "PENDING" for parcel in order.fulfillments))
        self._ship_out(at, next(parcel for parcel in order.fulfillments if parcel.status == "PENDING"))
        return _ids(order)

    def _make_delivered(self, at: int, about: Mapping[str, Any]) -> dict[str, Any]:
        order = self._one(self.orders, about, "orderId", lambda order: any(parcel.status == "SHIPPED" for parcel in order.fulfillments))
        self._deliver(at, next(parcel for parcel in order.fulfillments if parcel.status == "SHIPPED"))
        return _ids(order)

    def _purchase(self, about: Mapping[str, Any], statuses: Sequence[str]) -> Purchase:
        return self._one(self.purchases, about, "purchaseId", lambda purchase: purchase.status in statuses)

    def _payment(self, about: Mapping[str, Any], fits: Callable[[Transaction], bool]) -> Transaction:
        if "orderId" in about and "transactionId" not in about:
            order = self._one(self.orders, about, "orderId", lambda order: any(fits(payment) for payment in order.payments))
            return next(payment for payment in order.payments if fits(payment))
        return self._one(self.transactions, about, "transactionId", lambda payment: payment.paid and fits(payment))

    def _one(self, table: Table[R], about: Mapping[str, Any], name: str, fits: Callable[[R], bool]) -> R:
        if name in about:
            row = table.rows.get(about[name])
            if row is None or not fits(row):
                raise HappeningRefused(f"{name}: there is none, or nothing to do with it")
            return row
        for row in reversed(table.rows.values()):
            if fits(row):
                return row
        raise HappeningRefused(f"{name}: the shop has no record that it could happen to")

    # ------------------------------------------------------------------ inside

    def touch(self, row: Record, at: datetime) -> None:
        """Let a record be newly updated, with nothing of it changed."""
        self._touch(max(self.now, int(at.timestamp())), row)

    def _touch(self, at: int, *rows: Record) -> None:
        when = self.local(at)
        for row in rows:
            match row:
                case Order():
                    self.orders.touch(row.id, row, when)
                case Transaction():
                    self.transactions.touch(row.number, row, when)
                case Purchase():
                    self.purchases.touch(row.id, row, when)
                case Fulfillment():
                    self.fulfillments.touch(row.number, row, when)
                case Customer():
                    row.active = max(row.active, when)
                    self.customers.touch(row.id, row, when)

    def _tell(
        self,
        kind: str,
        at: int,
        order: Order | None = None,
        transaction: Transaction | None = None,
        purchase: Purchase | None = None,
        *,
        customer: Customer | None = None,
    ) -> None:
        buyer = order.customer if order is not None else customer
        assert buyer is not None
        self.happenings.append(Happening(kind=kind, at=self.local(at), customer=buyer, order=order, transaction=transaction, purchase=purchase))

    def _number(self, of: str) -> int:
        self._numbers[of] += 1
        return self._numbers[of]

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def truth(self) -> dict[str, Any]:
        """What the account holds; amounts in minor units, days in account time. `earned`: what was kept, without tax and shipping. These go back
        after the goods."""
        earned: Counter[str] = Counter()
        for order in self.orders.rows.values():
            earned[order.currency] += order.earned
        return {"now": self.local(self.now), "zone": self.zone.key, **self.ledger.as_json(), "earned": dict(sorted(earned.items())), "reports": reports(self)}


HAPPENINGS: Final[Mapping[str, Iterable[str]]] = {
    "new_sale": ("offer", "currency", "email"),
    "lead": ("email",),
    "decline": ("email", "hard"),
    "upsell": (),
    "rebill": ("outcome",),
    "partial_refund": ("amount", "external"),
    "full_refund": ("external",),
    "void": (),
    "chargeback": (),
    "chargeback_reverted": (),
    "trial_cancelled": ("reason",),
    "cancel": ("reason",),
    "pause": (),
    "reactivate": (),
    "email_changed": ("email",),
    "address_edited": (),
    "blacklisted": (),
    "sale_and_refund": ("offer", "currency", "email"),
    "shipped": (),
    "delivered": (),
}
"""What `happen` can do, and the parameters of each beside the ids of records. `offer`: trial, subscription or one_off; `outcome` of a rebill: SUCCESS,
SOFT_DECLINE or HARD_DECLINE; `amount` in minor units."""


def _voidable(order: Order) -> bool:
    """Nothing of it was given back."""
    return order.status == "COMPLETE" and all(payment.remaining == payment.amount for payment in order.payments)


def days_later(shop: Shop, days: float) -> datetime:
    return datetime.fromtimestamp(shop.now, UTC) + timedelta(days=days)


def _kind(offer: Product) -> str:
    if offer.recurring is None:
        return "one_off"
    return "trial" if offer.trial_days else "subscription"


def _ids(order: Order, transaction: Transaction | None = None, purchase: Purchase | None = None) -> dict[str, Any]:
    ids: dict[str, Any] = {"customerId": order.customer.id, "email": order.customer.email, "orderId": order.id}
    if transaction is not None:
        ids["transactionId"] = transaction.number
    if purchase is not None:
        ids["purchaseId"] = purchase.id
    return ids
