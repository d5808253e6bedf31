"""The KPIs of leads, orders and advertising: name, unit, definition, and the measures that they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tributary.reports.kpis import Kpi, named

ORDER_KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(
        key="net_revenue",
        name="Revenue",
        unit="money",
        definition="What was sold and kept: gross less discounts, tax, shipping, refunds, chargebacks and voids; with tax or shipping where the query includes them.",
        over=("net_revenue",),
    ),
    Kpi(
        key="gross_revenue",
        name="Gross revenue",
        unit="money",
        definition="What was sold before the discount, tax and shipping included, nothing taken off for what was given back.",
        over=("gross_revenue",),
    ),
    Kpi(
        key="sales_revenue",
        name="Sales revenue",
        unit="money",
        definition="Order totals as if fully paid: gross less discounts; tax and shipping included, refunds not taken off.",
        over=("sales_revenue",),
    ),
    Kpi(
        key="collected_revenue",
        name="Collected revenue",
        unit="money",
        definition="Money that came in and stayed: payments received less voids, refunds and chargebacks.",
        over=("collected_revenue",),
    ),
    Kpi(key="discounts", name="Discounts", unit="money", definition="The orders' discounts.", over=("discounts",)),
    Kpi(key="tax", name="Tax", unit="money", definition="The orders' tax, as charged.", over=("tax",)),
    Kpi(key="shipping", name="Shipping", unit="money", definition="The orders' shipping, as charged.", over=("shipping",)),
    Kpi(
        key="refunds",
        name="Refunds",
        unit="money",
        definition="What was refunded of the orders so far, by the date of the order.",
        over=("refunds",),
    ),
    Kpi(
        key="chargebacks",
        name="Chargebacks",
        unit="money",
        definition="What was charged back of the orders so far and was not reversed, by the date of the order.",
        over=("chargebacks",),
    ),
    Kpi(key="voids", name="Voids", unit="money", definition="Payments of the orders that were voided, by the date of the order.", over=("voids",)),
    Kpi(
        key="orders",
        name="Orders",
        unit="number",
        definition="Orders that were sold, rebills included. A model of many touches credits fractions of them.",
        over=("orders",),
    ),
    Kpi(
        key="customers",
        name="Customers",
        unit="count",
        definition="Distinct people with an order that counts. Rows may share people; the total counts each once.",
        over=("customers",),
        adds_up=False,
    ),
    Kpi(
        key="new_customers",
        name="New customers",
        unit="count",
        definition="Distinct people whose first order ever is among those that count.",
        over=("new_customers",),
        adds_up=False,
    ),
    Kpi(
        key="returning_customers",
        name="Returning customers",
        unit="count",
        definition="Distinct people with an order that counts whose first order ever is not among these: customers less new customers.",
        over=("customers", "-new_customers"),
        adds_up=False,
    ),
    Kpi(key="aov", name="Average order value", unit="money", definition="Revenue divided by orders.", over=("net_revenue",), under=("orders",)),
    Kpi(key="customer_value", name="Customer value", unit="money", definition="Revenue divided by customers.", over=("net_revenue",), under=("customers",)),
    Kpi(key="items_sold", name="Items sold", unit="number", definition="Items of the orders, by their quantity.", over=("items_sold",)),
    Kpi(key="items_per_order", name="Items per order", unit="ratio", definition="Items sold divided by orders.", over=("items_sold",), under=("orders",)),
    Kpi(
        key="orders_per_customer",
        name="Orders per customer",
        unit="ratio",
        definition="Orders divided by customers.",
        over=("orders",),
        under=("customers",),
    ),
    Kpi(
        key="repeat_rate",
        name="Repeat rate",
        unit="percent",
        definition="Customers with two or more orders that count, divided by customers.",
        over=("repeat_customers",),
        under=("customers",),
        times=100,
    ),
    Kpi(
        key="refund_rate_count",
        name="Refunded orders",
        unit="percent",
        definition="Orders of which anything was refunded, divided by orders.",
        over=("refunded_orders",),
        under=("orders",),
        times=100,
    ),
    Kpi(
        key="refund_rate_value",
        name="Refund rate",
        unit="percent",
        definition="Refunds (by the date of the order) divided by gross revenue.",
        over=("refunds",),
        under=("gross_revenue",),
        times=100,
    ),
)

LEAD_KPIS: Final[Mapping[str, Kpi]] = named(
    Kpi(
        key="leads",
        name="Leads",
        unit="number",
        definition="People who became known: an event named them for the first time. Not narrowed by what they bought. A model of many touches credits fractions of them.",
        over=("leads",),
    ),
    Kpi(
        key="conversion_rate",
        name="Conversion rate",
        unit="percent",
        definition="Customers divided by leads.",
        over=("customers",),
        under=("leads",),
        times=100,
    ),
    Kpi(key="lead_value", name="Lead value", unit="money", definition="Revenue divided by leads.", over=("net_revenue",), under=("leads",)),
)
