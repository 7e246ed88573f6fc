"""One start of a process: its sequence of numbers, its queue, and what was dropped of it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import time as now
from typing import Any, NamedTuple
from uuid import uuid4

from app.domain.usage.records import DROPPED, HEARTBEAT, START, STOP, Producer, UsageRecord, fields_of
from app.usage.options import UsageOptions
from app.usage.spool import Spool

__all__ = ["Made", "Make", "Start"]

log = logging.getLogger("app.usage.start")
_UNTOLD_AT_MOST = 1000


Make = Callable[[str, tuple[Any, ...], tuple[Any, ...]], int]
"""Makes a record of its kind and its fields in one or two parts; returns its number."""
Made = tuple[str, int, float, tuple[Any, ...], tuple[Any, ...]]
"""Kind, number, time, fields in two parts: what Producer.record takes. The other thread makes the record of it."""


class _Gap(NamedTuple):
    first: int
    last: int
    reason: str


class Wake:
    """Wakes another thread. A finaliser or a signal's handler may call it while its own thread does: `threading.Event` would wait for itself."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """The next `wait`, or the one under way, returns."""
        if self._asked.empty():
            self._asked.put(None)

    def wait(self, timeout_s: float) -> None:
        """Until then, or until the time is over."""
        with contextlib.suppress(Empty):
            self._asked.get(timeout=timeout_s)


class Start:
    """Thread-safe. Numbers are given and queued under one lock, so the queue is in their order.

    Also within a thread: the collector may end an abandoned generator anywhere, and that ends its call, which makes a record. A signal's
    handler may make one, too. So a thread that has a lock may take it again, and no number is given before its record is there.
    """

    def __init__(self, options: UsageOptions, after_stop: Make) -> None:
        """`after_stop`: takes the records that come after the stop."""
        self.options, self._after_stop = options, after_stop
        self.start_id = uuid4().hex
        self.work = Wake()
        """There is something to take."""
        self.is_stopping = False
        self.keep_until = 0.0
        """After the stop: how long the spool is tried, by `time.monotonic`."""
        self._much = min(options.batch_records, options.queue_records // 2)
        self._limit = options.queue_records
        """0 after the stop."""
        self._producer = Producer(
            options.service,
            options.machine,
            self.start_id,
            os.getpid(),
            options.instance,
            options.cluster,
            options.region,
        )
        self._lock = threading.RLock()
        self._room = threading.Condition(threading.RLock())
        self._queue: deque[Made] = deque()
        self._gaps: list[_Gap] = []
        self._full = f"queue full, {options.overflow}"
        self._blocks, self._drops_oldest = options.overflow == "block", options.overflow == "drop_oldest"
        self._seq = self._dropped = 0
        self._beat = time.monotonic()
        self._spool: Spool | None = None
        self._mark: memoryview[int] | list[int] = [0, 0]
        """That of the spool, once it is open."""
        self._open_spool()
        self._queue.append((START, self._next(), now(), fields_of(memory_records=options.memory_records), ()))

    def record(self, kind: str, fields: tuple[Any, ...], more: tuple[Any, ...]) -> int:
        """The number of a new record. `fields`, `more`: those of Producer.record."""
        queue = self._queue
        give_up_at: float | None = None
        while True:
            # not acquire() and try: a signal's handler that raises between the two would leave it held
            with self._lock:
                waiting = len(queue)
                if waiting < self._limit:
                    seq = self._seq + 1
                    made = (kind, seq, now(), fields, more)
                    if self._seq + 1 != seq:  # given away meanwhile, in this thread
                        continue
                    self._mark[1] = self._seq = seq
                    queue.append(made)
                    # to wake the other thread costs more than all else, and it looks often by itself
                    if waiting == self._much:
                        self.work.set()
                    return seq
                if self.is_stopping:
                    break
                if self._drops_oldest:
                    with contextlib.suppress(IndexError):  # the other thread has just taken all
                        self._drop(queue.popleft()[1], self._full)
                    continue
                if not self._blocks or (give_up_at is not None and time.monotonic() >= give_up_at):
                    self._drop(seq := self._next(), self._full)
                    return seq
            give_up_at = give_up_at or time.monotonic() + self.options.block_ms / 1000
            self._wait_for_room(give_up_at)
        return self._after_stop(kind, fields, more)

    def stop(self, timeout_s: float) -> None:
        """No number is given after this but that of the stop record."""
        self.keep_until = time.monotonic() + timeout_s
        with self._lock:
            self.is_stopping, self._limit = True, 0
        self.work.set()

    def forget(self) -> None:
        """In a child after a fork: close what is the parent's. Takes no lock: its holder may not be in this process."""
        if self._spool is not None:
            self._spool.close()

    # -- for the thread that spools

    def spool(self) -> Spool | None:
        """Tried again if it could not be opened."""
        if self._spool is None:
            with self._lock:
                if self._spool is None:  # the other thread was not faster
                    self._open_spool()
        return self._spool

    def leave_spool(self) -> None:
        """It was deleted: the next call of `spool` makes it again."""
        with self._lock:
            spool, self._spool, self._mark = self._spool, None, [0, 0]
        if spool is not None:
            spool.close()

    def take(self) -> list[Made]:
        """The next batch: what waits, then what was dropped."""
        batch: list[Made] = []
        with self._room:
            with contextlib.suppress(IndexError):
                for _ in range(self.options.batch_records):
                    batch.append(self._queue.popleft())
            self._room.notify_all()
        if self._gaps:
            with self._lock:
                gaps, self._gaps = self._gaps[: self.options.batch_records], self._gaps[self.options.batch_records :]
                batch += [
                    self._numbered(DROPPED, fields_of(first_seq=gap.first, last_seq=gap.last, detail=gap.reason))
                    for gap in gaps
                ]
        return batch

    def give_up(self, batch: list[Made], reason: str) -> None:
        """None of the batch will be kept: its numbers are dropped, and what it tells of others is told again."""
        with self._lock:
            for made in batch:
                if made[0] == DROPPED:
                    told = self.made(made)
                    self._gaps.append(_Gap(told.first_seq or 0, told.last_seq or 0, told.detail or ""))
                self._drop(made[1], reason)

    def made(self, made: Made) -> UsageRecord:
        """The record. May raise for values that are no record."""
        return self._producer.record(*made)

    def heartbeat(self, spooled: int) -> Made | None:
        """If it is time for one. `spooled`: records that wait in the spool."""
        if time.monotonic() - self._beat < self.options.heartbeat_s:
            return None
        self._beat = time.monotonic()
        with self._lock:
            told = fields_of(
                last_seq=self._seq,
                dropped=self._dropped,
                spooled=spooled,
                memory_records=self.options.memory_records,
            )
            return self._numbered(HEARTBEAT, told)

    def stop_record(self) -> Made:
        """The last one."""
        with self._lock:
            return self._numbered(STOP, fields_of(dropped=self._dropped))

    def _wait_for_room(self, until: float) -> None:
        """Not under the lock of the numbers: of many threads each would wait for all before it. `until`: of `time.monotonic`."""
        self.work.set()
        with self._room:
            self._room.wait_for(
                lambda: len(self._queue) < self.options.queue_records, max(0.0, until - time.monotonic())
            )

    # -- under the lock

    def _open_spool(self) -> None:
        """If its folder cannot be used, records wait in memory, and the service goes on."""
        options = self.options
        place = (options.spool, options.service, options.machine, self.start_id)
        try:
            self._spool = Spool.created(*place, options.segment_bytes, options.spool_bytes)
        except OSError as error:
            log.error("The spool %s cannot be used; records wait in memory: %s", options.spool, error)
        else:
            self._mark = self._spool.mark
            self._mark[1] = self._seq

    def _next(self) -> int:
        self._mark[1] = self._seq = self._seq + 1
        return self._seq

    def _numbered(self, kind: str, fields: tuple[Any, ...]) -> Made:
        return kind, self._next(), now(), fields, ()

    def _drop(self, seq: int, reason: str) -> None:
        self._dropped += 1
        gaps = self._gaps
        # what a longer gap names beyond what was dropped is there, and a record that is there is not dropped
        if gaps and (gaps[-1][1:] == (seq - 1, reason) or len(gaps) >= _UNTOLD_AT_MOST):
            gaps[-1] = _Gap(min(gaps[-1].first, seq), max(gaps[-1].last, seq), reason)
        else:
            gaps.append(_Gap(seq, seq, reason))
