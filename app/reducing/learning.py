"""Reads logs, or the hits of a store, for the sizes of files that they tell."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from app.checking.shares import WHOLE, Share, TooMany, by_shares
from app.domain.open_deliveries import SizeOf
from app.domain.records import Hit
from app.domain.sizes import DatedSize, SizeWitnesses, size_at
from app.domain.windows import Rules
from app.errors import InputError
from app.output.replacing import write_whole
from app.reducing.stretches import Reading, Stretch, StretchReader
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.identity.sizes import size_lines
from app.sources.replay.source import open_source
from app.stores.contract import Reads
from app.stores.readable import passing_over

__all__ = ["Learned", "learn", "learn_stored", "not_read_twice", "sizes_in"]

MOST_KEPT = 300_000
"""Clients of files, by day, that are kept at a time: about 100 MB. Where there are more, the store is read again for each part."""
MOST_FILES = 200_000
"""Files whose sizes are written: a worker holds them all, in about as much."""
_BATCH_HITS = 2000


def learn(
    paths: Sequence[str],
    options: ReadOptions,
    errors: list[str],
    on_progress: Callable[[str, int, int | None], object] = lambda path, done, size: None,
) -> SizeWitnesses:
    """What the lines of some logs tell. An input that cannot be read (to its end) is noted in `errors`; what was good before counts."""
    witnesses, identifier, reader = SizeWitnesses(), Identifier(), StretchReader(Rules())
    for path in paths:
        try:
            with open_source(path, identifier, options) as opened:
                source = opened.source
                if source is None or opened.already_sent:
                    continue
                reading = Reading(source.id, source.format.name, source.format_options, time.time(), False, None)
                for chunk in opened.chunks():
                    for read in reader.lines(Stretch(reading, [chunk])):
                        witnesses.take(read.hits)
                    on_progress(opened.path, opened.consumed_bytes, opened.size_bytes)
        except InputError as error:
            errors.append(str(error))
    return witnesses


def not_read_twice(paths: Sequence[str]) -> list[str]:
    """Those that end when they were read once: standard input and pipes."""
    return [path for path in paths if path == "-" or (os.path.exists(path) and not Path(path).is_file())]


def sizes_in(learned: Mapping[str, Sequence[DatedSize]]) -> SizeOf:
    """What was learned, as deliveries are judged by it."""
    return lambda request, at: size_at(learned.get(request, ()), at)


class Learned(NamedTuple):
    """What the hits of a store told."""

    known: int
    """Files whose size was written."""
    told: int
    """Files that hits tell something of."""
    left_out: int
    """Files beyond MOST_FILES, and files of more clients than are kept."""
    unreadable: int
    """Records that were passed over."""


async def learn_stored(reads: Reads, path: Path, most_kept: int = MOST_KEPT, most_files: int = MOST_FILES) -> Learned:
    """Writes the sizes that all hits of a store tell to a file that `Sizes` reads; a function of the hits, in whatever order.

    What takes long runs in threads. Raises StoreError and OutputError; then the file is as it was.
    """
    lines: list[str] = []
    doubts: list[str] = []
    known = told = 0
    crowded: set[str] = set()
    with passing_over() as unreadable:
        async for witnesses in by_shares(lambda share: _witnesses(reads, share, crowded, most_kept)):
            found, doubted = await asyncio.to_thread(_lines, witnesses)
            known, told = known + len(found), told + len(witnesses)
            lines += islice(found, max(0, most_files - known + len(found)))
            doubts += islice(doubted, most_files - len(doubts))
    text = "".join((*lines, *doubts[: most_files - len(lines)]))
    await asyncio.to_thread(lambda: write_whole(path, text.encode("utf-8", "backslashreplace")))
    return Learned(len(lines), told, known - len(lines) + len(crowded), len(unreadable))


async def _witnesses(reads: Reads, share: Share, crowded: set[str], most_kept: int) -> SizeWitnesses:
    witnesses = SizeWitnesses()
    batch: list[Hit] = []

    async def take() -> None:
        await asyncio.to_thread(witnesses.take, batch)
        batch.clear()
        if witnesses.kept > most_kept:
            crowded.update(witnesses.drop_larger(most_kept // 2))  # no share would be small enough for it
            if witnesses.kept > most_kept:
                raise TooMany

    async for hit in reads.all_hits():
        request = hit.request
        if request is None or request in crowded:
            continue
        if share is WHOLE or share.takes(crc32(request.encode("utf-8", "surrogatepass"))):
            batch.append(hit)
            if len(batch) == _BATCH_HITS:
                await take()
    await take()
    return witnesses


def _lines(witnesses: SizeWitnesses) -> tuple[list[str], list[str]]:
    """The lines of each request as one text: where a size is known, and where the lines speak against one that was."""
    known: list[str] = []
    doubted: list[str] = []
    for request, sizes in witnesses.sizes(doubted=True):
        if text := "".join(f"{line}\n" for line in size_lines(request, sizes)):
            (known if any(each.size is not None for each in sizes) else doubted).append(text)
    return known, doubted
