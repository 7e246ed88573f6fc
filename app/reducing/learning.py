"""Reads logs for the sizes of files that their lines tell, and judges by them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.domain.open_deliveries import SizeOf
from app.domain.sizes import DatedSize, SizeWitnesses, size_at
from app.domain.windows import Rules
from app.errors import InputError
from app.reducing.stretches import Reading, Stretch, StretchReader
from app.sources.files.beginning import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.replay.source import open_source

__all__ = ["learn", "not_read_twice", "with_learned"]


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


def with_learned(learned: Mapping[str, Sequence[DatedSize]], given: SizeOf) -> SizeOf:
    """Sizes that somebody gave go before those that were learned."""

    def size_of(request: str, at: float) -> int | None:
        size = given(request, at)
        return size_at(learned.get(request, ()), at) if size is None else size

    return size_of
