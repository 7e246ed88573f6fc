"""Lines of the combined family read as columns are the lines that the parser reads, fact for fact and part for part."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.formats.base import FormatOptions
from app.domain.formats.combined import COMBINED, COMBINED_RANGE
from app.domain.lines import ReadLines, read_lines
from app.domain.tallies import Part
from app.domain.windows import Rules
from app.kernels.blocks import Columns
from app.kernels.combined import read_block
from app.kernels.reduction import gathered

ARRIVED = 1_700_000_000.0
PARSERS = {form.name: form.make_parser((), FormatOptions()) for form in (COMBINED, COMBINED_RANGE)}
FORMS = sorted(PARSERS)
GOOD = {
    "host": b"10.0.0.1", "ident": b"-", "user": b"-", "time": b"[31/Jul/2020:16:46:07 +0000]", "request": b'"GET /a HTTP/1.1"', "status": b"206",
    "sent": b"10", "referer": b'"-"', "agent": b'"curl/8"', "range": b'"bytes 10-19/100"',
}  # fmt: skip
TEXTS = [
    b'""', b'"-"', b'" "', b'"\xff"', b'"\xc3"', "\"für 音楽 ١\"".encode(), b'"a\\"b"', b'"a\\\\"', b'"a"b"', b'"a" "b"', b"-", b"", b'"a\tb"',
    b'"a\x00b"', b'"a\rb"', b'"', b'"a', b'a"', b'""a""', b'"\\x22"', b"'a'", b'"a b c"', b"a b",
]  # fmt: skip
WORDS = [
    b"", b"-", b"ann", b"ann b", b'"ann"', b'an"n', b"[ann", b"an[n", b"ann]", "für".encode(), b"\xff", b"a\tb", b"- frank", b"- -", b"a\\b", b"\xc2\xa0",
    b"2001:db8::7", b"a\x0bb", b" ", b"a ", b" a",
]  # fmt: skip
ODD = {
    "host": WORDS,
    "ident": WORDS,
    "user": WORDS,
    "time": [
        b"[31/Jul/2020:16:46:07 +0530]", b"[31/Jul/2020:16:46:07 -0800]", b"[31/Jul/2020:16:46:60 +0000]", b"[31/Jul/2020:16:46:61 +0000]",
        b"[31/jul/2020:16:46:07 +0000]", b"[30/Feb/2020:16:46:07 +0000]", b"[31/Jul/2020:16:46:07]", b"[31/Jul/2020:16:46:07  +0000]",
        b"[31/Jul/2020:16:46:07.5 +0000]", b"[31/Jul/2020:16:46:7x +0000]", b"[31/Jul/2020:16:46:07 +2460]", b"[31/Jul/2099:16:46:07 +0000]",
        b"31/Jul/2020:16:46:07 +0000", b"[31/Jul/2020:16:46:07 +0000", b"[]", b"", b"[-]", b"[31/Ju]/2020:16:46:07 +0000]",
        b"[31/Jul/2020 16:46:07 +0000]", b"[31/Jul/2020:16:46:07 +00\xc3\xa9]", b"[31/Jul/2020:16:46:07 00000]", b"[01/Jan/1970:00:00:00 +0000]",
        "[31/Jul/2020:16:46:٠ +0000]".encode(), b"[31/Jul/2020:16:46:07\t+0000]", b'[31/Jul/2020:16:46:"7 +0000]',
    ],
    "request": [*TEXTS, b'"/a"', b'"GET  /a"', b'"HEAD /a HTTP/1.1"', b'"get /a"', b'"http://h/a"', b'"GET /a HTTP/1.1 HTTP/1.1"', b'"\\x16\\x03"'],
    "status": [b"200", b"304", b"000", b"0", b"099", b"600", b"20", b"2000", b"2x6", b"-", b"", b'"206"', "٢٠٦".encode()],
    "sent": [b"-", b"0", b"9", b"5", b"11", b"007", b"", b"1x", b"-1", b"+1", b"9" * 13, b"9" * 14, b"9" * 15, b"9" * 1200, b'"10"', "١".encode()],
    "referer": TEXTS,
    "agent": TEXTS,
    "range": [
        *TEXTS, b'"bytes 0-0/1"', b'"bytes 10-19/*"', b'"bytes */100"', b'"bytes 9-3/10"', b'"bytes=10-19/100"', b'"bytes10-19/100"', b'"bytes 10-19"',
        b'"bytes  10-19/100"', b'"bytes 0-9999999999999/*"', b'"bytes 0-99999999999999/*"', b'"bytes 0-5/%d"' % 2**70, b'"bytes 007-0019/0100"',
        b'"bytes 0-" "5/10"', b'"Bytes 0-5/10"', b'"bytes 0-5/10 "', b'"bytes 0-5/10"x', b'"bytes 0-5/10" "more"', b'"bytes 0-5/10" -', b'"bytes \xd9\xa1-5/10"',
    ],
}  # fmt: skip
ODD_LINES = [b"", b" ", b"a", b'"' * 8, b" " * 10, b"#Fields: x", b"\r", b"\xef\xbb\xbf", b'"" "" "" "" "" "" "" "" "" "" ""', b"\\", b"\t"]


def line_of(columns: dict[str, bytes], form: str) -> bytes:
    return b" ".join(columns[name] for name in GOOD if name != "range" or form == "combined_range")


def parts_of(reads: list[ReadLines | Columns]) -> dict[tuple, list[Part]]:
    """What each key has, from every line, whichever way it was read."""
    some = gathered(reads, "a source", Rules("all"))
    found = {key: list(parts) for key, parts in some.parts.items()}
    for key, placed in some.placed.items():
        found.setdefault(key, []).extend(part for _, part in placed)
    if some.groups is not None:
        for group in some.groups:
            found.setdefault(group.key, []).extend(some.groups.parts(group.number))
    return {key: sorted(parts) for key, parts in found.items()}


def assert_same_facts(form: str, data: bytes, position: int = 0) -> Columns | None:
    block = read_block(form, data, ARRIVED, position)
    if block is None:
        return None
    read = read_lines(data, PARSERS[form], ARRIVED, position)
    assert (block.lines, block.hits, block.other.heads) == (read.lines, len(read.hits), read.heads)
    assert block.other.rejects == read.rejects
    assert (block.lowest, block.highest, block.disorder_s) == (read.lowest, read.highest, read.disorder_s)
    assert parts_of([block]) == parts_of([read])
    return block


def read_as_columns(block: Columns) -> int:
    return block.lines - block.other.lines


@st.composite
def logs(draw, form: str) -> bytes:
    lines = []
    for _ in range(draw(st.integers(1, 12))):
        columns = dict(GOOD)
        columns["host"] = draw(st.sampled_from([b"10.0.0.1", b"10.0.0.2"]))
        columns["time"] = b"[31/Jul/2020:16:%02d:%02d +0000]" % (draw(st.integers(0, 3)), draw(st.integers(0, 59)))
        columns["status"] = draw(st.sampled_from([b"200", b"206", b"404"]))
        columns["sent"] = draw(st.sampled_from([b"10", b"4", b"0", b"-", b"30"]))
        columns["range"] = draw(st.sampled_from([b'"bytes 0-9/20"', b'"bytes 10-19/*"', b'"bytes 10-19/20"', b'"-"']))
        for name in draw(st.lists(st.sampled_from(sorted(ODD)), max_size=draw(st.sampled_from([0, 0, 0, 1, 2])))):
            columns[name] = draw(st.sampled_from(ODD[name]))
        lines.append(line_of(columns, form) if draw(st.integers(0, 15)) else draw(st.sampled_from(ODD_LINES)))
    ends = [draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"])) for _ in lines]
    data = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    return data if draw(st.booleans()) else data.rstrip(b"\r\n")


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_log_gives_the_same_facts(form: str, data) -> None:
    assert_same_facts(form, data.draw(logs(form)), data.draw(st.sampled_from([0, 1, 2**40])))


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
@example(b"\n\n")
@example(b"")
@example(b'"\n"\n')
def test_any_bytes_give_the_same_facts(form: str, data: bytes) -> None:
    assert_same_facts(form, data)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in ODD.items() for text in texts])
@pytest.mark.parametrize("form", FORMS)
def test_an_odd_column_among_good_lines_gives_the_same_facts(form: str, name: str, text: bytes) -> None:
    good, odd = line_of(GOOD, form) + b"\n", line_of(GOOD | {name: text}, form) + b"\n"
    block = assert_same_facts(form, good + odd + good)
    assert block is None or read_as_columns(block) >= 2  # the good ones at least, for all that stands between them


@pytest.mark.parametrize("form", FORMS)
def test_plain_lines_are_read_as_columns(form: str) -> None:
    plain = [
        GOOD,
        GOOD | {"user": b"ann", "sent": b"-"},
        GOOD | {"range": b'"-"', "referer": b'"a b"'},
        GOOD | {"time": b"[31/Jul/2020:16:46:07 +0530]"},
    ]
    block = assert_same_facts(form, b"".join(line_of(columns, form) + b"\r\n" for columns in plain))
    assert block is not None and read_as_columns(block) == 4


def test_columns_behind_the_agent_are_left_to_the_parser() -> None:
    block = assert_same_facts("combined", line_of(GOOD, "combined") + b" 0.004 -\n" + line_of(GOOD, "combined") + b"\n")
    assert block is not None and read_as_columns(block) == 1
