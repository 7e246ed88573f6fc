"""What can be done inside one transaction of the embedded log."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from time import time
from typing import NamedTuple

from app.errors import Fenced, LogError
from app.transports.embedded.file import OFFSET_BITS
from app.transports.messages import Message, Pair, pack_headers, pack_pairs

__all__ = ["EmbeddedTopic", "LogTransaction", "load_topics"]

_BYTES = (bytes, bytearray, memoryview, type(None))
_ROOM_FOR_ROW = 4096  # bytes of a row beside its key, value and headers, rounded up


class EmbeddedTopic(NamedTuple):
    """A topic and the numbers of its partitions' rows."""

    no: int
    name: str
    partitions: int
    compacted: bool
    incarnation: str
    """Random hex made when the topic was created: a topic made anew is told from the old one."""
    numbers: tuple[int, ...]
    """The log-wide number of each partition."""

    def number(self, partition: int) -> int:
        """Raises LogError where the topic has no such partition."""
        if not 0 <= partition < self.partitions:
            raise LogError(f"topic {self.name} has partitions 0 to {self.partitions - 1}, no {partition}")
        return self.numbers[partition]


def load_topics(db: sqlite3.Connection) -> dict[str, EmbeddedTopic]:
    """All topics by name."""
    numbers: dict[int, list[int]] = {}
    for topic_no, number in db.execute("SELECT topic_no, no FROM partitions ORDER BY topic_no, partition"):
        numbers.setdefault(topic_no, []).append(number)
    rows = db.execute("SELECT no, name, partitions, compacted, incarnation FROM topics").fetchall()
    return {
        name: EmbeddedTopic(no, name, count, bool(compacted), code, tuple(numbers[no]))
        for no, name, count, compacted, code in rows
    }


class LogTransaction:
    """The operations of one BEGIN IMMEDIATE … COMMIT.

    Each checks before it writes: one that raises LogError has changed nothing, and the others of the same transaction
    stand. Any other exception means that the whole transaction must be rolled back.
    """

    def __init__(self, db: sqlite3.Connection, topics: dict[str, EmbeddedTopic]) -> None:
        self._db = db
        self._topics = topics
        self._now = time()
        self._max_row = db.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) - _ROOM_FOR_ROW
        self._next: dict[int, int] = {}
        self._bytes: dict[int, int] = {}
        self.ends: dict[tuple[str, int], int] = {}
        """New end offset of every partition that was appended to, by (topic, partition)."""
        self.topics_changed = False

    def create_topic(self, name: str, partitions: int, compacted: bool = False) -> EmbeddedTopic:
        """Idempotent; another number of partitions than the topic has is a LogError."""
        known = self.find_topic(name)
        if known is None:
            return self._insert_topic(name, partitions, compacted)
        if known.partitions != partitions:
            raise LogError(
                f"topic {name} has {known.partitions} partitions, {partitions} were asked for: the number is fixed once a topic"
                f" exists; set WEBLOGS_PARTITIONS={known.partitions}, or move the log away and replay"
            )
        if compacted and not known.compacted:
            self._db.execute("UPDATE topics SET compacted = 1 WHERE no = ?", (known.no,))
            self._refresh_topics()
        return self._topics[name]

    def _insert_topic(self, name: str, partitions: int, compacted: bool) -> EmbeddedTopic:
        if partitions < 1:
            raise LogError(f"topic {name} cannot have {partitions} partitions: 1 is the least")
        row = (name, partitions, compacted, secrets.token_hex(16))
        no = self._db.execute(
            "INSERT INTO topics (name, partitions, compacted, incarnation) VALUES (?, ?, ?, ?)", row
        ).lastrowid
        self._db.executemany(
            "INSERT INTO partitions (topic_no, partition) VALUES (?, ?)", ((no, p) for p in range(partitions))
        )
        self._refresh_topics()
        return self._topics[name]

    def _refresh_topics(self) -> None:
        # a new dictionary: other threads read the old one
        self._topics = load_topics(self._db)
        self.topics_changed = True

    @property
    def topics(self) -> dict[str, EmbeddedTopic]:
        return self._topics

    def find_topic(self, name: str) -> EmbeddedTopic | None:
        if name not in self._topics:
            self._refresh_topics()
        return self._topics.get(name)

    def topic(self, name: str) -> EmbeddedTopic:
        """Raises LogError where there is no such topic."""
        topic = self.find_topic(name)
        if topic is None:
            raise LogError(f"the log has no topic {name}: start the worker once, which creates them, or check the name")
        return topic

    def append(self, messages: Sequence[Message]) -> list[int]:
        """All of them or none; returns their offsets."""
        checked = [self._checked(message) for message in messages]
        return [self._insert(*entry) for entry in checked]

    def _checked(self, message: Message) -> tuple[EmbeddedTopic, Message, int, bytes | None, int]:
        topic = self.topic(message.topic)
        number = topic.number(message.partition)
        if topic.compacted and message.key is None:
            raise LogError(f"topic {topic.name} is compacted: a message without key cannot be kept there")
        if not isinstance(message.key, _BYTES) or not isinstance(message.value, _BYTES):
            raise LogError(
                f"key and value of a message for {topic.name} must be bytes, not {message.key!r:.40}, {message.value!r:.40}"
            )
        headers = pack_headers(message.headers)
        size = len(message.key or b"") + len(message.value or b"") + len(headers or b"")
        self._check_size(topic, message.partition, size)
        return topic, message, number, headers, size

    def _check_size(self, topic: EmbeddedTopic, partition: int, size: int) -> None:
        if size > self._max_row:
            raise LogError(
                f"a record of {size} bytes for {topic.name} partition {partition} is larger than the log can hold ({self._max_row}):"
                " send smaller messages"
            )

    def _insert(self, topic: EmbeddedTopic, message: Message, number: int, headers: bytes | None, size: int) -> int:
        offset = self._allocate(topic, message.partition, number, 1, size)
        self._db.execute(
            "INSERT INTO records (id, timestamp, stored, key, headers, value) VALUES (?, ?, ?, ?, ?, ?)",
            ((number << OFFSET_BITS) | offset, message.timestamp, self._now, message.key, headers, message.value),
        )
        return offset

    def append_batch(self, topic_name: str, partition: int, pairs: Sequence[Pair], epoch: int) -> int:
        """One row for all pairs, whole or not at all; returns the offset after the last.

        Raises Fenced when a newer owner has taken the partition.
        """
        topic = self.topic(topic_name)
        number = topic.number(partition)
        newest: int = self._db.execute("SELECT epoch FROM partitions WHERE no = ?", (number,)).fetchone()[0]
        if epoch != newest:
            raise Fenced(
                f"{topic_name} partition {partition} has a newer owner (epoch {newest}, this one {epoch}): this one must stop"
            )
        if not pairs:
            return self._end(number)
        value = pack_pairs(pairs if isinstance(pairs, list) else list(pairs))
        self._check_size(topic, partition, len(value))
        offset = self._allocate(topic, partition, number, len(pairs), len(value))
        self._db.execute(
            "INSERT INTO records (id, count, timestamp, stored, value) VALUES (?, ?, ?, ?, ?)",
            ((number << OFFSET_BITS) | offset, len(pairs), self._now, self._now, value),
        )
        return offset + len(pairs)

    def take_ownership(self, topic_name: str, partition: int) -> int:
        """The new epoch; from its commit on, append_batch with an older one is refused."""
        number = self.topic(topic_name).number(partition)
        self._db.execute("UPDATE partitions SET epoch = epoch + 1 WHERE no = ?", (number,))
        return int(self._db.execute("SELECT epoch FROM partitions WHERE no = ?", (number,)).fetchone()[0])

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Note how far a group has come: by (topic, partition) the offset that it reads next."""
        rows = [(group, self.topic(topic).number(partition), offset) for (topic, partition), offset in offsets.items()]
        self._db.executemany("INSERT OR REPLACE INTO committed VALUES (?, ?, ?)", rows)

    def register_group(self, group: str, topics: Iterable[str]) -> None:
        """The group reads these topics, and no others any more: what it has not consumed of them is kept."""
        rows = [(group, self.topic(topic).no) for topic in sorted(set(topics))]
        self._db.execute("DELETE FROM subscriptions WHERE consumer_group = ?", (group,))
        self._db.executemany("INSERT INTO subscriptions VALUES (?, ?)", rows)

    def forget_group(self, group: str) -> None:
        """The group is gone for good: nothing is kept for it any more."""
        self._db.execute("DELETE FROM subscriptions WHERE consumer_group = ?", (group,))
        self._db.execute("DELETE FROM committed WHERE consumer_group = ?", (group,))

    def _end(self, number: int) -> int:
        if number not in self._next:
            self._next[number] = self._db.execute(
                "SELECT next_offset FROM partitions WHERE no = ?", (number,)
            ).fetchone()[0]
        return self._next[number]

    def _allocate(self, topic: EmbeddedTopic, partition: int, number: int, count: int, size: int) -> int:
        offset = self._end(number)
        self._next[number] = self.ends[topic.name, partition] = offset + count
        self._bytes[number] = self._bytes.get(number, 0) + size
        return offset

    def finish(self) -> None:
        """Write the new ends; to be called once, last."""
        rows = [(self._next[number], size, number) for number, size in self._bytes.items()]
        self._db.executemany("UPDATE partitions SET next_offset = ?, bytes = bytes + ? WHERE no = ?", rows)
