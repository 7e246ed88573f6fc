-- Votes and spending in the embedded store. Applied at every start: each statement makes only what lacks.
--
-- Times are UTC seconds since 1970, money is cents. A sum stands once for each partition of the topic (and share): add them up.

CREATE TABLE IF NOT EXISTS votes (
    vote_no INTEGER PRIMARY KEY,
    vote_id NOT NULL UNIQUE,
    candidate_id NOT NULL,
    time REAL NOT NULL,
    kiosk_id,
    user_id,
    opinion,
    ingested INTEGER NOT NULL  -- to the hour, as everywhere here
);
CREATE INDEX IF NOT EXISTS votes_by_ingest ON votes (ingested);

CREATE TABLE IF NOT EXISTS vote_sums (
    resolution NOT NULL,  -- kiosk, window, total, second
    start INTEGER NOT NULL,
    grp NOT NULL,         -- candidate/kiosk, candidate, candidate, ''
    partition INTEGER NOT NULL,
    share INTEGER NOT NULL,
    events INTEGER NOT NULL,
    amount NOT NULL,
    repeats INTEGER NOT NULL,
    version INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    PRIMARY KEY (resolution, start, grp, partition, share)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vote_sums_by_ingest ON vote_sums (resolution, ingested) WHERE resolution <> 'total';

CREATE TABLE IF NOT EXISTS transactions (
    transaction_no INTEGER PRIMARY KEY,
    user_id NOT NULL,
    time REAL NOT NULL,
    transaction_id NOT NULL,
    cents INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    UNIQUE (user_id, transaction_id)
);
CREATE INDEX IF NOT EXISTS transactions_by_user ON transactions (user_id, time, transaction_id);
CREATE INDEX IF NOT EXISTS transactions_by_ingest ON transactions (ingested);

CREATE TABLE IF NOT EXISTS spend_sums (
    grp NOT NULL,         -- the user
    resolution NOT NULL,  -- minute, hour, day, total
    start INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    share INTEGER NOT NULL,
    events INTEGER NOT NULL,
    amount NOT NULL,
    repeats INTEGER NOT NULL,
    version INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    PRIMARY KEY (grp, resolution, start, partition, share)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spend_sums_by_ingest ON spend_sums (resolution, ingested) WHERE resolution <> 'total';
CREATE INDEX IF NOT EXISTS spend_sums_in_total ON spend_sums (grp, amount, events) WHERE resolution = 'total';

CREATE TABLE IF NOT EXISTS candidates (id PRIMARY KEY, name NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS users (id PRIMARY KEY, name NOT NULL) WITHOUT ROWID;

-- For people with an SQL tool.
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
