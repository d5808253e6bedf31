"""FACTS of a shop of any size, as the compacted Parquet files that a report reads: the same rows everywhere, for each value is worked out from a row's number.

A month is written by itself, sorted while its rows are narrow and made wide afterwards, so that a shop of a million contacts is there in about a minute.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from tributary.facts.tables import ALL_MONTHS, TABLES, Kind, Table

BEGIN: Final = datetime(2025, 1, 1, tzinfo=UTC)
END: Final = datetime(2026, 7, 1, tzinfo=UTC)
"""Nothing happens from then on. The last hour before it is left to rows that nobody has folded (`report_fresh`)."""

TOUCHES_A_CONTACT: Final = 5
ACTIVITIES_A_CONTACT: Final = 6
IDENTIFIERS_A_CONTACT: Final = 3
_BUYERS_PERCENT: Final = 40
_REBILLS_PERCENT: Final = 20
"""Of the orders, of which there are as many as contacts. There are as many subscriptions as rebills, each begun by an order; a quarter was billed again."""
_ADS: Final = 1200
"""Of four platforms; two to an ad set, six to a campaign. A quarter of them runs on a day."""

_SPAN_MS: Final = int((END - BEGIN).total_seconds()) * 1000
_LAST_HOUR_MS: Final = _SPAN_MS - 3_600_000
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Shop:
    """Its files are `<kind>/<month>.parquet` under `root`."""

    root: Path
    contacts: int
    seconds: float | None
    """What making it took; None: it was there."""

    def files(self, kind: Kind) -> dict[str, Path]:
        """By month, the earliest first."""
        return {path.stem: path for path in sorted((self.root / kind).glob("*.parquet"))}


def shop(contacts: int, under: Path) -> Shop:
    """The files of a shop of so many contacts (100 or more), in a folder of its own; made anew where this module, the tables or DuckDB have changed since."""
    made_of = f"{contacts} {duckdb.__version__} {[(kind, table.columns, table.sort) for kind, table in TABLES.items()]}"
    digest = hashlib.sha256(made_of.encode() + Path(__file__).read_bytes()).hexdigest()
    root = under / f"reports-{contacts}-{digest[:12]}"
    if (root / "done").exists():
        return Shop(root, contacts, None)
    for stale in under.glob(f"reports-{contacts}-*"):
        shutil.rmtree(stale)
    started = time.monotonic()
    root.mkdir(parents=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "4GB", "temp_directory": str(root / "spill")}) as connection:
        connection.execute(_macros(contacts))
        for kind, narrow in _narrow(contacts).items():
            connection.execute(f"CREATE OR REPLACE TEMP TABLE narrow AS {narrow}")
            for month in _months() if TABLES[kind].month else (ALL_MONTHS,):
                _write(connection, kind, month, root / kind / f"{month}.parquet")
    (root / "done").touch()
    return Shop(root, contacts, time.monotonic() - started)


def _months() -> Iterator[str]:
    """As `2026-03`, the first to the last."""
    year, month = BEGIN.year, BEGIN.month
    while (year, month) < (END.year, END.month):
        yield f"{year}-{month:02}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _write(connection: duckdb.DuckDBPyConnection, kind: Kind, month: str, path: Path) -> None:
    """Sorted, with the columns of the table in its order. A column of which nothing is said holds what its row holds by itself."""
    table = TABLES[kind]
    within = f"WHERE {table.month} >= DATE '{month}-01' AND {table.month} < DATE '{month}-01' + INTERVAL 1 MONTH" if table.month else ""
    said = {**_WIDE[kind], **{name: default for name, default in _defaults(table).items() if name not in _WIDE[kind]}}
    wide = ", ".join(f"{expression} AS {name}" for name, expression in said.items())
    names = said.keys() | {row[0] for row in connection.execute("DESCRIBE narrow").fetchall()}
    columns = ", ".join(f"{name if name in names else 'NULL'}::{sql_type} AS {name}" for name, sql_type in table.columns.items())
    path.parent.mkdir(exist_ok=True)
    rows = f"SELECT *, {wide} FROM (SELECT * FROM narrow {within} ORDER BY {', '.join(table.sort)}, i)"
    connection.execute(f"COPY (SELECT {columns} FROM ({rows})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def _defaults(table: Table) -> dict[str, str]:
    """The numbers and yes or no that a column holds if nothing is said of it."""
    return {field.name: str(int(field.default)) for field in msgspec.structs.fields(table.row) if isinstance(field.default, int)}


# ---------------------------------------------------------------- who and when


def _macros(contacts: int) -> str:
    """A contact is a number p, a visitor whom nobody knows a number v, an order a number i. `pick` is an even choice of n, `share` one below 1; the salt makes
    it another one. Moments are milliseconds since `BEGIN`: all `_ms`."""
    return f"""
    CREATE MACRO h(i, salt) AS hash(i::BIGINT * 1000 + salt);
    CREATE MACRO pick(i, salt, n) AS (h(i, salt) % n::UBIGINT)::BIGINT;
    CREATE MACRO share(i, salt) AS pick(i, salt, 1000000) / 1000000;
    CREATE MACRO u(i, salt) AS (h(i, salt)::UHUGEINT * 18446744073709551616::UHUGEINT + h(i, salt + 500))::UUID;
    CREATE MACRO moment(ms) AS make_timestamp({int(BEGIN.timestamp()) * 1_000_000} + ms::BIGINT * 1000);
    CREATE MACRO contact(p) AS u(p, 1);
    CREATE MACRO identifier(p, n) AS u(p * {IDENTIFIERS_A_CONTACT} + n, 2);
    CREATE MACRO visitor(v) AS u(v, 3);
    CREATE MACRO lead_ms(p) AS pick(p, 10, {_LAST_HOUR_MS});
    CREATE MACRO buyer(i) AS pick(i, 11, {contacts * _BUYERS_PERCENT // 100});
    CREATE MACRO order_ms(i) AS lead_ms(buyer(i)) + (({_LAST_HOUR_MS} - lead_ms(buyer(i))) * share(i, 12) ** 3)::BIGINT;
    CREATE MACRO rebill_ms(i, cycle) AS order_ms(i) + (cycle * least({30 * _DAY_MS}, ({_LAST_HOUR_MS} - order_ms(i)) / 5))::BIGINT;
    CREATE MACRO before(ms, i, salt) AS abs(ms - CASE WHEN pick(i, salt, 10) = 0 THEN 0 ELSE (share(i, salt + 1) ** 2 * {30 * _DAY_MS})::BIGINT END);
    CREATE MACRO among(n, list) AS list[1 + n % len(list)];
    """


def _narrow(contacts: int) -> dict[Kind, str]:
    """Of every row its number i, and what it is sorted by."""
    days = (END - BEGIN).days
    first = contacts - contacts * _REBILLS_PERCENT // 100
    subscriptions = contacts - first
    renewing = subscriptions // 4
    return {
        Kind.TOUCHES: _visits(contacts * TOUCHES_A_CONTACT, contacts, 20),
        Kind.ACTIVITIES: _visits(contacts * ACTIVITIES_A_CONTACT, contacts, 30),
        Kind.ORDERS: f"""
            SELECT i, CASE WHEN i < {subscriptions} THEN i END AS subscription, 0 AS cycle, contact(buyer(i)) AS person, moment(order_ms(i)) AS happened_at
            FROM range({first}) AS r(i)
            UNION ALL
            SELECT i, subscription, cycle, contact(buyer(subscription)), moment(rebill_ms(subscription, cycle))
            FROM (SELECT i, (i - {first}) % {renewing} AS subscription, 1 + (i - {first}) // {renewing} AS cycle FROM range({first}, {contacts}) AS r(i))""",
        Kind.SUBSCRIPTIONS: f"SELECT i, contact(buyer(i)) AS person, moment(order_ms(i)) AS started_at FROM range({subscriptions}) AS r(i)",
        Kind.CONTACTS: f"SELECT i, contact(i) AS person, moment(lead_ms(i)) AS lead_at FROM range({contacts}) AS r(i)",
        Kind.TAGS: f"SELECT i, contact(i) AS person, lead_ms(i) AS lead_ms FROM range({contacts}) AS r(i) WHERE pick(i, 40, 10) < 4",
        Kind.IDENTITIES: f"""
            SELECT i, u(i, 2) AS key, contact(i // {IDENTIFIERS_A_CONTACT}) AS contact FROM range({contacts * IDENTIFIERS_A_CONTACT}) AS r(i)""",
        Kind.WEAK_LINKS: f"SELECT i, visitor({contacts} + i) AS key FROM range({contacts // 100}) AS r(i)",
        Kind.AD_SPEND: f"""
            SELECT d * {_ADS} + ad AS i, ad, DATE '{BEGIN:%Y-%m-%d}' + d::INTEGER AS day, {_PLATFORM} AS platform
            FROM range({days}) AS r(d), range({_ADS}) AS s(ad)
            WHERE pick(d * {_ADS} + ad, 41, 4) = 0""",
        Kind.RATES: f"SELECT d AS i, DATE '{BEGIN:%Y-%m-%d}' + d::INTEGER AS day FROM range({days}) AS r(d)",
    }


def _visits(rows: int, contacts: int, salt: int) -> str:
    """Of ten, three by people whom nobody knows, three in the month before somebody became known, four in the month before an order."""
    orders = contacts - contacts * _REBILLS_PERCENT // 100
    return f"""
        SELECT i, visitor(pick(i, {salt}, {contacts})) AS person, moment(pick(i, {salt + 1}, {_LAST_HOUR_MS})) AS happened_at
        FROM range({rows}) AS r(i) WHERE i % 10 < 3
        UNION ALL
        SELECT i, contact(p), moment(before(lead_ms(p), i, {salt + 3}))
        FROM (SELECT i, pick(i, {salt + 2}, {contacts}) AS p FROM range({rows}) AS r(i) WHERE i % 10 BETWEEN 3 AND 5)
        UNION ALL
        SELECT i, contact(buyer(o)), moment(before(order_ms(o), i, {salt + 3}))
        FROM (SELECT i, pick(i, {salt + 2}, {orders}) AS o FROM range({rows}) AS r(i) WHERE i % 10 > 5)"""


# ---------------------------------------------------------------- what: columns by name, each of those before it; what is no column of the table only helps

_PLATFORM: Final = "among(ad // 300, ['google', 'facebook', 'bing', 'tiktok'])"
_EMAIL: Final[Mapping[str, str]] = {
    "email_campaign": "CASE WHEN emailed THEN 'letter-' || pick(i, 63, 80) END",
    "email_flow": "CASE WHEN emailed AND pick(i, 64, 2) = 0 THEN among(pick(i, 65, 4), ['welcome', 'basket', 'thanks', 'winback']) END",
    "email_message": "CASE WHEN emailed THEN 'message-' || pick(i, 66, 200) END",
    "email_link": "CASE WHEN emailed THEN among(pick(i, 67, 3), ['top', 'picture', 'foot']) END",
    "email_list": "CASE WHEN emailed THEN among(pick(i, 68, 3), ['news', 'buyers', 'vip']) END",
}
_PAGE: Final = "'shop.example.com/' || among(pick(i, 69, 5), ['', 'serum', 'cream', 'quiz', 'sale'])"

_WIDE: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.TOUCHES: {
        "way": "pick(i, 60, 100)",
        "emailed": "way BETWEEN 60 AND 74",
        "advertised": "way BETWEEN 25 AND 59",
        "ad": f"pick(i, 61, {_ADS})",
        "key": "u(i, 4)",
        "connection": "'site'",
        "channel": f"""CASE WHEN way < 25 THEN 'direct'
            WHEN advertised THEN CASE WHEN {_PLATFORM} IN ('google', 'bing') THEN 'paid_search' ELSE 'paid_social' END
            WHEN emailed THEN 'email' WHEN way < 88 THEN 'organic_search' WHEN way < 93 THEN 'referral' WHEN way < 97 THEN 'affiliate' ELSE 'bot' END""",
        "source": f"CASE WHEN advertised THEN {_PLATFORM} WHEN emailed THEN 'klaviyo' WHEN channel = 'affiliate' THEN 'partner-' || pick(i, 62, 40) END",
        "medium": "CASE WHEN advertised THEN 'cpc' WHEN emailed THEN 'email' WHEN channel = 'affiliate' THEN 'affiliate' END",
        "campaign": "CASE WHEN advertised THEN 'campaign-' || (ad // 6) WHEN emailed THEN 'letter-' || pick(i, 63, 80) END",
        "content": "CASE WHEN advertised THEN 'creative-' || (ad % 40) END",
        "campaign_id": "CASE WHEN advertised THEN (700000 + ad // 6)::VARCHAR END",
        "adset_id": "CASE WHEN advertised THEN (800000 + ad // 2)::VARCHAR END",
        "ad_id": "CASE WHEN advertised THEN (900000 + ad)::VARCHAR END",
        "landing_page": _PAGE,
        "referrer": "CASE channel WHEN 'organic_search' THEN 'www.google.com' WHEN 'referral' THEN 'blog-' || pick(i, 70, 200) || '.example.org' END",
        "affiliate_id": "CASE WHEN channel = 'affiliate' THEN pick(i, 62, 40)::VARCHAR END",
        **_EMAIL,
    },
    Kind.ACTIVITIES: {
        "emailed": "pick(i, 60, 100) < 10",
        "key": "u(i, 5)",
        "connection": "'site'",
        "type": "CASE WHEN pick(i, 71, 4) > 0 THEN 'page' ELSE 'track' END",
        "name": """among(pick(i, 72, 4), CASE type WHEN 'page' THEN ['Home', 'Product', 'Quiz', 'Sale']
            ELSE ['Product Viewed', 'Product Added', 'Checkout Started', 'Signed Up'] END)""",
        "page": _PAGE,
        "bot": "pick(i, 73, 50) = 0",
        **_EMAIL,
    },
    Kind.ORDERS: {
        "key": "u(i, 6)",
        "connection": "among(pick(coalesce(subscription, i), 80, 3), ['crm', 'crm', 'second'])",
        "order_id": "'O' || i",
        "sold": "pick(i, 81, 20) > 0 OR subscription IS NOT NULL",
        "sold_at": "CASE WHEN sold THEN happened_at END",
        "state": "CASE WHEN sold THEN 'complete' ELSE 'declined' END",
        "rebill": "cycle > 0",
        "order_type": "CASE WHEN rebill THEN 'rebill' WHEN pick(i, 82, 10) = 0 THEN 'upsell' ELSE 'new_sale' END",
        "billing_cycle": "CASE WHEN subscription IS NOT NULL THEN 1 + cycle END",
        "subscription_id": "'S' || subscription",
        "campaign_id": "(1 + pick(i, 83, 30))::VARCHAR",
        "campaign_name": "'Offer ' || campaign_id",
        "coupon": "CASE WHEN pick(i, 84, 10) = 0 THEN among(pick(i, 85, 3), ['HELLO', 'SUMMER', 'FRIEND']) END",
        "payment_method": "'card'",
        "currency": "CASE WHEN pick(i, 86, 10) = 0 THEN 'EUR' ELSE 'USD' END",
        "one": "1000 + pick(i, 87, 9000)",
        "two": "CASE WHEN pick(i, 88, 2) = 0 THEN 500 + pick(i, 89, 4000) ELSE 0 END",
        "discount": "CASE WHEN coupon IS NULL THEN 0 ELSE (one + two) // 10 END",
        "tax": "(one + two - discount) * 8 // 100",
        "shipping": "CASE WHEN one > 5000 THEN 0 ELSE 495 END",
        "gross": "one + two + tax + shipping",
        "total": "gross - discount",
        "received": "CASE WHEN sold THEN total ELSE 0 END",
        "fate": "CASE WHEN sold THEN pick(i, 90, 100) ELSE 99 END",
        "refunded": "CASE WHEN fate < 3 THEN total WHEN fate < 6 THEN total // 3 ELSE 0 END",
        "charged_back": "CASE WHEN fate = 6 THEN total ELSE 0 END",
        "returned": "CASE WHEN refunded + charged_back = total THEN tax + shipping ELSE 0 END",
        "later": "happened_at + to_days((1 + pick(i, 91, 20))::INTEGER)",
        "first_product": "1 + pick(i, 92, 25)",
        "second_product": "30 + pick(i, 93, 10)",
        "items": """list_filter([
            {product_id: first_product::VARCHAR, sku: 'SKU-' || first_product, name: 'Product ' || first_product, quantity: 1, amount: one},
            {product_id: second_product::VARCHAR, sku: 'SKU-' || second_product, name: 'Product ' || second_product, quantity: 1, amount: two}
            ], lambda item: item.amount > 0)""",
        "movements": """list_filter([
            {kind: CASE WHEN sold THEN 'payment' ELSE 'decline' END, happened_at: happened_at, currency: currency, amount: total, billing_cycle: billing_cycle},
            {kind: 'refund', happened_at: later, currency: currency, amount: refunded, billing_cycle: NULL},
            {kind: 'chargeback', happened_at: later, currency: currency, amount: charged_back, billing_cycle: NULL}
            ], lambda moved: moved.amount > 0)""",
        "others": "[]",
    },
    Kind.SUBSCRIPTIONS: {
        "key": "u(i, 7)",
        "connection": "among(pick(i, 80, 3), ['crm', 'crm', 'second'])",
        "subscription_id": "'S' || i",
        "order_id": "'O' || i",
        "product_id": "(1 + pick(i, 92, 25))::VARCHAR",
        "sku": "'SKU-' || product_id",
        "name": "'Product ' || product_id",
        "tried": "pick(i, 100, 4) = 0",
        "trial_started_at": "CASE WHEN tried THEN started_at END",
        "trial_ends_at": "CASE WHEN tried THEN started_at + INTERVAL 14 DAY END",
        "trial_converted_at": f"CASE WHEN tried AND pick(i, 101, 3) > 0 AND trial_ends_at < TIMESTAMP '{END:%Y-%m-%d}' THEN trial_ends_at END",
        "ends_at": "started_at + to_days((20 + pick(i, 102, 600))::INTEGER)",
        "over": f"ends_at < TIMESTAMP '{END:%Y-%m-%d}'",
        "cancelled_at": "CASE WHEN over THEN ends_at END",
        "state": "CASE WHEN over THEN 'cancelled' WHEN tried AND trial_converted_at IS NULL THEN 'trial' ELSE 'active' END",
        "currency": "CASE WHEN pick(i, 86, 10) = 0 THEN 'EUR' ELSE 'USD' END",
        "price": "1000 + pick(i, 87, 9000)",
        "quantity": "1",
        "interval_days": "among(pick(i, 103, 3), [30, 30, 90])",
        "cycle": "1",
        "states": """list_filter([
            {happened_at: started_at, state: CASE WHEN tried THEN 'trial' ELSE 'active' END}, {happened_at: trial_converted_at, state: 'active'},
            {happened_at: cancelled_at, state: 'cancelled'}], lambda mark: mark.happened_at IS NOT NULL)""",
        "rates": """CASE WHEN pick(i, 104, 10) > 0 THEN [{happened_at: started_at, price: price, quantity: 1, interval_days: interval_days}] ELSE
            [{happened_at: started_at, price: price - 300, quantity: 1, interval_days: interval_days},
             {happened_at: started_at + INTERVAL 15 DAY, price: price, quantity: 1, interval_days: interval_days}] END""",
    },
    Kind.CONTACTS: {
        "key": "person",
        "connection": "among(pick(i, 114, 3), ['site', 'site', 'crm'])",
        "last_seen_at": "lead_at",
        "country": "among(pick(i, 110, 8), ['US', 'US', 'US', 'US', 'CA', 'GB', 'DE', 'AU'])",
        "fields": "MAP {'skin': among(pick(i, 111, 3), ['dry', 'oily', 'mixed'])}",
    },
    Kind.TAGS: {
        "key": "person",
        "tags": """[{tag: 'tag-' || pick(i, 112, 25), applied_at: moment(lead_ms), removed_at: NULL},
            {tag: 'tag-' || (25 + pick(i, 113, 25)), applied_at: moment(lead_ms) + INTERVAL 3 DAY, removed_at: NULL}]""",
    },
    Kind.IDENTITIES: {},
    Kind.WEAK_LINKS: {"customers": "[identifier(i, 0)]"},
    Kind.AD_SPEND: {
        "key": "u(i, 8)",
        "batch": "strftime(day, '%Y-%m')",
        "type": "'spend'",
        "account_id": "'account-' || platform",
        "campaign_id": "(700000 + ad // 6)::VARCHAR",
        "campaign_name": "'campaign-' || (ad // 6)",
        "adset_id": "(800000 + ad // 2)::VARCHAR",
        "ad_id": "(900000 + ad)::VARCHAR",
        "currency": "CASE WHEN platform = 'tiktok' THEN 'EUR' ELSE 'USD' END",
        "spend": "200 + pick(i, 120, 5000)",
        "clicks": "10 + pick(i, 121, 100)",
        "impressions": "clicks * 50",
    },
    Kind.RATES: {
        "key": "u(i, 9)",
        "batch": "'rates'",
        "from_currency": "'EUR'",
        "to_currency": "'USD'",
        "rate": "1.05 + pick(i, 130, 1000) / 10000",
        "source": "'bench'",
    },
}
