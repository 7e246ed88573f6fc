-- How many users with a first action on one day came back on each of some days: the other rows of `python -m app retention`.
WITH RECURSIVE asked AS (
    SELECT 'FIRST_INSTALL' AS first_action, DATE '2017-04-01' AS day, 7 AS days
),
numbers AS (
    SELECT 1 AS number
    UNION ALL
    SELECT numbers.number + 1 FROM numbers JOIN asked ON numbers.number < asked.days
),
cohort AS (
    SELECT DISTINCT c.user_id
    FROM clickstream c
    JOIN asked ON c.action = asked.first_action AND c.time >= asked.day AND c.time < asked.day + INTERVAL 1 DAY
)
SELECT numbers.number AS day, count(DISTINCT c.user_id) AS back,
    round(100.0 * count(DISTINCT c.user_id) / nullif((SELECT count(*) FROM cohort), 0), 2) AS percent
FROM numbers
CROSS JOIN asked
LEFT JOIN (clickstream c JOIN cohort ON cohort.user_id = c.user_id)
    ON c.time >= asked.day + INTERVAL numbers.number DAY AND c.time < asked.day + INTERVAL (numbers.number + 1) DAY
GROUP BY numbers.number
ORDER BY numbers.number;
