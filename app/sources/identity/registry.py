"""Where the checkpoints of sources are kept: one small JSON file a source, or memory for one run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, Self, TypeVar

import msgspec

from app.errors import InputError, OutputError, UnknownForm
from app.messages.forms import UNREADABLE
from app.process.folders import make_private
from app.sources.identity.digest import DigestValue

__all__ = ["FolderRegistry", "Followed", "Key", "MemoryRegistry", "Registry", "SourceRecord", "write_file"]


_FORM = 1


class _Numbered(msgspec.Struct):
    """What every form of a checkpoint has."""

    form: int | None = None


class SourceRecord(msgspec.Struct, kw_only=True):
    """What is known of one source."""

    id: str
    """32 hex digits."""
    fingerprint: str
    fingerprint_bytes: int
    """This many bytes after the head lines were hashed: 1024, or fewer where the source was shorter when first seen."""
    number: int
    """0 for the first source with this fingerprint, 1 for the next one that begins alike and is another, and so on."""
    path: str
    """Absolute path where it was last read, or `-`."""
    inode: tuple[int, int] | None = None
    format: str = ""
    digest: DigestValue = DigestValue()
    """Of everything sent and acknowledged: its length is the position to go on from."""
    head: tuple[str, ...] = ()
    """Head lines in force at that position."""
    lines: int = 0
    """Lines sent up to there."""
    unended: tuple[int, int] | None = None
    """Length and CRC-32 of a last line without newline that was sent, too: it may still grow, so the position is before it."""
    ended: bool = False
    """Its end was announced."""
    changed_s: float = 0.0
    """Modification time of the file when it was last read, UTC seconds."""

    @property
    def position(self) -> int:
        return self.digest.length

    @property
    def key(self) -> Key:
        return self.fingerprint_bytes, self.fingerprint, self.number


Key = tuple[int, str, int]
"""Fingerprint length, fingerprint, number."""


class Followed(msgspec.Struct):
    """A path that is followed through rotations."""

    path: str
    since_s: float
    """Files that were changed before were seen."""
    unfinished: list[Key]
    """Sources that were read at this path and whose end was not announced."""


class KnownLog(msgspec.Struct):
    """The log that the checkpoints of a folder speak of."""

    log: str


class Registry(Protocol):
    """Records by fingerprint."""

    def lengths(self) -> Iterable[int]:
        """The fingerprint lengths that occur."""
        ...

    def candidates(self, fingerprint_bytes: int, fingerprint: str) -> list[SourceRecord]:
        """The records with this fingerprint, by number without gaps."""
        ...

    def save(self, record: SourceRecord) -> None: ...

    def load(self, key: Key) -> SourceRecord | None: ...

    def followed(self, path: str) -> Followed | None:
        """What the last run that followed `path` had not finished."""
        ...

    def save_followed(self, followed: Followed) -> None: ...

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else names a source meanwhile."""
        yield


class MemoryRegistry:
    """For one run without checkpoints."""

    def __init__(self) -> None:
        self._records: dict[tuple[int, str], list[SourceRecord]] = {}
        self._followed: dict[str, Followed] = {}

    def lengths(self) -> Iterable[int]:
        return {length for length, _ in self._records}

    def candidates(self, fingerprint_bytes: int, fingerprint: str) -> list[SourceRecord]:
        return list(self._records.get((fingerprint_bytes, fingerprint), ()))

    def save(self, record: SourceRecord) -> None:
        group = self._records.setdefault((record.fingerprint_bytes, record.fingerprint), [])
        group[record.number : record.number + 1] = [record]

    def load(self, key: Key) -> SourceRecord | None:
        group = self._records.get(key[:2], [])
        return group[key[2]] if key[2] < len(group) else None

    def followed(self, path: str) -> Followed | None:
        return self._followed.get(path)

    def save_followed(self, followed: Followed) -> None:
        self._followed[followed.path] = followed

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield


class FolderRegistry:
    """`FOLDER/<fingerprint length>/<fingerprint>-<number>.json`: found by name, so the number of sources costs nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_log(cls, folder: Path, log: str) -> Self:
        """The checkpoints of what was sent to `log`: in `folder` for the first one, below it for each other.

        What one log has, another one lacks. A folder of a version that noted no log belongs to the first that is asked for.
        """
        registry, path = cls(folder), folder / "log.json"
        with registry.locked():
            known = _load(path, KnownLog)
            if known is None:
                write_file(path, _numbered(KnownLog(log)))
        return registry if known is None or known.log == log else cls(folder / f"of-{log}")

    def lengths(self) -> Iterable[int]:
        try:
            return [int(each.name) for each in self.folder.iterdir() if each.name.isdigit()]
        except FileNotFoundError:
            return []

    def candidates(self, fingerprint_bytes: int, fingerprint: str) -> list[SourceRecord]:
        found: list[SourceRecord] = []
        while (record := self.load((fingerprint_bytes, fingerprint, len(found)))) is not None:
            found.append(record)
        return found

    def save(self, record: SourceRecord) -> None:
        write_file(self._path(record.key), _numbered(record))

    def load(self, key: Key) -> SourceRecord | None:
        return _load(self._path(key), SourceRecord)

    def followed(self, path: str) -> Followed | None:
        return _load(self._followed_path(path), Followed)

    def save_followed(self, followed: Followed) -> None:
        write_file(self._followed_path(followed.path), _numbered(followed))

    def _followed_path(self, path: str) -> Path:
        return self.folder / "followed" / f"{blake2b(os.fsencode(path), digest_size=16).hexdigest()}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        try:
            make_private(self.folder)
            fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot hold checkpoints: {error.strerror}; set WEBLOGS_DATA_DIR to a writable folder"
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _path(self, key: Key) -> Path:
        return self.folder / str(key[0]) / f"{key[1]}-{key[2]}.json"


Stored = TypeVar("Stored", SourceRecord, Followed, KnownLog)


def _numbered(stored: SourceRecord | Followed | KnownLog) -> bytes:
    """As JSON, with the number of the form before all else."""
    return b'{"form":%d,%b' % (_FORM, msgspec.json.encode(stored)[1:])


def _load(path: Path, kind: type[Stored]) -> Stored | None:
    try:
        data = path.read_bytes()
        form = msgspec.json.decode(data, type=_Numbered).form
        if form != _FORM:
            raise UnknownForm(f"the checkpoint {path}", form, _FORM)
        return msgspec.json.decode(data, type=kind)
    except FileNotFoundError:
        return None
    except (OSError, *UNREADABLE) as error:
        raise InputError(
            f"the checkpoint {path} cannot be read: {error}; move it away to read its file from the beginning"
        ) from None


def write_file(path: Path, data: bytes) -> None:
    """Puts `data` in place of `path` so that a crash leaves the old or the new content. Raises OutputError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        if not path.parent.is_dir():
            make_private(path.parent)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.rename(path)
    except OSError as error:
        raise OutputError(
            f"the checkpoint {path} cannot be written: {error.strerror}; make room, then run the same command again"
        ) from None
