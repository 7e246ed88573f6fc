"""The spool: a folder for each start of a process, in which its records wait until the broker has them, and stay a while for repair.

    SPOOL/START_ID/owner       locked while its process lives: form, service, machine, start id
    SPOOL/START_ID/mark        the last number that was given; memory shared with the file, so it survives a kill of the process
    SPOOL/START_ID/sent        segment and offset up to which the broker has all, with a CRC of the start and of both
    SPOOL/START_ID/00000001.seg, …

A segment is a line with the number of its form, then frames: magic, length, CRC-32 of the length and of what follows: the user's key, NUL, the
record as JSON. A damaged frame costs only itself: reading goes on at the next good one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from app.domain.usage.records import UsageRecord, record_of
from app.errors import UnknownForm
from app.usage.folders import may_be_there, names_in

__all__ = [
    "FORM",
    "Damage",
    "Frame",
    "Place",
    "Spool",
    "SpoolGone",
    "frames",
    "has_segments",
    "is_alive",
    "mark_of",
    "owner_of",
    "piece_bytes",
    "records_of",
    "sent_of",
    "spools_of",
]

FORM = 1
HEAD = b"usage spool 1\n"
_MAGIC = b"\xf5\xfeR\n"
"""Keys and records are ASCII: it cannot be in one."""
_SIZES = struct.Struct("<II")
_MARK = struct.Struct("=QQ")
_LONGEST_BYTES = 64 << 20
_SENT_CHARS = 64
_SEGMENT = re.compile(r"[0-9]{8,12}\.seg")
_OVERHEAD_BYTES = len(_MAGIC) + _SIZES.size


class Place(NamedTuple):
    """A place in a spool: the number of a segment and an offset in it."""

    segment: int
    offset: int


class Frame(NamedTuple):
    """A record that is whole."""

    end: int
    """Offset after it."""
    key: bytes
    """Decides about the partition."""
    record: bytes
    """JSON."""


class Damage(NamedTuple):
    """Bytes of a segment that are no record. Offsets: first inclusive, last inclusive."""

    path: Path
    first: int
    last: int
    why: str
    """`cut`: the segment ends in the middle of a record; `damaged`: bytes were altered."""


def _crc(length: int, record: bytes) -> int:
    return zlib.crc32(record, length & 0xFFFFFFFF)


def piece_bytes(limit_bytes: int) -> int:
    """Of a spool with this limit. The last segment is never trimmed: it must leave room for what comes next."""
    return limit_bytes // 4


def packed(key: bytes, record: bytes) -> bytes:
    """A record as a frame."""
    content = key + b"\0" + record
    return _MAGIC + _SIZES.pack(len(content), _crc(len(content), content)) + content


def _frame_at(data: bytes, at: int) -> Frame | None:
    if data[at : at + len(_MAGIC)] != _MAGIC or at + _OVERHEAD_BYTES > len(data):
        return None
    length, crc = _SIZES.unpack_from(data, at + len(_MAGIC))
    end = at + _OVERHEAD_BYTES + length
    if length > _LONGEST_BYTES or end > len(data):
        return None
    content = data[at + _OVERHEAD_BYTES : end]
    if _crc(length, content) != crc:
        return None
    key, _, record = content.partition(b"\0")
    return Frame(end, key, record)


def frames(path: Path, begin: int = 0, stop: int | None = None) -> Iterator[Frame | Damage]:
    """Every whole record from offset `begin` to `stop`, in order, and what lies between them.

    Raises OSError, and UnknownForm for a segment that another program wrote.
    """
    with path.open("rb") as file:
        head = file.read(len(HEAD))
        begin = max(begin, len(HEAD))
        file.seek(begin)
        data = file.read(-1 if stop is None else max(0, stop - begin))
    if head and head != HEAD:
        known, number = head[: -len(b"0\n")], head[-2:-1]
        if HEAD.startswith(known) and number.isdigit():
            raise UnknownForm(f"the segment {path}", int(number), FORM)
        yield Damage(path, 0, len(head) - 1, "cut" if len(head) < len(HEAD) else "damaged")
    at = 0
    while at < len(data):
        frame = _frame_at(data, at)
        if frame is not None:
            yield frame._replace(end=begin + frame.end)
            at = frame.end
            continue
        after = data.find(_MAGIC, at + 1)
        while after >= 0 and _frame_at(data, after) is None:
            after = data.find(_MAGIC, after + 1)
        next_at = after if after >= 0 else len(data)
        yield Damage(path, begin + at, begin + next_at - 1, "damaged" if after >= 0 else "cut")
        at = next_at


def spools_of(root: Path) -> list[Path]:
    """The folders of all starts below a spool's root, by name, also those that may not be read, or that lost their owner."""
    folders = [root / name for name in names_in(root)]
    return [each for each in folders if may_be_there(each / "owner") or has_segments(each)]


def owner_of(folder: Path) -> str | None:
    """The name of the producer whose folder it is; None if the file is damaged. Raises UnknownForm."""
    try:
        form, service, machine, start_id = json.loads((folder / "owner").read_bytes())
    except (OSError, ValueError, TypeError):
        return None
    if form != FORM:
        raise UnknownForm(f"the spool {folder}", form, FORM)
    return f"{service}@{machine}/{start_id}"


def mark_of(folder: Path) -> int | None:
    """The last number that the producer gave; None if it cannot be read."""
    try:
        form, last = _MARK.unpack((folder / "mark").read_bytes())
    except (OSError, struct.error):
        return None
    return last if form == FORM else None


def records_of(folder: Path) -> Iterator[tuple[Place, UsageRecord | Damage]]:
    """Every record that a start's folder still holds, sent or not, in order, with the place after it. Raises OSError and UnknownForm."""
    for number in _segments(folder):
        path, begin = folder / f"{number:08}.seg", 0
        for found in _frames_if_there(path):
            if isinstance(found, Damage):
                yield Place(number, found.last + 1), found
                continue
            try:
                yield Place(number, found.end), record_of(json.loads(found.record))
            except (ValueError, RecursionError):  # whole, but no record of this form
                yield Place(number, found.end), Damage(path, begin, found.end - 1, "damaged")
            begin = found.end


def _frames_if_there(path: Path) -> Iterator[Frame | Damage]:
    """None of a segment that its process has deleted meanwhile: all of it was sent."""
    with contextlib.suppress(FileNotFoundError):
        yield from frames(path)


def sent_of(folder: Path) -> Place:
    """Up to here the broker has all; the beginning if the file is missing or damaged: what is sent twice is known by its number."""
    try:
        form, segment, offset, *crc = json.loads((folder / "sent").read_bytes())
        place = Place(int(segment), int(offset))
    except (OSError, ValueError, TypeError, RecursionError):
        return Place(1, 0)
    # without a CRC it is of an older version
    return place if form == FORM and crc in ([], [_sent_crc(folder.name, place)]) else Place(1, 0)


def _sent_crc(start_id: str, place: Place) -> int:
    """A place that was altered, or that is of another start, would let records be passed over."""
    return zlib.crc32(f"{start_id} {place.segment} {place.offset}".encode())


def _sent_text(start_id: str, place: Place) -> str:
    """Of one length."""
    return json.dumps([FORM, *place, _sent_crc(start_id, place)]).ljust(_SENT_CHARS)


def is_alive(folder: Path) -> bool:
    """Whether a process owns the folder: it may write on. Raises OSError."""
    with (folder / "owner").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _segments(folder: Path) -> list[int]:
    return sorted(int(name.partition(".")[0]) for name in names_in(folder) if _SEGMENT.fullmatch(name))


def has_segments(folder: Path) -> bool:
    """Whether there is something in it. What deletes a folder deletes its owner last."""
    return bool(_segments(folder))


class SpoolGone(OSError):
    """Somebody deleted the folder, or a segment, of a process that lives: what is written there is seen by nobody."""


def _is_at(path: Path, file: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file))
    return False


class Spool:
    """The folder of one start. One thread appends, one reads and trims; the mark may be set by one thread at a time."""

    def __init__(self, folder: Path, segment_bytes: int, limit_bytes: int) -> None:
        """Raises OSError; BlockingIOError if a living process owns the folder."""
        self.folder = folder
        self.piece_bytes = piece_bytes(limit_bytes)
        """What is appended at a time should not be more."""
        self._segment_bytes, self._limit_bytes = min(segment_bytes, self.piece_bytes), limit_bytes
        self._owner = os.open(folder / "owner", os.O_RDWR)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mark = os.open(folder / "mark", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(mark).st_size != _MARK.size:
                    os.pwrite(mark, _MARK.pack(FORM, 0), 0)
                self._shared = mmap.mmap(mark, _MARK.size)
            finally:
                os.close(mark)
        except OSError:
            os.close(self._owner)
            raise
        self.mark = memoryview(self._shared).cast("Q")
        """Form, and the last number that was given. A number is set in one piece: a kill tears none."""
        held = _segments(folder)
        self._number = held[-1] if held else 0
        self._file = -1
        self._size = self._path(self._number).stat().st_size if held else 0
        self.end = Place(self._number, self._size)
        """After the last record that is on disk."""
        self._counting = threading.Lock()
        self._bytes = sum(self._path(number).stat().st_size for number in held)

    @classmethod
    def created(
        cls, root: Path, service: str, machine: str, start_id: str, segment_bytes: int, limit_bytes: int
    ) -> Spool:
        """A new one. Raises OSError."""
        folder = root / start_id
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)  # the disk was full when this was tried before
        (folder / "sent").write_text(_sent_text(start_id, Place(1, 0)))
        written = folder / "owner.part"
        written.write_text(json.dumps([FORM, service, machine, start_id]))
        written.rename(folder / "owner")
        return cls(folder, segment_bytes, limit_bytes)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.seg"

    # -- writing

    def append(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Pairs of key and record. Returns once they are on disk. Raises OSError, and leaves nothing half written; SpoolGone."""
        if not self._is_there():
            raise SpoolGone(f"the spool {self.folder} was deleted or moved; what was not sent of it is lost")
        block = b"".join([packed(key, record) for key, record in records])
        if self._bytes + len(block) > self._limit_bytes:
            raise OSError(f"the spool {self.folder} holds {self._bytes:,} bytes, its limit is {self._limit_bytes:,}")
        if self._file < 0 or self._size >= self._segment_bytes:
            self._next_segment()
        try:
            written = 0
            while written < len(block):
                written += os.pwrite(self._file, memoryview(block)[written:], self._size + written)
            os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(block)
        with self._counting:
            self._bytes += len(block)
        self.end = Place(self._number, self._size)

    def _is_there(self) -> bool:
        return self._owns_folder() and (self._file < 0 or _is_at(self._path(self._number), self._file))

    def _owns_folder(self) -> bool:
        return _is_at(self.folder / "owner", self._owner)

    def _next_segment(self) -> None:
        path = self._path(self._number + 1)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.pwrite(file, HEAD, 0)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number, self._size = file, self._number + 1, len(HEAD)
        with self._counting:
            self._bytes += self._size

    # -- reading what is not sent

    @property
    def sent(self) -> Place:
        """See `sent_of`."""
        return sent_of(self.folder)

    def set_sent(self, place: Place) -> None:
        """Raises OSError; SpoolGone: the folder may have been made again, and what is in it now was not sent."""
        if not self._owns_folder():
            raise SpoolGone(f"the spool {self.folder} was deleted or moved: the place is that of another one")
        text, path = _sent_text(self.folder.name, place), self.folder / "sent"
        written = self.folder / "sent.part"
        try:
            written.write_text(text)
            written.rename(path)
        except OSError:  # the disk is full; over the old text is room, and what is not noted is never trimmed
            with path.open("r+") as file:
                file.write(text)

    def unsent(self) -> Iterator[tuple[Place, Frame | Damage]]:
        """What is on disk and not sent, in order, each with the place after it. Raises OSError and UnknownForm."""
        begin, end = self.sent, self.end
        for number in _segments(self.folder):
            if begin.segment <= number <= end.segment:
                offset = begin.offset if number == begin.segment else 0
                stop = end.offset if number == end.segment else None
                for found in frames(self._path(number), offset, stop):
                    yield Place(number, found.end if isinstance(found, Frame) else found.last + 1), found

    @property
    def is_sent(self) -> bool:
        """The broker has all that is on disk."""
        return self.sent >= self.end

    def trim(self, keep_bytes: int) -> None:
        """Delete the oldest segments of which all is sent, down to `keep_bytes`."""
        sent = self.sent
        for number in _segments(self.folder):
            if number >= sent.segment or self._bytes <= keep_bytes:
                return
            size = self._path(number).stat().st_size
            self._path(number).unlink()
            with self._counting:
                self._bytes -= size

    def delete_if_older(self, time: float) -> None:
        """Delete the folder if nothing in it was changed since; `time` in UTC seconds."""
        paths = list(self.folder.iterdir())
        if not any(path.is_dir() for path in paths) and all(path.stat().st_mtime < time for path in paths):
            for path in sorted(paths, key=lambda path: path.name == "owner"):
                path.unlink()
            self.folder.rmdir()

    def close(self) -> None:
        """Let another process have it. The mark stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self.mark.release()
        self._shared.close()
        owner, self._owner = self._owner, -1
        os.close(owner)
