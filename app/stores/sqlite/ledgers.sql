-- Names of candidates and users, and views for people with an SQL tool. The tables of events and sums derive from
-- their kinds: see ledger_writes.py.

CREATE TABLE IF NOT EXISTS candidates (id PRIMARY KEY, name NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS users (id PRIMARY KEY, name NOT NULL) WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS vote_windows AS
SELECT
    strftime('%Y-%m-%d %H:%M:%S', start, 'unixepoch') AS window_utc, CAST(grp AS INTEGER) AS candidate_id, sum(events) AS votes,
    sum(repeats) AS repeats, start AS window_start
FROM vote_sums WHERE resolution = 'window' GROUP BY start, grp;

CREATE VIEW IF NOT EXISTS spending AS
SELECT
    grp AS user_id, resolution, strftime('%Y-%m-%d %H:%M:%S', start, 'unixepoch') AS start_utc, sum(amount) AS cents,
    sum(events) AS transactions, start
FROM spend_sums GROUP BY grp, resolution, start;
