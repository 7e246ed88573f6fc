-- The articles that most users met by one action on one day: the same as `python -m app articles --by users`.
WITH asked AS (
    SELECT 'LIKE_ARTICLE' AS action, DATE '2017-04-01' AS day
)
SELECT c.object_id AS article, coalesce(max(a.title), '') AS title, count(DISTINCT c.user_id) AS users, count(*) AS events
FROM clickstream c
JOIN asked ON c.action = asked.action AND c.time >= asked.day AND c.time < asked.day + INTERVAL 1 DAY
LEFT JOIN articles a ON a.id = c.object_id
WHERE c.object_id <> ''
GROUP BY c.object_id
ORDER BY users DESC, article
LIMIT 10;
