"""Texts that are derived from many requests at once are those of one request by itself."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.requests import extension_of, path_of
from app.reports.hits import extensions_of, filled, paths_of

_PIECES = st.sampled_from(
    ["GET ", "POST ", "BREW ", "get ", "/", "//", "a", "b.mp3", "c.d.JPG", ".env", ".", "?", "#", "x=1.2", " ", "\n", "http://h", "é", "\\x22", "*"]
)  # fmt: skip


@given(st.lists(st.lists(_PIECES, max_size=6).map("".join), max_size=8))
@example(
    [
        "GET /a.mp3?x=1",
        "/a/b.JPG",
        "-",
        "",
        "GET  /a.b",
        "http://cdn.example/b%20c.jpg",
        "GET /a\n.mp3",
        "GET /a/\nb.mp3",
    ]
)
@settings(deadline=None, max_examples=200)
def test_paths_and_extensions_of_many_are_those_of_each(requests: list[str]) -> None:
    texts = pa.array(requests, pa.string())
    assert paths_of(texts).to_pylist() == [path_of(request) for request in requests]
    assert extensions_of(texts).to_pylist() == [extension_of(request) for request in requests]


@given(st.lists(st.none() | st.integers(0, 1 << 62), max_size=40), st.integers(0, 40), st.sampled_from([-1, 0]))
def test_a_column_is_filled_where_a_number_is_missing(values: list[int | None], begin: int, none: int) -> None:
    column = pa.array(values, pa.int64())[begin:]
    assert filled(column, none).tolist() == [none if value is None else value for value in values[begin:]]
