"""The deliveries of inputs for a report: reduced from logs as `reduce` does, or from the hits in a file of `report index`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from app.domain.lines import ReadLines
from app.domain.records import Delivery
from app.domain.windows import Rules
from app.errors import InputError
from app.reducing.job import Job, Statistics
from app.reducing.readers import HitsByKey, Processes, Readers
from app.reducing.run import deliveries_of
from app.reducing.stretch_hits import StretchHits, stretch_hits
from app.reducing.stretches import Stretch, StretchReader
from app.reports.batches import Batch, rows_batch
from app.reports.facts import Facts
from app.reports.filters import Sieve
from app.reports.hit_order import HitOrder, class_of
from app.reports.hits import PLAIN_NAMES, in_log_order, put_together, without_large_numbers
from app.reports.open_hits import NO_HITS, Judging, OpenHits
from app.reports.reading import Indices, Inputs, index_tables
from app.reports.zones import LogClock, line_offsets

__all__ = ["deliveries"]

_BATCH = 10_000
_MERGED_ROWS = 1_000_000
"""So many hits of a file are merged at a time."""


def deliveries(
    inputs: Inputs, judging: Judging, sieve: Sieve, facts: Facts, is_ordered: bool = False
) -> Iterator[Batch]:
    """Every delivery that is asked for, with the offset from UTC that its log writes at its first hit; `facts` is complete after the last one.

    Where lines of one quarter of an hour write several offsets, it is the commonest of those read so far. `is_ordered`: with
    how clients fetched each.
    """
    clock = LogClock()
    order = HitOrder() if is_ordered else None
    if inputs.kept is not None:
        yield from _told(_batches(inputs.kept.deliveries(facts, order), order), sieve, facts, clock)
        return
    indices = Indices(inputs, facts)
    for path in indices.paths:
        yield from _told(_of_index(path, inputs, OpenHits(judging, is_ordered), facts, clock), sieve, facts, clock)
    if logs := indices.logs:
        statistics = Statistics()
        with _Noting(judging.rules, inputs.processes, clock, indices) as readers:
            job = Job(
                logs,
                inputs.read,
                judging.rules,
                size_of=judging.size_of,
                on_progress=inputs.on_progress,
                columns_from_bytes=0,
                on_group=None if order is None else order.note,
            )
            found = deliveries_of(job, statistics, readers)
            yield from _told(
                _batches(found if order is None else map(order.turned_to, found), order), sieve, facts, clock
            )
            facts.beyond += readers.beyond
        facts.inputs += logs
        facts.zones_s = clock.hits
        facts.add(Facts(statistics.lines, statistics.heads, statistics.hits, rejects=statistics.rejects,
                        unread=statistics.unread, notes=statistics.notes, errors=statistics.errors))  # fmt: skip
    if inputs.errors is not None:
        inputs.errors.extend(facts.errors)


def _batches(found: Iterable[Delivery], order: HitOrder | None) -> Iterator[Batch]:
    """Of deliveries that were judged one by one; `order` is turned to each when it comes."""
    some: list[Delivery] = []
    classes: list[str] = []
    for delivery in found:
        some.append(delivery)
        if order is not None:
            classes.append(class_of(delivery.user_agent, delivery.hits, order.ranges))
        if len(some) == _BATCH:
            yield rows_batch(some, classes)
            some, classes = [], []
    if some:
        yield rows_batch(some, classes)


def _of_index(path: str, inputs: Inputs, hits: OpenHits, facts: Facts, clock: LogClock) -> Iterator[Batch]:
    """The deliveries of a file of hits, and of one that cannot be read to its end those until there."""
    some: list[pa.Table] = []
    try:
        for table in index_tables(path, PLAIN_NAMES, facts, inputs.on_progress):
            clock.note(table.column("time").to_numpy(), table.column("zone_s").to_numpy().astype(np.int64))
            some.append(in_log_order(table))
            if sum(one.num_rows for one in some) >= _MERGED_ROWS:
                yield from hits.take(put_together(some))
                some = []
    except InputError as error:
        facts.errors.append(str(error))
    yield from hits.take(put_together(some) if some else NO_HITS, is_last=True)


def _told(found: Iterable[Batch], sieve: Sieve, facts: Facts, clock: LogClock) -> Iterator[Batch]:
    for every in found:
        batch = every._replace(offset_s=sieve.offsets_s(every.first, clock))
        batch = batch.chosen(sieve.takes(batch))
        if batch.deliveries:
            facts.counted += int(batch.hits.sum())
            ends = sieve.offsets_s(batch.last, clock)
            for times, offsets in ((batch.first, batch.offset_s), (batch.last, ends)):
                for time, choose in ((times.min(), np.min), (times.max(), np.max)):
                    moment = float(time), int(choose(offsets[times == time]))
                    facts.span(moment, moment)
            yield batch


class _HitsAndClock:
    """Gathers the hits of stretches by key, and the offsets from UTC that their lines write."""

    def __init__(self, rules: Rules) -> None:
        self._hits = HitsByKey(rules)
        self._reader = StretchReader(rules, every_status=True)
        self._rules = rules

    def read(self, stretch: Stretch) -> tuple[StretchHits, LogClock, int]:
        """The hits, what their lines write of time, and how many numbers are too large for a report."""
        clock, reads, reading, beyond = LogClock(), list(self._reader.reads(stretch)), stretch.reading, 0
        for number, read in enumerate(reads):
            rows = read if isinstance(read, ReadLines) else read.other
            hits, large = without_large_numbers(rows.hits)
            if large:
                beyond += large
                rows = rows._replace(hits=hits)
                reads[number] = rows if isinstance(read, ReadLines) else read._replace(other=rows)
        for chunk, read in zip(stretch.chunks, reads, strict=True):
            rows = read if isinstance(read, ReadLines) else read.other
            some = [(np.array(rows.positions, np.int64), np.array([hit[0] for hit in rows.hits], np.float64))]
            if not isinstance(read, ReadLines):
                some.append((read.positions.astype(np.int64), read.times))
            for positions, times in some:
                clock.note(times, line_offsets(chunk, positions, times, read.lines))
        is_columns = reading.as_columns(stretch.chunks[-1])
        return stretch_hits(reads, reading.source_id, self._rules, reading.unordered, is_columns), clock, beyond

    def packed(self, result: tuple[StretchHits, LogClock, int]) -> object:
        return self._hits.packed(result[0]), *result[1:]

    def unpacked(self, packed: Any) -> tuple[StretchHits, LogClock, int]:
        return self._hits.unpacked(packed[0]), *packed[1:]


class _Noting(Readers):
    """Readers that note on the way what lines write beside their times."""

    def __init__(self, rules: Rules, processes: int, clock: LogClock, indices: Indices) -> None:
        self.beyond = 0
        """Numbers that are too large for a report."""
        self._processes: Processes[tuple[StretchHits, LogClock, int]] = Processes(_HitsAndClock(rules), processes)
        self._clock, self._indices = clock, indices

    def hits(self, stretches: Iterator[Stretch]) -> Iterator[StretchHits]:
        for some, clock, beyond in self._processes.hits(map(self._allowed, stretches)):
            self._clock.add(clock)
            self.beyond += beyond
            yield some

    def _allowed(self, stretch: Stretch) -> Stretch:
        self._indices.refuse(stretch.reading.source_id)
        return stretch

    def __exit__(self, *error: Any) -> None:
        self._processes.__exit__(*error)
