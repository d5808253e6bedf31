"""Records whatever their rows hold, and what their states keep."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.errors import RowUnreadable
from tributary.events import Track, decode, encode
from tributary.identity.identifiers import stable_identifier
from tributary.sources.konnektive.reading import MAX_ITEMS
from tributary.sources.konnektive.records import KINDS, Change, Kind, Reading, RecordState, change_of, place_of
from tributary.sources.konnektive.settings import settings_of

_READING = Reading(
    "con_bikes7rides2hill",
    settings_of({"loginId": "api-user", "password": "hill-climb-7"}),
    datetime(2026, 4, 18, 9, 30, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC),
)
_TIMES = {"dateCreated": "2026-02-10 20:15:30", "dateUpdated": "2026-02-10 20:15:31"}
_PERSON = {
    "customerId": 884,
    "emailAddress": "rosa@bikes.example",
    "firstName": "Rosa",
    "lastName": "Hill",
    "phoneNumber": "2025550117",
    "country": "US",
    "address1": "1 Sample Rd",
}
_ROWS: dict[Kind, dict[str, Any]] = {
    Kind.CUSTOMER: {
        **_PERSON,
        **_TIMES,
        "customFields": {"quiz": "yes"},
        "emailOptIn": 1,
        "isBlacklisted": 0,
        "campaignName": "Spring",
        "tags": "VIP",
        "companyName": "Hill & Co",
    },
    Kind.ORDER: {
        **_PERSON,
        **_TIMES,
        "orderId": "3C0FFEE12A",
        "actualOrderId": 5120,
        "orderType": "NEW_SALE",
        "orderStatus": "COMPLETE",
        "totalAmount": "64.90",
        "price": "55.00",
        "shippingCost": "4.90",
        "salesTax": "5.00",
        "totalDiscount": "1.00",
        "currencyCode": "USD",
        "couponCode": "HILLS",
        "cancelReason": "why",
        "declineReason": "no",
        "UTMSource": "facebook",
        "affId": "AF1",
        "sourceValue1": "clk",
        "custom1": "c",
        "salesUrl": "https://bikes.example/",
        "httpReferer": "https://news.example/",
        "browserDetails": {"httpReferer": "x"},
        "items": {"1": {"productId": 31, "orderItemId": 7, "name": "Bell", "productSku": "B", "qty": "1", "price": "55.00", "purchaseId": ""}},
        "fulfillments": [{"fulfillmentId": 91, "status": "SHIPPED", "dateShipped": "2026-02-11 16:00:00", "trackingNumber": "94-1", "shipCarrier": "USPS"}],
    },
    Kind.TRANSACTION: {
        **_PERSON,
        **_TIMES,
        "transactionId": 90310,
        "orderId": "3C0FFEE12A",
        "txnType": "SALE",
        "responseType": "SUCCESS",
        "totalAmount": "64.90",
        "currencyCode": "USD",
        "billingCycleNumber": 1,
        "recycleNumber": 0,
        "isChargedback": 1,
        "chargebackAmount": "64.90",
        "chargebackDate": "2026-02-20",
        "parentTxnId": None,
        "responseText": "Approved",
    },
    Kind.PURCHASE: {
        **_PERSON,
        **_TIMES,
        "purchaseId": "5F6E7D8C9B",
        "orderId": "3C0FFEE12A",
        "productId": 31,
        "productSku": "BOX",
        "productQty": 1,
        "price": "19.50",
        "shippingPrice": "0.00",
        "currencyCode": "USD",
        "status": "CANCELLED",
        "billingCycleType": "RECURRING",
        "billingCycleNumber": 3,
        "billingIntervalDays": 30,
        "finalBillingCycle": None,
        "nextBillDate": "2026-03-12",
        "cancelReason": "why",
        "lastCancellationDate": "2026-03-01 12:30:00",
        "pauseScheduled": 0,
        "cancellationScheduled": 0,
        "totalBilled": "19.50",
        "totalRefunded": "0.00",
    },
}
_NEVER_KEPT = [
    *("cardNumber", "cardType", "cardBin", "cardLast4", "cardExpiryDate", "cardSecurityCode", "cardIsDebit", "cardIsPrepaid", "prepaidType", "paySourceId"),
    *("avsResponse", "cvvResponse", "authCode", "arn", "3DTxnResult", "descriptor", "merchantDescriptor", "midNumber", "merchantTxnId", "chargebackNote"),
    *("achAccountNumber", "achRoutingNumber", "achBankName", "eCommerceLogin", "eCommercePassword", "password"),
]
_CANARY = "canary-5150-sings"

_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["", "0", "1", "12.50", "1,200.00", "COMPLETE", "PARTIAL", "CANCELLED", "REFUND", "2026-02-12 08:00:00", "0000-00-00", "JPY", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["name", "value", "productId", "fulfillmentId", "status"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _change(kind: Kind, row: dict[str, Any], before: RecordState | None = None, reading: Reading = _READING) -> Change | None:
    return change_of(kind, row, before, reading)


def _must(kind: Kind, row: dict[str, Any], before: RecordState | None = None) -> Change:
    change = _change(kind, row, before)
    assert change is not None
    return change


def _names(change: Change | None) -> list[str]:
    return [] if change is None else [event.event for event in change.events if isinstance(event, Track)]


@st.composite
def _odd_rows(draw: st.DrawFn) -> tuple[Kind, list[dict[str, Any]]]:
    kind = draw(st.sampled_from(Kind))
    base = _ROWS[kind]
    names = st.sampled_from([*base, *_NEVER_KEPT[:3], "unheardOf"])
    return kind, [{**base, **draw(st.dictionaries(names, _ANYTHING, max_size=5))} for _ in range(3)]


@given(_odd_rows())
def test_any_row_gives_events_that_the_log_can_read_or_says_which_field_it_is(case: tuple[Kind, list[dict[str, Any]]]) -> None:
    kind, rows = case
    state, ids, refused = None, [], set()
    for row in rows:
        try:
            change = _change(kind, row, state)
        except RowUnreadable as error:
            refused.add(error.field)
            continue
        if change is None:
            continue
        again = _change(kind, row, state, replace(_READING, since=datetime(2027, 1, 1, tzinfo=UTC)))
        assert again is not None
        assert [event.message_id for event in again.events] == [event.message_id for event in change.events]
        assert _change(kind, row, change.state) is None, "read again, it means nothing"
        assert json.loads(json.dumps(change.state.facts)) == change.state.facts
        for event in change.events:
            assert decode(encode(event)) == event
            assert len(event.message_id) <= 100
        ids += [(change.place.id, event.message_id) for event in change.events]
        state = change.state
    assert len(set(ids)) == len(ids)
    assert refused <= _ROWS[kind].keys()


@pytest.mark.parametrize("kind", Kind)
def test_nothing_that_must_never_be_kept_leaves_the_module(kind: Kind) -> None:
    """At the top and inside of whatever is nested."""
    forbidden = dict.fromkeys(_NEVER_KEPT, _CANARY)
    row: dict[str, Any] = {
        **_ROWS[kind],
        **forbidden,
        "paySources": [forbidden],
        "transactions": [forbidden],
        "customFields": {"Card": _CANARY, "Password": _CANARY, "quiz": "yes"},
    }
    row["items"] = {"1": {"productId": 31, "orderItemId": 7, **forbidden}}
    row["fulfillments"] = [{"fulfillmentId": 91, "status": "SHIPPED", **forbidden}]
    change = _must(kind, row)
    assert change.events
    assert all(_CANARY.encode() not in encode(event) for event in change.events)
    assert _CANARY not in repr(change.state)


@pytest.mark.parametrize("kind", Kind)
def test_a_state_holds_nothing_personal(kind: Kind) -> None:
    kept = repr(_must(kind, {**_ROWS[kind], "cancelReason": "Rosa moved"}).state)
    for personal in ("rosa", "Hill", "Rosa", "2025550117", "Sample", "bikes.example", "clk", "94-1", "moved"):
        assert personal not in kept


@pytest.mark.parametrize("kind", Kind)
def test_every_event_names_its_person_and_its_account(kind: Kind) -> None:
    for event in _must(kind, _ROWS[kind]).events:
        assert event.source == "con_bikes7rides2hill"
        assert stable_identifier(event) == "konnektive#con_bikes7rides2hill#884"
        assert event.user_id == "rosa@bikes.example"
        assert event.context["traits"] == {"email": "rosa@bikes.example", "phone": "2025550117", "country": "US"}
        assert event.received_at == _READING.received_at


@pytest.mark.parametrize(("stream", "kind"), KINDS.items())
def test_a_place_is_the_day_of_creation_on_the_accounts_calendar(stream: str, kind: Kind) -> None:
    place = place_of(kind, {**_ROWS[kind], "dateCreated": "2026-02-10 23:59:59"})
    assert (place.kind, place.day) == (stream.removesuffix("s"), "2026-02-10")
    assert place_of(kind, {**_ROWS[kind], "dateCreated": None}).day == "0000-00-00"


@pytest.mark.parametrize(
    ("kind", "field"), [(Kind.CUSTOMER, "customerId"), (Kind.ORDER, "orderId"), (Kind.TRANSACTION, "transactionId"), (Kind.PURCHASE, "purchaseId")]
)
def test_a_row_without_an_id_is_refused_by_its_field(kind: Kind, field: str) -> None:
    with pytest.raises(RowUnreadable) as raised:
        place_of(kind, {**_ROWS[kind], field: None})
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("kind", "field"), [(Kind.ORDER, "totalAmount"), (Kind.TRANSACTION, "totalAmount"), (Kind.TRANSACTION, "chargebackAmount"), (Kind.PURCHASE, "price")]
)
def test_a_row_whose_money_cannot_be_read_is_refused(kind: Kind, field: str) -> None:
    with pytest.raises(RowUnreadable) as raised:
        _change(kind, {**_ROWS[kind], field: "12,50"})
    assert raised.value.field == field


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("field", ["dateCreated", "dateUpdated"])
def test_a_row_whose_time_cannot_be_read_is_refused(kind: Kind, field: str) -> None:
    with pytest.raises(RowUnreadable) as raised:
        _change(kind, {**_ROWS[kind], field: "soon"})
    assert raised.value.field == field


def test_an_email_changed_and_then_a_deep_re_walk_makes_no_new_order_events() -> None:
    first = {kind: _must(kind, row) for kind, row in _ROWS.items()}
    moved = {"emailAddress": "rosa.hill@bikes.example", "address1": "2 New Rd", "phoneNumber": "2025550188", "dateUpdated": "2026-03-20 10:00:00"}
    again = {kind: _change(kind, {**row, **moved}, first[kind].state) for kind, row in _ROWS.items()}
    assert {kind for kind, change in again.items() if change is not None} == {Kind.CUSTOMER}


def test_who_changes_email_during_a_checkout_stays_one_owner() -> None:
    lead = _must(Kind.ORDER, {**_ROWS[Kind.ORDER], "orderStatus": "PARTIAL", "emailAddress": "rosa@old.example", "fulfillments": []})
    sale = _must(Kind.ORDER, {**_ROWS[Kind.ORDER], "dateUpdated": "2026-02-10 20:30:00", "fulfillments": []}, lead.state)
    assert _names(lead) + _names(sale) == ["Checkout Started", "Order Completed"]
    events = [*lead.events, *sale.events]
    assert {event.owner for event in events} == {"konnektive#con_bikes7rides2hill#884"}
    assert [event.user_id for event in events] == ["rosa@old.example", "rosa@bikes.example"]


def test_a_sale_and_its_refund_within_one_second_are_two_events_in_order() -> None:
    sale_row = {**_ROWS[Kind.TRANSACTION], "isChargedback": 0}
    [sale] = _must(Kind.TRANSACTION, sale_row).events
    [refund] = _must(Kind.TRANSACTION, {**sale_row, "transactionId": 90311, "txnType": "REFUND", "parentTxnId": 90310}).events
    assert sale.timestamp == refund.timestamp
    assert sale.version < refund.version


def test_a_crash_before_the_state_is_written_repeats_the_ids_even_if_the_record_has_moved_on() -> None:
    """What had been told already has its id again; only what is new has a new one."""
    sold = _must(Kind.ORDER, {**_ROWS[Kind.ORDER], "fulfillments": []})
    moved_on = _must(Kind.ORDER, {**_ROWS[Kind.ORDER], "orderStatus": "CANCELLED", "dateUpdated": "2026-02-12 08:00:00"})
    assert _names(moved_on) == ["Order Completed", "Order Cancelled", "Order Shipped"]
    assert moved_on.events[0].message_id == sold.events[0].message_id
    dearer = {**_ROWS[Kind.ORDER], "totalAmount": "70.00", "fulfillments": []}
    assert _must(Kind.ORDER, dearer).events[0].message_id == sold.events[0].message_id, "an order is sold once"
    after_a_crash = _change(Kind.ORDER, dearer, None, replace(_READING, told_since=datetime(2026, 2, 11, 1, 0, tzinfo=UTC)))
    assert _names(after_a_crash) == ["Order Completed", "Order Updated"], "another amount would be lost under the id of the first"
    before_it = _change(Kind.ORDER, dearer, None, replace(_READING, told_since=datetime(2026, 2, 12, tzinfo=UTC)))
    assert _names(before_it) == ["Order Completed"], "a row that has not changed since is what was told"


def test_a_transaction_has_one_id_for_each_outcome_and_only_a_correction_has_another() -> None:
    row = {**_ROWS[Kind.TRANSACTION], "isChargedback": 0}
    paid, dearer = _must(Kind.TRANSACTION, row), _must(Kind.TRANSACTION, {**row, "totalAmount": "70.00"})
    assert paid.events[0].message_id == dearer.events[0].message_id == "konnektive:con_bikes7rides2hill:transaction:90310:payment-received"
    corrected = _must(Kind.TRANSACTION, {**row, "totalAmount": "70.00"}, paid.state)
    assert _names(corrected) == ["Payment Received"]
    assert corrected.events[0].message_id != paid.events[0].message_id
    [refund] = _must(Kind.TRANSACTION, {**row, "txnType": "REFUND"}).events
    assert refund.message_id.endswith(":order-refunded")


def test_a_long_id_is_shortened_and_stays_its_own() -> None:
    one, other = (_must(Kind.ORDER, {**_ROWS[Kind.ORDER], "orderId": "F" * 63 + last}).events for last in "AB")
    assert all(len(event.message_id) <= 100 for event in (*one, *other))
    assert {event.message_id for event in one}.isdisjoint(event.message_id for event in other)


def test_the_largest_order_still_fits_one_item_of_the_log() -> None:
    """Texts, items and fields of a shop that has gone wild, in a script of three bytes a letter."""
    wild = "山" * 5_000
    item = {"productId": 31, "name": wild, "productSku": wild, "qty": "1", "price": "55.00", "purchaseId": "5F6E7D8C9B"}
    told = {"dateCreated", "dateUpdated", "orderId", "totalAmount", "currencyCode", "orderStatus"}
    row = {name: wild if isinstance(value, str) and name not in told else value for name, value in _ROWS[Kind.ORDER].items()}
    row |= {
        "items": [{**item, "orderItemId": number} for number in range(1_000)],
        "customFields": {f"{number}{wild}": wild for number in range(1_000)},
        "tags": [wild] * 1_000,
    }
    [event] = [event for event in _must(Kind.ORDER, row).events if isinstance(event, Track) and event.event == "Order Completed"]
    assert len(event.properties["products"]) == MAX_ITEMS
    assert len(encode(event)) < 390_000


def test_what_happened_before_the_account_was_connected_is_history_and_what_came_after_is_live() -> None:
    connected = Reading(_READING.connection, _READING.settings, _READING.received_at, datetime(2026, 4, 1, tzinfo=UTC))
    row = {"customerId": 771, "orderId": "0A1B2C3D4E", "orderStatus": "CANCELLED", "totalAmount": "44.95", "currencyCode": "USD"}
    dates = {"dateCreated": "2026-03-09 21:14:05", "dateUpdated": "2026-04-12 08:00:41"}
    change = change_of(Kind.ORDER, row | dates, None, connected)
    assert change is not None
    assert [(event.event, event.origin) for event in change.events if isinstance(event, Track)] == [("Order Completed", "history"), ("Order Cancelled", "live")]


def test_a_state_says_nothing_that_a_guess_could_confirm_without_the_stacks_key() -> None:
    states = [_change(Kind.CUSTOMER, _ROWS[Kind.CUSTOMER], None, replace(_READING, key=key)) for key in (b"", b"one", b"another")]
    assert len({change.state.digest for change in states if change is not None}) == 3
    assert len({change.events[0].message_id for change in states if change is not None}) == 3
