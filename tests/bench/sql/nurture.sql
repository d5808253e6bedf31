-- Emails of 90 days by campaign: who came by them, and what was bought within 30 days.
WITH led AS (
    SELECT person, happened_at, campaign, lower(name) IN ('email clicked', 'clicked email', 'email link clicked') AS clicked
    FROM read_parquet(getvariable('activities'))
    WHERE NOT bot AND type = 'track' AND happened_at >= TIMESTAMP '2026-04-02 04:00' AND happened_at < TIMESTAMP '2026-07-01 00:00'
      AND lower(name) IN ('email opened', 'opened email', 'email clicked', 'clicked email', 'email link clicked')
    UNION ALL SELECT person, happened_at, campaign, false
    FROM read_parquet(getvariable('touches'))
    WHERE channel = 'email' AND happened_at >= TIMESTAMP '2026-04-02 04:00' AND happened_at < TIMESTAMP '2026-07-01 00:00'
), rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), sales AS (
    SELECT key, person, sold_at,
        CASE WHEN currency = 'USD' THEN gross - discount - tax - shipping - refunded - charged_back - voided + returned ELSE
        round_even(gross * rate, 0) - round_even(discount * rate, 0) - round_even(tax * rate, 0) - round_even(shipping * rate, 0)
        - round_even(refunded * rate, 0) - round_even(charged_back * rate, 0) - round_even(voided * rate, 0) + round_even(returned * rate, 0) END::BIGINT AS net
    FROM read_parquet(getvariable('orders'))
    LEFT JOIN rates ON currency = 'EUR' AND day = (sold_at - INTERVAL 4 HOUR)::DATE
    WHERE sold_at >= TIMESTAMP '2026-04-02 04:00' AND sold_at < TIMESTAMP '2026-07-01 00:00'
), bought AS (
    SELECT DISTINCT key, sales.person, net, campaign
    FROM led JOIN sales ON sales.person = led.person AND sold_at >= happened_at AND sold_at <= happened_at + INTERVAL 30 DAY
), lines AS (
    SELECT campaign, person, clicked, NULL AS customer, 0 AS net, 0 AS net_once FROM led
    UNION ALL SELECT campaign, NULL, false, person, net, CASE WHEN row_number() OVER (PARTITION BY key) = 1 THEN net ELSE 0 END FROM bought
)
SELECT CASE WHEN grouping(campaign) = 1 THEN 'total' ELSE 'touched' END AS kind, campaign,
    count(DISTINCT person) AS people, count(*) FILTER (WHERE clicked) AS clicks, count(DISTINCT customer) AS customers,
    CASE WHEN grouping(campaign) = 1 THEN sum(net_once) ELSE sum(net) END::BIGINT AS revenue
FROM lines
GROUP BY GROUPING SETS ((campaign), ())
