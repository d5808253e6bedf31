"""A fake Konnektive (CheckoutChamp) account: its read API, with the habits of the real one, over a shop that can be grown, played and told what to do.

Every answer of the API is HTTP 200; `result` says whether it is an error. Beside what every fake has, the account is moved by

    POST /__shop     one JSON object, its parts in this order, each of them optional:
        new               {"seed": 7, "zone": "America/New_York", "second_currency": "EUR"}: an empty shop
        grow              2000, or {"customers": 2000, "months": 18, "ends_days_ago": 3}
        crowd             {"orders": 100000, "day": "2026-03-01", "customers"?: 1000}
        play_days         3
        happen            "new_sale", or a list of {"what": "partial_refund", "orderId"?: "…", "amount"?: 500} (`shop.HAPPENINGS`); "at" sets the time of all
        quirks            some of `rows.Quirks`; null for all as they are by default
        permissions       {"login": false}, {"address": "203.0.113.9"} (refused, null: allowed), {"refused": ["order/query"]}
        latency_s         how long each answer takes, from then on
        bump              {"stream": "order", "page": 1, "rows"?: 1, "times"?: 1}: after this page of a walk, its first rows are newly updated
        profiles          {"sales": {"url": "…", "method": "JSON", …}} (`postbacks.Profile`): replaces those there are
        send_postbacks    {"profile"?: "sales", "duplicates"?: 1, "shuffled"?: true, "limit"?: 50, "skip"?: 0}: the batch of what happened since the last one
    GET  /__truth    what the account holds: `shop.truth()`

and answers with what it did, or 400 and what is wrong; parts before the wrong one have then been done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import httpx
import msgspec

from local.fakes.fake import Answer, Control, Request, Route, Vendor
from local.fakes.konnektive import postbacks
from local.fakes.konnektive.model import Customer, Order, Purchase, Record, Table
from local.fakes.konnektive.postbacks import Profile
from local.fakes.konnektive.rows import Quirks, Renderer
from local.fakes.konnektive.shop import ACCOUNT_ZONE, HappeningRefused, Shop, days_later
from local.fakes.konnektive.truth import Booking

LOGIN: Final = "local"
PASSWORD: Final = "local-konnektive-password"

DEFAULT_PAGE: Final = 25
LARGEST_PAGE: Final = 200
_REMEMBERED_SEARCHES: Final = 8

_DATE_FORMATS: Final = ("%m/%d/%Y", "%m/%d/%y", "%Y-%m-%d")
_MISSING: Final = "is a required field"

Stream = Literal["order", "customer", "purchase", "transactions", "fulfillment"]
_Positive = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class _New(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seed: int = 1
    zone: str = ACCOUNT_ZONE
    second_currency: str = "JPY"


class _Grow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    customers: _Positive
    months: Annotated[int, msgspec.Meta(ge=1, le=240)] = 18
    ends_days_ago: Annotated[float, msgspec.Meta(ge=0)] = 0


class _Crowd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    orders: _Positive
    day: date
    customers: Annotated[int, msgspec.Meta(ge=1)] = 1000


class _Permissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    login: bool | msgspec.UnsetType = msgspec.UNSET
    address: str | msgspec.UnsetType | None = msgspec.UNSET
    refused: list[str] | msgspec.UnsetType = msgspec.UNSET


class _Bump(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stream: Stream
    page: int
    rows: Annotated[int, msgspec.Meta(ge=1)] = 1
    times: Annotated[int, msgspec.Meta(ge=0)] = 1


class _SendPostbacks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: str | None = None
    duplicates: _Positive = 0
    shuffled: bool = False
    limit: _Positive | None = None
    skip: _Positive = 0
    """So many are lost."""


class _Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    new: _New | None = None
    grow: _Positive | _Grow | None = None
    crowd: _Crowd | None = None
    play_days: Annotated[float, msgspec.Meta(ge=0, le=4000)] | None = None
    happen: str | list[dict[str, Any]] | None = None
    at: datetime | None = None
    quirks: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    permissions: _Permissions | None = None
    latency_s: Annotated[float, msgspec.Meta(ge=0, le=300)] | None = None
    bump: _Bump | None = None
    profiles: dict[str, Profile] | None = None
    send_postbacks: _SendPostbacks | None = None


class _Refused(Exception):
    """The API says ERROR. `message` is text, or field → text."""

    def __init__(self, message: str | dict[str, str]) -> None:
        super().__init__(message)
        self.message = message


class Konnektive(Vendor):
    """An account over `shop`, empty if none is given. `send` carries postbacks out."""

    name = "konnektive"

    def __init__(self, shop: Shop | None = None, *, send: postbacks.Send = postbacks.send) -> None:
        self._send = send
        self._begin(shop or Shop())

    def _begin(self, shop: Shop) -> None:
        self.shop = shop
        self.render = Renderer(Quirks())
        self._login = True
        self._address: str | None = None
        self._endpoints_refused: frozenset[str] = frozenset()
        self._latency_s = 0.0
        self._bump: _Bump | None = None
        self._profiles: dict[str, Profile] = {}
        self._told: dict[str, int] = {}
        self._found: dict[tuple[Any, ...], tuple[int, list[Any]]] = {}

    def forget(self) -> None:
        self._begin(Shop())

    def state(self) -> Any:
        return self.shop.truth()

    def routes(self) -> Sequence[Route]:
        endpoints: Mapping[str, Callable[[dict[str, str], Request], Any]] = {
            "order/query": lambda sent, request: self._query("order", sent, request),
            "customer/query": lambda sent, request: self._query("customer", sent, request),
            "purchase/query": lambda sent, request: self._query("purchase", sent, request),
            "transactions/query": lambda sent, request: self._query("transactions", sent, request),
            "fulfillment/query": lambda sent, request: self._query("fulfillment", sent, request),
            "transactions/summary": lambda sent, _: self._summary(sent),
            "campaign/query": lambda sent, _: self._campaigns(sent),
            "product/query": lambda sent, _: self._products(sent),
            "customer/history": lambda sent, _: self._history(sent),
        }
        return [
            Route(("GET", "POST"), f"/{endpoint}{slash}", lambda request, endpoint=endpoint, answer=answer: self._answer(endpoint, answer, request))  # type: ignore[misc]
            for endpoint, answer in endpoints.items()
            for slash in ("", "/")
        ]

    def controls(self) -> Sequence[Control]:
        return [Control("POST", "/__shop", self._control), Control("GET", "/__truth", lambda _: Answer.json(self.shop.truth()))]

    def unknown(self, status: HTTPStatus) -> Answer:
        page = f"<html><head><title>{status.value} {status.phrase}</title></head><body><h1>{status.phrase}</h1></body></html>"
        return Answer(status=status, headers={"content-type": "text/html"}, body=page.encode())

    # ------------------------------------------------------------------ the API

    def _answer(self, endpoint: str, answer: Callable[[dict[str, str], Request], Any], request: Request) -> Answer:
        sent = request.sent
        try:
            self._admit(endpoint, sent)
            said = {"result": "SUCCESS", "message": answer(sent, request)}
        except _Refused as refusal:
            said = {"result": "ERROR", "message": refusal.message}
        headers = {"content-type": self.render.quirks.content_type}
        return Answer(headers=headers, body=json.dumps(said, ensure_ascii=False).encode(), delay_s=self._latency_s)

    def _admit(self, endpoint: str, sent: Mapping[str, str]) -> None:
        if not self._login or (sent.get("loginId"), sent.get("password")) != (LOGIN, PASSWORD):
            raise _Refused("Invalid login credentials")
        if self._address is not None:
            raise _Refused(f"IP must be whitelisted - {self._address}")
        if endpoint in self._endpoints_refused:
            raise _Refused("API user does not have access to this endpoint")

    def _query(self, stream: Stream, sent: Mapping[str, str], request: Request) -> Any:
        things, ids = _STREAMS[stream]
        window = self._window(sent, required=not any(sent.get(name) for name in ids))
        by = self._date_field(stream, sent.get("dateRangeType") or "dateCreated")
        found = self._search(stream, sent, window, by)
        size, page = _page(sent)
        total = len(found)
        start = (page - 1) * size
        if self.render.quirks.repeat_page == page > 1:
            start -= size
        records = found[start : start + size]
        how = self.render.quirks.empty if not total else self.render.quirks.past_end
        if not records and how == "error":
            raise _Refused(_nothing(things))
        custom_fields = sent.get("includeCustomFields") == "1"
        message = self._envelope(total, size, page, [self.render.row(record, custom_fields=custom_fields) for record in records])
        if stream == "fulfillment":
            args = {"page": page, "sortDir": int(sent.get("sortDir") == "1"), "resultsPerPage": size, "sortBy": "dateCreated"}
            message |= {"params": None, "errors": None, "sortBy": "dateCreated", "sortDir": args["sortDir"], "queryArgs": args}
        self._after_page(stream, page, records, request.at)
        return message

    def _envelope(self, total: int, size: int, page: int, data: Any) -> dict[str, Any]:
        quirks = self.render.quirks
        count: Callable[[int], Any] = str if quirks.counts_as_text else int
        return {"totalResults": count(total), "resultsPerPage": count(size), "page": str(page) if quirks.page_as_text else page, "data": data}

    def _after_page(self, stream: Stream, page: int, records: Sequence[Record], at: datetime) -> None:
        bump = self._bump
        if bump is None or (bump.stream, bump.page) != (stream, page):
            return
        self._bump = None if bump.times == 1 else msgspec.structs.replace(bump, times=bump.times - 1)
        for record in records[: bump.rows]:
            self.shop.touch(record, at)

    def _search(self, stream: Stream, sent: Mapping[str, str], window: tuple[str, str] | None, by: str) -> list[Any]:
        """All that fits, in order. Remembered for the next pages, until a record of the stream changes."""
        table = self._table(stream)
        readers = {**_FILTERS[stream], "emailAddress": _email}
        filters = tuple(sorted((name, value) for name, value in sent.items() if (name in readers or name in _INDEXED) and value))
        ascending = sent.get("sortDir") == "1"
        key = (stream, window, by, filters, ascending)
        # A filter on the buyer reads another table.
        version = table.version if stream == "customer" else table.version + self.shop.customers.version
        if key in self._found and self._found[key][0] == version:
            return self._found[key][1]
        records = self._candidates(stream, table, dict(filters), window, by)
        for name, value in filters:
            if (read := readers.get(name)) is not None:
                wanted = {one.strip().casefold() for one in value.split(",")}
                records = [record for record in records if str(read(record)).casefold() in wanted]
        found = sorted(records, key=_in_order, reverse=not ascending)
        if len(self._found) >= _REMEMBERED_SEARCHES:
            del self._found[next(iter(self._found))]
        self._found[key] = (version, found)
        return found

    def _candidates(self, stream: Stream, table: Table[Any], filters: Mapping[str, str], window: tuple[str, str] | None, by: str) -> Iterable[Any]:
        named = {name: filters[name] for name in _INDEXED if name in filters}
        if not named:
            assert window is not None
            first, last = window[0][:10], window[1][:10]
            match by:
                case "dateCreated":
                    records: Iterable[Any] = table.within(table.by_created, first, last)
                case "dateUpdated":
                    records = table.within(table.by_updated, first, last)
                case _:
                    records = table.rows.values()
        else:
            records = [record for record in self._by_ids(stream, named) if record is not None]
        if window is None:
            return records
        read = _DATES[by]
        return [record for record in records if (when := read(record)) is not None and window[0] <= when.ljust(19, "~") and when <= window[1]]

    def _by_ids(self, stream: Stream, named: Mapping[str, str]) -> Iterable[Any]:
        """Records that all the ids lead to."""
        shop = self.shop
        sets: list[list[Any]] = []
        for name, value in named.items():
            match name:
                case "orderId":
                    order = shop.orders.rows.get(value)
                    sets.append(_of_order(stream, order) if order else [])
                case "customerId":
                    customer = shop.customers.rows.get(int(value)) if value.isdecimal() else None
                    sets.append(
                        [customer]
                        if stream == "customer" and customer
                        else [one for order in customer.orders for one in _of_order(stream, order)]
                        if customer
                        else []
                    )
                case "purchaseId":
                    purchase = shop.purchases.rows.get(value)
                    sets.append(
                        []
                        if purchase is None
                        else [purchase]
                        if stream == "purchase"
                        else list(purchase.transactions)
                        if stream == "transactions"
                        else [purchase.order]
                    )
                case "transactionId":
                    transaction = shop.transactions.rows.get(int(value)) if value.isdecimal() else None
                    sets.append([transaction] if transaction and stream == "transactions" else [])
        first, *rest = sets
        return [record for record in first if all(any(record is other for other in others) for others in rest)]

    def _table(self, stream: Stream) -> Table[Any]:
        shop = self.shop
        tables: Mapping[Stream, Table[Any]] = {
            "order": shop.orders,
            "customer": shop.customers,
            "purchase": shop.purchases,
            "transactions": shop.transactions,
            "fulfillment": shop.fulfillments,
        }
        return tables[stream]

    def _window(self, sent: Mapping[str, str], *, required: bool) -> tuple[str, str] | None:
        """The first and the last second, as the account's clock shows them."""
        missing = {name: _MISSING for name in ("startDate", "endDate") if not sent.get(name)}
        if missing and required:
            raise _Refused(missing)
        if missing:
            return None
        first, last = (_day(name, sent[name]) for name in ("startDate", "endDate"))
        times = self.render.quirks.times
        start = f"{sent['startTime']}:00" if times and sent.get("startTime") else "00:00:00"
        end = f"{sent['endTime']}:59" if times and sent.get("endTime") else "23:59:59"
        return f"{first} {start}", f"{last} {end}"

    @staticmethod
    def _date_field(stream: Stream, asked: str) -> str:
        if asked in ("dateCreated", "dateUpdated") or (stream, asked) in (("customer", "mostRecentActivity"), ("purchase", "nextBillDate")):
            return asked
        raise _Refused({"dateRangeType": "is not a valid option"})

    def _summary(self, sent: Mapping[str, str]) -> Any:
        kind = sent.get("reportType")
        if kind not in ("date", "campaign"):
            raise _Refused({"reportType": _MISSING if not kind else "is not a valid option"})
        window = self._window(sent, required=True)
        assert window is not None
        first, last = window[0][:10], window[1][:10]
        campaigns = {one.strip() for one in sent.get("campaignId", "").split(",") if one.strip()}
        rows: dict[tuple[Any, str], Booking] = {}
        for (day, currency, campaign), booking in sorted(self.shop.ledger.booked.items()):
            if first <= day <= last and (not campaigns or str(campaign) in campaigns):
                rows.setdefault((day if kind == "date" else campaign, currency), Booking()).add(booking)
        if not rows and self.render.quirks.empty == "error":
            raise _Refused(_nothing("records"))
        names = {campaign.id: campaign.name for campaign in self.shop.campaigns}
        return [
            self.render.summary(booking, currency, {"date": of} if kind == "date" else {"campaignId": of, "campaignName": names[of]})
            for (of, currency), booking in rows.items()
        ]

    def _campaigns(self, sent: Mapping[str, str]) -> Any:
        found = [campaign for campaign in self.shop.campaigns if sent.get("campaignId") in (None, "", str(campaign.id))]
        size, page = _page(sent)
        shown = found[(page - 1) * size : page * size]
        if not shown:
            raise _Refused(_nothing("campaigns"))
        return self._envelope(len(found), size, page, {str(campaign.id): self.render.campaign(campaign) for campaign in shown})

    def _products(self, sent: Mapping[str, str]) -> Any:
        rows = [
            {
                "productId": product.product,
                "productName": product.name,
                "productSku": product.sku,
                "price": self.render.money(product.price, campaign.currency),
                "productType": "OFFER" if product in campaign.offers else "UPSALE",
            }
            for campaign in self.shop.campaigns
            if sent.get("campaignId") in (None, "", str(campaign.id))
            for product in campaign.products
            if sent.get("productId") in (None, "", str(product.product))
        ]
        size, page = _page(sent)
        if not (shown := rows[(page - 1) * size : page * size]):
            raise _Refused(_nothing("products"))
        return self._envelope(len(rows), size, page, shown)

    def _history(self, sent: Mapping[str, str]) -> Any:
        """The least that there is to it: what happened to one customer."""
        if not sent.get("customerId"):
            raise _Refused({"customerId": _MISSING})
        rows = [
            {"customerId": happening.customer.id, "dateCreated": happening.at, "messageType": happening.kind}
            for happening in self.shop.happenings
            if str(happening.customer.id) == sent["customerId"]
        ]
        size, page = _page(sent)
        if not (shown := rows[(page - 1) * size : page * size]):
            raise _Refused(_nothing("records"))
        return self._envelope(len(rows), size, page, shown)

    # ------------------------------------------------------------------ being moved

    def _control(self, request: Request) -> Answer | Callable[[], Answer]:
        try:
            command = msgspec.json.decode(request.body, type=_Command)
            done = self._do(command, request.at)
            outbox = None if command.send_postbacks is None else self._outbox(command.send_postbacks)
        except (msgspec.DecodeError, msgspec.ValidationError, HappeningRefused) as error:
            return Answer.json({"error": str(error)}, status=400)
        if outbox is None:
            return Answer.json(done)
        return lambda: Answer.json({**done, "send_postbacks": self._sent(outbox)})

    def _do(self, command: _Command, now: datetime) -> dict[str, Any]:
        done: dict[str, Any] = {}
        if command.new is not None:
            try:
                self.shop = Shop(seed=command.new.seed, zone=command.new.zone, second_currency=command.new.second_currency)
            except (LookupError, ValueError) as error:
                raise HappeningRefused(f"new: {error}") from error
            self._found.clear()
            self._told = dict.fromkeys(self._profiles, 0)
        if command.grow is not None:
            grow = command.grow if isinstance(command.grow, _Grow) else _Grow(customers=command.grow)
            self.shop.grow(customers=grow.customers, months=grow.months, now=now - timedelta(days=grow.ends_days_ago))
            done["grow"] = {"customers": len(self.shop.customers), "orders": len(self.shop.orders), "transactions": len(self.shop.transactions)}
        if command.crowd is not None:
            self.shop.crowd(orders=command.crowd.orders, day=command.crowd.day, customers=command.crowd.customers)
            done["crowd"] = {"orders": len(self.shop.orders)}
        if command.play_days is not None:
            self.shop.play(days_later(self.shop, command.play_days) if self.shop.now else now)
            done["play_days"] = {"now": self.shop.local(self.shop.now)}
        if command.happen is not None:
            things = [{"what": command.happen}] if isinstance(command.happen, str) else command.happen
            done["happen"] = [self.shop.happen(str(thing.get("what")), at=_aware(command.at) or now, about=_without_what(thing)) for thing in things]
        if command.quirks is not msgspec.UNSET:
            own = msgspec.to_builtins(self.render.quirks) if command.quirks else {}
            self.render = Renderer(msgspec.convert({**own, **(command.quirks or {})}, Quirks))
        if command.permissions is not None:
            self._permit(command.permissions)
        if command.latency_s is not None:
            self._latency_s = command.latency_s
        if command.bump is not None:
            self._bump = command.bump if command.bump.times else None
        if command.profiles is not None:
            self._profiles = command.profiles
            self._told = dict.fromkeys(command.profiles, len(self.shop.happenings))
        return {"ok": True, **done}

    def _permit(self, permissions: _Permissions) -> None:
        if permissions.login is not msgspec.UNSET:
            self._login = permissions.login
        if permissions.address is not msgspec.UNSET:
            self._address = permissions.address
        if permissions.refused is not msgspec.UNSET:
            endpoints = {route.path.strip("/") for route in self.routes()}
            refused = [endpoint.strip("/") for endpoint in permissions.refused]
            if unknown := sorted(set(refused) - endpoints):
                raise HappeningRefused(f"permissions.refused: {unknown[0]} is none of {', '.join(sorted(endpoints))}")
            self._endpoints_refused = frozenset(refused)

    def _outbox(self, command: _SendPostbacks) -> list[tuple[str, postbacks.Postback]]:
        """What is to be sent now: rendered here, with the record as it stands."""
        if command.profile is not None and command.profile not in self._profiles:
            raise HappeningRefused(f"send_postbacks.profile: there is none of this name; {', '.join(sorted(self._profiles)) or 'there are none at all'}")
        outbox = []
        for name in self._profiles if command.profile is None else [command.profile]:
            start = self._told[name]
            happenings = self.shop.happenings[start:] if command.limit is None else self.shop.happenings[start : start + command.limit]
            self._told[name] = start + len(happenings)
            made = postbacks.batch(
                happenings[command.skip :], self._profiles[name], self.render, duplicates=command.duplicates, shuffled=command.shuffled, seed=start
            )
            outbox += [(name, one) for one in made]
        return outbox

    def _sent(self, outbox: Iterable[tuple[str, postbacks.Postback]]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        for name, postback in outbox:
            try:
                results.append({"profile": name, "status": self._send(postback)})
            except httpx.HTTPError as error:
                results.append({"profile": name, "status": None, "error": type(error).__name__})
        return results


_STREAMS: Final[Mapping[Stream, tuple[str, tuple[str, ...]]]] = {
    "order": ("orders", ("orderId", "customerId")),
    "customer": ("customers", ("customerId",)),
    "purchase": ("purchases", ("purchaseId", "orderId", "customerId")),
    "transactions": ("transactions", ("orderId", "purchaseId", "customerId", "transactionId")),
    "fulfillment": ("fulfillments", ("orderId", "customerId")),
}
"""What an empty answer calls them, and the ids one of which stands for a window."""

_INDEXED: Final = ("orderId", "customerId", "purchaseId", "transactionId")


def _owner(record: Any) -> Customer:
    if isinstance(record, Customer):
        return record
    owner = record.customer if isinstance(record, (Order, Purchase)) else record.order.customer
    assert isinstance(owner, Customer)
    return owner


def _email(record: Any) -> str:
    return _owner(record).email


_FILTERS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "order": {"orderStatus": lambda order: order.status, "orderType": lambda order: order.type, "campaignId": lambda order: order.campaign.id},
    "customer": {"campaignId": lambda customer: customer.campaign.id},
    "purchase": {"status": lambda purchase: purchase.status, "campaignId": lambda purchase: purchase.order.campaign.id},
    # The vendor ignores orderType here.
    "transactions": {
        "txnType": lambda transaction: transaction.type,
        "responseType": lambda transaction: transaction.response,
        "isChargedback": lambda transaction: int(transaction.chargeback is not None),
    },
    "fulfillment": {"status": lambda fulfillment: fulfillment.status},
}
"""Beside the ids and the email, by stream. A comma stands between values of which one has to fit; what is not here is ignored."""

_DATES: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "dateCreated": lambda record: str(record.created),
    "dateUpdated": lambda record: str(record.updated),
    "mostRecentActivity": lambda record: str(record.active),
    "nextBillDate": lambda record: None if record.next_bill is None else str(record.next_bill),
}


def _in_order(record: Any) -> tuple[str, int]:
    return record.created, record.id if isinstance(record, Customer) else record.number


def _of_order(stream: Stream, order: Order) -> list[Any]:
    match stream:
        case "order":
            return [order]
        case "customer":
            return [order.customer]
        case "purchase":
            return list({id(item.purchase): item.purchase for item in order.items if item.purchase is not None and item.purchase.order is order}.values())
        case "transactions":
            return list(order.transactions)
        case "fulfillment":
            return list(order.fulfillments)


def _page(sent: Mapping[str, str]) -> tuple[int, int]:
    """Rows a page and the page's number; more than the most is silently the most."""
    numbers = {}
    for name, default in (("resultsPerPage", DEFAULT_PAGE), ("page", 1)):
        text = sent.get(name) or str(default)
        if not text.isdecimal() or int(text) < 1:
            raise _Refused({name: "must be a positive number"})
        numbers[name] = int(text)
    return min(numbers["resultsPerPage"], LARGEST_PAGE), numbers["page"]


def _day(name: str, text: str) -> str:
    """YYYY-MM-DD of a date in one of the vendor's forms; a time behind it is ignored."""
    stated = text.strip().split(" ")[0].split("T")[0]
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(stated, form).date().isoformat()  # noqa: DTZ007  # a day of the account's calendar
        except ValueError:
            continue
    raise _Refused({name: "is not a valid date"})


def _nothing(things: str) -> str:
    return f"No {things} matching those parameters could be found"


def _aware(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)


def _without_what(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in thing.items() if name != "what"}
