"""Logs whose lines are not ended by newlines come as such lines, byte for byte."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sources.files.inputs import open_input
from app.sources.files.plain_lines import flattener_for, with_plain_lines

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), min_size=1, max_size=6)


def records_of(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.split(b"\n") if line.strip()]


@given(RECORDS, st.sampled_from([None, 0, 2]), st.booleans(), st.booleans(), st.integers(1, 30))
def test_an_array_gives_a_record_a_line_in_any_print_and_any_cut(
    records: list[dict[str, Any]], indent: int | None, held: bool, ascii_only: bool, size: int
) -> None:
    whole = {"records": records} if held else records
    data = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode() + b"\n"
    lines = with_plain_lines(data)
    assert len(lines) == len(data)
    assert records_of(lines) == records
    flattener = flattener_for(data)
    assert flattener is not None
    assert b"".join(flattener.feed(data[at : at + size]) for at in range(0, len(data), size)) == lines


@given(RECORDS)
def test_reading_goes_on_between_two_records_of_an_array(records: list[dict[str, Any]]) -> None:
    data = json.dumps(records, indent=1).encode()
    lines = with_plain_lines(data)
    for place in [at + 1 for at, value in enumerate(lines) if value == ord("\n")]:
        flattener = flattener_for(data, resumed=True)
        assert flattener is not None and flattener.feed(data[place:]) == lines[place:]


def test_an_array_on_each_line_is_read_too() -> None:
    data = b'[{"a":1},{"b":2}]\n[{"c":3}]\n'
    assert records_of(with_plain_lines(data)) == [{"a": 1}, {"b": 2}, {"c": 3}]


@pytest.mark.parametrize("data", [b"", b"[", b"[1, 2]", b"[31/Jul", b'{"a": 1}\n', b"a\r\nb\r\n", b"a\r", b"a\nb\rc\r"])
def test_what_has_plain_lines_stays_as_it_is(data: bytes) -> None:
    assert with_plain_lines(data) == data


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_input_with_carriage_returns_alone_has_lines(tmp_path: Path, pack: Callable[..., Any] | type) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(pack(b"one\rtwo\rthree\r"))
    with open_input(path) as stream:
        assert stream.read(100) == b"one\ntwo\nthree\n"
    with open_input(path) as stream:
        stream.skip(4)
        assert stream.read(100) == b"two\nthree\n"
