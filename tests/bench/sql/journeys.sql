-- Orders of 90 days, but for rebills, by the campaigns that came one after another in the 30 days before.
WITH rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), sales AS (
    SELECT key, person, sold_at,
        CASE WHEN currency = 'USD' THEN gross - discount - tax - shipping - refunded - charged_back - voided + returned ELSE
        round_even(gross * rate, 0) - round_even(discount * rate, 0) - round_even(tax * rate, 0) - round_even(shipping * rate, 0)
        - round_even(refunded * rate, 0) - round_even(charged_back * rate, 0) - round_even(voided * rate, 0) + round_even(returned * rate, 0) END::BIGINT AS net
    FROM read_parquet(getvariable('orders'))
    LEFT JOIN rates ON currency = 'EUR' AND day = (sold_at - INTERVAL 4 HOUR)::DATE
    WHERE NOT rebill AND sold_at >= TIMESTAMP '2026-04-02 04:00' AND sold_at < TIMESTAMP '2026-07-01 00:00'
), paths AS (
    SELECT sales.key, list(coalesce(campaign, '-') ORDER BY touches.happened_at, coalesce(campaign, '-')) AS campaigns
    FROM sales
    JOIN read_parquet(getvariable('touches')) AS touches
      ON touches.person = sales.person AND touches.happened_at <= sold_at AND touches.happened_at >= sold_at - INTERVAL 720 HOUR
    WHERE channel <> 'bot'
    GROUP BY sales.key
), told AS (
    SELECT key, list_filter(campaigns, lambda one, i: i = 1 OR one <> campaigns[i - 1]) AS steps FROM paths
)
SELECT CASE WHEN grouping(touched) = 1 THEN 'total' WHEN touched THEN 'touched' ELSE 'untouched' END AS kind, path, count(*) AS orders, sum(net)::BIGINT AS revenue
FROM (
    SELECT *, steps IS NOT NULL AS touched, CASE WHEN len(steps) > 10 THEN '… > ' ELSE '' END || array_to_string(steps[-10:], ' > ') AS path
    FROM sales LEFT JOIN told USING (key)
)
GROUP BY GROUPING SETS ((touched, path), ())
