"""Faults in every stage at once, by seed: what comes of a polled account is what it holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.fakes.konnektive.shop import Shop
from tests.kit.konnektive_account import BEGUN, CONNECTION, Account, Faults
from tests.kit.stores import MemoryQueue
from tests.kit.sync import MemoryCatalogue, MemoryNotices, MemoryRecordStates
from tributary.errors import StoreUnavailable
from tributary.sync.poll import FIRST_DELAY, Poll
from tributary.sync.streams import Stream
from tributary.sync.tasks import DayTask

EQUAL = dict.fromkeys(("contacts", "orders", "refunds", "subscriptions", "revenue", "lifetime"), 0)


@pytest.mark.parametrize("seed", range(1, 5))
def test_whatever_fails_the_log_and_the_contacts_end_as_the_account(seed: int) -> None:
    shop = Shop(seed=seed)
    shop.grow(customers=60, months=18, now=BEGUN)
    account = Account(shop, Faults(0.06, seed))
    account.tick()
    account.run()
    for days in (1, 1, 8):
        account.play(days)
        account.tick()
        account.run()
    assert len(account.faults.struck) > 15, "hardly anything was made to fail"
    assert account.differences() == EQUAL
    assert account.poison.rows == {}


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_contact_is_shown_to_have_spent_is_what_came_in(seed: int) -> None:
    """Also of orders that wait for a payment, or were cancelled before it: both are told as completed."""
    shop = Shop(seed=seed)
    shop.grow(customers=120, months=18, now=BEGUN)
    unpaid = [order for order in shop.orders.rows.values() if order.status in {"CANCELLED", "PENDING", "COD_PENDING"} and not any(order.payments)]
    assert unpaid, "this account has none: take another seed"
    account = Account(shop)
    account.tick()
    account.run()
    assert account.differences() == EQUAL


class Broken:
    """The account's connections and store, of which one method fails."""

    def __init__(self, account: Account, name: str) -> None:
        self._account, self._name = account, name

    def __getattr__(self, name: str) -> object:
        if name == self._name:
            raise StoreUnavailable("CONFIG did not answer")
        return getattr(self._account if hasattr(self._account, name) else self._account.store, name)


@pytest.mark.parametrize("method", ["all", "status", "lease"])
def test_a_store_that_fails_before_a_task_has_begun_hands_the_task_back_soon(method: str) -> None:
    account = Account(Shop(seed=1))
    broken = Broken(account, method)
    poll = Poll(
        vendor=account.vendor,
        connections=broken,  # type: ignore[arg-type]
        secrets=account,
        store=broken,  # type: ignore[arg-type]
        states=MemoryRecordStates(),
        catalogue=MemoryCatalogue(),
        key=lambda: b"digest key",
        ingest=MemoryQueue(),
        tasks=MemoryQueue(),
        notices=MemoryNotices(),
        clock=account,
        owner="sandbox",
        chance=lambda: 0.5,
        sleep=lambda _: None,
    )
    task = DayTask(connection=CONNECTION, stream=Stream.ORDERS, day=BEGUN.date(), scheduled_at=datetime(2026, 11, 20, 15, tzinfo=UTC))
    done = poll.run(task, receives=1, remaining=lambda: 400.0)
    assert (done.delay, done.code) == (FIRST_DELAY, "store_unavailable")
    assert account.vendor.calls == []
