-- How many users with a first action on one day came back within some days: the first row of `python -m app retention`.
WITH asked AS (
    SELECT 'FIRST_INSTALL' AS first_action, DATE '2017-04-01' AS day, 7 AS days
),
cohort AS (
    SELECT DISTINCT c.user_id
    FROM clickstream c
    JOIN asked ON c.action = asked.first_action AND c.time >= asked.day AND c.time < asked.day + INTERVAL 1 DAY
),
back AS (
    SELECT DISTINCT c.user_id
    FROM clickstream c
    JOIN cohort ON cohort.user_id = c.user_id
    JOIN asked ON c.time >= asked.day + INTERVAL 1 DAY AND c.time < asked.day + INTERVAL (asked.days + 1) DAY
),
counted AS (
    SELECT (SELECT count(*) FROM cohort) AS cohort, (SELECT count(*) FROM back) AS back
)
SELECT cohort, back, round(100.0 * back / nullif(cohort, 0), 2) AS percent
FROM counted;
