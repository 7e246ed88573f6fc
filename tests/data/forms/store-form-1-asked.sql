BEGIN TRANSACTION;
CREATE TABLE candidates (id PRIMARY KEY, name NOT NULL) WITHOUT ROWID;
CREATE TABLE deliveries (
    delivery_no INTEGER PRIMARY KEY,
    key_no INTEGER NOT NULL,
    ingested REAL NOT NULL,
    window_start REAL NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    ranges NOT NULL,
    missing NOT NULL,
    covered_bytes NOT NULL,
    total_bytes,
    size_known NOT NULL,
    verdict NOT NULL,
    evidence NOT NULL,
    reason,
    hits NOT NULL,
    bytes_sent,
    flags NOT NULL,
    hit_ids BLOB NOT NULL,
    final NOT NULL,
    version NOT NULL,
    superseded_by REAL,
    doubtful NOT NULL DEFAULT '',  -- ranges as in 0-499,1000-1200; flags as in beyond_size,cut_off; hit_ids 8 bytes each
    UNIQUE (key_no, window_start)
);
INSERT INTO "deliveries" VALUES(1,3,0.0,1596213967.0,1596213967.0,1596213977.0,'0-499','',500,NULL,0,'complete','ranges',NULL,1,500,'',X'00000000000000FF',0,8,NULL,'');
CREATE TABLE hits (
    hit_no INTEGER PRIMARY KEY,
    key_no INTEGER NOT NULL,
    source_no INTEGER NOT NULL,
    given BLOB,
    time REAL NOT NULL,
    method,
    status NOT NULL,
    lo,
    hi,
    bytes_sent,
    total_bytes,
    flags NOT NULL,
    position NOT NULL,
    asked
);
INSERT INTO "hits" VALUES(1,1,1,NULL,1596213968.0,'GET',206,0,499,500,NULL,0,1,NULL);
INSERT INTO "hits" VALUES(2,1,1,NULL,1596213969.0,'GET',206,0,499,500,NULL,0,2,'GET /film.mp4?token=1');
INSERT INTO "hits" VALUES(3,2,1,NULL,1596213970.0,'GET',206,0,499,500,NULL,0,3,X'474554202FC3A93F7369673DEDA080');
CREATE TABLE ingests (
    kind TEXT NOT NULL,  -- hits or rejects
    first_no INTEGER NOT NULL,
    last_no INTEGER NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY (kind, first_no)
) WITHOUT ROWID;
INSERT INTO "ingests" VALUES('hits',1,3,0.0);
CREATE TABLE keys (
    key_no INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,  -- 16 bytes hash of the joined text, then the lengths of its three parts: no two keys share one
    ip_address,                 -- null where the log has no client columns
    user_agent,
    request
);
INSERT INTO "keys" VALUES(1,X'538D337FED8CCDD30AE946599AF6851800000008000000080000000D','10.0.0.1','curl/8_1','GET /film.mp4');
INSERT INTO "keys" VALUES(2,X'7F3D9F10EA3480887089FC3B054EADCA000000080000000800000006','10.0.0.1','curl/8_1','GET /é');
INSERT INTO "keys" VALUES(3,X'3CA15B8EF508164A07E4257DD7D48B59000000080000000800000006','10.0.0.1','curl/8_1','GET /a');
CREATE TABLE rejects (
    reject_no INTEGER PRIMARY KEY,
    source_no INTEGER NOT NULL,
    given BLOB,
    reason NOT NULL,
    detail NOT NULL,
    line NOT NULL,
    position NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE sources (
    source_no INTEGER PRIMARY KEY,
    source NOT NULL UNIQUE
);
INSERT INTO "sources" VALUES(1,'5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f');
CREATE TABLE spend_sums (resolution NOT NULL, start INTEGER NOT NULL, grp NOT NULL, partition INTEGER NOT NULL, share INTEGER NOT NULL, events INTEGER NOT NULL, amount NOT NULL, repeats INTEGER NOT NULL, version INTEGER NOT NULL, ingested INTEGER NOT NULL, PRIMARY KEY (grp, resolution, start, partition, share)) WITHOUT ROWID;
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
INSERT INTO "tallies" VALUES('deliveries','complete','','ranges',1,1,500,500);
INSERT INTO "tallies" VALUES('hits','','','',3,0,0,0);
CREATE TABLE transactions (transaction_no INTEGER PRIMARY KEY, transaction_id NOT NULL, user_id NOT NULL, time REAL NOT NULL, cents INTEGER NOT NULL, ingested INTEGER NOT NULL, UNIQUE (user_id, transaction_id));
CREATE TABLE users (id PRIMARY KEY, name NOT NULL) WITHOUT ROWID;
CREATE TABLE vote_sums (resolution NOT NULL, start INTEGER NOT NULL, grp NOT NULL, partition INTEGER NOT NULL, share INTEGER NOT NULL, events INTEGER NOT NULL, amount NOT NULL, repeats INTEGER NOT NULL, version INTEGER NOT NULL, ingested INTEGER NOT NULL, PRIMARY KEY (resolution, start, grp, partition, share)) WITHOUT ROWID;
CREATE TABLE votes (vote_no INTEGER PRIMARY KEY, vote_id NOT NULL, candidate_id INTEGER NOT NULL, time REAL NOT NULL, kiosk_id, user_id, opinion, ingested INTEGER NOT NULL, UNIQUE (vote_id));
CREATE UNIQUE INDEX hits_by_position ON hits (source_no, position) WHERE given IS NULL;
CREATE UNIQUE INDEX hits_by_given ON hits (given) WHERE given IS NOT NULL;
CREATE INDEX hits_by_key ON hits (key_no, time);
CREATE UNIQUE INDEX rejects_by_position ON rejects (source_no, position) WHERE given IS NULL;
CREATE UNIQUE INDEX rejects_by_given ON rejects (given) WHERE given IS NOT NULL;
CREATE INDEX deliveries_by_last ON deliveries (verdict, last) WHERE superseded_by IS NULL;
CREATE INDEX deliveries_by_ingest ON deliveries (ingested);
CREATE VIEW raw_weblogs AS SELECT strftime('%Y-%m-%d %H:%M:%f', hits.time, 'unixepoch') AS time_utc, keys.ip_address AS ip_address, keys.user_agent AS user_agent, keys.request AS request, hits.method AS method, hits.status AS status, hits.lo AS lo, hits.hi AS hi, hits.bytes_sent AS bytes_sent, hits.total_bytes AS total_bytes, hits.flags AS flags, lower(hex(hits.given)) AS given_id, sources.source AS source, hits.position AS position, hits.asked AS asked, hits.time AS time, lower(hex(substr(keys.name, 1, 16))) AS key_hash, (SELECT time FROM ingests WHERE kind = 'hits' AND first_no <= hits.hit_no ORDER BY first_no DESC LIMIT 1) AS ingested FROM hits JOIN keys USING (key_no) JOIN sources USING (source_no);
CREATE VIEW reduced_weblogs AS SELECT keys.ip_address AS ip_address, keys.user_agent AS user_agent, keys.request AS request, strftime('%Y-%m-%d %H:%M:%f', d.window_start, 'unixepoch') AS window_start_utc, strftime('%Y-%m-%d %H:%M:%f', d.first, 'unixepoch') AS first_utc, strftime('%Y-%m-%d %H:%M:%f', d.last, 'unixepoch') AS last_utc, d.ranges AS byte_ranges, d.missing AS missing, d.covered_bytes AS covered_bytes, d.total_bytes AS total_bytes, d.size_known AS size_known, d.verdict AS verdict, d.evidence AS evidence, d.reason AS reason, d.hits AS hits, d.bytes_sent AS bytes_sent, d.flags AS flags, lower(hex(d.hit_ids)) AS hit_ids, d.final AS final, d.version AS version, d.doubtful AS doubtful, d.window_start AS window_start, d.first AS first, d.last AS last, lower(hex(substr(keys.name, 1, 16))) AS key_hash, d.ingested FROM deliveries AS d JOIN keys USING (key_no) WHERE d.superseded_by IS NULL;
CREATE VIEW weblogs_rejects AS SELECT rejects.reason AS reason, rejects.detail AS detail, rejects.line AS line, lower(hex(rejects.given)) AS given_id, sources.source AS source, rejects.position AS position, strftime('%Y-%m-%d %H:%M:%f', rejects.time, 'unixepoch') AS arrived_utc, rejects.time AS time, (SELECT time FROM ingests WHERE kind = 'rejects' AND first_no <= rejects.reject_no ORDER BY first_no DESC LIMIT 1) AS ingested FROM rejects JOIN sources USING (source_no);
CREATE INDEX votes_by_ingest ON votes (ingested);
CREATE INDEX vote_sums_by_ingest ON vote_sums (resolution, ingested) WHERE resolution <> 'total';
CREATE INDEX transactions_by_ingest ON transactions (ingested);
CREATE INDEX spend_sums_by_ingest ON spend_sums (resolution, ingested) WHERE resolution <> 'total';
CREATE INDEX transactions_by_user ON transactions (user_id, time, transaction_id);
CREATE INDEX spend_sums_in_total ON spend_sums (grp, amount, events) WHERE resolution = 'total';
CREATE VIEW vote_windows AS
SELECT
    strftime('%Y-%m-%d %H:%M:%S', start, 'unixepoch') AS window_utc, CAST(grp AS INTEGER) AS candidate_id, sum(events) AS votes,
    sum(repeats) AS repeats, start AS window_start
FROM vote_sums WHERE resolution = 'window' GROUP BY start, grp;
CREATE VIEW spending AS
SELECT
    grp AS user_id, resolution, strftime('%Y-%m-%d %H:%M:%S', start, 'unixepoch') AS start_utc, sum(amount) AS cents,
    sum(events) AS transactions, start
FROM spend_sums GROUP BY grp, resolution, start;
COMMIT;
PRAGMA user_version = 1;
