-- Orders of 90 days by the campaign of the last touch in the 30 days before; a rebill by that of the order its subscription began with.
WITH sales AS (
    SELECT key, person, connection, subscription_id, rebill, sold_at, currency, gross, discount, tax, shipping, refunded, charged_back, voided, returned
    FROM read_parquet(getvariable('orders_in_range'))
    WHERE sold_at >= TIMESTAMP '2026-04-02 04:00' AND sold_at < TIMESTAMP '2026-07-01 00:00'
), began AS (
    SELECT subscriptions.connection, subscriptions.subscription_id, orders.sold_at
    FROM read_parquet(getvariable('subscriptions')) AS subscriptions
    JOIN read_parquet(getvariable('orders')) AS orders ON orders.connection = subscriptions.connection AND orders.order_id = subscriptions.order_id
    WHERE (subscriptions.connection, subscriptions.subscription_id) IN (SELECT (connection, subscription_id) FROM sales WHERE rebill)
), rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), conversions AS (
    SELECT key, sales.person, coalesce(began.sold_at, sales.sold_at) AS ends_at,
        CASE WHEN currency = 'USD' THEN gross - discount - tax - shipping - refunded - charged_back - voided + returned ELSE
        round_even(gross * rate, 0) - round_even(discount * rate, 0) - round_even(tax * rate, 0) - round_even(shipping * rate, 0)
        - round_even(refunded * rate, 0) - round_even(charged_back * rate, 0) - round_even(voided * rate, 0) + round_even(returned * rate, 0) END::BIGINT AS net,
        CASE WHEN currency = 'USD' THEN refunded ELSE round_even(refunded * rate, 0)::BIGINT END AS refunded
    FROM sales
    LEFT JOIN began ON rebill AND began.connection = sales.connection AND began.subscription_id = sales.subscription_id
    LEFT JOIN rates ON currency = 'EUR' AND day = (sales.sold_at - INTERVAL 4 HOUR)::DATE
), paths AS (
    SELECT DISTINCT person, ends_at FROM conversions
), credited AS (
    SELECT paths.person, ends_at, arg_max({campaign: campaign}, (touches.happened_at, touches.connection, touches.key)) AS touch
    FROM paths
    JOIN read_parquet(getvariable('touches')) AS touches
      ON touches.person = paths.person AND touches.happened_at <= ends_at AND touches.happened_at >= ends_at - INTERVAL 720 HOUR
    WHERE channel <> 'bot'
    GROUP BY paths.person, ends_at
)
SELECT CASE WHEN grouping(touched) = 1 THEN 'total' WHEN touched THEN 'touched' ELSE 'untouched' END AS kind, campaign,
    sum(net)::BIGINT AS net_revenue, count(*) AS orders, count(DISTINCT person) AS customers, sum(refunded)::BIGINT AS refunds
FROM (SELECT *, touch IS NOT NULL AS touched, touch.campaign AS campaign FROM conversions LEFT JOIN credited USING (person, ends_at))
GROUP BY GROUPING SETS ((touched, campaign), ())
