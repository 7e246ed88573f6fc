"""Reading the embedded log: messages, changelogs, and how far the consumer groups are."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from app.errors import LogError
from app.transports.embedded.file import OFFSET_BITS, connect, in_words
from app.transports.embedded.transaction import EmbeddedTopic, load_topics
from app.transports.messages import LogRow, Pair, unpack_pairs

__all__ = ["LogReader"]

_OFFSETS = (1 << OFFSET_BITS) - 1
_COLUMNS = "id, count, timestamp, key, value, headers"
_decode_bounds = msgspec.json.Decoder(list[tuple[str, int, int, int]]).decode


class LogReader:
    """The reading half of EmbeddedLog: one connection a thread. The file must exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._topics: dict[str, EmbeddedTopic] = {}
        self._closed = False
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()

    # -- topics

    @property
    def topics(self) -> dict[str, int]:
        """The number of partitions of every topic, by name."""
        self._refresh()
        return {topic.name: topic.partitions for topic in self._topics.values()}

    def has_topic(self, name: str) -> bool:
        return name in self._topics or name in self.topics

    def partitions(self, topic: str) -> int:
        return self._topic(topic).partitions

    def incarnation(self, topic: str) -> str:
        """Random hex made when the topic was created."""
        return self._topic(topic).incarnation

    # -- records

    def read(
        self, topic: str, partition: int, from_offset: int, max_records: int = 1000, max_bytes: int = 8 << 20
    ) -> list[LogRow]:
        """Rows from the offset on, at least one where there is one, then as many as both bounds allow."""
        base = self._topic(topic).number(partition) << OFFSET_BITS
        found: list[LogRow] = []
        size = 0
        with in_words(self.path), closing(self._reader().cursor()) as cursor:
            start = _row_that_holds(cursor, base, from_offset)
            for row in cursor.execute(
                f"SELECT {_COLUMNS} FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                (start, base | _OFFSETS, max_records),
            ):
                found.append(LogRow(row[0] & _OFFSETS, *row[1:]))
                size += len(row[4] or b"")
                if size >= max_bytes:
                    break
        return found

    def read_changelog(
        self, topic: str, partition: int, from_offset: int = 0, page_bytes: int = 4 << 20
    ) -> Iterator[list[Pair]]:
        """All pairs from the offset to the end, in order, a few MB at a time, as the log stands at the first step.

        Raises LogError where 0 < from_offset lies in a part that was compacted since: deletions are dropped there, so a
        reader that has state from before must start over.
        """
        number = self._topic(topic).number(partition)
        base = number << OFFSET_BITS
        with in_words(self.path), closing(connect(self.path)) as db:
            db.execute("BEGIN")  # one snapshot for all pages: compaction may run beside
            compacted_to = db.execute("SELECT compacted_to FROM partitions WHERE no = ?", (number,)).fetchone()[0]
            if 0 < from_offset < compacted_to:
                raise LogError(
                    f"{topic} partition {partition} was compacted up to offset {compacted_to}: read it from 0, not {from_offset}"
                )
            start = _row_that_holds(db, base, from_offset)
            cursor = db.execute(
                f"SELECT {_COLUMNS} FROM records WHERE id BETWEEN ? AND ? ORDER BY id", (start, base | _OFFSETS)
            )
            yield from _pages(cursor, from_offset, page_bytes)

    def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next message gets."""
        return self._partition_value("next_offset", topic, partition)

    def earliest_offset(self, topic: str, partition: int) -> int:
        """The lowest offset that was not trimmed."""
        return self._partition_value("first_offset", topic, partition)

    def ends(self) -> dict[tuple[str, int], int]:
        """The end offset of every partition."""
        return {key: end for key, (_, end) in self.bounds().items()}

    def bounds(self) -> dict[tuple[str, int], tuple[int, int]]:
        """(earliest, end) of every partition, by (topic, partition)."""
        # one row: the watcher asks often, and each row that is fetched gives the global lock away and takes it back
        [(rows,)] = self._query(
            "SELECT json_group_array(json_array(name, partition, first_offset, next_offset))"
            " FROM partitions JOIN topics ON topics.no = topic_no"
        )
        return {(name, partition): (first, end) for name, partition, first, end in _decode_bounds(rows)}

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """What the group has committed, by (topic, partition); a partition without commit is absent."""
        rows = self._query(
            "SELECT name, partition, committed.next_offset FROM committed JOIN partitions ON partitions.no = partition_no"
            " JOIN topics ON topics.no = topic_no WHERE consumer_group = ?",
            (group,),
        )
        return {(name, partition): offset for name, partition, offset in rows}

    def groups(self) -> dict[str, list[str]]:
        """The topics that every registered group reads."""
        found: dict[str, list[str]] = {}
        for group, name in self._query(
            "SELECT consumer_group, name FROM subscriptions JOIN topics ON no = topic_no ORDER BY 1, 2"
        ):
            found.setdefault(group, []).append(name)
        return found

    def lag(self) -> dict[tuple[str, str, int], int]:
        """Messages not yet consumed, by (group, topic, partition); compacted topics are no queues and left out."""
        rows = self._query(
            "SELECT s.consumer_group, name, partition, p.next_offset - max(p.first_offset, coalesce(c.next_offset, 0))"
            " FROM subscriptions s JOIN topics ON topics.no = s.topic_no JOIN partitions p ON p.topic_no = s.topic_no"
            " LEFT JOIN committed c ON c.consumer_group = s.consumer_group AND c.partition_no = p.no WHERE NOT compacted"
        )
        return {(group, name, partition): lag for group, name, partition, lag in rows}

    def size_bytes(self) -> int:
        """What the log holds: pages in use, not the file's size, which only ever grows to its high-water mark."""
        with in_words(self.path):
            db = self._reader()
            return int(
                db.execute(
                    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
                ).fetchone()[0]
            )

    def queued_bytes(self) -> int:
        """What the log holds beside the changelogs: those are as large as the state is, and no consumer makes them smaller."""
        changelogs = self._query(
            "SELECT coalesce(sum(bytes), 0) FROM partitions JOIN topics ON topics.no = topic_no WHERE compacted"
        )
        return max(0, self.size_bytes() - int(changelogs[0][0]))

    def data_version(self) -> int:
        """Changes whenever another connection has committed. To be asked from one and the same thread."""
        return int(self._query("PRAGMA data_version")[0][0])

    def compactable(self, at_least_bytes: int = 16 << 20) -> list[tuple[str, int]]:
        """The changelog partitions (topic, partition) that have grown by enough to be worth rewriting."""
        rows = self._query(
            "SELECT name, partition FROM partitions JOIN topics ON topics.no = topic_no"
            " WHERE compacted AND bytes >= ? AND bytes > 2 * kept_bytes",
            (at_least_bytes,),
        )
        return [(name, partition) for name, partition in rows]

    def close_readers(self) -> None:
        with self._readers_lock:
            self._closed = True
            for db in self._readers:
                db.close()
            self._readers.clear()

    # -- inside

    def _topic(self, name: str) -> EmbeddedTopic:
        if name not in self._topics:
            self._refresh()
        try:
            return self._topics[name]
        except KeyError:
            raise LogError(
                f"the log {self.path} has no topic {name}: start the worker once, which creates them"
            ) from None

    def _refresh(self) -> None:
        with in_words(self.path):
            db = self._reader()
            db.execute("BEGIN")  # topics and partitions of one snapshot
            try:
                self._topics = load_topics(db)
            finally:
                db.execute("COMMIT")

    def _reader(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            with self._readers_lock:
                if self._closed:
                    raise LogError(f"the log {self.path} is closed")
                db = self._local.db = connect(self.path)
                self._readers.append(db)
        return db

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with in_words(self.path):
            return self._reader().execute(sql, values).fetchall()

    def _partition_value(self, column: str, topic: str, partition: int) -> int:
        number = self._topic(topic).number(partition)
        return int(self._query(f"SELECT {column} FROM partitions WHERE no = ?", (number,))[0][0])


def _row_that_holds(db: sqlite3.Connection | sqlite3.Cursor, base: int, offset: int) -> int:
    """Id of the row with this offset; a batch that began before it may hold it."""
    row = db.execute(
        "SELECT id, count FROM records WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1", (base, base + offset)
    ).fetchone()
    if row is not None and row[0] + (row[1] or 1) > base + offset:
        return int(row[0])
    return base + offset


def _pages(cursor: sqlite3.Cursor, from_offset: int, page_bytes: int) -> Iterator[list[Pair]]:
    page: list[Pair] = []
    size = 0
    for row_id, count, _, key, value, _ in cursor:
        if count is None:
            page.append((key, value))
        else:
            pairs = unpack_pairs(value)
            page += pairs[max(0, from_offset - (row_id & _OFFSETS)) :]
        size += len(value or b"")
        if size >= page_bytes:
            yield page
            page, size = [], 0
    if page:
        yield page
