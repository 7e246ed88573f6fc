"""The deliveries of inputs for a report: reduced from logs as `reduce` does, or from the hits in a file of `report index`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.hits import HitColumns
from app.columns.keys import ListedKeys
from app.columns.parts import MAX_BYTE
from app.domain.key_hits import KeyHits, PlacedPart, place_parts
from app.domain.open_deliveries import OpenDeliveries, SizeOf, no_sizes
from app.domain.records import Delivery, HitFlag, Parsed, short_id
from app.domain.watermarks import Advance, source_number
from app.domain.windows import Rules
from app.errors import InputError
from app.reducing.job import Job, Statistics
from app.reducing.readers import Readers
from app.reducing.run import deliveries_of
from app.reducing.stretch_hits import StretchHits
from app.reducing.stretches import Stretch
from app.reports.facts import Facts
from app.reports.filters import Sieve
from app.reports.hit_order import HitOrder
from app.reports.hits import PLAIN_NAMES, texts_of
from app.reports.reading import Inputs, index_tables, is_index
from app.reports.zones import line_offsets

__all__ = ["Judging", "deliveries"]

_COLUMN_FLAGS = int(HitFlag.HTTP2 | HitFlag.HEADERS_COUNTED | HitFlag.ANNOUNCED)
"""HitColumns takes hits with these; others are read one by one."""


class Judging(NamedTuple):
    """How deliveries are cut and judged."""

    rules: Rules = Rules()
    size_of: SizeOf = no_sizes


def deliveries(
    inputs: Inputs, judging: Judging, sieve: Sieve, facts: Facts, order: HitOrder | None = None
) -> Iterator[tuple[Delivery, int]]:
    """Every delivery that is asked for, with the offset from UTC that its log writes; `facts` is complete after the last one.

    The offset is the commonest of the lines read so far: a delivery is told on one clock. `order` is turned to each delivery.
    """
    logs = [path for path in inputs.paths if not is_index(path)]
    for path in inputs.paths:
        if path not in logs:
            yield from _told(_of_index(path, inputs, judging, facts, order), sieve, facts, order)
    if logs:
        statistics = Statistics()
        with Readers(judging.rules, inputs.processes) as readers:
            noting = _Noting(readers, facts)
            job = Job(
                logs,
                inputs.read,
                judging.rules,
                size_of=judging.size_of,
                on_progress=inputs.on_progress,
                columns_from_bytes=0,
                on_group=None if order is None else order.note,
            )
            yield from _told(deliveries_of(job, statistics, noting), sieve, facts, order)
        facts.inputs += logs
        facts.add(Facts(statistics.lines, statistics.heads, statistics.hits, rejects=statistics.rejects,
                        unread=statistics.unread, notes=statistics.notes, errors=statistics.errors))  # fmt: skip
    if inputs.errors is not None:
        inputs.errors.extend(facts.errors)


def _told(
    found: Iterable[Delivery], sieve: Sieve, facts: Facts, order: HitOrder | None
) -> Iterator[tuple[Delivery, int]]:
    for delivery in found:
        if order is not None:
            order.turn_to(delivery)
        own_s = max(facts.zones_s, key=facts.zones_s.__getitem__, default=0)
        if sieve.takes(delivery, own_s):
            offset_s = sieve.offset_s(delivery.first, own_s)
            facts.counted += delivery.hits
            facts.span((delivery.first, offset_s), (delivery.last, offset_s))
            yield delivery, offset_s


class _Noting(Readers):
    """Readers that note the offset from UTC of the first line of each stretch on its way to them."""

    def __init__(self, readers: Readers, facts: Facts) -> None:
        self._readers, self._facts = readers, facts

    def hits(self, stretches: Iterator[Stretch]) -> Iterator[StretchHits]:
        return self._readers.hits(map(self._noted, stretches))

    def _noted(self, stretch: Stretch) -> Stretch:
        chunk = stretch.chunks[0]
        line = chunk._replace(data=chunk.data[: chunk.data.find(b"\n") + 1 or len(chunk.data)], positions=None)
        offsets = line_offsets(line, np.array([chunk.position]), 1)
        self._facts.zones_s[int(offsets[0])] += sum(one.lines for one in stretch.chunks)
        return stretch


def _of_index(path: str, inputs: Inputs, judging: Judging, facts: Facts, order: HitOrder | None) -> Iterator[Delivery]:
    merging = OpenDeliveries(judging.rules, judging.size_of)
    sources: dict[str, int] = {}
    try:
        for table in index_tables(path, PLAIN_NAMES, facts, inputs.on_progress):
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
    """The hits of one source by key: as columns, but for those with flags or numbers that columns do not hold."""
    columns: dict[str, Any] = {}
    for name, none in (("lo", 0), ("hi", -1), ("bytes_sent", -1), ("total_bytes", -1)):
        columns[name] = table.column(name).fill_null(none).to_numpy()
    flags = table.column("flags").to_numpy().astype(np.int64)
    codes = [table.column(name).chunk(0) for name in ("ip_address", "user_agent", "request", "method")]
    is_whole = np.ones(table.num_rows, np.bool_)
    for column in codes[:3]:
        is_whole &= column.indices.is_valid().to_numpy(zero_copy_only=False)
    is_plain = (flags & ~_COLUMN_FLAGS == 0) & (
        table.column("lo").is_valid().to_numpy() == table.column("hi").is_valid().to_numpy()
    )
    for numbers in columns.values():
        is_plain &= numbers < MAX_BYTE
    placed: dict[Any, list[PlacedPart]] = {}
    others = np.flatnonzero(is_whole & ~is_plain)
    if len(others):
        fields = [name for name in Parsed._fields if name in PLAIN_NAMES]
        rows = table.take(pa.array(others)).select([*fields, "position"]).to_pylist()
        positions = [row["position"] for row in rows]
        place_parts(
            placed,
            [tuple(row[name] for name in fields) for row in rows],
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
        table.column("status").to_numpy()[chosen].astype(np.int64), columns["lo"][chosen], columns["hi"][chosen],
        columns["bytes_sent"][chosen], columns["total_bytes"][chosen], flags[chosen],
    )  # fmt: skip
    return hits.groups(source, rules).beside(placed)
