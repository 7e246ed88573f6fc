"""What keeps the embedded log's file bounded: trimming of consumed messages, compaction of changelogs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from time import time

from app.transports.embedded.file import OFFSET_BITS
from app.transports.embedded.writer import LogWriter
from app.transports.messages import Pair, pack_pairs, unpack_pairs

__all__ = ["compact", "trim"]

_OFFSETS = (1 << OFFSET_BITS) - 1
_ROWS_AT_ONCE = 200
_BATCH_BYTES = 256 << 10

_CONSUMED = """
SELECT p.no, p.first_offset, min(coalesce(c.next_offset, 0))
FROM partitions p
JOIN topics t ON t.no = p.topic_no
JOIN subscriptions s ON s.topic_no = p.topic_no
LEFT JOIN committed c ON c.consumer_group = s.consumer_group AND c.partition_no = p.no
WHERE NOT t.compacted
GROUP BY p.no
HAVING min(coalesce(c.next_offset, 0)) > p.first_offset
"""


def trim(writer: LogWriter, before: float) -> int:
    """Delete what every subscribed group has consumed and what was stored before this time; returns how many messages.

    Short transactions: producers get their turn in between.
    """
    consumed = writer.db.execute(_CONSUMED).fetchall()
    return sum(_trim_partition(writer, number, first, end, before) for number, first, end in consumed)


def _trim_partition(writer: LogWriter, number: int, first: int, consumed: int, before: float) -> int:
    base = number << OFFSET_BITS
    deleted = 0
    while first < consumed:
        rows = writer.db.execute(
            "SELECT id & ?, stored FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (_OFFSETS, base + first, base + consumed, _ROWS_AT_ONCE),
        ).fetchall()
        kept = next((offset for offset, stored in rows if stored >= before), None)
        upto = kept if kept is not None else (rows[-1][0] + 1 if rows else first)
        if upto <= first:
            break
        _delete_before(writer, number, first, upto)
        deleted += upto - first
        first = upto
        if kept is not None:
            break
    return deleted


def _delete_before(writer: LogWriter, number: int, first: int, upto: int) -> None:
    base = number << OFFSET_BITS
    with writer.transaction() as db:
        db.execute("DELETE FROM records WHERE id >= ? AND id < ?", (base + first, base + upto))
        db.execute("UPDATE partitions SET first_offset = ? WHERE no = ?", (upto, number))


def compact(writer: LogWriter, snapshot: sqlite3.Connection, number: int) -> None:
    """Rewrite one changelog partition; see EmbeddedLog.compact.

    The keys are gathered from a snapshot before the transaction, so that producers wait for the rewriting alone.
    Survivors move up to the end: a reader that stands at any offset meets every pair that was behind it, or a newer one.
    """
    snapshot.execute("BEGIN")
    end: int = snapshot.execute("SELECT next_offset FROM partitions WHERE no = ?", (number,)).fetchone()[0]
    base = number << OFFSET_BITS
    if snapshot.execute(
        "SELECT 1 FROM records WHERE id >= ? AND id < ? AND count IS NULL", (base, base + end)
    ).fetchone():
        _compact_messages(writer, number, end)
    else:
        _compact_batches(writer, snapshot, number, end)


def _rows(db: sqlite3.Connection, number: int, end: int) -> Iterator[list[Pair]]:
    base = number << OFFSET_BITS
    for (value,) in db.execute("SELECT value FROM records WHERE id >= ? AND id < ? ORDER BY id", (base, base + end)):
        yield unpack_pairs(value)


def _last_places(db: sqlite3.Connection, number: int, end: int) -> dict[bytes, int]:
    """The place of the last pair of each key that is not deleted, counting pairs from 0."""
    last: dict[bytes, int] = {}
    place = 0
    for pairs in _rows(db, number, end):
        for key, value in pairs:
            if value is None:
                last.pop(key, None)
            else:
                last[key] = place
            place += 1
    return last


def _survivors(db: sqlite3.Connection, number: int, end: int, last: dict[bytes, int]) -> Iterator[list[Pair]]:
    """What is kept, in order, in batches of about _BATCH_BYTES."""
    batch: list[Pair] = []
    size = place = 0
    for pairs in _rows(db, number, end):
        for key, value in pairs:
            if last.get(key) == place:
                batch.append((key, value))
                size += len(key) + len(value or b"")
            place += 1
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _compact_batches(writer: LogWriter, snapshot: sqlite3.Connection, number: int, end: int) -> None:
    base = number << OFFSET_BITS
    last = _last_places(snapshot, number, end)
    offset = end - len(last)
    kept = 0
    now = time()
    with writer.transaction() as db:
        db.execute("DELETE FROM records WHERE id >= ? AND id < ?", (base, base + end))
        for batch in _survivors(snapshot, number, end, last):
            value = pack_pairs(batch)
            db.execute(
                "INSERT INTO records (id, count, timestamp, stored, value) VALUES (?, ?, ?, ?, ?)",
                (base | offset, len(batch), now, now, value),
            )
            offset += len(batch)
            kept += len(value)
        _note_compacted(db, number, end, kept)


def _compact_messages(writer: LogWriter, number: int, end: int) -> None:
    """A changelog that Faust's own tables write, one message a key. The last message stays even where it deletes a key:
    Faust's recovery waits for it."""
    base = number << OFFSET_BITS
    bounds = (base, base + end)
    with writer.transaction() as db:
        db.execute(
            "DELETE FROM records WHERE id >= ? AND id < ? - 1 AND count IS NULL AND (value IS NULL OR id NOT IN"
            " (SELECT max(id) FROM records WHERE id >= ? AND id < ? AND count IS NULL GROUP BY key))",
            bounds * 2,
        )
        kept = db.execute(
            "SELECT coalesce(sum(length(key) + coalesce(length(value), 0)), 0) FROM records WHERE id >= ? AND id < ?",
            bounds,
        ).fetchone()[0]
        _note_compacted(db, number, end, kept)


def _note_compacted(db: sqlite3.Connection, number: int, end: int, kept: int) -> None:
    # what was appended since the snapshot lies behind `end` and is counted again from the rows themselves
    base = number << OFFSET_BITS
    newer = db.execute(
        "SELECT coalesce(sum(length(value)), 0) FROM records WHERE id >= ? AND id < ?",
        (base + end, (number + 1) << OFFSET_BITS),
    ).fetchone()[0]
    db.execute(
        "UPDATE partitions SET bytes = ?, kept_bytes = ?, compacted_to = ? WHERE no = ?",
        (kept + newer, kept, end, number),
    )
