"""DuckDB: gaps and islands with window functions, for sessions and for byte ranges. `batch_duckdb.py LOG RESULT FORMAT THREADS`."""

from __future__ import annotations

import sys

import duckdb

WEBLOG_TSV = """
    SELECT epoch("time")::BIGINT AS t, ip_address, user_agent, regexp_replace(request, ' HTTP/[^ ]*$', '') AS request,
        split_part(byte_range, '-', 1)::BIGINT AS lo, split_part(byte_range, '-', 2)::BIGINT AS hi, hi - lo + 1 AS sent
    FROM read_csv('{log}', delim = '\t', header = true, quote = '', escape = '', columns = {{
        'date': 'VARCHAR', 'time': 'TIMESTAMP', 'ip_address': 'VARCHAR', 'user_agent': 'VARCHAR', 'request': 'VARCHAR',
        'status': 'INTEGER', 'byte_range': 'VARCHAR'}})
    WHERE status IN (200, 206) AND (request LIKE 'GET %' OR request NOT LIKE '% HTTP/%')
"""
COMBINED = r"""
    SELECT epoch(strptime(m.time, '%d/%b/%Y:%H:%M:%S +0000'))::BIGINT AS t, m.ip AS ip_address, m.agent AS user_agent,
        regexp_replace(m.request, ' HTTP/[^ ]*$', '') AS request, coalesce(nullif(m.lo, '')::BIGINT, CASE m.status WHEN '200' THEN 0 END) AS lo, m.sent::BIGINT AS sent,
        least(coalesce(nullif(m.hi, '')::BIGINT, lo + sent - 1), lo + sent - 1) AS hi
    FROM (SELECT regexp_extract(line, '^(\S+) \S+ \S+ \[([^\]]*)\] "((?:[^"\\]|\\.)*)" (\d+) (\d+) "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)" "(?:bytes (\d+)-(\d+)/|-)',
            ['ip', 'time', 'request', 'status', 'sent', 'agent', 'lo', 'hi']) AS m
        FROM read_csv('{log}', delim = '\1', header = false, quote = '', escape = '', columns = {{'line': 'VARCHAR'}}))
    WHERE m.status IN ('200', '206') AND m.request LIKE 'GET %'
"""
MERGE = """
COPY (
    WITH hits AS MATERIALIZED ({hits}),
    spans AS (SELECT * REPLACE (CASE WHEN sent > 0 THEN lo END AS lo, CASE WHEN sent > 0 THEN hi END AS hi) FROM hits),
    marked AS (SELECT *, t - lag(t) OVER (PARTITION BY ip_address, user_agent, request ORDER BY t) >= 86400 AS opens FROM spans),
    cut AS (SELECT * EXCLUDE opens, count(*) FILTER (opens) OVER (
        PARTITION BY ip_address, user_agent, request ORDER BY t RANGE UNBOUNDED PRECEDING) AS session FROM marked),
    edges AS (SELECT *, lo > 1 + max(hi) OVER (PARTITION BY ip_address, user_agent, request, session
        ORDER BY lo NULLS LAST, hi ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS gap FROM cut),
    islands AS (SELECT *, count(*) FILTER (gap) OVER (PARTITION BY ip_address, user_agent, request, session
        ORDER BY lo NULLS LAST, hi ROWS UNBOUNDED PRECEDING) AS island FROM edges),
    runs AS (SELECT ip_address, user_agent, request, session, island, min(lo) AS lo, max(hi) AS hi,
        min(t) AS first, max(t) AS last, count(*) AS hits, sum(sent)::BIGINT AS sent FROM islands GROUP BY ALL)
    SELECT ip_address, user_agent, request, min(first) AS first, max(last) AS last, sum(hits)::BIGINT AS hits, sum(sent)::BIGINT AS sent,
        list([lo, hi] ORDER BY lo) FILTER (lo IS NOT NULL) AS ranges
    FROM runs GROUP BY ip_address, user_agent, request, session
) TO '{result}' (FORMAT json)
"""


def main(log: str, result: str, form: str, threads: str) -> None:
    hits = {"weblog_tsv": WEBLOG_TSV, "combined_range": COMBINED}[form].format(log=log)
    duckdb.sql(f"SET threads = {threads}; SET preserve_insertion_order = false")
    duckdb.sql(MERGE.format(hits=hits, result=result))


if __name__ == "__main__":
    main(*sys.argv[1:])
