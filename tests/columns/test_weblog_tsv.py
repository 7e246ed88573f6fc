"""Lines read as columns are the lines that the parser reads, fact for fact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.columns.blocks import LineColumns
from app.columns.formats.weblog_tsv import read_block
from app.columns.hits import HitColumns
from app.domain.formats import FORMATS, FormatOptions
from app.domain.lines import ReadLines, decode, read_lines
from app.domain.parts import part_of
from tests.columns.logs import _ODD_LINES, _ODD_RANGES, _ODD_REQUESTS, _ODD_STATUSES, _ODD_TEXTS, _ODD_TIMES, logs
from tests.properties import examples
from tests.together import together

parse = FORMATS["weblog_tsv"].make_parser((), FormatOptions())
ARRIVED = 1_700_000_000.0
GOOD = [b"2020-07-31", b"2020-07-31 16:46:07", b"10.0.0.1", b"curl/8", b"GET /a HTTP/1.1", b"206", b"10-19"]


def counted_by_parser(read: ReadLines) -> list[tuple[Any, ...]]:
    """Position, key, time, lo and hi of each hit that counts."""
    found = []
    for hit, position in zip(read.hits, read.positions, strict=True):
        part = part_of(hit, position)
        if part is not None:
            found.append((position, hit[1:4], part.time, part.lo, part.hi, part.sent))
    return found


def counted_in_columns(block: LineColumns) -> list[tuple[Any, ...]]:
    hits = HitColumns.of_lines([block])
    columns = (block.positions.tolist(), block.times.tolist(), block.lo.tolist(), block.hi.tolist())
    rows = [
        (position, hits.names.named(code.reshape(1))[0], time, lo, hi, hi - lo + 1)
        for code, counts, position, time, lo, hi in zip(hits.codes, hits.counting, *columns, strict=True)
        if counts
    ]
    return sorted(rows + counted_by_parser(block.other))


def assert_same_facts(data: bytes, position: int = 0, header_row: bool = False) -> LineColumns | None:
    block = read_block(data, ARRIVED, position, header_row)
    if block is None:
        return None
    read = read_lines(data, parse, ARRIVED, position, header_row=header_row)
    assert (block.lines, block.hits, block.other.heads) == (read.lines, len(read.hits), read.heads)
    assert block.other.rejects == read.rejects
    assert (block.lowest, block.highest, block.disorder_s) == (read.lowest, read.highest, read.disorder_s)
    assert counted_in_columns(block) == counted_by_parser(read)
    return block


@settings(max_examples=examples(150), deadline=None)
@given(logs(), st.sampled_from([0, 1, 2**40, 2**62]), st.booleans())
def test_any_log_gives_the_same_facts(data: bytes, position: int, header_row: bool) -> None:
    assert_same_facts(data, position, header_row)


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=60))
@example(b"\n\n")
@example(b"")
@example(b"\xef\xbb\xbf")
def test_any_bytes_give_the_same_facts(data: bytes) -> None:
    assert_same_facts(data)


@together(
    ("column", "text"),
    [
        (at, text)
        for at, texts in enumerate(
            [_ODD_TEXTS, _ODD_TIMES, _ODD_TEXTS, _ODD_TEXTS, _ODD_REQUESTS, _ODD_STATUSES, _ODD_RANGES]
        )
        for text in texts
    ],
)
@together("end", [b"\n", b"\r\n"])
def test_an_odd_column_among_good_lines_gives_the_same_facts(column: int, text: bytes, end: bytes) -> None:
    good = b"\t".join(GOOD) + end
    odd = b"\t".join([*GOOD[:column], text, *GOOD[column + 1 :]]) + end
    for data in (odd, good + odd + good, odd + odd, good + odd[: -len(end)]):
        assert_same_facts(data, header_row=True)


@together("line", _ODD_LINES)
def test_an_odd_line_among_good_ones_gives_the_same_facts(line: bytes) -> None:
    good = b"\t".join(GOOD) + b"\n"
    for data in (line + b"\n", good + line + b"\n" + good, line + b"\n" + good, good + line, line * 2):
        for header_row in (False, True):
            assert_same_facts(data, header_row=header_row)


def test_a_bad_line_costs_no_other_line_its_place_in_the_columns() -> None:
    good = b"\t".join(GOOD) + b"\n"
    block = assert_same_facts(good * 50 + b"rubbish\n" + good * 50 + b"\xff" + good)
    assert block is not None
    assert (len(block.positions), len(block.other.hits), len(block.other.rejects)) == (101, 0, 1)


def test_lines_with_crlf_are_read_as_columns() -> None:
    block = assert_same_facts((b"\t".join(GOOD) + b"\r\n") * 3)
    assert block is not None
    assert len(block.positions) == 3


def test_a_carriage_return_inside_a_line_leaves_the_chunk_to_the_parser() -> None:
    assert read_block(b"\t".join(GOOD).replace(b"curl", b"cu\rl") + b"\n", ARRIVED) is None


@together("second", range(100))
def test_every_second_of_two_digits_is_read_as_the_parser_reads_it(second: int) -> None:
    line = b"\t".join([GOOD[0], b"2020-07-31 16:46:%02d" % second, *GOOD[2:]]) + b"\n"
    assert_same_facts(line)


@pytest.mark.parametrize("ahead", [-1, 0, 1])
def test_a_line_dated_more_than_a_day_ahead_is_left_to_the_parser(ahead: int) -> None:
    line = b"\t".join(GOOD) + b"\n"
    seconds = read_lines(line, parse, ARRIVED).highest - 86400 - ahead
    block, read = read_block(line, seconds), read_lines(line, parse, seconds)
    assert block is not None
    assert (
        (block.hits, len(block.other.rejects))
        == (len(read.hits), len(read.rejects))
        == ((1, 0) if ahead <= 0 else (0, 1))
    )


def test_bytes_that_are_no_utf8_are_the_same_client_as_their_escape() -> None:
    raw, escaped = (b"\t".join([*GOOD[:3], agent, *GOOD[4:]]) + b"\n" for agent in (b"a\xff", rb"a\xff"))
    block = read_block(raw + escaped, ARRIVED)
    assert block is not None
    codes = HitColumns.of_lines([block]).codes
    assert codes[0] == codes[1]
    assert decode(b"a\xff") == r"a\xff"
