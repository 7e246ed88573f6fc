"""Where an archive is: a folder, or a bucket of an S3 server. What has a name is never replaced."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from app.errors import SettingsError
from app.settings import BUCKET_ADDRESS, BUCKET_FORM, Settings

__all__ = ["PART_AGE_S", "Folder", "Storage", "open_storage", "put_once", "remove_parts", "temporary"]

PART_AGE_S = 3600.0
"""No worker that lives leaves a file alone for so long: what is older is a killed one's."""


class Storage(Hashable, Protocol):
    """Files by name, with slashes. Any number of workers may use one. Blocking. Raises OSError, StoreError."""

    largest_bytes: float
    """No file may be larger."""

    def prepare(self) -> int:
        """Before anything is written: what killed workers have left unfinished for PART_AGE_S is deleted; how many.

        Raises StoreRefused if two workers could replace each other's files here.
        """

    def names(self, prefix: str, after: str = "") -> list[str]:
        """All that begin with the prefix and come after a name, sorted."""

    def contents(self, names: Sequence[str]) -> list[bytes | None]:
        """Of small files; None for one that is not there."""

    def create(self, name: str, content: bytes) -> bool:
        """Whether this call created the file: whole and durable, or not at all; one that is there stays."""

    def scratch(self, name: str) -> Path:
        """A path of this machine for a file that is then put; whoever asks deletes it."""

    def put(self, name: str, written: Path) -> bool:
        """The same as `create`, of a file of any size."""

    def local(self, name: str) -> Path | None:
        """A path of this machine from which the file can be read; None if it is gone. Open it before asking for another."""

    def place(self, name: str) -> str:
        """For people."""


class Folder:
    """A folder of this machine, or one that several machines mount."""

    largest_bytes = float("inf")

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def prepare(self) -> int:
        return remove_parts(self._path)

    def names(self, prefix: str, after: str = "") -> list[str]:
        inside = self._path / prefix.rpartition("/")[0]
        # not `rglob`: where it may not look, it finds nothing, and a check would take that for all there is
        paths = (Path(folder, name) for folder, _, names in os.walk(inside, onerror=_raised) for name in names)
        found = (path.relative_to(self._path).as_posix() for path in paths if path.name[0] != "." and path.is_file())
        return sorted(name for name in found if name.startswith(prefix) and name > after)

    def contents(self, names: Sequence[str]) -> list[bytes | None]:
        return [path.read_bytes() if path.exists() else None for path in map(self._path.joinpath, names)]

    def create(self, name: str, content: bytes) -> bool:
        written = self.scratch(name)
        try:
            written.write_bytes(content)
            return self.put(name, written)
        finally:
            written.unlink(missing_ok=True)

    def scratch(self, name: str) -> Path:
        return temporary(self._path / name)

    def put(self, name: str, written: Path) -> bool:
        with written.open("rb") as file:
            os.fsync(file.fileno())
        return put_once(written, self._path / name)

    def local(self, name: str) -> Path | None:
        path = self._path / name
        return path if path.exists() else None

    def place(self, name: str) -> str:
        return str(self._path / name)


def open_storage(address: str | Path, own: Settings) -> Storage:
    """A folder, or s3://BUCKET/PREFIX; nothing is asked yet. Raises SettingsError."""
    if "://" not in str(address):
        return Folder(Path(address))
    if found := re.fullmatch(BUCKET_ADDRESS, str(address)):
        from app.archiving.bucket import Bucket

        return Bucket(found[1], found[2].strip("/"), own.data_dir / "usage-parts")
    raise SettingsError(f"the archive {address} is no folder and no bucket: write {BUCKET_FORM}")


def _raised(error: OSError) -> None:
    """Unless nothing is there."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


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


def temporary(path: Path) -> Path:
    """A name in the same folder that nobody else has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")


def remove_parts(folder: Path) -> int:
    """Delete what killed processes have left half written; returns how many. Raises OSError."""
    count = 0
    end = time.time() - PART_AGE_S
    for path in folder.rglob(".*.part"):
        with suppress(FileNotFoundError):  # another worker was faster
            if path.stat().st_mtime < end:
                path.unlink()
                count += 1
    return count
