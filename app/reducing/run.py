"""The deliveries of some files, in the order in which they are over."""

from __future__ import annotations

import time
from collections.abc import Iterator

from app.domain.open_deliveries import OpenDeliveries
from app.domain.records import Delivery
from app.domain.watermarks import Advance, source_number
from app.errors import InputError
from app.reducing.job import Job, Statistics
from app.reducing.readers import Readers
from app.reducing.stretches import Reading, stretches
from app.sources.files.orders import FILE_ORDER, ordered_chunks
from app.sources.identity.identifier import Identifier
from app.sources.replay.source import Input, Source, open_source
from app.words import SAME_LINES

__all__ = ["deliveries_of"]

_SWEEP_HITS = 200_000
"""So many hits between two looks for deliveries that are over; more where more are open, so that looking stays cheap."""


def deliveries_of(job: Job, statistics: Statistics, readers: Readers | None = None) -> Iterator[Delivery]:
    """Every delivery once, as soon as it is over; `statistics` is complete after the last one.

    An input that cannot be read (to its end) is noted there; what was good before counts, and the others are read. With
    `readers` lines are read in other processes; what comes out is the same.
    """
    started = time.perf_counter()
    if readers is None or job.on_lines is not None:
        readers = Readers(job.rules, on_lines=job.on_lines)
    for delivery in _all_of(job, statistics, readers):
        statistics.count(delivery)
        yield delivery
    statistics.seconds = time.perf_counter() - started


def _all_of(job: Job, statistics: Statistics, readers: Readers) -> Iterator[Delivery]:
    open_deliveries = OpenDeliveries(job.rules, job.size_of)
    identifier = Identifier()
    next_sweep = _SWEEP_HITS
    for path in job.paths:
        try:
            with open_source(path, identifier, job.read) as opened:
                for _ in _merged(opened, open_deliveries, job, statistics, readers):
                    if statistics.hits >= next_sweep and job.sweep:
                        statistics.most_open = max(statistics.most_open, len(open_deliveries.open))
                        yield from open_deliveries.sweep()
                        next_sweep = statistics.hits + max(_SWEEP_HITS, 2 * len(open_deliveries.open))
        except InputError as error:
            statistics.errors.append(str(error))
    statistics.most_open = max(statistics.most_open, len(open_deliveries.open))
    yield from open_deliveries.finish()


def _merged(
    opened: Input, deliveries: OpenDeliveries, job: Job, statistics: Statistics, readers: Readers
) -> Iterator[None]:
    """Merges an input stretch by stretch; stops after each one."""
    source = opened.source
    if source is None or opened.already_sent:
        if source is not None:
            statistics.notes.append(f"{opened.file.shown}: {SAME_LINES}")
        return
    if source.note:
        statistics.notes.append(source.note)
    number = source_number(source.id)
    ordered = job.order != FILE_ORDER
    chunks = ordered_chunks(opened.stream, job.order, job.seed, job.read, source.rule) if ordered else opened.chunks()
    for some in readers.results(stretches(_reading(opened, source, job), chunks, job.stretch_bytes)):
        statistics.lines += some.lines
        statistics.heads += some.heads
        statistics.hits += some.hits
        statistics.unread.update(some.unread)
        for bad in some.rejects:
            statistics.rejects[bad.reason] += 1
            if job.on_reject:
                job.on_reject(source.name, bad)
        statistics.counted += some.counted
        deliveries.merge(some.by_key(), number)
        for advance in some.advances:
            deliveries.clocks.observe(number, advance, 0.0)
        job.on_progress(opened.path, opened.consumed_bytes, opened.size_bytes)
        yield
    deliveries.clocks.observe(number, Advance(ended=True, unordered=ordered), 0.0)


def _reading(opened: Input, source: Source, job: Job) -> Reading:
    columns_from = None
    if job.order == FILE_ORDER and job.on_lines is None:
        columns_from = 0 if (opened.size_bytes or 0) >= job.columns_from_bytes else job.columns_from_bytes
    return Reading(
        source.id, source.format.name, source.format_options, time.time(), job.order != FILE_ORDER, columns_from
    )
