"""The account's export profiles: what happened since the last batch, told to a URL in names that the merchant chose, as the record stands when it is sent.

Ids are those of postbacks: `orderId` is the API's actualOrderId, `clientOrderId` its orderId, `purchaseId` its actualPurchaseId, `transactionId` the gateway's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import httpx
import msgspec

from local.fakes.konnektive.model import Happening
from local.fakes.konnektive.rows import Renderer

_TIMEOUT_SECONDS: Final = 10

FIELDS: Final = (
    "customerType",
    "clientOrderId",
    "orderId",
    "clientPurchaseId",
    "purchaseId",
    "originalOrderId",
    "originalClientOrderId",
    "customerId",
    "orderType",
    "orderStatus",
    "responseType",
    "declineReason",
    "dateCreated",
    "dateUpdated",
    "fullName",
    "firstName",
    "lastName",
    "emailAddress",
    "phoneNumber",
    "campaignId",
    "campaignName",
    "affId",
    "sourceId",
    "sourceValue1",
    "sourceValue2",
    "sourceValue3",
    "sourceValue4",
    "sourceValue5",
    "UTMSource",
    "UTMMedium",
    "UTMCampaign",
    "UTMTerm",
    "UTMContent",
    "couponCode",
    "orderTotal",
    "totalShipping",
    "salesTax",
    "currencyCode",
    "paySource",
    "cardType",
    "cardLast4",
    "cardExpiryDate",
    "transactionId",
    "actualTransactionId",
    "clientTxnId",
    "recurringPrice",
    "recurringStatus",
    "billingCycleNumber",
    "nextBillDate",
    "dateRefunded",
    "refundReason",
    "chargebackAmount",
    "chargebackDate",
    "chargebackReasonCode",
    "customFields",
)

_USUAL: Final = ("customerType", "clientOrderId", "orderId", "orderStatus", "emailAddress", "orderTotal")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`fields` maps an export name to one of `FIELDS`; `static` are values that are sent as they are, such as a token; `kinds` are the customer types that
    it is routed, all if none is named."""

    url: Annotated[str, msgspec.Meta(pattern="^https?://")]
    method: Literal["GET", "FORM", "JSON"] = "GET"
    fields: dict[str, str] = msgspec.field(default_factory=lambda: {name: name for name in _USUAL})
    static: dict[str, str] = {}
    headers: dict[str, str] = {}
    kinds: list[str] = []
    casing: Literal["as_named", "odd"] = "as_named"
    """Odd: `clientOrderID`, `customertype`: names typed by hand."""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.fields.values()) - set(FIELDS)):
            raise ValueError(f"fields: {unknown[0]} is not a field of an export")


@dataclass(frozen=True, kw_only=True)
class Postback:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Send = Callable[[Postback], int]
"""Returns the status. An `httpx.HTTPError` is a failed export."""


def send(postback: Postback) -> int:
    answer = httpx.request(postback.method, postback.url, headers=dict(postback.headers), content=postback.body, timeout=_TIMEOUT_SECONDS, trust_env=False)
    return answer.status_code


def batch(happenings: Sequence[Happening], profile: Profile, renderer: Renderer, *, duplicates: int, shuffled: bool, seed: int) -> list[Postback]:
    """One postback for each happening that the profile is routed; the first `duplicates` of them again at the end, all in disorder if `shuffled`."""
    made = [postback(happening, profile, renderer) for happening in happenings if not profile.kinds or happening.kind in profile.kinds]
    made += made[:duplicates]
    if shuffled:
        Random(seed).shuffle(made)
    return made


def postback(happening: Happening, profile: Profile, renderer: Renderer) -> Postback:
    known = values(happening, renderer)
    named: dict[str, Any] = {name: known[field] for name, field in profile.fields.items() if known.get(field) is not None}  # what is unset is left out
    named |= profile.static
    if profile.casing == "odd":
        named = {_odd(name, index): value for index, (name, value) in enumerate(named.items())}
    headers = {"accept": "*/*", "accept-encoding": "gzip, br", **profile.headers}
    if profile.method == "JSON":
        return Postback(method="POST", url=profile.url, headers={**headers, "content-type": "application/json"}, body=json.dumps(named).encode())
    text = urlencode(list(_flat(named)))
    if profile.method == "FORM":
        return Postback(method="POST", url=profile.url, headers={**headers, "content-type": "application/x-www-form-urlencoded"}, body=text.encode())
    return Postback(method="GET", url=f"{profile.url}{'&' if '?' in profile.url else '?'}{text}", headers=headers, body=b"")


def values(happening: Happening, renderer: Renderer) -> dict[str, Any]:
    """What each field is now, of the types that a JSON body has."""
    customer, order, transaction, purchase = happening.customer, happening.order, happening.transaction, happening.purchase
    fields: dict[str, Any] = {
        "customerType": happening.kind,
        "customerId": customer.id,
        "fullName": f"{customer.first_name} {customer.last_name}",
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "emailAddress": customer.email,
        "phoneNumber": customer.phone,
        "customFields": ",".join(customer.custom.values()) or None,
        "dateCreated": happening.at,
    }
    if order is not None:
        partial = order.status == "PARTIAL"
        row = renderer.row(order)
        same = (
            "orderType",
            "orderStatus",
            "dateCreated",
            "dateUpdated",
            "campaignName",
            "affId",
            "sourceId",
            "couponCode",
            "currencyCode",
            "cardType",
            "cardLast4",
        )
        fields |= {name: row[name] for name in same}
        fields |= {name: row[name] for name in row if name.startswith(("UTM", "sourceValue"))}
        month, _, year = customer.card[3].partition("/")
        with_card = customer.pay_source == "CREDITCARD" and not partial
        fields |= {
            "clientOrderId": order.id,
            "orderId": order.number,
            "campaignId": order.campaign.id,
            "orderTotal": 0 if partial else row["totalAmount"],
            "totalShipping": 0 if partial else row["baseShipping"],
            "salesTax": row["salesTax"],
            "paySource": row["paySource"],
            "recurringPrice": "",
            "billingCycleNumber": "ONE_TIME",
            "declineReason": "Unknown Error" if partial else None,
            "cardExpiryDate": {"date": f"{year}-{month}-01 00:00:00.000000", "timezone_type": 3, "timezone": "America/New_York"} if with_card else None,
        }
        refund = next((other for other in reversed(order.transactions) if other.type == "REFUND"), None)
        if refund is not None:
            fields |= {"dateRefunded": refund.created, "refundReason": refund.reason}
    if transaction is not None:
        row = renderer.row(transaction)
        fields |= {name: row[name] for name in ("responseType", "chargebackAmount", "chargebackDate", "chargebackReasonCode", "clientTxnId")}
        fields |= {
            "actualTransactionId": transaction.number,
            "transactionId": f"gw-{transaction.number}",
            # Filled on a success too: no sign of a failure.
            "declineReason": transaction.text if transaction.response != "SUCCESS" else "Requires Capture",
        }
    if purchase is not None:
        fields |= {
            "clientPurchaseId": purchase.id,
            "purchaseId": str(purchase.number),
            "originalOrderId": str(purchase.order.number),
            "originalClientOrderId": purchase.order.id,
            "recurringPrice": renderer.money(purchase.recurring, purchase.order.currency),
            # What the API calls PAUSED.
            "recurringStatus": "INACTIVE" if purchase.status == "PAUSED" else purchase.status,
            "billingCycleNumber": str(transaction.cycle if transaction is not None else purchase.cycle),
            "nextBillDate": purchase.next_bill,
        }
    return fields


def _odd(name: str, index: int) -> str:
    return name.lower() if index % 2 else f"{name[:-2]}ID" if name.endswith("Id") else name.capitalize()


def _flat(values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """As PHP writes a nested value: name[key]=value."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}[{key}]", str(inner)) for key, inner in value.items()]
        else:
            pairs.append((name, str(value)))
    return pairs
