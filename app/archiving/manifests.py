"""What the archive holds: a manifest for each file, written before the file; and what the file turned out to be, written after it.

ARCHIVE/manifests/PARTITION/FIRST_OFFSET.json       which messages the file is made of; created once, by one worker
ARCHIVE/manifests/PARTITION/FIRST_OFFSET.done.json  its name, size, SHA-256, rows, and who is in it
ARCHIVE/DAY/usage-PARTITION-FIRST_OFFSET.csv        or .parquet
ARCHIVE/repairs/…                                   what `usage repair` has found again, the same way
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import msgspec

from app.archiving.files import FileKind
from app.errors import InputError, UnknownForm

__all__ = [
    "FORM",
    "Done",
    "Manifest",
    "Manifests",
    "created_once",
    "day_of",
    "put_once",
    "remove_parts",
    "sha256_of",
    "spanned",
    "temporary",
]

FORM = 2
_FORMS = (1, FORM)
"""Form 1 has no times, and Parquet alone."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages of a partition a file is made of. Offsets: first inclusive, last inclusive."""

    form: int
    topic: str
    incarnation: str
    partition: int
    first_offset: int
    last_offset: int
    day: str
    """UTC day on which the broker took the first message."""
    created: str
    """When the manifest was written, by the worker's clock; of all that the archive holds only this does not follow from the log."""

    kind: FileKind = "parquet"
    """Of the file."""

    @property
    def name(self) -> str:
        """Of the file, below the archive."""
        return f"{self.day}/usage-{self.partition:04}-{self.first_offset:020}.{self.kind}"


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file is."""

    form: int
    file: str
    size_bytes: int
    sha256: str
    rows: int
    written_by: str
    schema_form: int
    producers: dict[str, tuple[int, int]]
    """Producer -> first and last number in the file."""
    repeats: list[tuple[str, int]]
    """(producer, number) of records that the archive had already: they are not in the file."""
    unreadable: list[tuple[int, str]]
    """(offset, why) of messages that are none."""
    times: tuple[float, float] | None = None
    """Of the earliest and of the latest record, UTC seconds; None if there is none, or in form 1."""
    replaces: list[str] = []
    """Of a repair: files that were gone or altered. What could be found of them is in repairs."""


class Manifests:
    """The manifests of an archive. Any number of workers may use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def partitions(self) -> list[int]:
        return sorted(int(path.name) for path in (self.folder / "manifests").glob("[0-9]*") if path.is_dir())

    def of(self, partition: int) -> list[Manifest]:
        """In the order of their offsets. Raises InputError for a damaged one, UnknownForm."""
        paths = sorted(path for path in self._folder(partition).glob("*.json") if not path.name.endswith(".done.json"))
        return [_read(path, Manifest) for path in paths]

    def done(self, manifest: Manifest) -> Done | None:
        """None: the file is not finished. Raises InputError, UnknownForm."""
        path = self._path(manifest, ".done.json")
        return _read(path, Done) if path.exists() else None

    def create(self, manifest: Manifest) -> Manifest:
        """The manifest that holds for this partition and first offset: another worker's, if that was faster. Raises OSError."""
        path = self._path(manifest, ".json")
        created_once(path, msgspec.json.encode(manifest))
        return _read(path, Manifest)

    def finish(self, manifest: Manifest, done: Done) -> None:
        """Raises OSError."""
        created_once(self._path(manifest, ".done.json"), msgspec.json.encode(done))

    def _folder(self, partition: int) -> Path:
        return self.folder / "manifests" / f"{partition:04}"

    def _path(self, manifest: Manifest, suffix: str) -> Path:
        return self._folder(manifest.partition) / f"{manifest.first_offset:020}{suffix}"

    def repairs(self) -> Iterator[Done]:
        """What `usage repair` has written."""
        for path in sorted((self.folder / "repairs").glob("*.done.json")):
            yield _read(path, Done)


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        found = json.loads(path.read_bytes())
        form = found["form"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the manifest {path} cannot be read: {error}; restore it from a backup") from error
    if form not in _FORMS:
        raise UnknownForm(f"the manifest {path}", form, FORM)
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"the manifest {path} cannot be read: {error}; restore it from a backup") from error


def created_once(path: Path, content: bytes) -> bool:
    """Whether this call created the file: whole and durable, or not at all; an existing one stays. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = _beside(path)
    try:
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return put_once(written, path)
    finally:
        written.unlink(missing_ok=True)


def put_once(written: Path, path: Path) -> bool:
    """Give a finished file its name, if nothing has it. Raises OSError."""
    with suppress(FileExistsError):
        path.hardlink_to(written)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True
    return False


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")


def remove_parts(folder: Path, older_than_s: float) -> int:
    """Delete what killed processes have left half written, if nobody has written to it for so long; returns how many. Raises OSError."""
    count = 0
    end = time.time() - older_than_s
    for path in folder.rglob(".*.part"):
        with suppress(FileNotFoundError):  # another worker was faster
            if path.stat().st_mtime < end:
                path.unlink()
                count += 1
    return count


def temporary(path: Path) -> Path:
    """A name in the same folder that nobody else has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _beside(path)


def sha256_of(path: Path) -> str:
    """64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def day_of(time_s: float) -> str:
    """UTC.

    >>> day_of(0.0)
    '1970-01-01'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")


def spanned(times: tuple[float, float] | None, time_s: float) -> tuple[float, float]:
    """From the earliest to the latest, this one among them.

    >>> spanned((2.0, 3.0), 1.0)
    (1.0, 3.0)
    """
    return (time_s, time_s) if times is None else (min(times[0], time_s), max(times[1], time_s))
