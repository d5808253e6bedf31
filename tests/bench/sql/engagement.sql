-- Activities of 90 days by the campaign of the last touch in the 30 days before each.
WITH done AS (
    SELECT person, type, happened_at
    FROM read_parquet(getvariable('activities'))
    WHERE NOT bot AND happened_at >= TIMESTAMP '2026-04-02 04:00' AND happened_at < TIMESTAMP '2026-07-01 00:00'
), led AS (
    SELECT person, campaign, happened_at AS since,
        least(lead(happened_at) OVER (PARTITION BY person ORDER BY happened_at, connection, key), happened_at + INTERVAL 720 HOUR + INTERVAL 1 MICROSECOND) AS until
    FROM read_parquet(getvariable('touches'))
    WHERE channel <> 'bot' AND happened_at >= TIMESTAMP '2026-03-03 04:00'
), lines AS (
    SELECT done.person, type, since IS NOT NULL AS touched, campaign
    FROM done LEFT JOIN led ON led.person = done.person AND since <= done.happened_at AND done.happened_at < until
)
SELECT CASE WHEN grouping(touched) = 1 THEN 'total' WHEN touched THEN 'touched' ELSE 'untouched' END AS kind, campaign,
    count(*) FILTER (WHERE type IN ('page', 'screen')) AS page_views, count(DISTINCT lines.person) AS visitors, count(DISTINCT contacts.person) AS engaged_contacts
FROM lines LEFT JOIN read_parquet(getvariable('contacts')) AS contacts ON contacts.person = lines.person
GROUP BY GROUPING SETS ((touched, campaign), ())
