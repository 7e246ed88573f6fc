"""Lines of the combined family read as columns are the lines that the parser reads, fact for fact and part for part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.columns.blocks import LineColumns
from app.columns.formats.combined import read_block
from app.columns.hits import HitColumns
from app.domain.formats.base import BYTES_KINDS, FormatOptions
from app.domain.formats.combined import COMBINED, COMBINED_RANGE
from app.domain.lines import ReadLines, read_lines
from app.domain.tallies import Part
from app.domain.windows import Rules
from app.reducing.stretch_hits import stretch_hits
from tests.columns.combined_logs import GOOD, ODD, line_of, logs
from tests.properties import examples
from tests.together import together

ARRIVED = 1_700_000_000.0
FAMILY = {form.name: form for form in (COMBINED, COMBINED_RANGE)}
FORMS = sorted(FAMILY)


def parts_of(reads: list[ReadLines | LineColumns]) -> dict[tuple[Any, ...], list[Part]]:
    """What each key has, from every line, whichever way it was read."""
    some = stretch_hits(reads, "a source", Rules("all"))
    found = {key: list(parts) for key, parts in some.parts.items()}
    for key, placed in some.placed.items():
        found.setdefault(key, []).extend(part for _, part in placed)
    for group in some.columns or ():
        found.setdefault(group.key, []).extend(group.parts())
    return {key: sorted(parts) for key, parts in found.items()}


def assert_same_facts(form: str, data: bytes, position: int = 0, kind: str = "") -> LineColumns | None:
    options = FormatOptions(bytes=kind)
    block = read_block(form, data, ARRIVED, position, options=options)
    if block is None:
        return None
    read = read_lines(data, FAMILY[form].make_parser((), options), ARRIVED, position)
    assert (block.lines, block.hits, block.other.heads) == (read.lines, len(read.hits), read.heads)
    assert block.other.rejects == read.rejects
    assert (block.lowest, block.highest, block.disorder_s) == (read.lowest, read.highest, read.disorder_s)
    assert parts_of([block]) == parts_of([read])
    return block


def read_as_columns(block: LineColumns) -> int:
    return block.lines - block.other.lines


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_any_log_gives_the_same_facts(form: str, data: st.DataObject) -> None:
    position, kind = data.draw(st.sampled_from([0, 1, 2**40])), data.draw(st.sampled_from(sorted(BYTES_KINDS)))
    assert_same_facts(form, data.draw(logs(form)), position, kind)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=60))
@example(b"\n\n")
@example(b"")
@example(b'"\n"\n')
def test_any_bytes_give_the_same_facts(form: str, data: bytes) -> None:
    assert_same_facts(form, data)


@together(("name", "text"), [(name, text) for name, texts in ODD.items() for text in texts])
@together("form", FORMS)
def test_an_odd_column_among_good_lines_gives_the_same_facts(form: str, name: str, text: bytes) -> None:
    good, odd = line_of(GOOD, form) + b"\n", line_of(GOOD | {name: text}, form) + b"\n"
    block = assert_same_facts(form, good + odd + good)
    assert block is None or read_as_columns(block) >= 2  # the good ones at least, for all that stands between them


@pytest.mark.parametrize("kind", BYTES_KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_plain_lines_are_read_as_columns(form: str, kind: str) -> None:
    plain = [
        GOOD,
        GOOD | {"user": b"ann", "sent": b"-"},
        GOOD | {"range": b'"-"', "referer": b'"a b"'},
        GOOD | {"time": b"[31/Jul/2020:16:46:07 +0530]", "request": b'"GET /a HTTP/2.0"'},
    ]
    block = assert_same_facts(form, b"".join(line_of(columns, form) + b"\r\n" for columns in plain), kind=kind)
    assert block is not None and read_as_columns(block) == 4


def test_escaped_quotes_and_backslashes_are_read_as_columns() -> None:
    texts = [b'"a\\"b"', b'"a\\\\"', b'"\\\\\\"a"', b'"\\x22"']
    some = [GOOD | {name: text} for name in ("request", "referer", "agent") for text in texts]
    block = assert_same_facts("combined", b"".join(line_of(columns, "combined") + b"\n" for columns in some))
    assert block is not None and read_as_columns(block) == len(some)


def test_one_odd_range_leaves_the_others_to_columns() -> None:
    ranges = [b'"bytes */100"', b'"bytes 0-9/*"', b'"bytes 0-9/20"', b'"-"', b'"bytes 9-0/20"']
    some = [GOOD | {"range": text} for text in ranges]
    block = assert_same_facts("combined_range", b"".join(line_of(one, "combined_range") + b"\n" for one in some))
    assert block is not None and read_as_columns(block) == 3


def test_columns_behind_the_agent_are_left_to_the_parser() -> None:
    block = assert_same_facts("combined", line_of(GOOD, "combined") + b" 0.004 -\n" + line_of(GOOD, "combined") + b"\n")
    assert block is not None and read_as_columns(block) == 1


@pytest.mark.parametrize("form", FORMS)
def test_columns_have_the_optional_fields_of_rows(form: str) -> None:
    some = [GOOD, GOOD | {"referer": b'"-"'}, GOOD | {"referer": b'"https://example.com/"'}, GOOD]
    data = b"\n".join(line_of(one, form) for one in some) + b"\n"
    options = FormatOptions(fields="referer,virtual_host")
    block = read_block(form, data, ARRIVED, every_status=True, options=options)
    assert block is not None and block.extras is not None and len(block.times) == len(some)
    packed = HitColumns.of_lines([block]).to_message()
    packed.check()
    rows = read_lines(data, FAMILY[form].make_parser((), options), ARRIVED).hits
    assert [hit[:12] for hit in packed.hits("s")] == rows
    assert [hit[11] for part in (packed.part(0, 1), packed.part(1, 4)) for hit in part.hits("s")] == [
        row[11] for row in rows
    ]
    assert {len(row[11]) for row in rows} == {0, 1}
