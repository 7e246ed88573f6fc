"""The two threads behind the requests: one spools what is made, one sends what is spooled. A broker that is away does not hold up the spool."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.domain.usage.records import DROPPED, MAX_USAGE_MESSAGE_BYTES, UsageRecord, fault_of, sealed_json, user_key
from app.errors import UnknownForm, WeblogsError
from app.usage.brokers import UsageBroker
from app.usage.options import UsageOptions
from app.usage.spool import Damage, Place, Spool, SpoolGone, has_segments, piece_bytes, spools_of
from app.usage.start import Made, Start

__all__ = ["Keeper", "Sender", "packed_record"]

log = logging.getLogger("app.usage.sending")
_PAUSE_S = 0.05
_RETRY_S = 0.5
_LONGEST_RETRY_S = 5.0
_LOOK_FOR_OTHERS_S = 30.0
_SENT_AT_ONCE = 5_000

_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def packed_record(record: UsageRecord, most_bytes: int = MAX_USAGE_MESSAGE_BYTES) -> tuple[bytes, bytes]:
    """Key and JSON, as the spool and the broker take them. What is no record, or a larger one, gives its number to one that says so."""
    try:
        wrong = fault_of(record)
        if not wrong:
            key, value = _json(user_key(record)).encode(), sealed_json(record)
            if len(key) + len(value) <= most_bytes:
                return key, value
            wrong = f"it has {len(value):,} bytes, {most_bytes:,} is the most"
    except Exception as error:  # a value of a strange class; the records behind it must not be lost for it
        wrong = type(error).__name__
    log.error("Record %d is none, and is lost: %s", record.seq, wrong)
    record = UsageRecord(DROPPED, *record[1:10], detail=f"no record: {wrong}")
    return _json(user_key(record)).encode(), sealed_json(record)


def _count_within(packed: Sequence[tuple[bytes, bytes]], most_bytes: int) -> int:
    """How many of the first records, at least one, have so many bytes at most."""
    size = 0
    for count, (key, record) in enumerate(packed):
        size += len(key) + len(record)
        if count and size > most_bytes:
            return count
    return len(packed)


class Keeper:
    """From the queue to the spool. While the disk refuses, one batch waits here and the queue fills.

    A fault of ours costs the batch, and is told: in the log once for its kind, in the stream as dropped numbers.
    """

    def __init__(self, source: Start, options: UsageOptions) -> None:
        self._source, self._options = source, options
        self.kept = threading.Event()
        """There is something new in the spool."""
        self.count = 0
        """Records spooled."""
        self.sent = 0
        """Records sent of them; the sender counts."""
        self.has_ended = False
        self.is_cramped = False
        """The disk takes nothing: what is kept of sent records makes room."""
        self._most_bytes = min(MAX_USAGE_MESSAGE_BYTES, piece_bytes(options.spool_bytes))
        """Of a record: a spool that never has room for it would hold up all behind it."""
        self._batch: list[Made] = []
        """What was taken and is not kept."""
        self._faults: set[str] = set()
        """That were told."""

    def run(self) -> None:
        pause_s = _PAUSE_S
        try:
            while True:
                try:
                    if self._step():
                        return
                    pause_s = _PAUSE_S
                    self._source.work.wait(_PAUSE_S)
                except Exception as error:
                    self._tell(error)
                    self._source.give_up(self._batch, f"fault of the usage log, {type(error).__name__}")
                    self._batch = []
                    if self._source.is_stopping and time.monotonic() >= self._source.keep_until:
                        return
                    pause_s = self._pause(pause_s)
        finally:
            self._source.stop(0)  # if this thread was ended from outside, the next record begins a new start
            self.has_ended = True
            self.kept.set()

    def _tell(self, fault: Exception) -> None:
        name = type(fault).__name__
        if name not in self._faults:
            self._faults.add(name)
            log.error("A fault of the usage log: %s; what it costs is told as dropped", name, exc_info=fault)

    def _step(self) -> bool:
        """Whether it was the last."""
        while True:
            is_stopping = self._source.is_stopping
            batch = self._batch = self._source.take()
            # not at the end: on a slow disk one would be due after each, and the end would never come
            if not is_stopping and (beat := self._source.heartbeat(self.count - self.sent)):
                batch.append(beat)
            is_last = is_stopping and not batch
            if is_last:
                batch.append(self._source.stop_record())
            found = len(batch)
            if found and not self._keep(batch):
                return True
            self._batch = []
            if is_last or not found:
                return is_last

    def _keep(self, batch: list[Made]) -> bool:
        """Until the disk takes it; False if it does not before the end. After a stop too: the sender makes room."""
        packed = [packed_record(self._source.made(made), self._most_bytes) for made in batch]
        pause_s = _PAUSE_S
        spool: Spool | None = None
        while True:
            try:
                spool = self._source.spool()
                while spool is not None and packed:
                    count = _count_within(packed, spool.piece_bytes)
                    spool.append(packed[:count])
                    del packed[:count], batch[:count]  # what is kept is not given up
                    self.count += count
                    self.is_cramped, pause_s = False, _PAUSE_S
                    self.kept.set()
                if not packed:
                    return True
            except SpoolGone as error:
                log.error("%s", error)
                self._source.leave_spool()
                continue
            except OSError as error:
                self.is_cramped = True
                self.kept.set()
                log.error("The spool takes nothing, again in %.2g s: %s", pause_s, error)
            if self._source.is_stopping and (spool is None or time.monotonic() >= self._source.keep_until):
                while more := self._source.take():
                    batch += more
                log.error("Records %d to %d are lost: the spool takes nothing", batch[0][1], batch[-1][1])
                return False
            pause_s = self._pause(pause_s)

    def _pause(self, pause_s: float) -> float:
        """Returns the next one. A stop ends it, and keeps the next ones short."""
        was_stopping, end = self._source.is_stopping, time.monotonic() + pause_s
        while time.monotonic() < end and self._source.is_stopping == was_stopping:
            time.sleep(_PAUSE_S)
        return min(pause_s * 2, _RETRY_S if self._source.is_stopping else _LONGEST_RETRY_S)


class Sender:
    """From the spool to the broker: its own first, then those of processes that have ended."""

    def __init__(self, source: Start, keeper: Keeper, broker: UsageBroker | None, options: UsageOptions) -> None:
        self._source, self._keeper, self._broker, self._options = source, keeper, broker, options
        self._own: Spool | None = None
        self._look_at = time.monotonic()
        self._told: set[str] = set()

    def run(self) -> None:
        pause_s = _RETRY_S
        while True:
            ends = self._keeper.has_ended
            try:
                self._send_all()
                pause_s = _RETRY_S
            except (WeblogsError, OSError, _Unreadable) as error:
                log.warning("Records wait in the spool, again in %.2g s: %s", pause_s, error)
                if not ends:
                    self._wait(pause_s)
                    pause_s = min(pause_s * 2, _LONGEST_RETRY_S)
            except Exception:
                log.exception("Records stay in the spool")
                self._wait(_LONGEST_RETRY_S)
            if ends:
                break
            self._keeper.kept.wait(1.0)
            self._keeper.kept.clear()
        if self._broker is not None:
            self._broker.close()
        if self._own is not None:
            self._own.close()

    def _wait(self, pause_s: float) -> None:
        end = time.monotonic() + pause_s
        while time.monotonic() < end and not self._keeper.has_ended:
            time.sleep(_PAUSE_S)

    def _send_all(self) -> None:
        self._own = self._source.spool()
        if self._broker is None or self._own is None:
            return
        while count := self._send_from(self._own):
            self._keeper.sent += count
            self._trim(self._own)
        self._trim(self._own)
        if time.monotonic() >= self._look_at and not self._source.is_stopping:
            self._look_at = time.monotonic() + _LOOK_FOR_OTHERS_S
            for folder in spools_of(self._options.spool):
                if folder != self._own.folder:
                    try:
                        self._send_of_another(folder)
                    except _Unreadable as error:  # it must not hold up the others
                        self._tell_once(f"The spool {folder} is passed over until it can be read: {error}")

    def _trim(self, own: Spool) -> None:
        own.trim(0 if self._keeper.is_cramped else self._options.keep_bytes)

    def _send_of_another(self, folder: Path) -> None:
        try:
            spool = Spool(folder, self._options.segment_bytes, self._options.spool_bytes)
        except (BlockingIOError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and has_segments(folder):
                raise _Unreadable(error) from error
            return  # its process lives, or another one was faster
        except (OSError, ValueError) as error:
            raise _Unreadable(error) from error
        with contextlib.closing(spool):
            while not self._source.is_stopping and self._send_from(spool):
                if self._own is not None:
                    self._send_from(self._own)
            if spool.is_sent:
                with _reading():
                    spool.delete_if_older(time.time() - self._options.keep_s)

    def _send_from(self, spool: Spool) -> int:
        """The next batch; returns how many records it had. Raises WeblogsError or OSError of the broker, _Unreadable of the spool."""
        batch: list[tuple[bytes, bytes]] = []
        place: Place | None = None
        with _reading():
            for end, found in spool.unsent():
                place = end
                if isinstance(found, Damage):
                    self._tell(found)
                    continue
                batch.append((found.key, found.record))
                if len(batch) >= _SENT_AT_ONCE:
                    break
        if place is None:
            return 0
        if batch:
            assert self._broker is not None
            self._broker.send(batch)
        with _reading():
            spool.set_sent(place)
        return len(batch)

    def _tell(self, damage: Damage) -> None:
        place = f"{damage.path} is {damage.why} from byte {damage.first} to {damage.last}"
        self._tell_once(f"The spool's segment {place}; the rest of it is read")

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.error("%s", text)


class _Unreadable(Exception):
    """Of a spool, not of the broker."""


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (OSError, UnknownForm) as error:
        raise _Unreadable(error) from error
