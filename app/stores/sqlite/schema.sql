-- The embedded store. Applied once, to an empty file, in one transaction. What stands in braces follows from the tables of fields
-- in app/domain/fields.py: see schema.py, which also sets `PRAGMA user_version`, the form of the file.
--
-- Columns without a type keep what is put in: an integer above 2**63-1 stands as decimal text, a text with lone surrogates
-- (no valid UTF-8) as a blob. Times are UTC seconds since 1970.

CREATE TABLE keys (
    key_no INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,  -- 16 bytes hash of the joined text, then the lengths of its three parts: no two keys share one
    ip_address,                 -- null where the log has no client columns
    user_agent,
    request
);

CREATE TABLE sources (
    source_no INTEGER PRIMARY KEY,
    source NOT NULL UNIQUE
);

-- The raw id of a line is a function of source and position, unless its shipper gave one: only a given id takes room.
CREATE TABLE hits (
    hit_no INTEGER PRIMARY KEY,
    key_no INTEGER NOT NULL,
    source_no INTEGER NOT NULL,
    given BLOB,
    {hits}
);
CREATE UNIQUE INDEX hits_by_position ON hits (source_no, position) WHERE given IS NULL;
CREATE UNIQUE INDEX hits_by_given ON hits (given) WHERE given IS NOT NULL;
CREATE INDEX hits_by_key ON hits (key_no, time);

CREATE TABLE rejects (
    reject_no INTEGER PRIMARY KEY,
    source_no INTEGER NOT NULL,
    given BLOB,
    {rejects}
);
CREATE UNIQUE INDEX rejects_by_position ON rejects (source_no, position) WHERE given IS NULL;
CREATE UNIQUE INDEX rejects_by_given ON rejects (given) WHERE given IS NOT NULL;

-- When hits and rejects came in: their numbers grow, so one row tells it for all of a minute.
CREATE TABLE ingests (
    kind TEXT NOT NULL,  -- hits or rejects
    first_no INTEGER NOT NULL,
    last_no INTEGER NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (kind, first_no)
) WITHOUT ROWID;

-- Rows stand in the order they came first, so those of a batch are neighbours; with the key as the order of the rows, a batch was
-- measured to write twice as much.
CREATE TABLE deliveries (
    delivery_no INTEGER PRIMARY KEY,
    key_no INTEGER NOT NULL,
    ingested REAL NOT NULL,
    {deliveries},  -- ranges as in 0-499,1000-1200; flags as in beyond_size,cut_off; hit_ids 8 bytes each
    UNIQUE (key_no, window_start)
);
CREATE INDEX deliveries_by_last ON deliveries (verdict, last) WHERE superseded_by IS NULL;
CREATE INDEX deliveries_by_ingest ON deliveries (ingested);

-- How many there are, kept in the transaction of each write: counting millions of rows on every page would take seconds.
CREATE TABLE tallies (
    kind TEXT NOT NULL,   -- hits, rejects or deliveries (the visible ones)
    verdict NOT NULL,     -- '' where it does not apply
    reason NOT NULL,      -- '' for none
    evidence NOT NULL,    -- '' where it does not apply
    records NOT NULL,
    merged NOT NULL,      -- hits in the deliveries
    covered_bytes NOT NULL,
    bytes_sent NOT NULL,
    PRIMARY KEY (kind, verdict, reason, evidence)
) WITHOUT ROWID;

CREATE VIEW raw_weblogs AS SELECT
    {hits shown}, lower(hex(substr(keys.name, 1, 16))) AS key_hash,
    (SELECT time FROM ingests WHERE kind = 'hits' AND first_no <= hits.hit_no ORDER BY first_no DESC LIMIT 1) AS ingested
FROM hits JOIN keys USING (key_no) JOIN sources USING (source_no);

CREATE VIEW reduced_weblogs AS SELECT
    {deliveries shown}, lower(hex(substr(keys.name, 1, 16))) AS key_hash, d.ingested
FROM deliveries AS d JOIN keys USING (key_no) WHERE d.superseded_by IS NULL;

CREATE VIEW weblogs_rejects AS SELECT
    {rejects shown},
    (SELECT time FROM ingests WHERE kind = 'rejects' AND first_no <= rejects.reject_no ORDER BY first_no DESC LIMIT 1) AS ingested
FROM rejects JOIN sources USING (source_no);
