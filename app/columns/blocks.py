"""Lines a chunk at a time as columns: what the kernels of all formats share.

A kernel reads a line only where each of its columns has its plain form. Every other line goes through the format's own parser,
which alone says what a line means; and so does each minute, second, status and request that differs from those before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.columns.texts import Texts
from app.domain.extras import chosen_cmcd
from app.domain.formats.base import BYTES_KINDS, BadLine, FormatOptions, LineParser
from app.domain.formats.clients import PLAIN_IPV4, clients
from app.domain.formats.values import STATUSES
from app.domain.lines import CMCD_PARAMETER, ReadLines, read_lines
from app.domain.requests import may_change, query_rule

__all__ = [
    "DIGITS_OF_MAX_BYTE", "STATUS_BYTES", "ZERO", "Block", "Bools", "Bytes", "Extras", "Floats", "Ints", "LineColumns", "assembled",
    "bytes_of", "have_plain_ends", "line_bounds", "numbers_at", "of_length", "rows_at", "status_codes", "statuses_of",
    "whole_lines",
]  # fmt: skip

STATUS_BYTES = 3
_WORD_BYTES = 8
DIGITS_OF_MAX_BYTE = 14
"""Numbers of fewer digits are below MAX_BYTE."""
ZERO = ord("0")

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Extras(NamedTuple):
    """The optional fields of each line."""

    codes: NDArray[np.integer[Any]]
    """The number of each line's."""
    all_extras: list[dict[str, str]]

    def of(self, lines: NDArray[Any]) -> Extras:
        """Those of some lines."""
        return Extras(self.codes[lines], self.all_extras)


class LineColumns(NamedTuple):
    """A chunk of lines. The arrays hold, line by line, the hits that were read here: all, or those with status 200 or 206."""

    times: Floats
    positions: NDArray[np.uint64]
    lo: Ints
    hi: Ints
    """lo 0 and hi -1 where the line names no range."""
    statuses: Ints
    ip_address: Texts
    user_agent: Texts
    request: Texts
    """As it stands in the line, with ` HTTP/…`."""
    other: ReadLines
    """The lines that the parser read."""
    hits: int
    """Of all lines, and so are the next three."""
    lowest: float
    highest: float
    disorder_s: float
    sent: Ints | None = None
    """Bytes of each hit's body, -1 where it names none; None where none does. So is the next."""
    total: Ints | None = None
    """Size of the whole file."""
    flags: Ints | None = None
    """HitFlag; None where no hit has one that counts."""
    unread: dict[str, int] = {}
    """What was passed over in the lines read here: a sentence and how many times."""
    extras: Extras | None = None
    """Optional fields; None where no hit has some."""
    zones_s: Ints | None = None
    """Seconds east of UTC that each hit's line writes beside its time; None where the kernel does not tell."""

    @property
    def lines(self) -> int:
        return self.hits + len(self.other.rejects) + self.other.heads


def have_plain_ends(data: bytes) -> bool:
    """Whether no carriage return stands elsewhere than before a newline."""
    return b"\r" not in data or data.count(b"\r\n") == data.count(b"\r")


def line_bounds(data: bytes) -> tuple[Ints, Ints]:
    """Where each line begins and ends, its newline not counted."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    return np.concatenate(([0], ends[:-1] + 1)), ends


def whole_lines(data: bytes, starts: Ints, ends: Ints) -> bytes:
    """Some lines, each with a newline. Lines that stand in a row are taken at once."""
    if not len(starts):
        return b""
    cuts = np.flatnonzero(starts[1:] != ends[:-1] + 1)
    first, last = np.append(starts[0], starts[1:][cuts]).tolist(), np.append(ends[:-1][cuts], ends[-1]).tolist()
    return b"\n".join([data[start:end] for start, end in zip(first, last, strict=True)]) + b"\n"


def bytes_of(column: pa.BinaryArray) -> tuple[Bytes, Ints]:
    """The bytes of all values, and where in them each value begins, with the end of the last."""
    _, offsets, values = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return np.frombuffer(values, np.uint8) if values is not None and values.size else np.empty(0, np.uint8), bounds


def of_length(column: pa.BinaryArray, length: int) -> tuple[Bools, Bytes]:
    """Which values have this many bytes, and these values as rows of bytes."""
    values, bounds = bytes_of(column)
    fits = np.diff(bounds) == length
    if fits.all():
        return fits, values[bounds[0] : bounds[-1]].reshape(-1, length)
    return fits, values[bounds[:-1][fits, None] + np.arange(length)]


def rows_at(data: bytes, begins: Ints, length: int) -> Bytes:
    """So many bytes from each of some places on, as rows; all of them stand within the data."""
    if not len(begins):
        return np.empty((0, length), np.uint8)
    windows = np.ndarray(len(data) - length + 1, f"V{length}", data, strides=(1,))
    return windows[begins].view(np.uint8).reshape(-1, length)


def statuses_of(column: pa.BinaryArray) -> Ints:
    """-1 for what is not in the plain form, or no status."""
    fits, rows = of_length(column, STATUS_BYTES)
    codes = status_codes(rows)
    if len(codes) == len(fits):
        return codes
    found = np.full(len(fits), -1, np.int64)
    found[fits] = codes
    return found


def status_codes(rows: Bytes) -> Ints:
    """The same of rows of three bytes."""
    hundreds, tens, ones = (rows - np.uint8(ZERO)).astype(np.intp).T
    codes: Ints = _STATUSES[np.minimum(hundreds * 100 + tens * 10 + ones, 999)]
    codes[(hundreds > 9) | (tens > 9) | (ones > 9)] = -1
    return codes


def _status(number: int) -> int:
    try:
        return STATUSES[f"{number:03}"]
    except BadLine:
        return -1


_STATUSES = np.array([_status(number) for number in range(1000)])


def numbers_at(values: Bytes, ends: Ints, lengths: Ints) -> Ints:
    """Numbers of so many digits each, 1 to 16, that end before these places."""
    padded = np.concatenate((np.zeros(2 * _WORD_BYTES, np.uint8), values))
    words = np.ndarray(len(padded) - _WORD_BYTES + 1, "<u8", padded, strides=(1,))
    numbers = _eight_digits(words[ends + _WORD_BYTES], np.minimum(lengths, _WORD_BYTES))
    long = np.flatnonzero(lengths > _WORD_BYTES)
    if len(long):
        numbers[long] += 10**_WORD_BYTES * _eight_digits(words[ends[long]], lengths[long] - _WORD_BYTES)
    return numbers


def _eight_digits(words: NDArray[np.uint64], counts: Ints) -> Ints:
    """The number that the last so many of eight bytes write: pairs of digits, then pairs of these, are put together in place."""
    none = (8 * (_WORD_BYTES - counts)).astype(np.uint64)
    words = (words ^ np.uint64(0x3030303030303030)) >> none << none
    words = words * np.uint64(10 * 256 + 1) >> np.uint64(8)
    words = (words & np.uint64(0x00FF00FF00FF00FF)) * np.uint64((100 << 16) + 1) >> np.uint64(16)
    words = (words & np.uint64(0x0000FFFF0000FFFF)) * np.uint64((10_000 << 32) + 1) >> np.uint64(32)
    return words.view(np.int64)


class Block(NamedTuple):
    """A chunk before its lines are read."""

    data: bytes
    starts: Ints
    ends: Ints
    """Where each line begins and ends, its newline not counted."""
    position: int
    """Byte offset of the data in its source."""
    arrived: float
    header_row: bool
    """Where the first line is no hit, it is a head line."""


def assembled(
    block: Block,
    parse: LineParser,
    keys: Sequence[Texts],
    at: Ints,
    plain: Bools,
    times: Floats,
    codes: Ints,
    lo: Ints,
    hi: Ints,
    sent: Ints | None = None,
    total: Ints | None = None,
    every_status: bool = False,
    options: FormatOptions = FormatOptions(),
    unread: Mapping[str, Bools] | None = None,
    extras: Extras | None = None,
    zones_s: Ints | None = None,
    flags: Ints | None = None,
    with_flags: bool = True,
) -> LineColumns | None:
    """The block of which the lines `at` were read as columns; those of them that are not `plain`, and all others, the parser reads.

    `keys`: client, agent and request of each line. `flags`: all of each, if the kernel knows more than the protocol of the request;
    nobody asks for them unless `with_flags`.

    None if the query rule may change a request, or one has CMCD that is wanted: then each is read by itself. A line whose client is not written as the domain writes it is not plain either. `unread`: what was passed over, in which lines.
    """
    client, agent, request = keys
    are_themselves = _are_themselves(client, clients(options.trusted_proxies).of)
    if are_themselves is not None:
        plain = plain & are_themselves
    rule = query_rule(options.query)
    left = _others(block, at[plain])
    has_cmcd = bool(chosen_cmcd(options.fields))
    if rule.kind != "keep" or has_cmcd:
        values, bounds = bytes_of(request.values)
        requests = values[bounds[0] : bounds[-1]].tobytes()
        if b"?" in requests:  # then it matters where each ends
            requests = b"\n".join(request.values.to_pylist())
        if may_change(requests, rule) or may_change(left[0], rule) or (has_cmcd and CMCD_PARAMETER in requests):
            return None
    other = read_lines(
        left[0],
        parse,
        block.arrived,
        0,
        left[1],
        block.header_row and left[1][:1] == [block.position],
        fields=options.fields,
    )
    positions = block.starts + np.int64(block.position)
    lowest, highest, disorder_s = _span(positions[at[plain]], times[plain], other)
    of_each = BYTES_KINDS[options.bytes]
    # that of a protocol alone changes nothing of what a body's bytes prove
    if flags is None and with_flags and (every_status or of_each):
        of_requests = request.protocol_flags | of_each
        flags = of_requests[request.codes] if of_requests.any() else None
    counts = plain if every_status else plain & ((codes == 206) | (codes == 200))
    if not counts.all():
        times, lo, hi, codes = times[counts], lo[counts], hi[counts], codes[counts]
    return LineColumns(
        times,
        positions[at[counts]].astype(np.uint64),
        lo,
        hi,
        codes,
        client.of(counts),
        agent.of(counts),
        request.of(counts),
        other,
        int(plain.sum()) + len(other.hits),
        lowest,
        highest,
        disorder_s,
        None if sent is None else sent[counts],
        None if total is None else total[counts],
        flags[counts] if flags is not None and flags.any() else None,
        {what: int((plain & lines).sum()) for what, lines in (unread or {}).items() if (plain & lines).any()},
        None if extras is None else extras.of(counts),
        None if zones_s is None else zones_s[counts],
    )


def _are_themselves(some: Texts, read: Mapping[str, str | None]) -> Bools | None:
    """Which lines have a client that is written as the domain writes it: one look for each that differs. None if all have."""
    import pyarrow.compute as pc  # its import takes as long as a small report

    are = np.array(pc.match_substring_regex(some.values, rf"\A(?:{PLAIN_IPV4})\z"))
    others = np.flatnonzero(~are)
    if len(others):
        texts = some.texts
        are[others] = [_is_itself(read, texts[number]) for number in others.tolist()]
    return None if are.all() else are[some.codes]


def _is_itself(read: Mapping[str, str | None], text: str) -> bool:
    try:
        return read[text] == text
    except BadLine:
        return False


def _others(block: Block, plain: Ints) -> tuple[bytes, list[int]]:
    """All lines but the plain ones, and where each stands in its source."""
    left = np.ones(len(block.starts), np.bool_)
    left[plain] = False
    places = np.flatnonzero(left)
    lines = whole_lines(block.data, block.starts[places], block.ends[places])
    return lines, (block.starts[places] + block.position).tolist()


def _span(positions: Ints, times: Floats, other: ReadLines) -> tuple[float, float, float]:
    """Lowest and highest time and disorder of all hits, as read_lines tells them."""
    if other.hits:
        positions = np.concatenate((positions, np.array(other.positions, np.int64)))
        times = np.concatenate((times, np.array([hit[0] for hit in other.hits])))[np.argsort(positions)]
    if not len(times):
        return other.lowest, other.highest, other.disorder_s
    running = np.maximum.accumulate(times)
    return float(times.min()), float(running[-1]), float((running - times).max())
