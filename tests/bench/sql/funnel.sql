-- Who came to a page in 90 days, then added a product, then bought; and what each of these bought since they came; by the last campaign in the 30 days before.
WITH views AS (
    SELECT person, happened_at, type IN ('page', 'screen') AND page = 'shop.example.com/quiz' AS is_first, type = 'track' AND name = 'Product Added' AS is_second
    FROM read_parquet(getvariable('activities'))
    WHERE NOT bot AND happened_at >= TIMESTAMP '2026-04-02 04:00' AND happened_at < TIMESTAMP '2026-07-01 00:00'
), first AS (
    SELECT person, min(happened_at) AS first_at FROM views WHERE is_first GROUP BY person
), second AS (
    SELECT person, min(happened_at) AS second_at FROM views JOIN first USING (person) WHERE is_second AND happened_at >= first_at GROUP BY person
), rates AS (
    SELECT day, rate::DECIMAL(10, 4) AS rate FROM read_parquet(getvariable('rates')) WHERE from_currency = 'EUR' AND to_currency = 'USD'
), sales AS (
    SELECT person, sold_at, rebill,
        CASE WHEN currency = 'USD' THEN gross - discount - tax - shipping - refunded - charged_back - voided + returned ELSE
        round_even(gross * rate, 0) - round_even(discount * rate, 0) - round_even(tax * rate, 0) - round_even(shipping * rate, 0)
        - round_even(refunded * rate, 0) - round_even(charged_back * rate, 0) - round_even(voided * rate, 0) + round_even(returned * rate, 0) END::BIGINT AS net
    FROM read_parquet(getvariable('orders'))
    LEFT JOIN rates ON currency = 'EUR' AND day = (sold_at - INTERVAL 4 HOUR)::DATE
    WHERE sold_at >= TIMESTAMP '2026-04-02 04:00' AND sold_at < TIMESTAMP '2026-07-01 00:00'
), third AS (
    SELECT person, min(sold_at) AS third_at FROM sales JOIN second USING (person) WHERE NOT rebill AND sold_at >= second_at GROUP BY person
), bought AS (
    SELECT person, sum(net)::BIGINT AS net FROM sales JOIN first USING (person) WHERE sold_at >= first_at GROUP BY person
), led AS (
    SELECT first.person, arg_max({campaign: campaign}, (touches.happened_at, touches.connection, touches.key)) AS touch
    FROM first
    JOIN read_parquet(getvariable('touches')) AS touches
      ON touches.person = first.person AND touches.happened_at <= first_at AND touches.happened_at >= first_at - INTERVAL 720 HOUR
    WHERE channel <> 'bot'
    GROUP BY first.person
), steps AS (
    SELECT CASE WHEN grouping(touched) = 1 THEN 'total' WHEN touched THEN 'touched' ELSE 'untouched' END AS kind, campaign,
        sum(coalesce(net, 0))::BIGINT AS of_first, count(*) AS first,
        sum(coalesce(net, 0)) FILTER (WHERE second_at IS NOT NULL)::BIGINT AS of_second, count(second_at) AS second,
        sum(coalesce(net, 0)) FILTER (WHERE third_at IS NOT NULL)::BIGINT AS of_third, count(third_at) AS third
    FROM (
        SELECT net, second_at, third_at, touch IS NOT NULL AS touched, touch.campaign AS campaign
        FROM first LEFT JOIN second USING (person) LEFT JOIN third USING (person) LEFT JOIN bought USING (person) LEFT JOIN led USING (person)
    )
    GROUP BY GROUPING SETS ((touched, campaign), ())
)
SELECT kind, NULL AS step, campaign, first AS entrants, of_first AS revenue FROM steps WHERE kind = 'total'
UNION ALL SELECT kind, '1. came', campaign, first, of_first FROM steps WHERE kind <> 'total'
UNION ALL SELECT kind, '2. added', campaign, second, coalesce(of_second, 0) FROM steps WHERE kind <> 'total'
UNION ALL SELECT kind, '3. bought', campaign, third, coalesce(of_third, 0) FROM steps WHERE kind <> 'total'
