"""From files to deliveries in this process: what the flow does, at the end of its sources."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from app.domain.formats import LineParser
from app.domain.formats.weblog_tsv import FORMAT as WEBLOG_TSV
from app.domain.lines import BadAt, ReadLines, read_lines, read_too_long
from app.domain.merging import SizeOf
from app.domain.records import Delivery
from app.domain.reduction import no_sizes
from app.domain.watermarks import Advance, source_number
from app.domain.windows import Rules
from app.errors import InputError
from app.kernels.reduction import ColumnReduction
from app.sources.beginning import ReadOptions
from app.sources.chunks import Chunk
from app.sources.identity import Identifier
from app.sources.orders import FILE_ORDER, ordered_chunks
from app.sources.reading import Input, Source, open_source

if TYPE_CHECKING:
    from app.kernels.weblog_tsv import Columns

__all__ = ["Job", "Statistics", "deliveries_of"]

_SWEEP_HITS = 200_000
"""So many hits between two looks for deliveries that are over; more where more are open, so that looking stays cheap."""


_COLUMNS_FROM_BYTES = 8 << 20
"""Smaller inputs are read line by line: it takes less than to load what reads columns."""

_REST_CHUNKS = 15
"""So many chunks are read line by line after one of which columns hold less than half: the next ones will be alike."""


class Job(NamedTuple):
    """What is to be reduced, and how."""

    paths: Sequence[str]
    read: ReadOptions = ReadOptions()
    rules: Rules = Rules()
    order: str = FILE_ORDER
    seed: int = 0
    size_of: SizeOf = no_sizes
    sweep: bool = True
    """Give deliveries out as soon as they are over, instead of all at the end."""
    on_progress: Callable[[str, int, int | None], object] = lambda path, done, size: None
    """Takes a file, the bytes consumed of it, and its bytes where they are known."""
    columns_from_bytes: int = _COLUMNS_FROM_BYTES
    """Inputs of this size are read as columns, others from there on, where there is a kernel for their format."""
    on_reject: Callable[[str, BadAt], object] | None = None
    """Takes the name of a file and a line rejected there."""
    on_lines: Callable[[str, ReadLines], ReadLines] | None = None
    """Takes the id of a source and its lines, read one by one; gives those that are merged."""


@dataclass
class Statistics:
    """What came out."""

    lines: int = 0
    heads: int = 0
    hits: int = 0
    counted: int = 0
    """Hits that count for a delivery, repeats included."""
    merged: int = 0
    """Distinct hits in deliveries."""
    rejects: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    """By verdict and reason."""
    covered_bytes: int = 0
    sent_bytes: int = 0
    most_open: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    """One sentence for each input that could not be read, or not to its end."""

    def count(self, delivery: Delivery) -> None:
        self.deliveries[delivery.verdict, delivery.reason] += 1
        self.covered_bytes += delivery.covered_bytes
        self.sent_bytes += delivery.bytes_sent or 0
        self.merged += delivery.hits


def deliveries_of(job: Job, statistics: Statistics) -> Iterator[Delivery]:
    """Every delivery once, as soon as it is over; `statistics` is complete after the last one.

    An input that can not be read (to its end) is noted there; what was good before counts, and the others are read.
    """
    started = time.perf_counter()
    for delivery in _all_of(job, statistics):
        statistics.count(delivery)
        yield delivery
    statistics.seconds = time.perf_counter() - started


def _all_of(job: Job, statistics: Statistics) -> Iterator[Delivery]:
    reduction = ColumnReduction(job.rules, job.size_of)
    identifier = Identifier()
    next_sweep = _SWEEP_HITS
    for path in job.paths:
        try:
            with open_source(path, identifier, job.read) as opened:
                for _ in _merged(opened, reduction, job, statistics):
                    if statistics.hits >= next_sweep and job.sweep:
                        statistics.most_open = max(statistics.most_open, len(reduction.open))
                        yield from reduction.sweep()
                        next_sweep = statistics.hits + max(_SWEEP_HITS, 2 * len(reduction.open))
        except InputError as error:
            statistics.errors.append(str(error))
    reduction.flush()
    statistics.counted = reduction.counted
    statistics.most_open = max(statistics.most_open, len(reduction.open))
    yield from reduction.finish()


def _merged(opened: Input, reduction: ColumnReduction, job: Job, statistics: Statistics) -> Iterator[None]:
    """Merges an input chunk by chunk; stops after each one."""
    source = opened.source
    if source is None or opened.already_sent:
        return
    number = source_number(source.id)
    ordered = job.order != FILE_ORDER
    read_chunk = _reader(opened, source, job)
    chunks = ordered_chunks(opened.stream, job.order, job.seed, job.read, source.rule) if ordered else opened.chunks()
    for chunk in chunks:
        read = read_chunk(chunk)
        if job.on_lines is not None and isinstance(read, ReadLines):
            read = job.on_lines(source.id, read)
        advance = Advance(read.lowest, read.highest, read.disorder_s, False, ordered)
        if isinstance(read, ReadLines):
            by_line, hits = read, len(read.hits)
            reduction.add_lines(read.hits, read.positions, source.id, number, advance)
        else:
            by_line, hits = read.other, read.hits
            reduction.add_columns(read, source.id, number, advance)
        statistics.lines += read.lines
        statistics.heads += by_line.heads
        statistics.hits += hits
        _tell_rejects(source.name, by_line.rejects, job, statistics)
        job.on_progress(opened.path, opened.consumed_bytes, opened.size_bytes)
        yield
    reduction.add_lines((), (), source.id, number, Advance(ended=True, unordered=ordered))


def _reader(opened: Input, source: Source, job: Job) -> Callable[[Chunk], ReadLines | Columns]:
    """From a chunk to its hits; a parser lives as long as the same head lines are in force."""
    form, options = source.format, job.read.format_options
    arrived = time.time()
    head: tuple[str, ...] = ()
    parse: LineParser = form.make_parser(head, options)
    resting = 0
    has_kernel = form is WEBLOG_TSV and job.order == FILE_ORDER and job.on_lines is None

    def read_chunk(chunk: Chunk) -> ReadLines | Columns:
        nonlocal head, parse, resting
        if chunk.too_long:
            return read_too_long(chunk.data, chunk.too_long, chunk.position)
        may_begin_with_header = form.header_row and chunk.position == 0 and chunk.positions is None
        if has_kernel and not resting and max(chunk.position, opened.size_bytes or 0) >= job.columns_from_bytes:
            from app.kernels.weblog_tsv import read_block

            block = read_block(chunk.data, arrived, chunk.position, may_begin_with_header)
            if block is None or 2 * block.other.lines > block.lines:
                resting = _REST_CHUNKS
            if block is not None:
                return block
        resting = max(0, resting - 1)
        if chunk.head != head:
            head = chunk.head
            parse = form.make_parser(head, options)
        return read_lines(chunk.data, parse, arrived, chunk.position, chunk.positions, may_begin_with_header)

    return read_chunk


def _tell_rejects(name: str, rejects: Sequence[BadAt], job: Job, statistics: Statistics) -> None:
    for bad in rejects:
        statistics.rejects[bad.reason] += 1
        if job.on_reject:
            job.on_reject(name, bad)
