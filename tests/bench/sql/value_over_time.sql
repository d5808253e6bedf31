-- What leads of 90 days were worth after 30 and 90 days, by the campaign that made them leads.
WITH leads AS (
    SELECT person, lead_at FROM read_parquet(getvariable('contacts')) WHERE lead_at >= TIMESTAMP '2026-04-02 04:00' AND lead_at < TIMESTAMP '2026-07-01 00:00'
), rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), sales AS (
    SELECT person, sold_at - lead_at AS age,
        CASE WHEN currency = 'USD' THEN gross - discount - tax - shipping - refunded - charged_back - voided + returned ELSE
        round_even(gross * rate, 0) - round_even(discount * rate, 0) - round_even(tax * rate, 0) - round_even(shipping * rate, 0)
        - round_even(refunded * rate, 0) - round_even(charged_back * rate, 0) - round_even(voided * rate, 0) + round_even(returned * rate, 0) END::BIGINT AS net
    FROM read_parquet(getvariable('orders'))
    JOIN leads USING (person)
    LEFT JOIN rates ON currency = 'EUR' AND day = (sold_at - CASE WHEN sold_at < TIMESTAMP '2025-03-09 07:00' OR (sold_at >= TIMESTAMP '2025-11-02 06:00' AND sold_at < TIMESTAMP '2026-03-08 07:00') THEN INTERVAL 5 HOUR ELSE INTERVAL 4 HOUR END)::DATE
    WHERE sold_at < TIMESTAMP '2026-07-01 00:00'
), spent AS (
    SELECT person, sum(net) FILTER (WHERE age <= INTERVAL 30 DAY)::BIGINT AS net_30, sum(net) FILTER (WHERE age <= INTERVAL 90 DAY)::BIGINT AS net_90
    FROM sales GROUP BY person
), led AS (
    SELECT leads.person, arg_max({campaign: campaign}, (touches.happened_at, touches.connection, touches.key)) AS touch
    FROM leads
    JOIN read_parquet(getvariable('touches')) AS touches
      ON touches.person = leads.person AND touches.happened_at <= lead_at AND touches.happened_at >= lead_at - INTERVAL 720 HOUR
    WHERE channel <> 'bot'
    GROUP BY leads.person
)
SELECT CASE WHEN grouping(touched) = 1 THEN 'total' WHEN touched THEN 'touched' ELSE 'untouched' END AS kind, campaign,
    count(*) AS leads, coalesce(sum(net_30), 0) / count(*) AS value_30, coalesce(sum(net_90), 0) / count(*) AS value_90
FROM (SELECT *, touch IS NOT NULL AS touched, touch.campaign AS campaign FROM leads LEFT JOIN led USING (person) LEFT JOIN spent USING (person))
GROUP BY GROUPING SETS ((touched, campaign), ())
