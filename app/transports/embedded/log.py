"""The embedded log: topics, partitions, records and the progress of consumer groups in one SQLite file.

One worker process, any number of producer processes. What a call has returned for is on disk. Blocking and thread-safe;
knows nothing of Faust or asyncio.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from app.errors import LogError, LogFull
from app.transports.embedded import housekeeping as log_housekeeping
from app.transports.embedded.file import connect, in_words
from app.transports.embedded.reader import LogReader
from app.transports.embedded.transaction import LogTransaction, load_topics
from app.transports.embedded.worker_lock import WorkerLock
from app.transports.embedded.writer import LogWriter
from app.transports.messages import Message, Pair

__all__ = ["EmbeddedLog"]

T = TypeVar("T")
Operation = Callable[[LogTransaction], Any]


class EmbeddedLog(LogReader):
    """The log in the file `path`.

    `max_bytes`: external producers are refused above it. `keep_s`: consumed messages stay this many seconds.
    Every method raises LogError in words when the file or its disk fails.
    """

    def __init__(self, path: Path | str, max_bytes: int = 2 << 30, keep_s: float = 60.0) -> None:
        super().__init__(Path(path))
        self.max_bytes = max_bytes
        self.keep_s = keep_s
        self._write_lock = threading.Lock()
        self._worker_lock = WorkerLock(self.path)
        with in_words(self.path):
            self._writer = LogWriter(self.path)
            self._topics = load_topics(self._writer.db)

    # -- topics

    def create_topic(self, name: str, partitions: int, compacted: bool = False) -> None:
        """Idempotent; a different number of partitions than the topic has raises LogError."""
        known = self._topics.get(name)
        if known is None or known.partitions != partitions or (compacted and not known.compacted):
            self._alone(lambda tx: tx.create_topic(name, partitions, compacted))

    # -- writing

    def append(self, messages: Sequence[Message], external: bool = False) -> list[int]:
        """Append all in one transaction, or none; returns their offsets once they are on disk.

        external: a producer that can wait; it gets LogFull while the log holds max_bytes or more.
        """
        if external:
            self._refuse_when_full()
        return self._alone(lambda tx: tx.append(messages))

    def append_batch(self, topic: str, partition: int, pairs: Sequence[Pair], epoch: int) -> int:
        """Append a changelog's batch whole or not at all; returns the offset after it. Raises Fenced: see Transaction."""
        return self._alone(lambda tx: tx.append_batch(topic, partition, pairs, epoch))

    def take_ownership(self, topic: str, partition: int) -> int:
        """Become the partition's owner; returns the epoch, and fences every older one."""
        return self._alone(lambda tx: tx.take_ownership(topic, partition))

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Note by (topic, partition) the offset that the group reads next."""
        self._alone(lambda tx: tx.commit(group, offsets))

    def register_group(self, group: str, topics: Iterable[str]) -> None:
        """The group reads these topics and no others: trimming waits for it there."""
        names = list(topics)
        self._alone(lambda tx: tx.register_group(group, names))

    def forget_group(self, group: str) -> None:
        """Nothing is kept for this group any more."""
        self._alone(lambda tx: tx.forget_group(group))

    def transact(self, operations: Sequence[Operation]) -> tuple[list[Any], dict[tuple[str, int], int]]:
        """Run all in one transaction; returns their results, a refused one's LogError among them, and the new ends."""
        with self._writing() as tx:
            results = [_outcome(operation, tx) for operation in operations]
        return results, tx.ends

    def _alone(self, operation: Callable[[LogTransaction], T]) -> T:
        with self._writing() as tx:
            return operation(tx)

    @contextmanager
    def _writing(self) -> Iterator[LogTransaction]:
        with self._write_lock, in_words(self.path):
            if self._closed:
                raise LogError(f"the log {self.path} is closed")
            with self._writer.transaction() as db:
                tx = LogTransaction(db, self._topics)
                yield tx
                tx.finish()
            if tx.topics_changed:
                self._topics = tx.topics

    # -- housekeeping

    def trim(self, now: float) -> int:
        """Delete messages that every subscribed group has consumed and that are older than keep_s, or all consumed ones
        while the log is full. A topic that no group has subscribed to keeps everything. Returns how many were deleted."""
        before = now if self.is_full() else now - self.keep_s
        return self._housekeep(lambda writer: log_housekeeping.trim(writer, before))

    def compact(self, topic: str, partition: int, at_least_bytes: int = 16 << 20) -> bool:
        """Rewrite a changelog partition with the last value of each key, if it has grown by enough since the last time.

        Order and end offset stay; deleted keys go. Returns whether it was rewritten.
        """
        if (topic, partition) not in self.compactable(at_least_bytes):
            return False
        number = self._topic(topic).number(partition)
        with in_words(self.path), closing(connect(self.path)) as snapshot:
            self._housekeep(lambda writer: log_housekeeping.compact(writer, snapshot, number))
        return True

    def bound_journal(self, max_bytes: int = 128 << 20) -> None:
        """Cut the write-ahead file where a long read has let it grow."""
        journal = Path(f"{self.path}-wal")
        if journal.exists() and journal.stat().st_size > max_bytes:
            self._housekeep(lambda writer: writer.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())

    def _housekeep(self, work: Callable[[LogWriter], T]) -> T:
        with self._write_lock, in_words(self.path):
            if self._closed:
                raise LogError(f"the log {self.path} is closed")
            return work(self._writer)

    # -- lifetime

    def lock_worker(self) -> None:
        """Make this process the log's only worker until it ends. Raises LogLocked with the pid of the other."""
        self._worker_lock.take()

    def close(self) -> None:
        """Close all connections and give the worker's lock back. Not while another thread is inside a call."""
        with self._write_lock:
            if not self._closed:
                self.close_readers()
                self._writer.close()
                self._worker_lock.release()

    def is_full(self) -> bool:
        """Whether messages that wait for consumers take up the room there is for them."""
        return self.queued_bytes() >= self.max_bytes

    def _refuse_when_full(self) -> None:
        if self.is_full():
            raise LogFull(
                f"the log {self.path} holds {self.queued_bytes()} bytes of messages, the most that WEBLOGS_LOG_MAX_BYTES={self.max_bytes} allows:"
                " wait until the worker has consumed, start it if it does not run, or raise the limit"
            )


def _outcome(operation: Operation, tx: LogTransaction) -> Any:
    try:
        return operation(tx)
    except LogError as error:
        return error
