"""Part `format_strings`: lines a second and core by the format text of a server, each hit compared with the one that it was written from.

A reader of large inputs and a worker with large messages read lines as columns; small ones are read line by line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from typing import Any

from app.columns.blocks import LineColumns
from app.columns.formats import read_block
from app.columns.hits import HitColumns
from app.domain import formats
from app.domain.formats.base import FormatOptions
from app.domain.lines import ReadLines, read_lines
from app.domain.records import Hit, HitFlag, Parsed
from bench.context import Context
from bench.failing import BenchError
from bench.figures import AT_LEAST, Figure, Goal

__all__ = ["run"]

PART = "format_strings"
_GOAL = 150_000
_RUNS = 5
_CHUNK_LINES = 5000
_POSITION = Hit._fields.index("position")
_COMPARED = len(Parsed._fields) - 2
"""Without flags, which tell what a text says beyond the fields, and optional fields."""
TEXTS = {
    "nginx": (
        '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
        ' "$sent_http_content_range" $request_completion',
        '{ip} - - [{clock}] "{line}" {status} {sent} "-" "{agent}" "{range}" OK',
    ),
    "apache": (
        '%h %l %u %t "%r" %>s %B "%{Referer}i" "%{User-Agent}i" "%{Content-Range}o" %X',
        '{ip} - - [{clock}] "{line}" {status} {sent} "-" "{agent}" "{range}" +',
    ),
    "haproxy": (
        '%ci:%cp [%trl] %ft %b/%s %ST %B %tsc "%[capture.req.hdr(0)]" "%[capture.res.hdr(0)]" %{+Q}r',
        '{ip}:40000 [{clock}] web films/srv1 {status} {sent} ---- "{agent}" "{range}" "{line}"',
    ),
}  # fmt: skip
"""Server to its format text, and to a line of it."""


def run(context: Context) -> list[Figure]:
    """Rates of reading lines, from bytes to columns and from bytes to hits, in one thread."""
    from bench.logs import simulated

    log = simulated(context.folder, context.pick(200_000, 2_000), "combined_range")
    parse = formats.get("combined_range").make_parser((), FormatOptions())
    hits = [hit for hit in map(parse, log.path.read_text().splitlines()) if hit is not None]
    works: list[tuple[str, Callable[[], float]]] = []
    for server, (text, line) in TEXTS.items():
        chunks = _chunks(line, hits)
        _compare(server, text, chunks, hits)
        name = formats.get(f"{server}:{text}").name
        works.append((f"{server}'s text", partial(_rate, partial(_as_columns, name, chunks), len(hits))))
        works.append((f"{server}'s text, line by line", partial(_rate, partial(_by_line, name, chunks), len(hits))))
    told = f"{len(hits):,} lines of a simulated log; CPU of one thread"
    found = context.repeat(works, context.pick(_RUNS, 1))
    return [
        Figure(PART, name, tuple(rates), "lines/s", told, None if "by line" in name else Goal(AT_LEAST, _GOAL))
        for (name, _), rates in zip(works, found, strict=True)
    ]


def _chunks(line: str, hits: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """The lines that a server writes of these hits, some at a time."""
    lines = [line.format_map(_words(Parsed._make(hit))) for hit in hits]
    return [
        "".join(f"{each}\n" for each in lines[at : at + _CHUNK_LINES]).encode()
        for at in range(0, len(lines), _CHUNK_LINES)
    ]


def _words(hit: Parsed) -> dict[str, Any]:
    total = "*" if hit.total_bytes is None else hit.total_bytes
    return {
        "ip": hit.ip_address,
        "clock": f"{datetime.fromtimestamp(hit.time, UTC):%d/%b/%Y:%H:%M:%S} +0000",
        "line": f"{hit.request} HTTP/1.1",
        "status": hit.status,
        "sent": hit.bytes_sent or 0,
        "agent": hit.user_agent,
        "range": "-" if hit.lo is None else f"bytes {hit.lo}-{hit.hi}/{total}",
    }


def _compare(server: str, text: str, chunks: Sequence[bytes], hits: Sequence[tuple[Any, ...]]) -> None:
    """Raises BenchError where a line comes back as another hit, whichever way it is read."""
    name, wanted = formats.get(f"{server}:{text}").name, list(map(_as_written, hits))
    for found in (_hits_of(_by_line(name, chunks)), _hits_of(_as_columns(name, chunks))):
        if len(found) != len(hits):
            raise BenchError(f"{server}'s text: {len(found):,} hits of {len(hits):,} lines")
        for hit, its in zip(found, wanted, strict=True):
            if hit[:_COMPARED] != its[:_COMPARED]:
                raise BenchError(f"{server}'s text: {hit[:_COMPARED]} where {its[:_COMPARED]} was written")
            if not hit[_COMPARED] & HitFlag.ENDED:
                raise BenchError(f"{server}'s text: {hit} does not know that it ended")


def _hits_of(reads: Iterable[ReadLines | LineColumns]) -> list[tuple[Any, ...]]:
    """In the order of their lines."""
    found: list[tuple[Any, ...]] = []
    for read in reads:
        rows = read if isinstance(read, ReadLines) else read.other
        some = list(zip(rows.positions, rows.hits, strict=True))
        if isinstance(read, LineColumns) and len(read.times):
            packed = HitColumns.of_lines([read]).to_message()
            some += [(hit[_POSITION], hit) for hit in packed.hits("")]
        found += [hit for _, hit in sorted(some, key=itemgetter(0))]
    return found


def _as_written(hit: tuple[Any, ...]) -> tuple[Any, ...]:
    """A line without a range names no size either, and 0 for no bytes."""
    parsed = Parsed._make(hit)
    return parsed._replace(
        total_bytes=None if parsed.lo is None else parsed.total_bytes, bytes_sent=parsed.bytes_sent or 0
    )


def _as_columns(form: str, chunks: Sequence[bytes]) -> Iterator[ReadLines | LineColumns]:
    """As a worker reads large messages."""
    for chunk in chunks:
        block = read_block(form, chunk, time.time(), every_status=True)
        if block is None:
            raise BenchError(f"no line was read as columns by {form}")
        yield block


def _by_line(form: str, chunks: Sequence[bytes]) -> Iterator[ReadLines | LineColumns]:
    parse = formats.get(form).make_parser((), FormatOptions())
    for chunk in chunks:
        yield read_lines(chunk, parse, time.time())


def _rate(read: Callable[[], Iterator[ReadLines | LineColumns]], lines: int) -> float:
    """Lines a second of CPU."""
    began = time.process_time()
    for _ in read():
        pass
    return lines / (time.process_time() - began)
