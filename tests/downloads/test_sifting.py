"""Requests that are sifted as columns are those that are sifted one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.formats import FORMATS, FormatOptions, get
from app.domain.lines import read_lines
from app.downloads.lists import open_lists
from app.downloads.rules import DownloadRules
from app.downloads.sifting import Sifted, Sifting
from app.reducing.stretches import Reading, Stretch
from app.reports.hits import PLAIN_NAMES, hit_table
from app.sources.files.chunks import Chunk
from tests.columns.combined_logs import FORMAT_STRING, with_endings

LISTS = open_lists()
_LINES = st.builds(
    '{} - - [05/Oct/2020:10:00:0{} {}] "{}" {} {} "-" "{}" "{}"\n'.format,
    st.sampled_from(["192.0.2.1", "3.5.140.1", "2001:db8::1", "cdn.example", "-"]),
    st.integers(0, 9),
    st.sampled_from(["+0000", "-0730"]),
    st.sampled_from(
        ["GET /e.mp3 HTTP/1.1", "GET /e.mp3?x HTTP/2.0", "HEAD /e.mp3 HTTP/1.1", "GET /feed.xml HTTP/1.1", "GET /t.MP3", "-", "GET * HTTP/1.1"]
    ),
    st.sampled_from([200, 206, 206, 206, 304, 404]),
    st.sampled_from(["-", 0, 1, 2, 500, 1000, 1001, 10**15]),
    st.sampled_from(["Player/1.0", "-", "Googlebot/2.1", "atc/1.0 watchOS/7.0.1 model/Watch4,2", 'a \\"b']),
    st.sampled_from(["-", "bytes 0-1/2000", "bytes 0-999/2000", "bytes 1000-1999/2000", "bytes 5-9/7", "bytes 0-999/*"]),
)  # fmt: skip


def sifted(data: bytes, columns_from: int | None, kind: str, form: str = "combined_range") -> Sifted:
    reading = Reading("a", form, FormatOptions(bytes=kind), 2e9, False, columns_from)
    return Sifting(LISTS, DownloadRules(), True).read(Stretch(reading, [Chunk(data, 0)]))


def pieces(found: Sifted) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for table in found.pieces for row in table.to_pylist())


@given(st.lists(_LINES, min_size=1, max_size=12), st.sampled_from(["", "with-headers", "announced", "body"]))
@settings(deadline=None, max_examples=60)
def test_columns_leave_out_and_prove_what_lines_do_one_by_one(lines: list[str], kind: str) -> None:
    data = "".join(lines).encode()
    columns, rows = sifted(data, 0, kind), sifted(data, None, kind)
    assert columns.left_out == rows.left_out and columns.told == rows.told and columns.facts == rows.facts
    assert pieces(columns) == pieces(rows)


@given(st.lists(_LINES, min_size=1, max_size=12))
@settings(deadline=None, max_examples=60)
def test_columns_of_a_format_string_prove_what_its_lines_do_one_by_one(lines: list[str]) -> None:
    data = with_endings("".join(lines).encode())
    columns, rows = (sifted(data, columns_from, "", FORMAT_STRING) for columns_from in (0, None))
    assert columns.left_out == rows.left_out and columns.told == rows.told and columns.facts == rows.facts
    assert pieces(columns) == pieces(rows)
    read = read_lines(data, get(FORMAT_STRING).make_parser((), FormatOptions()), 2e9)
    table = Sifting(LISTS, DownloadRules(), True).sift_table(hit_table(read, PLAIN_NAMES)[0])
    assert table.left_out == rows.left_out and pieces(table) == pieces(rows)


@given(st.lists(_LINES, min_size=1, max_size=12), st.sampled_from(["", "with-headers", "announced", "body"]))
@settings(deadline=None, max_examples=60)
def test_a_table_of_hits_is_sifted_as_its_lines(lines: list[str], kind: str) -> None:
    data = "".join(lines).encode()
    read = read_lines(data, FORMATS["combined_range"].make_parser((), FormatOptions(bytes=kind)), 2e9)
    table, _ = hit_table(read, PLAIN_NAMES)
    found, rows = Sifting(LISTS, DownloadRules(), True).sift_table(table), sifted(data, None, kind)
    assert found.left_out == rows.left_out and found.told == rows.told
    assert pieces(found) == pieces(rows)
