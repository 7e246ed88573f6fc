"""Which source a file is: the same one after a rename, a copy, a rotation, a gzip or growth; another one otherwise.

The id is a fingerprint of the first KiB after the head lines. Sources that begin alike are told apart by what was already
sent of each (its digest must match the file's content up to there), and, where another file of the same beginning is at
hand, by comparing the two files.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import NamedTuple, Protocol

from app.errors import InputError
from app.sources.files.chunks import ReadStream
from app.sources.files.inputs import STDIN, open_input
from app.sources.identity.digest import FINGERPRINT_BYTES, content_matches
from app.sources.identity.registry import MemoryRegistry, Registry, SourceRecord

__all__ = ["Identifier", "Restarted", "SeenFile", "fingerprint"]

_BLOCK_BYTES = 1 << 20

log = logging.getLogger(__name__)


class Restarted(Protocol):
    """The content of an input from its beginning, to be closed after use."""

    def read(self, size: int, /) -> bytes: ...

    def __enter__(self) -> ReadStream: ...

    def __exit__(self, *error: object) -> None: ...


class SeenFile(NamedTuple):
    """A file as it presents itself."""

    path: str
    """As it was named, or `-`."""
    body: bytes
    """The beginning of its lines after the head lines: 1 KiB, or the whole lines there are."""
    restart: Callable[[], Restarted]
    """Gives its decompressed content from the beginning; may be called several times."""
    inode: tuple[int, int] | None = None
    changed_s: float = 0.0


def fingerprint(body: bytes, name: str = "") -> str:
    """32 hex digits of the first bytes of a source; `name` makes a source on purpose.

    >>> fingerprint(b"one line\\n") == fingerprint(b"one line\\n", "again")
    False
    """
    key = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=32).digest() if name else b""
    return blake2b(body[:FINGERPRINT_BYTES], digest_size=16, key=key).hexdigest()


class Identifier:
    """Names sources, with a registry across runs or without one for this run."""

    def __init__(self, registry: Registry | None = None, name: str = "") -> None:
        self.registry: Registry = registry if registry is not None else MemoryRegistry()
        self._name = name

    def identify(
        self, seen: SeenFile, *, exclude: Collection[str] = (), only: Collection[str] | None = None
    ) -> SourceRecord | None:
        """The record of the source that `seen` is; a new one is saved at position 0.

        `exclude`: ids of sources known to be other files, as long as less than 1 KiB of them was sent: more than that
        does not come twice by chance, and a log that was put back from a copy is the same one. `only`: ids that it may be, otherwise None is returned and nothing saved.
        """
        if not seen.body:
            raise ValueError("a source without lines has no identity")
        with self.registry.locked():
            candidates = [
                record
                for record in self._candidates(seen.body)
                if record.id not in exclude or record.position >= FINGERPRINT_BYTES
            ]
            if only is not None:
                candidates = [record for record in candidates if record.id in only]
            matching = self._matching(seen, candidates)
            if matching:
                best = max(
                    matching,
                    key=lambda record: (
                        record.position,
                        record.inode is not None and record.inode == seen.inode,
                        -record.number,
                    ),
                )
                return self._at(best, seen)
            return self._new(seen) if only is None else None

    def _candidates(self, body: bytes) -> list[SourceRecord]:
        found: list[SourceRecord] = []
        for length in sorted(self.registry.lengths()):
            if length <= len(body):
                found += self.registry.candidates(length, fingerprint(body[:length], self._name))
        return found

    def _matching(self, seen: SeenFile, candidates: list[SourceRecord]) -> list[SourceRecord]:
        if not candidates:
            return []
        with seen.restart() as stream:
            held = content_matches(stream, {record.digest for record in candidates})
        return [record for record in candidates if record.digest in held and not self._is_other(seen, record)]

    def _is_other(self, seen: SeenFile, record: SourceRecord) -> bool:
        """Whether the file that the record was made from is at hand and goes on differently."""
        if (
            seen.path == STDIN
            or record.path == STDIN
            or record.inode == seen.inode
            or os.path.abspath(seen.path) == record.path
        ):
            return False
        try:
            if _inode(record.path) != record.inode:
                return False
            with open_input(record.path) as other:
                if not content_matches(other, {record.digest}):
                    return False  # it was cut or written anew since: it is no witness
            with open_input(record.path) as other, seen.restart() as stream:
                return not _agree(stream, other)
        except (OSError, InputError):
            return False  # it is gone or broken by now: what was sent of it has to decide

    def _new(self, seen: SeenFile) -> SourceRecord:
        body = seen.body[:FINGERPRINT_BYTES]
        print_ = fingerprint(body, self._name)
        number = len(self.registry.candidates(len(body), print_))
        id_ = print_ if number == 0 else blake2b(f"{print_} {number}".encode(), digest_size=16).hexdigest()
        if number:
            log.warning(
                "%s begins like a source that was seen before but does not hold what was sent of that: it is a source of its own, %s",
                seen.path,
                id_,
            )
        return self._at(
            SourceRecord(id=id_, fingerprint=print_, fingerprint_bytes=len(body), number=number, path=""), seen
        )

    def _at(self, record: SourceRecord, seen: SeenFile) -> SourceRecord:
        path = STDIN if seen.path == STDIN else os.path.abspath(seen.path)
        if not record.path or (record.path, record.inode) != (path, seen.inode):
            record.path, record.inode, record.changed_s = path, seen.inode, seen.changed_s
            self.registry.save(record)
        return record


def _inode(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _agree(one: ReadStream, other: ReadStream) -> bool:
    while True:
        a, b = _exactly(one, _BLOCK_BYTES), _exactly(other, _BLOCK_BYTES)
        common = min(len(a), len(b))
        if a[:common] != b[:common]:
            return False
        if common < _BLOCK_BYTES:
            return True


def _exactly(stream: ReadStream, size: int) -> bytes:
    parts = []
    while size:
        try:
            data = stream.read(size)
        except InputError:
            break
        if not data:
            break
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
