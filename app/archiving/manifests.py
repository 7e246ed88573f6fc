"""What the archive holds: a manifest for each file, written before the file; and what the file turned out to be, written after it.

ARCHIVE/manifests/PARTITION/FIRST_OFFSET.json       which messages the file is made of; created once, by one worker
ARCHIVE/manifests/PARTITION/FIRST_OFFSET.done.json  its name, size, SHA-256, rows, and who is in it
ARCHIVE/DAY/usage-PARTITION-FIRST_OFFSET.csv        or .parquet
ARCHIVE/repairs/…                                   what `usage repair` has found again, the same way
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import msgspec

from app.archiving.storage import Storage
from app.errors import UnknownForm, UnreadableFile
from app.settings import FileKind

__all__ = ["FORM", "Done", "Manifest", "Manifests", "day_of", "sha256_of", "spanned"]

FORM = 2
_FORMS = (1, FORM)
"""Form 1 has no times, and Parquet alone."""
_DONE = ".done.json"


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
    """The manifests of an archive. Any number of workers may use them. They never change, so each is read once."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._planned: dict[int, dict[str, Manifest]] = {}
        self._done: dict[str, Done] = {}

    def partitions(self) -> list[int]:
        found = {name.split("/")[1] for name in self.storage.names("manifests/")}
        return sorted(int(each) for each in found if each.isdecimal() and _folder(int(each)) == f"manifests/{each}/")

    def of(self, partition: int) -> list[Manifest]:
        """In the order of their offsets. Raises UnreadableFile for a damaged one, UnknownForm, OSError, StoreError."""
        known = self._planned.setdefault(partition, {})
        names = self.storage.names(_folder(partition), after=max(known, default=""))
        names = [name for name in names if name.endswith(".json")]
        for name, content in zip(names, self.storage.contents(names), strict=True):
            if name.endswith(_DONE):
                self._done[name] = self._read(name, content, Done)
            else:
                known[name] = self._read(name, content, Manifest)
                self._check(name, name == _name(known[name], ".json"))
        return [known[name] for name in sorted(known)]

    def done(self, manifest: Manifest) -> Done | None:
        """None: the file is not finished. Raises as `of`."""
        name = _name(manifest, _DONE)
        if name not in self._done:
            (content,) = self.storage.contents([name])
            if content is None:
                return None
            self._done[name] = self._read(name, content, Done)
        self._check(name, self._done[name].file == manifest.name)
        return self._done[name]

    def create(self, manifest: Manifest) -> Manifest:
        """The manifest that holds for this partition and first offset: another worker's, if that was faster. Raises as `of`."""
        name = _name(manifest, ".json")
        self.storage.create(name, msgspec.json.encode(manifest))
        return self._read(name, self.storage.contents([name])[0], Manifest)

    def finish(self, manifest: Manifest, done: Done) -> None:
        """Raises OSError, StoreError."""
        self.storage.create(_name(manifest, _DONE), msgspec.json.encode(done))

    def repairs(self) -> list[Done]:
        """What `usage repair` has written. Raises as `of`."""
        names = [name for name in self.storage.names("repairs/") if name.endswith(_DONE)]
        found = [self._read(*each, Done) for each in zip(names, self.storage.contents(names), strict=True)]
        for name, done in zip(names, found, strict=True):
            self._check(name, done.file.rpartition(".")[0] == name.removesuffix(_DONE))
        return found

    def _check(self, name: str, is_its_own: bool) -> None:
        if not is_its_own:
            raise UnreadableFile(
                f"the manifest {self.storage.place(name)} is that of another file; restore it from a backup"
            )

    def _read(self, name: str, content: bytes | None, kind: type[Any]) -> Any:
        place = f"the manifest {self.storage.place(name)}"
        if content is None:
            raise UnreadableFile(f"{place} is gone; restore it from a backup")
        try:
            found = json.loads(content)
            form = found["form"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UnreadableFile(f"{place} cannot be read: {error}; restore it from a backup") from error
        if form not in _FORMS:
            raise UnknownForm(place, form, FORM)
        try:
            return msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            raise UnreadableFile(f"{place} cannot be read: {error}; restore it from a backup") from error


def _folder(partition: int) -> str:
    return f"manifests/{partition:04}/"


def _name(manifest: Manifest, suffix: str) -> str:
    return f"{_folder(manifest.partition)}{manifest.first_offset:020}{suffix}"


def sha256_of(path: Path) -> str:
    """64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def day_of(time_s: float) -> str:
    """UTC; 1970-01-01 for a time of a clock that no calendar holds.

    >>> day_of(1e300)
    '1970-01-01'
    """
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d")
    return "1970-01-01"


def spanned(times: tuple[float, float] | None, time_s: float) -> tuple[float, float]:
    """From the earliest to the latest, this one among them.

    >>> spanned((2.0, 3.0), 1.0)
    (1.0, 3.0)
    """
    return (time_s, time_s) if times is None else (min(times[0], time_s), max(times[1], time_s))
