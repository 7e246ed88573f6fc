"""A source in stretches of whole lines, and the reader that gathers the hits of a stretch by key, in whichever process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from app.columns.formats import has_columns, read_block
from app.domain.formats import LineParser
from app.domain.formats.base import FormatOptions
from app.domain.lines import ReadLines, read_lines, read_too_long
from app.domain.requests import query_rule
from app.domain.windows import Rules
from app.reducing.stretch_hits import StretchHits, stretch_hits
from app.sources.files.chunks import Chunk
from app.sources.files.read_options import form_of

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns

__all__ = ["Reading", "Stretch", "StretchReader", "stretches"]

_REST_CHUNKS = 15
"""So many chunks are read line by line after one of which columns hold less than half: the next ones will be alike."""


class Reading(NamedTuple):
    """How the lines of one source are read."""

    source_id: str
    format: str
    options: FormatOptions
    arrived: float
    """Wall clock, UTC seconds."""
    unordered: bool
    """The lines come in an order of somebody's choice."""
    columns_from: int | None
    """The position from which on hits are gathered as columns, and plain lines read as such where there is a kernel for them."""

    def as_columns(self, chunk: Chunk) -> bool:
        return self.columns_from is not None and chunk.position >= self.columns_from


class Stretch(NamedTuple):
    """Some lines of a source in a row."""

    reading: Reading
    chunks: list[Chunk]


def stretches(reading: Reading, chunks: Iterable[Chunk], most_bytes: int) -> Iterator[Stretch]:
    """The chunks, so many bytes at a time, or one chunk more. What was read before an error of `chunks` comes before it."""
    some: list[Chunk] = []
    size = 0
    try:
        for chunk in chunks:
            some.append(chunk)
            size += len(chunk.data)
            if size >= most_bytes:
                yield Stretch(reading, some)
                some, size = [], 0
    except Exception:
        if some:
            yield Stretch(reading, some)
        raise
    if some:
        yield Stretch(reading, some)


class StretchReader:
    """Reads stretches of any sources; a parser lives as long as the same head lines are in force."""

    def __init__(
        self,
        rules: Rules,
        on_lines: Callable[[str, ReadLines], ReadLines] | None = None,
        every_status: bool = False,
        with_flags: bool = True,
    ) -> None:
        """`every_status`: hits read as columns are all there, not those of 200 and 206 alone. Unless `with_flags`, they may lack flags."""
        self._rules, self._on_lines, self._every_status, self._with_flags = rules, on_lines, every_status, with_flags
        self._reading: Reading | None = None
        self._head: tuple[str, ...] = ()
        self._parse: LineParser
        self._resting = 0

    def hits(self, stretch: Stretch) -> StretchHits:
        """What its lines come to."""
        reads, reading = self.reads(stretch), stretch.reading
        return stretch_hits(
            reads, reading.source_id, self._rules, reading.unordered, reading.as_columns(stretch.chunks[-1])
        )

    def reads(self, stretch: Stretch) -> list[ReadLines | LineColumns]:
        """What each of its chunks comes to."""
        self._begin(stretch.reading)
        return [self._read(stretch.reading, chunk) for chunk in stretch.chunks]

    def lines(self, stretch: Stretch) -> Iterator[ReadLines]:
        """Its lines, read one by one."""
        reading = stretch.reading._replace(columns_from=None)
        self._begin(reading)
        for chunk in stretch.chunks:
            read = self._read(reading, chunk)
            assert isinstance(read, ReadLines)
            yield read

    def _begin(self, reading: Reading) -> None:
        if reading != self._reading:
            self._reading, self._resting = reading, 0
            self._take_head(())

    def _read(self, reading: Reading, chunk: Chunk) -> ReadLines | LineColumns:
        if chunk.too_long:
            return self._shown(reading, read_too_long(chunk.data, chunk.too_long, chunk.position))
        may_begin_with_header = form_of(reading.format).header_row and chunk.position == 0 and chunk.positions is None
        if has_columns(reading.format) and reading.as_columns(chunk) and not self._resting:
            block = read_block(
                reading.format,
                chunk.data,
                reading.arrived,
                chunk.position,
                may_begin_with_header,
                self._every_status,
                options=reading.options,
                with_flags=self._with_flags,
            )
            if block is None or 2 * block.other.lines > block.lines:
                self._resting = _REST_CHUNKS
            if block is not None:
                return block
        self._resting = max(0, self._resting - 1)
        if chunk.head != self._head:
            self._take_head(chunk.head)
        return self._shown(
            reading,
            read_lines(
                chunk.data,
                self._parse,
                reading.arrived,
                chunk.position,
                chunk.positions,
                may_begin_with_header,
                query_rule(reading.options.query),
                reading.options.fields,
            ),
        )

    def _take_head(self, head: tuple[str, ...]) -> None:
        reading = self._reading
        assert reading is not None
        self._head = head
        self._parse = form_of(reading.format).make_parser(head, reading.options)

    def _shown(self, reading: Reading, rows: ReadLines) -> ReadLines:
        return rows if self._on_lines is None else self._on_lines(reading.source_id, rows)
