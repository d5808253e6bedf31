-- Activities of 90 days by email campaign.
WITH done AS (
    SELECT person, type, email_campaign
    FROM read_parquet(getvariable('activities'))
    WHERE NOT bot AND happened_at >= TIMESTAMP '2026-04-02 04:00' AND happened_at < TIMESTAMP '2026-07-01 00:00'
)
SELECT CASE WHEN grouping(email_campaign) = 1 THEN 'total' ELSE 'touched' END AS kind, email_campaign,
    count(*) FILTER (WHERE type IN ('page', 'screen')) AS page_views, count(DISTINCT done.person) AS visitors, count(DISTINCT contacts.person) AS engaged_contacts
FROM done LEFT JOIN read_parquet(getvariable('contacts')) AS contacts ON contacts.person = done.person
GROUP BY GROUPING SETS ((email_campaign), ())
