"""Processes that read lines while this one merges what they read. What is merged, and in which order, does not depend on them.

Each reader has one stretch at a time, in turn: memory is bounded by a stretch and its hits for each. A reader ends when this
process does, however that ends, because its pipe breaks.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain
from mmap import mmap
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from app.domain.key_hits import Key
from app.domain.lines import ReadLines
from app.domain.tallies import Part
from app.domain.windows import Rules
from app.errors import WeblogsError
from app.reducing.stretch_hits import StretchHits
from app.reducing.stretches import Stretch, StretchReader

__all__ = ["HitsByKey", "Processes", "Readers", "StretchWork"]

_END_S = 5.0
_SHARED_BYTES = 9 << 20
"""Lines go to a reader, and columns come from it, through memory that both have: a pipe takes small pieces, and copies each. What is
larger goes through the pipe."""
_ALIGNED_BYTES = 64
_make_part = tuple.__new__

T = TypeVar("T")
Given = TypeVar("Given")
Given_contra = TypeVar("Given_contra", contravariant=True)


class Work(Protocol[Given_contra, T]):
    """What a process does with what it is given."""

    def read(self, given: Given_contra, /) -> T: ...

    def packed(self, result: T, /) -> object:
        """As it is pickled."""

    def unpacked(self, packed: Any, /) -> T: ...


StretchWork = Work[Stretch, T]


class HitsByKey:
    """Gathers the hits of stretches by key."""

    def __init__(self, rules: Rules, on_lines: Callable[[str, ReadLines], ReadLines] | None = None) -> None:
        self._reader = StretchReader(rules, on_lines)

    def read(self, stretch: Stretch) -> StretchHits:
        return self._reader.hits(stretch)

    def packed(self, result: StretchHits) -> object:
        return result._replace(parts={}), _packed(result.parts)

    def unpacked(self, packed: tuple[StretchHits, _Packed]) -> StretchHits:
        some, parts = packed
        return some._replace(parts=_unpacked(*parts))


class Processes(Generic[Given, T]):
    """So many processes that read; with none, this one does. A context manager."""

    def __init__(self, work: Work[Given, T], processes: int = 0) -> None:
        self._work = work
        self._others: list[_Other] = []
        # a fork is cheap; where it is not safe, a fresh interpreter is started
        is_fork = sys.platform == "linux"
        context: Any = multiprocessing.get_context("fork" if is_fork else "spawn")
        for _ in range(processes):
            ours, theirs = context.Pipe()
            shared = mmap(-1, _SHARED_BYTES) if is_fork else None
            process = context.Process(
                target=_serve, args=(theirs, [other.pipe for other in self._others] + [ours], shared, work), daemon=True
            )
            process.start()
            theirs.close()
            self._others.append(_Other(process, ours, shared))

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that read."""
        return [other.process.pid for other in self._others]

    def results(self, given: Iterator[Given]) -> Iterator[T]:
        """What each comes to, in their order. What came before an error of `given` comes before it."""
        if not self._others:
            yield from map(self._work.read, given)
            return
        busy: deque[_Other] = deque()
        failed: Exception | None = None
        for other in self._others:
            failed = failed or _give(other, given, busy)
        while busy:
            other = busy.popleft()
            some = other.receive()
            failed = failed or _give(other, given, busy)
            yield self._work.unpacked(some)
        if failed is not None:
            raise failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for other in self._others:
            other.pipe.close()
        for other in self._others:
            if error is not None:
                other.process.terminate()
            other.process.join(_END_S)


class Readers(Processes[Stretch, StretchHits]):
    """Processes that gather hits by key."""

    def __init__(
        self, rules: Rules, processes: int = 0, on_lines: Callable[[str, ReadLines], ReadLines] | None = None
    ) -> None:
        super().__init__(HitsByKey(rules, on_lines), processes)


def _give(other: _Other, given: Iterator[Any], busy: deque[_Other]) -> Exception | None:
    """The next one, where there is one, to a reader that waits; the error where there is one instead."""
    try:
        one = next(given, None)
    except Exception as error:
        return error
    if one is not None:
        other.send(one)
        busy.append(other)
    return None


class _Other(NamedTuple):
    process: Any
    pipe: Connection
    shared: mmap | None

    def send(self, given: object) -> None:
        try:
            self.pipe.send_bytes(pickle.dumps(_given(given, self.shared), 5))
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> object:
        try:
            said = _received(self.pipe.recv_bytes(), self.shared)
        except (OSError, EOFError) as error:
            raise self._ended() from error
        if isinstance(said, WeblogsError):
            raise said
        if isinstance(said, str):
            raise RuntimeError(f"a reading process failed:\n{said}")
        return said

    def _ended(self) -> WeblogsError:
        self.process.join(_END_S)
        return WeblogsError(
            f"a process that read lines for this one was ended from outside (code {self.process.exitcode}), perhaps for lack of memory; "
            "--processes 1 reads in one process and takes less"
        )


def _given(stretch: object, shared: mmap | None) -> tuple[object, list[int]]:
    """What is given for the pipe, and of a stretch the lengths of the lines of each chunk, if they stand in the shared memory."""
    lengths = [len(chunk.data) for chunk in stretch.chunks] if isinstance(stretch, Stretch) else []
    if not isinstance(stretch, Stretch) or shared is None or sum(lengths) > len(shared):
        return stretch, []
    shared.seek(0)
    for chunk in stretch.chunks:
        shared.write(chunk.data)
    return stretch._replace(chunks=[chunk._replace(data=b"") for chunk in stretch.chunks]), lengths


def _taken(stretch: Stretch, lengths: list[int], shared: mmap | None) -> Stretch:
    if shared is None or not lengths:
        return stretch
    shared.seek(0)
    chunks = [chunk._replace(data=shared.read(length)) for chunk, length in zip(stretch.chunks, lengths, strict=True)]
    return stretch._replace(chunks=chunks)


def _said(result: object, shared: mmap | None) -> bytes:
    """What is said for the pipe. Columns stand in the shared memory, if they fit: the lines there have been read."""
    columns: list[pickle.PickleBuffer] = []
    said = pickle.dumps(result, 5, buffer_callback=columns.append)
    pieces = [column.raw() for column in columns]
    sizes = [piece.nbytes for piece in pieces]
    if shared is None or sum(map(_room, sizes)) > len(shared):
        return pickle.dumps((said, [], columns), 5)
    shared.seek(0)
    for piece in pieces:
        shared.write(piece)
        shared.seek(_room(piece.nbytes) - piece.nbytes, os.SEEK_CUR)
    return pickle.dumps((said, sizes, []), 5)


def _received(said: bytes, shared: mmap | None) -> object:
    """The same. It is copied out of the shared memory, which the next lines need."""
    result, sizes, columns = pickle.loads(said)
    if shared is not None and sizes:
        ends = list(accumulate(map(_room, sizes), initial=0))
        shared.seek(0)
        data = memoryview(shared.read(ends[-1]))
        columns = [data[end : end + size] for end, size in zip(ends, sizes, strict=False)]
    return pickle.loads(result, buffers=columns)


def _room(size: int) -> int:
    """Bytes for a column, so that the next one is aligned."""
    return -(-size // _ALIGNED_BYTES) * _ALIGNED_BYTES


def _serve(pipe: Connection, others: Sequence[Connection], shared: mmap | None, work: Work[Any, Any]) -> None:
    """What a reading process does, until there is nobody to read for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the process that merges says what becomes of it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in others:  # a fork has them, too, and would hold them open
        other.close()
    gc.disable()
    while True:
        try:
            given = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            said = work.packed(work.read(_taken(given[0], given[1], shared)))
        except WeblogsError as error:
            said = error
        except Exception:
            said = traceback.format_exc()
        try:
            pipe.send_bytes(_said(said, shared))
        except OSError:
            return


_Packed = tuple[list[Key], list[int], list[tuple[Any, ...]]]


def _packed(parts: dict[Key, list[Part]]) -> _Packed:
    """Keys, how many parts each has, and the columns of all parts: named tuples take several times as long to pickle."""
    return list(parts), list(map(len, parts.values())), list(zip(*chain.from_iterable(parts.values()), strict=True))


def _unpacked(keys: list[Key], counts: list[int], columns: list[tuple[Any, ...]]) -> dict[Key, list[Part]]:
    rows = zip(*columns, strict=True)
    return {key: [_make_part(Part, next(rows)) for _ in range(count)] for key, count in zip(keys, counts, strict=True)}
