"""The deliveries of hits that come as tables: most are merged and judged as columns, odd ones one by one.

What is not over waits as rows of a table. A window is odd if its key has hits of several sources, or if its
hits tell what columns do not hold: then they are merged as a worker merges them, and so is what comes until the key has no open delivery.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Floats, Ints
from app.columns.groups import TallyColumns, tally_columns
from app.columns.hits import HitColumns
from app.columns.keys import ListedKeys
from app.columns.parts import MAX_BYTE
from app.columns.verdicts import VERDICTS, are_plain, judged
from app.domain import windows
from app.domain.key_hits import Key, KeyHits, PlacedPart, place_parts
from app.domain.open_deliveries import OpenDeliveries, SizeOf, no_sizes
from app.domain.records import Delivery, Parsed, short_id
from app.domain.sizes import LearnedSize
from app.domain.tallies import MAX_HITS, Mark
from app.domain.watermarks import Advance, source_number
from app.domain.windows import Rules
from app.reports.batches import NO_CLASSES, Batch, TextColumn, rows_batch
from app.reports.crawlers import crawler_of
from app.reports.hit_order import HitOrder, class_of, classes_of, placed_ranges
from app.reports.hits import HITS, PLAIN_NAMES, numbers_of, put_together, texts_of
from app.reports.keyed_hits import AddedColumns, CountingHits, KeyedRows

__all__ = ["NO_HITS", "Judging", "OpenHits"]

_WAITING_ROWS = 1_000_000
"""So many rows at most wait as they are; if more are open, all are merged one by one, which takes less memory."""
_FIELDS = [name for name in Parsed._fields if name in PLAIN_NAMES]
_SHARED_ROWS = 100_000
"""So many rows are merged by several processes, if there may be some: fewer are merged before these begin."""
_OBSERVED = ["source", "time", "position"]
NO_HITS = pa.schema([HITS.field(name) for name in PLAIN_NAMES]).empty_table()


class Judging(NamedTuple):
    """How deliveries are cut and judged."""

    rules: Rules = Rules()
    size_of: SizeOf = no_sizes


class OpenHits:
    """Takes hits, table by table; gives deliveries that are over."""

    def __init__(self, judging: Judging, is_ordered: bool, processes: int = 0) -> None:
        """`is_ordered`: tell how clients fetched each delivery. `processes`: how many may merge what comes last."""
        self._judging = judging
        self._order = HitOrder() if is_ordered else None
        self._processes = processes
        self._rows = OpenDeliveries(judging.rules, judging.size_of)
        self._known: set[Key] = set()
        """Of deliveries that were open before what is merged now."""
        self._waiting: pa.Table | None = None
        self._sources: dict[str, int] = {}
        self._position_of: dict[str, int] = {}
        self._is_plain = judging.rules.window != "first_touch"

    def take(self, tables: Sequence[pa.Table], is_last: bool = False) -> Iterator[Batch]:
        """The deliveries that are over with these rows, the next ones of the log; with the last ones all. Each table is in one piece."""
        self._observe(put_together([table.select(_OBSERVED) for table in tables]))
        old = 0
        if self._waiting is not None:
            old = self._waiting.num_rows
            tables = [self._waiting, *tables]
        rows = sum(table.num_rows for table in tables)
        if is_last and self._processes > 1 and rows >= _SHARED_ROWS and sys.platform == "linux":
            from app.reports.shares import shared

            yield from shared(self, [table.drop_columns("zone_s") for table in tables], old, self._processes)
        else:
            yield from self.merged([(CountingHits(put_together(tables)), old)], is_last)

    def merged(self, some: Iterable[tuple[CountingHits, int]], is_last: bool) -> Iterator[Batch]:
        """What is over of some hits, no key in two of them; of each so many rows are old: they waited."""
        self._known = set(self._rows.open)
        waiting: list[pa.Table] = []
        for hits, old in some:
            stays, batches = self._over(hits, old, is_last)
            yield from batches
            if len(stays):
                waiting.append(_compact(hits.table.take(pa.array(stays))))
        yield from self._swept(is_last)
        self._waiting = put_together(waiting) if waiting else None

    def _over(self, hits: CountingHits, old: int, is_last: bool) -> tuple[Ints, list[Batch]]:
        """Rows that wait, and what columns judged; odd rows are merged."""
        passed = np.array([self._passed(source, is_last) for source in hits.sources], np.float64)
        odd_rows, waiting, batches = list[Ints](), list[Ints](), list[Batch]()
        for piece in hits.pieces(self._judging.rules):
            odd, stays, batch = self._judged(hits, piece, passed)
            odd_rows.append(odd)
            waiting.append(stays)
            if batch is not None:
                batches.append(batch)
        left = np.sort(np.concatenate(waiting)) if waiting else np.zeros(0, np.int64)
        if len(left) > _WAITING_ROWS:
            odd_rows.append(left)
            left = left[:0]
        if odd_rows:
            self._merge(hits.table, np.sort(np.concatenate(odd_rows)), old)
        return left, batches

    @property
    def open_keys(self) -> list[Key]:
        """The keys of deliveries that are merged one by one and not over."""
        return list(self._rows.open)

    def keep(self, are_kept: Sequence[bool]) -> None:
        """Forgets the open deliveries of all keys but some of open_keys."""
        self._rows.open = dict(compress(self._rows.open.items(), are_kept))

    def _observe(self, table: pa.Table) -> None:
        """How far the time of each source has come, now that these rows of it were read."""
        column = table.column("source").chunk(0)
        codes, times = column.indices.to_numpy(), table.column("time").to_numpy()
        positions = table.column("position").to_numpy()
        for number, source in enumerate(texts_of(column)):
            chosen = codes == number
            its_times = times[chosen]
            if not len(its_times):
                continue
            if source not in self._sources:
                for other in self._sources.values():  # the rows stand in the order of the sources
                    self._rows.clocks.observe(other, Advance(ended=True), 0.0)
                self._sources[source] = source_number(source)
            its_positions = positions[chosen]
            if int(its_positions[0]) <= self._position_of.get(source, -1) or not bool(
                (its_positions[1:] > its_positions[:-1]).all()
            ):
                self._is_plain = False  # a line may come twice
            self._position_of[source] = max(self._position_of.get(source, -1), int(its_positions.max()))
            disorder_s = float((np.maximum.accumulate(its_times) - its_times).max())
            advance = Advance(float(its_times.min()), float(its_times.max()), disorder_s, False, False)
            self._rows.clocks.observe(self._sources[source], advance, 0.0)

    def _passed(self, source: str, is_last: bool) -> float:
        """The time before which windows that this source fed are over."""
        if is_last:
            return np.inf
        return self._rows.clocks.passed((self._sources[source],), self._judging.rules.lateness_s)

    def _judged(self, hits: CountingHits, piece: KeyedRows, passed: Floats) -> tuple[Ints, Ints, Batch | None]:
        """Rows of odd keys, rows that wait, and what is over of the others."""
        rules, begins, rows = self._judging.rules, piece.begins, piece.rows
        details = hits.added(rows)
        tallies = tally_columns(begins, hits.times[rows], details.lo, details.hi, details.rest, rules)
        sources = hits.source_codes[rows]
        counts = np.diff(tallies.bounds)
        if rules.window == "last_touch":  # each group is a session, however long
            tallies = tallies._replace(whole=counts <= MAX_HITS)
        plain = are_plain(tallies) & np.logical_and.reduceat(hits.are_plain[rows], begins) & ~piece.mixed
        if not self._is_plain:
            plain[:] = False
        firsts = rows[begins]
        if self._known:
            plain &= ~np.array([key in self._known for key in hits.keys(firsts)], np.bool_)
        over = plain & (_ends(tallies, rules) <= passed[sources[begins]])
        sizes, is_known = self._sizes(hits, firsts, tallies, over)
        told = judged(tallies, sizes, rules.proof.in_flight_bytes)
        by_columns = over & (told.verdict >= 0) & is_known
        odd = ~plain | (over & ~by_columns)
        odd_rows, waiting = rows[np.repeat(odd, counts)], rows[np.repeat(plain & ~over, counts)]
        if not by_columns.any():
            return odd_rows, waiting, None
        sent = np.where(tallies.marks & Mark.SENT, tallies.sent, told.covered)
        classes = NO_CLASSES
        if self._order is not None:
            classes = _classes(hits, piece, details)
        ip, agent, request = (
            TextColumn(codes[firsts], texts) for codes, texts in zip(hits.codes, hits.texts.of_keys, strict=True)
        )
        batch = Batch(
            ip, agent, request, tallies.first, tallies.last, counts, sent, told.covered, told.total, told.verdict, VERDICTS,
            told.lo, told.hi, told.range_bounds, np.zeros(len(firsts), np.int64), classes,
        )  # fmt: skip
        return odd_rows, waiting, batch.chosen(by_columns)

    def _sizes(self, hits: CountingHits, firsts: Ints, tallies: TallyColumns, over: Bools) -> tuple[Ints, Bools]:
        """Sizes from elsewhere of what is over and names none; and where columns may use them."""
        sizes, is_known = np.full(len(firsts), -1), np.ones(len(firsts), np.bool_)
        if self._judging.size_of is no_sizes:
            return sizes, is_known
        wanted = over if tallies.totals is None else over & (tallies.totals.greatest < 0)
        texts, codes = hits.texts.request, hits.codes[2][firsts]
        for at in np.flatnonzero(wanted).tolist():
            size = self._judging.size_of(texts[codes[at]], float(tallies.first[at]))
            if isinstance(size, LearnedSize) or (size or 0) >= MAX_BYTE:
                is_known[at] = False
            elif size is not None:
                sizes[at] = size
        return sizes, is_known

    def _merge(self, table: pa.Table, rows: Ints, old: int) -> None:
        """Merges rows one by one, in the order of the log: first those that waited."""
        for some in (rows[rows < old], rows[rows >= old]):
            if not len(some):
                continue
            chosen = table.take(pa.array(some))
            column = chosen.column("source").chunk(0)
            for number, source in enumerate(texts_of(column)):
                its = chosen.filter(pa.array(column.indices.to_numpy() == number)).combine_chunks()
                if its.num_rows:
                    groups = _by_key(its, source, self._judging.rules)
                    self._rows.merge(
                        groups if self._order is None else map(self._order.note, groups), self._sources[source]
                    )

    def _swept(self, is_last: bool) -> Iterator[Batch]:
        found: list[Delivery] = self._rows.sweep()
        if is_last:
            found += self._rows.finish()
        if not found:
            return
        classes: list[str] = []
        if self._order is not None:
            for delivery in found:
                self._order.turn_to(delivery)
                classes.append(class_of(delivery.user_agent, delivery.hits, self._order.ranges))
        yield rows_batch(found, classes)


def _ends(tallies: TallyColumns, rules: Rules) -> Floats:
    """windows.end of each."""
    if rules.window == "last_touch":
        return tallies.last + rules.length_s
    return tallies.starts + windows.DAY_S if rules.window == "day" else np.full(len(tallies.starts), np.inf)


def _classes(hits: CountingHits, piece: KeyedRows, details: AddedColumns) -> Ints:
    """The class of each group of plain hits: places in CLASSES."""
    times, bounds = hits.times[piece.rows], np.append(piece.begins, len(piece.rows))
    group = np.repeat(np.arange(len(piece.begins)), np.diff(bounds))
    lo, hi = placed_ranges(details.lo, details.hi, details.rest.sent, details.rest.marks)
    if bool(((times[1:] < times[:-1]) & (group[1:] == group[:-1])).any()):
        order = np.lexsort((times, group))
        lo, hi = lo[order], hi[order]
    agents = hits.codes[1][piece.rows[piece.begins]]
    texts = hits.texts.user_agent
    used = np.zeros(len(texts), np.bool_)
    used[agents] = True
    crawl = np.array([there and crawler_of(text) is not None for text, there in zip(texts, used.tolist(), strict=True)], np.bool_)  # fmt: skip
    return classes_of(crawl[agents], np.diff(bounds), group, lo, hi)


def _compact(table: pa.Table) -> pa.Table:
    """With the texts that it has, and no others."""
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            made: Any = table.column(at).cast(field.type.value_type).combine_chunks().dictionary_encode()
            table = table.set_column(at, field, made)
    return table.combine_chunks()


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
