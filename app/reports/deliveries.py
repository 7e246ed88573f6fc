"""The deliveries of inputs for a report: reduced from logs as `reduce` does, or from the hits in a file of `report index`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.hits import HitColumns
from app.columns.keys import ListedKeys
from app.domain.key_hits import KeyHits, PlacedPart, place_parts
from app.domain.lines import ReadLines
from app.domain.open_deliveries import OpenDeliveries, SizeOf, no_sizes
from app.domain.records import Delivery, Parsed, short_id
from app.domain.watermarks import Advance, source_number
from app.domain.windows import Rules
from app.errors import InputError
from app.reducing.job import Job, Statistics
from app.reducing.readers import HitsByKey, Processes, Readers
from app.reducing.run import deliveries_of
from app.reducing.stretch_hits import StretchHits, stretch_hits
from app.reducing.stretches import Stretch, StretchReader
from app.reports.facts import Facts
from app.reports.filters import Sieve
from app.reports.hit_order import HitOrder
from app.reports.hits import PLAIN_NAMES, numbers_of, texts_of, without_large_numbers
from app.reports.reading import Indices, Inputs, index_tables
from app.reports.zones import LogClock, line_offsets

__all__ = ["Judging", "deliveries"]

_FIELDS = [name for name in Parsed._fields if name in PLAIN_NAMES]


class Judging(NamedTuple):
    """How deliveries are cut and judged."""

    rules: Rules = Rules()
    size_of: SizeOf = no_sizes


def deliveries(
    inputs: Inputs, judging: Judging, sieve: Sieve, facts: Facts, order: HitOrder | None = None
) -> Iterator[tuple[Delivery, int]]:
    """Every delivery that is asked for, with the offset from UTC that its log writes at its first hit; `facts` is complete after the last one.

    Where lines of one quarter of an hour write several offsets, it is the commonest of those read so far. `order` is turned to
    each delivery.
    """
    clock = LogClock()
    if inputs.kept is not None:
        yield from _told(inputs.kept.deliveries(facts, order), sieve, facts, clock, None)
        return
    indices = Indices(inputs, facts)
    for path in indices.paths:
        yield from _told(_of_index(path, inputs, judging, facts, clock, order), sieve, facts, clock, order)
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
            yield from _told(deliveries_of(job, statistics, readers), sieve, facts, clock, order)
            facts.beyond += readers.beyond
        facts.inputs += logs
        facts.zones_s = clock.hits
        facts.add(Facts(statistics.lines, statistics.heads, statistics.hits, rejects=statistics.rejects,
                        unread=statistics.unread, notes=statistics.notes, errors=statistics.errors))  # fmt: skip
    if inputs.errors is not None:
        inputs.errors.extend(facts.errors)


def _told(
    found: Iterable[Delivery], sieve: Sieve, facts: Facts, clock: LogClock, order: HitOrder | None
) -> Iterator[tuple[Delivery, int]]:
    for delivery in found:
        if order is not None:
            order.turn_to(delivery)
        offset_s = sieve.offset_s(delivery.first, clock.at(delivery.first))
        if sieve.takes(delivery, offset_s):
            facts.counted += delivery.hits
            last = delivery.last
            facts.span((delivery.first, offset_s), (last, sieve.offset_s(last, clock.at(last))))
            yield delivery, offset_s


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


def _of_index(
    path: str, inputs: Inputs, judging: Judging, facts: Facts, clock: LogClock, order: HitOrder | None
) -> Iterator[Delivery]:
    merging = OpenDeliveries(judging.rules, judging.size_of)
    sources: dict[str, int] = {}
    try:
        for table in index_tables(path, PLAIN_NAMES, facts, inputs.on_progress):
            clock.note(table.column("time").to_numpy(), table.column("zone_s").to_numpy().astype(np.int64))
            column = table.column("source").chunk(0)
            for number, source in enumerate(texts_of(column)):
                rows = table.filter(pa.array(column.indices.to_numpy() == number)).combine_chunks()
                if rows.num_rows:
                    if source not in sources:
                        for other in sources.values():  # the rows stand in the order of the sources
                            merging.clocks.observe(other, Advance(ended=True), 0.0)
                        sources[source] = source_number(source)
                    groups = _by_key(rows, source, judging.rules)
                    merging.merge(groups if order is None else map(order.note, groups), sources[source])
                    times = rows.column("time").to_numpy()
                    disorder_s = float((np.maximum.accumulate(times) - times).max())
                    advance = Advance(float(times.min()), float(times.max()), disorder_s, False, False)
                    merging.clocks.observe(sources[source], advance, 0.0)
            yield from merging.sweep()
    except InputError as error:
        facts.errors.append(str(error))
    yield from merging.finish()


def _by_key(table: pa.Table, source: str, rules: Rules) -> Iterable[KeyHits]:
    """The hits of one source by key: as columns, but for those with numbers that columns do not hold."""
    numbers_there = numbers_of(table)
    codes = [table.column(name).chunk(0) for name in ("ip_address", "user_agent", "request", "method")]
    is_whole = np.ones(table.num_rows, np.bool_)
    for column in codes[:3]:
        is_whole &= column.indices.is_valid().to_numpy(zero_copy_only=False)
    is_plain = numbers_there.are_plain
    placed: dict[Any, list[PlacedPart]] = {}
    others = np.flatnonzero(is_whole & ~is_plain)
    if len(others):
        rows = table.take(pa.array(others)).select([*_FIELDS, "position"]).to_pylist()
        positions = [row["position"] for row in rows]
        place_parts(
            placed,
            [Parsed(**{name: row[name] for name in _FIELDS}) for row in rows],
            map(short_id(source), positions),
            positions,
        )
    chosen = np.flatnonzero(is_whole & is_plain)
    if not len(chosen):
        return [KeyHits(some[0][0], key, None, [part for _, part in some].copy) for key, some in placed.items()]
    ip, agent, request, method = (column.indices.fill_null(0).to_numpy()[chosen].astype(np.int64) for column in codes)
    texts = [texts_of(column) for column in codes]
    joined = (ip * len(texts[1]) + agent) * len(texts[2]) + request
    _, first, numbers = np.unique(joined, return_index=True, return_inverse=True)
    has_method = codes[3].indices.is_valid().to_numpy(zero_copy_only=False)[chosen]
    keys = [
        (texts[0][i], texts[1][j], texts[2][k])
        for i, j, k in zip(ip[first].tolist(), agent[first].tolist(), request[first].tolist(), strict=True)
    ]
    methods = [
        texts[3][m] if known else None
        for m, known in zip(method[first].tolist(), has_method[first].tolist(), strict=True)
    ]
    hits = HitColumns(
        ListedKeys(keys, methods), numbers, table.column("time").to_numpy()[chosen], table.column("position").to_numpy()[chosen],
        table.column("status").to_numpy()[chosen].astype(np.int64), numbers_there.lo[chosen], numbers_there.hi[chosen],
        numbers_there.sent[chosen], numbers_there.total[chosen], numbers_there.flags[chosen],
    )  # fmt: skip
    return hits.groups(source, rules).beside(placed)
