"""From the bytes of a chunk to hits, rejects and head lines: every line is one of them, and each keeps its place."""

from __future__ import annotations

import gc
import math
from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.formats import FORMATS, BadLine, FormatOptions
from app.domain.lines import FUTURE_S, KEPT_LINE_CHARS, ReadLines, decode, read_lines, read_too_long
from app.domain.records import REASONS
from tests.properties import examples
from tests.together import together

FAST = settings(deadline=None, max_examples=examples(50))
ARRIVED = 1_700_000_000.0
EXAMPLE_LINES = [line.encode() for log_format in FORMATS.values() for line in log_format.example.split("\n")]


def read(
    data: bytes,
    name: str = "weblog_tsv",
    position: int = 0,
    positions: Sequence[int] | None = None,
    header: bool = False,
    arrived: float = ARRIVED,
) -> ReadLines:
    return read_lines(data, FORMATS[name].make_parser((), FormatOptions()), arrived, position, positions, header)


def tsv(path: str, date: str = "2020-07-31 16:46:07") -> str:
    return f"-\t{date}\t203.0.113.9\tcurl/8\t{path}\t206\t0-9"


def places(data: bytes, position: int = 0) -> list[int]:
    """Where each line begins, by looking at every byte."""
    starts, at = [], 0
    for line in data.split(b"\n"):
        starts.append(position + at)
        at += len(line) + 1
    return starts[:-1] if data.endswith(b"\n") or not data else starts


DATA = st.lists(st.one_of(st.sampled_from(EXAMPLE_LINES), st.binary(max_size=40)), max_size=6).flatmap(
    lambda lines: st.sampled_from([b"\n", b"\r\n", b"\n\n"]).map(lambda end: end.join(lines))
)


@pytest.mark.parametrize("name", FORMATS)
@FAST
@given(data=DATA, header=st.booleans(), position=st.integers(0, 10**12))
@example(data=b"", header=True, position=0)
@example(data=b"\n", header=True, position=0)
@example(data=b"\r", header=False, position=0)
@example(data=b"\x85\x1c\x0b\x0c\xe2\x80\xa8", header=False, position=0)
def test_every_line_is_a_hit_a_reject_or_a_head_line_at_its_place(
    name: str, data: bytes, header: bool, position: int
) -> None:
    found = read(data, name, position, header=header)
    starts = places(data, position)
    assert found.lines == len(found.hits) + len(found.rejects) + found.heads == len(starts)
    taken = [*found.positions, *(bad.position for bad in found.rejects)]
    assert len(set(taken)) == len(taken) == found.lines - found.heads
    assert set(taken) <= set(starts)
    assert found.positions == sorted(found.positions)
    for bad in found.rejects:
        assert bad.reason in REASONS
        first = bad.position - position
        raw = data[first:].split(b"\n")[0]
        assert bad.line == decode(raw).removesuffix("\r")[:KEPT_LINE_CHARS]
    times = [hit[0] for hit in found.hits]
    assert (found.lowest, found.highest) == (min(times, default=math.inf), max(times, default=-math.inf))
    assert found.disorder_s == max((max(times[: at + 1]) - time for at, time in enumerate(times)), default=0.0)


@pytest.mark.parametrize("name", FORMATS)
@FAST
@given(
    some=st.lists(
        st.one_of(st.sampled_from(EXAMPLE_LINES), st.integers(0, 9), st.just(b"bad")), min_size=1, max_size=12
    ),
    times=st.integers(1, 40),
    late=st.integers(0, 3),
)
def test_many_lines_at_a_time_are_read_as_one_by_one(name: str, some: list[bytes | int], times: int, late: int) -> None:
    """Whole blocks of hits take another way than lines among which some are none; a head line may change what comes behind it."""
    own = FORMATS[name].example.encode().split(b"\n")
    lines = [own[one % len(own)] if isinstance(one, int) else one for one in some * times]
    arrived = ARRIVED if late else 1_596_213_968.0 - FUTURE_S
    found = read(b"\n".join(lines), name, arrived=arrived)
    parse = FORMATS[name].make_parser((), FormatOptions())
    hits, bad, heads = [], [], 0
    for line in lines:
        try:
            hit = parse(line.decode())
        except BadLine as error:
            bad.append((error.reason, line.decode()))
            continue
        if hit is None:
            heads += 1
        elif hit[0] > arrived + FUTURE_S:
            bad.append(("bad_time", line.decode()))
        else:
            hits.append(hit)
    assert (found.hits, [(one.reason, one.line) for one in found.rejects], found.heads) == (hits, bad, heads)
    highest = list(accumulate((hit[0] for hit in hits), max))
    assert found.disorder_s == max((most - hit[0] for most, hit in zip(highest, hits, strict=True)), default=0.0)


@together("name", FORMATS)
def test_the_same_lines_are_read_from_any_cut(name: str) -> None:
    """The parser goes on, as it does over the chunks of a file."""
    data = (FORMATS[name].example + "\n").encode()
    whole = read(data, name, 50)
    lines = data.splitlines(keepends=True)
    parse = FORMATS[name].make_parser((), FormatOptions())
    hits, positions, at = [], [], 50
    for number, line in enumerate(lines):
        found = read_lines(line, parse, ARRIVED, at, header_row=FORMATS[name].header_row and number == 0)
        hits += found.hits
        positions += found.positions
        at += len(line)
    assert (hits, positions) == (whole.hits, whole.positions)
    assert hits


@pytest.mark.parametrize("path", ["/a", "/ü", "/\u2028", "/日本", "/\U0001f600"])
def test_positions_count_bytes(path: str) -> None:
    lines = [tsv(path), tsv("/b"), tsv(path)]
    found = read("\n".join(lines).encode(), position=7)
    first = 7 + len(lines[0].encode()) + 1
    assert found.positions == [7, first, first + len(lines[1]) + 1]
    assert [hit[3] for hit in found.hits] == [path, "/b", path]


def test_bytes_that_are_no_utf8_are_kept_escaped_and_count_as_themselves() -> None:
    raw = tsv("/x").encode().replace(b"/x", b"/\xff\xc3")
    found = read(raw + b"\n" + tsv("/b").encode() + b"\n")
    assert found.hits[0][3] == "/\\xff\\xc3"
    assert found.positions == [0, len(raw) + 1]


def test_a_carriage_return_belongs_to_the_line_end_once() -> None:
    found = read((tsv("/a") + "\r\n" + tsv("/b").replace("0-9", "0-9\r") + "\r\n" + "x\ry\r\n").encode())
    assert [hit[3] for hit in found.hits] == ["/a"]
    assert [bad.line[-4:] for bad in found.rejects] == ["0-9\r", "x\ry"]
    assert found.hits[0] == read(tsv("/a").encode()).hits[0]


def test_nothing_but_a_newline_ends_a_line() -> None:
    assert read(tsv("/a\x0b\x0c\x1c\x85\u2028b").encode()).lines == 1


@pytest.mark.parametrize(("data", "count"), [(b"", 0), (b"\n", 1), (b"\n\n\n", 3), (b"\r\n", 1), (b" \n", 1)])
def test_blank_lines_are_rejects_with_their_place(data: bytes, count: int) -> None:
    found = read(data)
    assert [(bad.reason, bad.position) for bad in found.rejects] == [("bad_columns", number) for number in range(count)]


def test_a_header_row_is_a_head_line_at_the_beginning_alone() -> None:
    header = "date\ttimestamp\tip_address\tuser_agent\trequest\tstatus\tbyte_range"
    data = "\n".join((header, tsv("/a"), header)).encode()
    found = read(data, header=True)
    assert (found.heads, len(found.hits), [bad.position for bad in found.rejects]) == (1, 1, [data.rindex(b"date")])
    assert read(data).heads == 0
    twice = read(f"{header}\n{header}\n".encode(), header=True)
    assert (twice.heads, len(twice.rejects)) == (1, 1)


def test_a_log_without_a_header_row_loses_no_line() -> None:
    found = read((tsv("/a") + "\nnonsense\n").encode(), header=True)
    assert (found.heads, len(found.hits), len(found.rejects)) == (0, 1, 1)


def test_a_line_dated_more_than_a_day_ahead_is_rejected_and_moves_no_watermark() -> None:
    arrived = 1_596_213_967.0  # 2020-07-31 16:46:07
    lines = [
        tsv("/a"),
        tsv("/b", "2020-08-01 16:46:07"),
        tsv("/c", "2020-08-01 16:46:08"),
        tsv("/d", "2099-01-01 00:00:00"),
        tsv("/e"),
    ]
    found = read("\n".join(lines).encode(), arrived=arrived)
    assert [hit[3] for hit in found.hits] == ["/a", "/b", "/e"]
    assert [(bad.reason, bad.line) for bad in found.rejects] == [("bad_time", lines[2]), ("bad_time", lines[3])]
    assert (found.highest, found.disorder_s) == (arrived + FUTURE_S, FUTURE_S)


def test_lines_that_are_not_in_a_row_have_the_positions_given() -> None:
    found = read("\n".join([tsv("/a"), "bad", tsv("/b")]).encode(), positions=[900, 5, 2**62])
    assert found.positions == [900, 2**62]
    assert [bad.position for bad in found.rejects] == [5]


def test_positions_that_do_not_fit_the_lines_are_refused() -> None:
    with pytest.raises(ValueError, match="1 positions for 2 lines"):
        read(f"{tsv('/a')}\n{tsv('/b')}\n".encode(), positions=[1])


def test_of_a_line_that_is_too_long_the_beginning_is_kept() -> None:
    found = read_too_long(b"\xff" + b"x" * 2000, 10**8, 77)
    (bad,) = found.rejects
    assert (bad.reason, bad.detail, bad.position, len(bad.line)) == (
        "too_long",
        "a line of 100000000 bytes",
        77,
        KEPT_LINE_CHARS,
    )
    assert bad.line.startswith("\\xffx")
    assert (found.lines, found.lowest, found.highest) == (1, math.inf, -math.inf)


def test_of_a_long_bad_line_the_beginning_is_kept() -> None:
    (bad,) = read(b"y" * 5000).rejects
    assert bad.line == "y" * KEPT_LINE_CHARS


@together("form", sorted(FORMATS))
def test_a_refused_line_leaves_no_cycle_behind_that_keeps_the_chunk(form: str) -> None:
    """Processes that read look for no cycles: an error that names its frame would keep all the lines of its chunk."""
    parse = FORMATS[form].make_parser((), FormatOptions())
    gc.disable()
    gc.freeze()  # what was there before is not looked at
    try:
        read = read_lines(b"\n".join([b"no line", b"host nginx: no line", b"1 2 3 4 5 6 7 8"]) + b"\n", parse, ARRIVED)
        assert read.rejects
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        assert not [kept for kept in gc.garbage if isinstance(kept, BadLine)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.unfreeze()
        gc.enable()
