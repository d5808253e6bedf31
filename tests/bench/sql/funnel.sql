-- Who came to a page in 90 days, then added a product, then bought; and what each of these bought since they came.
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
), steps AS (
    SELECT sum(coalesce(net, 0))::BIGINT AS of_first, count(*) AS first,
        sum(coalesce(net, 0)) FILTER (WHERE second_at IS NOT NULL)::BIGINT AS of_second, count(second_at) AS second,
        sum(coalesce(net, 0)) FILTER (WHERE third_at IS NOT NULL)::BIGINT AS of_third, count(third_at) AS third
    FROM first LEFT JOIN second USING (person) LEFT JOIN third USING (person) LEFT JOIN bought USING (person)
)
SELECT 'total' AS kind, NULL AS step, first AS entrants, of_first AS revenue FROM steps
UNION ALL SELECT 'touched', '1. came', first, of_first FROM steps
UNION ALL SELECT 'touched', '2. added', second, of_second FROM steps
UNION ALL SELECT 'touched', '3. bought', third, of_third FROM steps
