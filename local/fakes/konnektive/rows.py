"""The rows that the API shows of the records, with the vendor's habits: numbers as text, one field of two types, a list where a map was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from local.fakes.konnektive.catalogue import MINOR_UNITS, SYMBOLS, Attribution, Campaign
from local.fakes.konnektive.model import Customer, Fulfillment, Item, Order, Purchase, Record, Transaction
from local.fakes.konnektive.truth import Booking

PLANTED: Final = ("planted-shop-password", "planted-account-number", "planted-routing-number")
"""What may stand in an ordinary row and must never be kept: a test looks for it everywhere."""

Mixed = Literal["mixed", "always", "never"]


class Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Each as it is by default. "mixed": now this way, now that, always the same for one row."""

    content_type: str = "text/html; charset=UTF-8"
    page_as_text: bool = False
    """`page` of the envelope."""
    counts_as_text: bool = False
    """`totalResults` and `resultsPerPage`."""
    empty: Literal["error", "success"] = "error"
    past_end: Literal["error", "success"] = "error"
    """What a page behind the last is; success has no rows."""
    times: bool = False
    """Whether startTime and endTime narrow a window."""
    repeat_page: int = 0
    """This page shows the rows of the one before it."""
    items: Literal["mixed", "object", "list", "missing"] = "mixed"
    """Mixed: an object, and of an order without items now [], now null, now nothing. Missing: no order has the key."""
    customer_id_as_text: Mixed = "mixed"
    chargeback_as_text: Mixed = "mixed"
    """Of a transaction; inside a purchase it is always text."""
    numbers_as_text: bool = False
    """Every number of a row."""
    custom_fields: Literal["object", "list", "text"] = "object"
    two_decimals: bool = True
    """Also for a currency that has none: "1200.00" yen."""
    current_email: bool = True
    """An order and a transaction show the buyer as he is now; else the email of that time."""
    spaced_statuses: bool = False
    """`Recycle Billing` instead of `RECYCLE_BILLING`."""
    secrets: bool = True
    """`PLANTED` in the rows."""
    unknown_fields: bool = False
    """Each row has a key that no page of the vendor's names."""


class Renderer:
    def __init__(self, quirks: Quirks) -> None:
        self.quirks = quirks

    def row(self, record: Record, *, custom_fields: bool = False) -> dict[str, Any]:
        match record:
            case Order():
                row = self._order(record)
            case Customer():
                row = self._customer(record)
            case Transaction():
                row = self._transaction(record)
            case Purchase():
                row = self._purchase(record)
            case Fulfillment():
                row = self._fulfillment(record)
            case _:
                raise TypeError(type(record).__name__)
        if custom_fields or isinstance(record, Customer):
            customer = record if isinstance(record, Customer) else record.customer if isinstance(record, (Order, Purchase)) else record.order.customer
            row["customFields"] = self._custom(customer.custom)
        if self.quirks.unknown_fields:
            row["somethingNew"] = {"kind": "unheard of"}
        if self.quirks.numbers_as_text:
            row = {name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value for name, value in row.items()}
        return row

    def money(self, amount: int, currency: str) -> str:
        units = MINOR_UNITS[currency]
        text = str(amount) if units == 0 else f"{amount // 10**units}.{amount % 10**units:0{units}d}"
        return f"{text}.00" if units == 0 and self.quirks.two_decimals else text

    def campaign(self, campaign: Campaign) -> dict[str, Any]:
        return {
            "campaignId": campaign.id,
            "campaignName": campaign.name,
            "campaignType": campaign.type,
            "countries": [{"countryCode": campaign.country}],
            "coupons": [],
            "products": [
                {
                    "campaignProductId": product.campaign_product,
                    "productId": product.product,
                    "productName": f"({product.product}) {product.name}",
                    "price": self.money(product.price, campaign.currency),
                }
                for product in campaign.products
            ],
        }

    def summary(self, booking: Booking, currency: str, names: Mapping[str, Any]) -> dict[str, Any]:
        def money(amount: int) -> str:
            return f"-{self.money(-amount, currency)}" if amount < 0 else self.money(amount, currency)

        gross = booking.sales_amount + booking.rebills_amount
        return {
            **names,
            "newSaleCnt": booking.sales,
            "newSaleRev": money(booking.sales_amount),
            "rebillCnt": booking.rebills,
            "rebillRev": money(booking.rebills_amount),
            "rebillDeclinesCnt": booking.rebill_declines,
            "rebillApprovedPerc": _percent(booking.rebills, booking.rebills + booking.rebill_declines),
            "declinesCnt": booking.declines,
            "approvedPerc": _percent(booking.sales, booking.sales + booking.declines),
            "totalDeclinePerc": _percent(
                booking.declines + booking.rebill_declines, booking.sales + booking.rebills + booking.declines + booking.rebill_declines
            ),
            "refundCnt": booking.refunds,
            "refundRev": money(booking.refunds_amount),
            "refundPerc": _percent(booking.refunds_amount, gross),
            "chargebackCnt": booking.chargebacks,
            "chargebackRev": money(booking.chargebacks_amount),
            "chargebackPerc": _percent(booking.chargebacks_amount, gross),
            "salesTax": money(booking.tax),
            "surcharge": money(0),
            "grossRevenue": money(gross),
            "netRevenue": money(gross - booking.refunds_amount - booking.chargebacks_amount),
            "expenses": money(0),
            "expenseDetails": [],
            "currencySymbol": SYMBOLS[currency],
        }

    # ------------------------------------------------------------------ one kind each

    def _order(self, order: Order) -> dict[str, Any]:
        currency = order.currency
        paid = order.status != "PARTIAL"
        price = sum(item.price for item in order.items)
        discount = sum(item.discount for item in order.items)
        shipping = self.money(sum(item.shipping for item in order.items), currency)
        customer = order.customer
        row = {
            "orderId": order.id,
            "actualOrderId": order.number,
            "clientOrderId": order.id,
            "externalOrderId": None,
            "orderType": order.type,
            "orderStatus": order.status,
            "isDeclineSave": int(order.decline_save),
            "hasUpsell": any(item.upsell for item in order.items),
            "dateCreated": order.created,
            "dateUpdated": order.updated,
            "customerId": self._customer_id(customer, order.number),
            **self._buyer(customer, order.email),
            "name": f"{customer.first_name} {customer.last_name}",
            **_ship_to(customer),
            "totalAmount": self.money(order.total, currency) if paid else None,
            "price": self.money(price, currency),
            "baseShipping": shipping,
            "shippingCost": shipping,
            "shipUpcharge": self.money(0, currency),
            "surcharge": self.money(0, currency),
            "salesTax": self.money(sum(item.tax for item in order.items), currency),
            "discountPrice": self.money(discount, currency),
            "totalDiscount": self.money(discount, currency),
            "refundRemaining": self.money(order.refundable, currency),
            "productCost": self.money(0, currency),
            "currencyCode": currency,
            "currencySymbol": SYMBOLS[currency],
            "couponCode": order.coupon,
            "campaignId": order.campaign.id,
            "campaignName": order.campaign.name,
            "salesUrl": f"https://shop.example/{order.campaign.id}/checkout",
            **(_card(customer) if paid else {"paySource": None, "cardType": None, "cardLast4": None}),
            **_attribution(order.attribution),
            **{f"custom{index + 1}": value for index, value in enumerate(order.custom)},
            "agentName": None,
            "agentUserId": None,
            "fulfillments": [self._fulfillment(fulfillment) for fulfillment in order.fulfillments],
            "shipCarrier": "UPS" if order.fulfillments else None,
            "shipMethod": "GROUND" if order.fulfillments else None,
        }
        if self.quirks.secrets:
            row |= {"eCommercePassword": PLANTED[0], "achAccountNumber": PLANTED[1], "achRoutingNumber": PLANTED[2]}
        return row | self._items(order)

    def _items(self, order: Order) -> dict[str, Any]:
        quirk = self.quirks.items
        if quirk == "missing" or (quirk == "mixed" and not order.items and order.number % 3 == 0):
            return {}
        values = [self._item(order, item) for item in order.items]
        if quirk == "list":
            return {"items": values}
        if not values:
            # PHP writes an empty map as an empty list.
            return {"items": None if quirk == "mixed" and order.number % 3 == 1 else []}
        # The keys mean nothing to rely on: here the place of the product, there the product.
        return {"items": {(str(index) if order.number % 2 else value["productId"]): value for index, value in enumerate(values)}}

    def _item(self, order: Order, item: Item) -> dict[str, Any]:
        purchase, currency = item.purchase, order.currency
        # How the subscription stands is shown, and kept up to date, by the order that it came from alone.
        now = purchase if purchase is not None and purchase.order is order else None
        response = next((transaction.response for transaction in reversed(order.transactions) if item in transaction.items), None)
        return {
            "productId": str(item.product.campaign_product),
            "actualProductId": str(item.product.product),
            "orderItemId": str(item.id),
            "name": item.product.name,
            "productDescription": "",
            "productSku": item.product.sku,
            "variantDetailId": None,
            "externalProductId": None,
            "qty": "1",
            "price": self.money(item.price, currency),
            "shipping": self.money(item.shipping, currency),
            "salesTax": self.money(item.tax, currency),
            "productType": "UPSALE" if item.upsell else "OFFER",
            "txnType": "SALE",
            "responseType": response,
            "purchaseId": purchase.id if purchase else "",
            "purchaseStatus": self._status(now.status) if now else "",
            "nextBillDate": now.next_bill if now else "",
            "pauseScheduled": int(now.pause_scheduled) if now else 0,
            "cancellationScheduled": int(now.cancel_scheduled) if now else 0,
        }

    def _transaction(self, transaction: Transaction) -> dict[str, Any]:
        order, customer = transaction.order, transaction.order.customer
        currency, number = order.currency, transaction.number
        amount, day, code, note = transaction.chargeback or (None, None, None, None)
        as_text = self._either(self.quirks.chargeback_as_text, number % 4 == 0)
        refund_of = transaction.items[0] if transaction.type == "REFUND" and len(transaction.items) == 1 else None
        return {
            "transactionId": number,
            "actualOrderId": order.number,
            "orderId": order.id,
            "clientOrderId": order.id,
            "clientTxnId": transaction.id,
            "merchantTxnId": f"gw-{number}",
            "parentTxnId": transaction.parent.number if transaction.parent else None,
            "customerId": self._customer_id(customer, number),
            "txnType": transaction.type,
            "responseType": transaction.response,
            "responseText": transaction.text,
            "orderType": order.type,
            "billingCycleNumber": transaction.cycle,
            "recycleNumber": transaction.recycle,
            "cascadeId": None,
            "totalAmount": self.money(transaction.amount, currency),
            "surcharge": self.money(0, currency),
            "currencyCode": currency,
            "currencySymbol": SYMBOLS[currency],
            **_card(customer),
            "paySource": transaction.pay_source,
            "cardBin": customer.card[1],
            "authCode": f"{number % 1_000_000:06d}",
            "merchant": transaction.merchant[1],
            "merchantId": transaction.merchant[0],
            "merchantDescriptor": transaction.merchant[2],
            "isChargedback": str(int(day is not None)) if as_text else int(day is not None),
            "chargebackAmount": None if amount is None else self.money(amount, currency),
            "chargebackDate": day,
            "chargebackReasonCode": code,
            "chargebackNote": note,
            "refundReason": transaction.reason if transaction.type == "REFUND" else None,
            "refundItemId": refund_of.id if refund_of else None,
            "refundProductName": refund_of.product.name if refund_of else None,
            "campaignId": str(order.campaign.id),
            "campaignName": order.campaign.name,
            "campaignCategoryName": None,
            **_attribution(order.attribution),
            **{f"custom{index + 1}": value for index, value in enumerate(order.custom)},
            **self._buyer(customer, order.email),
            "orderAgentName": None,
            "dateCreated": transaction.created,
            "dateUpdated": transaction.updated,
        }

    def _purchase(self, purchase: Purchase) -> dict[str, Any]:
        customer, currency, product = purchase.customer, purchase.order.currency, purchase.product
        latest = purchase.transactions[-1] if purchase.transactions else None
        row = {
            "purchaseId": purchase.id,
            "actualPurchaseId": purchase.number,
            "orderId": purchase.order.id,
            "customerId": self._customer_id(customer, purchase.number),
            "campaignId": purchase.order.campaign.id,
            "productId": product.campaign_product,
            "actualProductId": product.product,
            "productName": product.name,
            "displayName": product.name,
            "productSku": product.sku,
            "productQty": 1,
            "price": self.money(purchase.recurring, currency),
            "shippingPrice": self.money(0, currency),
            "currencyCode": currency,
            "currencySymbol": SYMBOLS[currency],
            "totalBilled": self.money(purchase.billed, currency),
            "totalRefunded": self.money(purchase.refunded, currency),
            "status": self._status(purchase.status),
            "billingCycleType": "RECURRING",
            "billingCycleNumber": purchase.cycle,
            "billingIntervalDays": product.interval_days,
            "finalBillingCycle": product.final_cycle,
            "fulfillmentCycleNumber": purchase.cycle,
            "recycleBillingNumber": purchase.recycle,
            "nextBillDate": purchase.next_bill,
            "pauseScheduled": int(purchase.pause_scheduled),
            "cancellationScheduled": int(purchase.cancel_scheduled),
            "cancelReason": purchase.cancel_reason,
            "lastCancellationDate": purchase.cancelled_at,
            "merchant": latest.merchant[1] if latest and latest.pay_source == "CREDITCARD" else "",
            "merchantId": str(latest.merchant[0]) if latest else None,
            "descriptor": latest.merchant[2] if latest else None,
            "affId": purchase.order.attribution.affiliate,
            "cardBin": customer.card[1],
            "cardLast4": customer.card[2],
            "cardExpiryDate": customer.card[3],
            **self._buyer(customer, purchase.order.email),
            **_ship_to(customer),
            "fulfillments": [],
            "transactions": [self._nested(transaction) for transaction in purchase.transactions if transaction.type in ("SALE", "CAPTURE")],
            "dateCreated": purchase.created,
            "dateUpdated": purchase.updated,
        }
        if purchase.number % 3 == 0:
            del row["address2"]
        return row

    def _nested(self, transaction: Transaction) -> dict[str, Any]:
        currency = transaction.order.currency
        row: dict[str, Any] = {
            "txnDate": transaction.created,
            "totalAmount": self.money(transaction.amount, currency),
            "amountRefunded": self.money(transaction.refunded, currency),
            "responseType": transaction.response,
            "responseText": transaction.text,
            "isChargedback": "1" if transaction.chargeback else "0",
            "paySource": transaction.pay_source,
            "merchant": transaction.merchant[1],
            "descriptor": transaction.merchant[2],
        }
        if transaction.chargeback:
            amount, day, code, note = transaction.chargeback
            row |= {"chargebackAmount": self.money(amount, currency), "chargebackDate": day, "chargebackReasonCode": code, "chargebackNote": note}
        return row

    def _customer(self, customer: Customer) -> dict[str, Any]:
        row = {
            "customerId": customer.id,
            **self._buyer(customer, customer.email, always_current=True),
            "gender": None,
            **_ship_to(customer),
            "billShipSame": 1,
            "campaignName": customer.campaign.name,
            "campaignType": customer.campaign.type,
            "emailOptIn": int(customer.email_opt_in),
            "contactOptIn": 0,
            "doNotSellName": 0,
            "isBlacklisted": int(customer.blacklisted),
            "isTaxExempt": 0,
            "creditAmount": "0.00",
            **_card(customer),
            "paySourceId": customer.id,
            "paySources": [],
            "notes": [{"message": "hello"}] if customer.id % 10 == 0 else [],
            "mostRecentActivity": customer.active,
            "dateCreated": customer.created,
            "dateUpdated": customer.updated,
        }
        if self.quirks.secrets:
            row |= {"eCommerceLogin": customer.email, "eCommercePassword": PLANTED[0]}
        return row

    def _fulfillment(self, fulfillment: Fulfillment) -> dict[str, Any]:
        order = fulfillment.order
        return {
            "company": "Sample Warehouse",
            "orderId": order.id,
            "fulfillmentId": fulfillment.number,
            "fulfillmentHouseId": 1,
            "clientFulfillmentId": fulfillment.id,
            "campaignId": str(order.campaign.id),
            "customerId": order.customer.id,
            "status": fulfillment.status,
            "dateCreated": fulfillment.created,
            "dateUpdated": fulfillment.updated,
            "dateExported": fulfillment.created,
            "dateShipped": fulfillment.shipped,
            "dateDelivered": fulfillment.delivered,
            "dateReturned": fulfillment.returned,
            "trackingNumber": fulfillment.tracking,
            "shipCarrier": "UPS" if fulfillment.tracking else None,
            "shipMethod": "GROUND" if fulfillment.tracking else None,
            "responseText": None,
            "rmaNumber": None,
            "isReshipment": 0,
            "items": [
                {
                    "fulfillmentItemId": str(item.id),
                    "name": item.product.name,
                    "sku": item.product.sku,
                    "qty": "1",
                    "status": fulfillment.status,
                    "productId": str(item.product.campaign_product),
                    "rmaNumber": "",
                }
                for item in fulfillment.items
            ],
        }

    # ------------------------------------------------------------------ parts

    def _buyer(self, customer: Customer, email_then: str, *, always_current: bool = False) -> dict[str, Any]:
        return {
            "emailAddress": customer.email if always_current or self.quirks.current_email else email_then,
            "firstName": customer.first_name,
            "lastName": customer.last_name,
            "companyName": None,
            "phoneNumber": customer.phone,
            "ipAddress": customer.ip,
            "address1": customer.street,
            "address2": None,
            "city": customer.city,
            "state": customer.state,
            "country": customer.country,
            "postalCode": customer.postal_code,
        }

    def _custom(self, fields: Mapping[str, str]) -> Any:
        match self.quirks.custom_fields:
            case "object":
                return dict(fields) or []  # PHP's empty map
            case "list":
                return [{"name": name, "value": value} for name, value in fields.items()]
            case "text":
                return ",".join(f"{name}={value}" for name, value in fields.items())

    def _customer_id(self, customer: Customer, number: int) -> int | str:
        return str(customer.id) if self._either(self.quirks.customer_id_as_text, number % 3 == 0) else customer.id

    def _status(self, status: str) -> str:
        return status.replace("_", " ").title() if self.quirks.spaced_statuses else status

    @staticmethod
    def _either(quirk: Mixed, this_one: bool) -> bool:
        return quirk == "always" or (quirk == "mixed" and this_one)


def _card(customer: Customer) -> dict[str, Any]:
    kind, _, last_four, expiry = customer.card
    with_card = customer.pay_source == "CREDITCARD"
    return {
        "paySource": customer.pay_source,
        "cardType": kind if with_card else None,
        "cardLast4": last_four if with_card else None,
        "cardExpiryDate": expiry if with_card else None,
        "cardIsDebit": 0,
        "cardIsPrepaid": 0,
        "prepaidType": None,
        "avsResponse": "Y" if with_card else None,
        "cvvResponse": "M" if with_card else None,
    }


def _ship_to(customer: Customer) -> dict[str, Any]:
    return {
        "shipFirstName": customer.first_name,
        "shipLastName": customer.last_name,
        "shipAddress1": customer.street,
        "shipAddress2": None,
        "shipCity": customer.city,
        "shipState": customer.state,
        "shipCountry": customer.country,
        "shipPostalCode": customer.postal_code,
    }


def _attribution(attribution: Attribution) -> dict[str, Any]:
    names = ("UTMSource", "UTMMedium", "UTMCampaign", "UTMTerm", "UTMContent")
    return {
        "affId": attribution.affiliate,
        "sourceId": attribution.source_id,
        "sourceTitle": attribution.source_title,
        **{f"sourceValue{index + 1}": value for index, value in enumerate(attribution.values)},
        **dict(zip(names, attribution.utm, strict=True)),
        "httpReferer": attribution.referer,
    }


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "0.00"
