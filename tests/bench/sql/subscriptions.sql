-- Subscriptions by product: MRR and how many run at the end of 90 days, how many began and were cancelled in them.
WITH rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), dated AS (
    SELECT name, started_at, states, CASE WHEN currency = 'EUR' THEN rate ELSE 1 END::DOUBLE AS factor,
        list_filter(states, lambda mark: mark.happened_at < TIMESTAMP '2026-07-01 00:00')[-1].state AS state,
        coalesce(list_filter(subscriptions.rates, lambda mark: mark.happened_at < TIMESTAMP '2026-07-01 00:00')[-1], subscriptions.rates[1]) AS bill
    FROM read_parquet(getvariable('subscriptions')) AS subscriptions
    LEFT JOIN rates ON currency = 'EUR' AND day = (started_at - CASE WHEN started_at < TIMESTAMP '2025-03-09 07:00' OR (started_at >= TIMESTAMP '2025-11-02 06:00' AND started_at < TIMESTAMP '2026-03-08 07:00') THEN INTERVAL 5 HOUR ELSE INTERVAL 4 HOUR END)::DATE
    WHERE started_at < TIMESTAMP '2026-07-01 00:00'
)
SELECT CASE WHEN grouping(name) = 1 THEN 'total' ELSE 'touched' END AS kind, name AS product,
    sum(CASE WHEN state IN ('active', 'recycling') THEN bill.price * bill.quantity * 30 / bill.interval_days * factor ELSE 0 END) AS mrr,
    count(*) FILTER (WHERE state IN ('active', 'recycling')) AS active,
    count(*) FILTER (WHERE started_at >= TIMESTAMP '2026-04-02 04:00') AS new_subscriptions,
    sum(len(list_filter(states, lambda mark: mark.state = 'cancelled' AND mark.happened_at >= TIMESTAMP '2026-04-02 04:00' AND mark.happened_at < TIMESTAMP '2026-07-01 00:00')))::BIGINT AS cancellations
FROM dated
GROUP BY GROUPING SETS ((name), ())
