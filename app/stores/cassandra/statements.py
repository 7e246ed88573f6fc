"""Every prepared statement of the Cassandra store, by name."""

from __future__ import annotations

from app.stores.cassandra.rows import DELIVERY_COLUMNS, HIT_COLUMNS, KEY_COLUMNS, REJECT_COLUMNS

__all__ = ["STAMPED_COLUMNS", "reads", "writes"]

STAMPED_COLUMNS = (
    "byte_ranges, missing, covered, total, size_known, verdict, evidence, reason, hits, bytes_sent, first, last, flags, hit_ids, final, "
    "version, superseded_by"
)
"""Those of reduced_weblogs that have a time of writing of their own."""
_KEY = "ip_address = ? AND user_agent = ? AND request = ?"
_TTL = "USING TTL ?"


def _insert(table: str, columns: str, using: str) -> str:
    marks = ", ".join("?" for _ in columns.split(","))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) {using}"


def writes(keyspace: str) -> dict[str, str]:
    """Name → CQL."""
    k = keyspace
    key_day = f"key_hash, {KEY_COLUMNS}"
    return {
        "hit": _insert(f"{k}.raw_weblogs", HIT_COLUMNS, _TTL),
        "hit_at": _insert(f"{k}.raw_weblogs", HIT_COLUMNS, "USING TTL ? AND TIMESTAMP ?"),
        "reject": _insert(f"{k}.rejects", REJECT_COLUMNS, _TTL),
        "delivery": _insert(f"{k}.reduced_weblogs", DELIVERY_COLUMNS, "USING TTL ? AND TIMESTAMP ?"),
        "by_last": _insert(
            f"{k}.deliveries_by_last",
            f"class, hour, shard, last, delivery_id, {KEY_COLUMNS}, window_start, long_key",
            _TTL,
        ),
        "by_hash": _insert(f"{k}.keys_by_hash", f"{key_day}, day, long_key", _TTL),
        "by_day": _insert(f"{k}.keys_by_day", f"day, shard, {key_day}, written, long_key", _TTL),
        "bucket": _insert(f"{k}.buckets", "kind, bucket", _TTL),
        "floor": _insert(f"{k}.reduced_floors", "delivery_id, floor", "USING TIMESTAMP ?"),
        "counts": _insert(f"{k}.counts_taken", "name, taken", ""),
        "remove_delivery": f"DELETE FROM {k}.reduced_weblogs USING TIMESTAMP ? WHERE {_KEY} AND window_start = ?",
        "remove_reject": f"DELETE FROM {k}.rejects WHERE reason = ? AND bucket = ? AND raw_id = ?",
        "remove_hit": f"DELETE FROM {k}.raw_weblogs WHERE {_KEY} AND day = ? AND time = ? AND raw_id = ?",
    }


def reads(keyspace: str) -> dict[str, str]:
    """Name → CQL."""
    k = keyspace
    stamps = ", ".join(f"WRITETIME({column})" for column in STAMPED_COLUMNS.split(", "))
    ring = "token({0}) > ? AND token({0}) <= ?"
    return {
        "ping": "SELECT key FROM system.local WHERE key = 'local'",
        "keys_of_hash": f"SELECT {KEY_COLUMNS}, long_key FROM {k}.keys_by_hash WHERE key_hash = ? GROUP BY key_hash, {KEY_COLUMNS}",
        "days_of_key": f"SELECT day FROM {k}.keys_by_hash WHERE key_hash = ? AND {_KEY}",
        "keys_of_day": f"SELECT {KEY_COLUMNS}, long_key, written FROM {k}.keys_by_day WHERE day = ? AND shard = ?",
        "buckets": f"SELECT bucket FROM {k}.buckets WHERE kind = ?",
        "deliveries_of": f"SELECT {DELIVERY_COLUMNS} FROM {k}.reduced_weblogs WHERE {_KEY}",
        "delivery_of": f"SELECT {DELIVERY_COLUMNS} FROM {k}.reduced_weblogs WHERE {_KEY} AND window_start = ?",
        "stamps_of": f"SELECT {stamps} FROM {k}.reduced_weblogs WHERE {_KEY} AND window_start = ?",
        "newest": (
            f"SELECT last, delivery_id, {KEY_COLUMNS}, window_start FROM {k}.deliveries_by_last WHERE class = ? AND hour = ? AND shard = ?"
        ),
        "hits_of_day": f"SELECT {HIT_COLUMNS} FROM {k}.raw_weblogs WHERE {_KEY} AND day = ? LIMIT ?",
        "hits_at": f"SELECT {HIT_COLUMNS} FROM {k}.raw_weblogs WHERE {_KEY} AND day = ? AND time = ?",
        "count_of_day": f"SELECT count(*) FROM {k}.raw_weblogs WHERE {_KEY} AND day = ?",
        "hit_of": f"SELECT {HIT_COLUMNS} FROM {k}.raw_weblogs WHERE {_KEY} AND day = ? AND time = ? AND raw_id = ?",
        "all_deliveries": f"SELECT {DELIVERY_COLUMNS} FROM {k}.reduced_weblogs",
        "all_hits": f"SELECT {HIT_COLUMNS} FROM {k}.raw_weblogs",
        "all_rejects": f"SELECT {REJECT_COLUMNS} FROM {k}.rejects",
        "floors": f"SELECT delivery_id, floor FROM {k}.reduced_floors",
        "counts_taken": f"SELECT taken FROM {k}.counts_taken WHERE name = ?",
        "count_hits": f"SELECT count(*) FROM {k}.raw_weblogs WHERE {ring.format(f'{KEY_COLUMNS}, day')}",
        "count_rejects": (
            f"SELECT reason, count(*) FROM {k}.rejects WHERE {ring.format('reason, bucket')} GROUP BY reason, bucket"
        ),
        "count_deliveries": (
            f"SELECT verdict, reason, covered, bytes_sent, superseded_by FROM {k}.reduced_weblogs WHERE {ring.format(KEY_COLUMNS)}"
        ),
    }
