"""The archive worker. It keeps no state: the manifests say how far the archive is, and the log decides what is in a file.

1. Which messages make the next file: from the last manifest on, until there is enough.
2. The manifest is created. If another worker was faster, its manifest holds.
3. The file is written from exactly these messages, and named.
4. What it is, is written beside the manifest.

A worker that is killed anywhere leaves a manifest that the next one carries out: the same messages make the same bytes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from app.archiving.csv import size_as_csv
from app.archiving.files import FILES, read_file
from app.archiving.manifests import FORM, Done, Manifest, Manifests, day_of, sha256_of, spanned
from app.archiving.storage import Storage
from app.domain.usage.records import USAGE, UsageRecord, producer_of
from app.errors import InputError, LogError, SettingsError, UnreadableFile
from app.messages.forms import DamagedMessage, place_of
from app.messages.usage import decode_usage
from app.process.crash_points import crash_point
from app.settings import FileKind
from app.transports.broker_view import BrokerView

__all__ = ["ArchiveRules", "Archiver", "messages_of"]

log = logging.getLogger("app.archiving.worker")


class ArchiveRules(NamedTuple):
    """When a file is full."""

    kind: FileKind
    file_bytes: int = 100_000_000
    """Of a CSV file; of the messages in a Parquet file, before they are packed. The message that reaches it is the last one."""
    interval_s: float = 3600.0
    """A file with less is closed when its first message is this old; 0: at once."""


def messages_of(
    view: BrokerView, topic: str, partition: int, begin: int, end: int | None = None
) -> Iterator[tuple[int, float, bytes]]:
    """(offset, time, value) of one partition, up to `end`, exclusive. Raises LogError."""
    others = {each: 0 for each in view.bounds(topic) if each != partition}
    ends = others if end is None else others | {partition: end}
    for message in view.messages(topic, {partition: begin}, ends):
        yield message.offset, message.timestamp, message.value


class Archiver:
    """Archives one topic. Blocking; one thread. Raises SettingsError for files that the storage does not take, OSError, StoreError."""

    def __init__(self, view: BrokerView, topic: str, storage: Storage, rules: ArchiveRules) -> None:
        if rules.file_bytes > storage.largest_bytes:
            raise SettingsError(
                f"{storage} takes no file of {rules.file_bytes:,} bytes: write --file-bytes {storage.largest_bytes:.0f} or less"
            )
        self._view, self._topic, self._rules = view, topic, rules
        self._manifests = Manifests(storage)
        self._storage = storage
        self._incarnation = view.incarnation(topic)
        if gone := storage.prepare():
            log.info("%d half-written files of killed workers were deleted in %s", gone, storage)
        self._seen: dict[int, tuple[int, int, int, float | None]] = {}
        """By partition: begin of the next file, last offset looked at, bytes so far, time of the first message."""

    def run_once(self, now: float | None = None) -> dict[int, int]:
        """Write every file for which there is enough; returns by partition the offset from which on nothing is archived.

        `now`: UTC seconds, the clock by default. Raises LogError, OSError, StoreError, InputError, UnknownForm.
        """
        now = time.time() if now is None else now
        return {partition: self._partition(partition, now) for partition in sorted(self._view.bounds(self._topic))}

    def _partition(self, partition: int, now: float) -> int:
        written = self._manifests.of(partition)
        for manifest in written:
            self._same_topic(manifest)
            if self._manifests.done(manifest) is None:
                self._write(manifest)
        first, _ = self._view.bounds(self._topic)[partition]
        begin = written[-1].last_offset + 1 if written else first
        if begin < first:
            log.error(
                "Messages %d to %d of %s/%d were deleted before they were archived",
                begin,
                first - 1,
                self._topic,
                partition,
            )
            begin = first
        while planned := self._planned(partition, begin, now):
            manifest = self._manifests.create(planned)
            self._same_topic(manifest)
            crash_point("archive_manifest")
            self._write(manifest)
            begin = manifest.last_offset + 1
        return begin

    def _same_topic(self, manifest: Manifest) -> None:
        if (manifest.topic, manifest.incarnation) != (self._topic, self._incarnation):
            raise UnreadableFile(
                f"the archive {self._storage} is of another topic {manifest.topic}, on another broker or deleted since; name another folder"
            )

    def _planned(self, partition: int, begin: int, now: float) -> Manifest | None:
        """None: there is not enough yet."""
        seen_from, last, size, first_time = self._seen.get(partition, (begin, begin - 1, 0, None))
        if seen_from != begin:
            last, size, first_time = begin - 1, 0, None
        for offset, taken, value in messages_of(self._view, self._topic, partition, last + 1):
            first_time = taken if first_time is None else first_time
            size, last = size + self._size_of(value, place_of(self._topic, partition, offset)), offset
            if size >= self._rules.file_bytes:
                break
        self._seen[partition] = begin, last, size, first_time
        if first_time is None or (size < self._rules.file_bytes and now - first_time < self._rules.interval_s):
            return None
        created = f"{day_of(now)}T{time.strftime('%H:%M:%S', time.gmtime(now))}Z"
        return Manifest(
            FORM, self._topic, self._incarnation, partition, begin, last, day_of(first_time), created, self._rules.kind
        )

    def _size_of(self, value: bytes, place: str) -> int:
        if self._rules.kind != "csv":
            return len(value)
        try:
            return size_as_csv(decode_usage(value, place))
        except DamagedMessage:  # it will not be in the file
            return 0

    def _write(self, manifest: Manifest) -> None:
        written = self._storage.scratch(manifest.name)
        content = _Content(self._view, manifest, self._earlier(manifest), self._manifests)
        try:
            rows = FILES[manifest.kind].write(written, content)
            sha256 = sha256_of(written)
            if not self._storage.put(manifest.name, written):
                self._compare(manifest.name, sha256)
            size = written.stat().st_size
        finally:
            written.unlink(missing_ok=True)
        crash_point("archive_file")
        self._manifests.finish(
            manifest,
            Done(
                FORM,
                manifest.name,
                size,
                sha256,
                rows,
                FILES[manifest.kind].written_by,
                USAGE.form,
                content.producers,
                content.repeats,
                content.unreadable,
                content.times,
            ),
        )
        crash_point("archive_done")

    def _compare(self, name: str, sha256: str) -> None:
        there = self._storage.local(name)
        if there is None or sha256_of(there) != sha256:
            raise UnreadableFile(
                f"{self._storage.place(name)} is there and has another content than the log; move it away"
            )

    def _earlier(self, manifest: Manifest) -> list[Done]:
        """The finished files of the partition before this one."""
        before = [each for each in self._manifests.of(manifest.partition) if each.first_offset < manifest.first_offset]
        return [done for each in before if (done := self._manifests.done(each)) is not None]


class _Content:
    """The records of a file, and what is known of them after they were read."""

    def __init__(self, view: BrokerView, manifest: Manifest, earlier: list[Done], manifests: Manifests) -> None:
        self._view, self._manifest, self._earlier, self._manifests = view, manifest, earlier, manifests
        self._here: dict[tuple[str, int], str] = {}
        self.producers: dict[str, tuple[int, int]] = {}
        self.repeats: list[tuple[str, int]] = []
        self.unreadable: list[tuple[int, str]] = []
        self.times: tuple[float, float] | None = None

    def __iter__(self) -> Iterator[UsageRecord]:
        it = self._manifest
        first, last = self._view.bounds(it.topic)[it.partition][0], -1
        for offset, _, value in messages_of(self._view, it.topic, it.partition, it.first_offset, it.last_offset + 1):
            last = offset
            try:
                records = decode_usage(value, place_of(it.topic, it.partition, offset))
            except DamagedMessage as error:
                self.unreadable.append((offset, str(error)))
                continue
            for record in records:
                if self._is_new(record):
                    yield record
        if first > it.first_offset or last != it.last_offset:
            raise LogError(
                f"{it.topic}/{it.partition} has not all messages {it.first_offset} to {it.last_offset} any more: "
                f"the file {it.name} cannot be written; delete its manifest, then run `python -m app usage repair`"
            )

    def _is_new(self, record: UsageRecord) -> bool:
        """A repeat has the same number and the same checksum; anything else with the number is kept."""
        producer, seq = producer_of(record), record.seq
        if self._here.get((producer, seq)) == record.sha256 or self._was_archived(producer, seq, record.sha256):
            self.repeats.append((producer, seq))
            return False
        self._here[producer, seq] = record.sha256
        first, last = self.producers.get(producer, (seq, seq))
        self.producers[producer] = min(first, seq), max(last, seq)
        self.times = spanned(self.times, record.time)
        return True

    def _was_archived(self, producer: str, seq: int, sha256: str) -> bool:
        for done in reversed(self._earlier):
            first, last = done.producers.get(producer, (1, 0))
            if first <= seq <= last and _checksums(self._manifests, done).get((producer, seq)) == sha256:
                return True
        return False


def _checksums(manifests: Manifests, done: Done) -> dict[tuple[str, int], str]:
    """Of the records of a file; if it is gone or altered, of what was repaired of it. Raises OSError, StoreError, InputError."""
    found = _checksums_in(manifests.storage, done.file, done.sha256)
    if found is not None:
        return found
    repaired = [each for each in manifests.repairs() if done.file in each.replaces]
    parts = [_checksums_in(manifests.storage, each.file, each.sha256) for each in repaired]
    if not parts or None in parts:
        raise UnreadableFile(
            f"{manifests.storage.place(done.file)} is gone or was altered; run `python -m app usage repair`"
        )
    return {key: sha256 for part in parts if part for key, sha256 in part.items()}


@lru_cache(maxsize=2)
def _checksums_in(storage: Storage, name: str, sha256: str) -> dict[tuple[str, int], str] | None:
    """None: it is not as it was written."""
    path = storage.local(name)
    if path is None or sha256_of(path) != sha256:
        return None
    try:
        return {(producer_of(record), record.seq): record.sha256 for record in read_file(path)}
    except InputError:
        return None
