-- Subscriptions by the campaign of the last touch in the 30 days before the order they began with: MRR and how many run at the end of 90 days, how many began
-- and were cancelled in them.
WITH rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), dated AS (
    SELECT subscriptions.person, coalesce(sold_at, started_at) AS begun_at, started_at, states, CASE WHEN subscriptions.currency = 'EUR' THEN rate ELSE 1 END::DOUBLE AS factor,
        list_filter(states, lambda mark: mark.happened_at < TIMESTAMP '2026-07-01 00:00')[-1].state AS state,
        coalesce(list_filter(subscriptions.rates, lambda mark: mark.happened_at < TIMESTAMP '2026-07-01 00:00')[-1], subscriptions.rates[1]) AS bill
    FROM read_parquet(getvariable('subscriptions')) AS subscriptions
    LEFT JOIN read_parquet(getvariable('orders')) AS orders ON orders.connection = subscriptions.connection AND orders.order_id = subscriptions.order_id
    LEFT JOIN rates ON subscriptions.currency = 'EUR' AND day = (started_at - CASE WHEN started_at < TIMESTAMP '2025-03-09 07:00' OR (started_at >= TIMESTAMP '2025-11-02 06:00' AND started_at < TIMESTAMP '2026-03-08 07:00') THEN INTERVAL 5 HOUR ELSE INTERVAL 4 HOUR END)::DATE
    WHERE started_at < TIMESTAMP '2026-07-01 00:00'
), measured AS (
    SELECT person, begun_at,
        CASE WHEN state IN ('active', 'recycling') THEN bill.price * bill.quantity * 30 / bill.interval_days * factor ELSE 0 END AS mrr,
        state IN ('active', 'recycling') AS runs, started_at >= TIMESTAMP '2026-04-02 04:00' AS is_new,
        len(list_filter(states, lambda mark: mark.state = 'cancelled' AND mark.happened_at >= TIMESTAMP '2026-04-02 04:00' AND mark.happened_at < TIMESTAMP '2026-07-01 00:00')) AS cancelled
    FROM dated
), paths AS (
    SELECT DISTINCT person, begun_at FROM measured
), credited AS (
    SELECT paths.person, begun_at, arg_max({campaign: campaign}, (touches.happened_at, touches.connection, touches.key)) AS touch
    FROM paths
    JOIN read_parquet(getvariable('touches')) AS touches
      ON touches.person = paths.person AND touches.happened_at <= begun_at AND touches.happened_at >= begun_at - INTERVAL 720 HOUR
    WHERE channel <> 'bot'
    GROUP BY paths.person, begun_at
)
SELECT CASE WHEN grouping(touched) = 1 THEN 'total' WHEN touched THEN 'touched' ELSE 'untouched' END AS kind, campaign,
    sum(mrr) AS mrr, count(*) FILTER (WHERE runs) AS active, count(*) FILTER (WHERE is_new) AS new_subscriptions, sum(cancelled)::BIGINT AS cancellations
FROM (SELECT *, touch IS NOT NULL AS touched, touch.campaign AS campaign FROM measured LEFT JOIN credited USING (person, begun_at))
GROUP BY GROUPING SETS ((touched, campaign), ())
