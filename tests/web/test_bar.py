"""The coverage bar against a set of integers."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import words
from app.domain import byteranges, coverage
from app.domain.coverage import coverage_pieces
from app.web.deliveries import posted, views
from app.web.service import health, status


@pytest.mark.parametrize("module", [coverage, health, posted, status, views, words])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@given(st.sets(st.integers(0, 260)), st.integers(1, 240), st.integers(1, 50))
def test_a_cell_is_full_or_some_or_empty_exactly_as_its_bytes_are(covered: set[int], total: int, cells: int) -> None:
    ranges = byteranges.normalise((byte, byte) for byte in covered)
    cells = min(cells, total)
    looks = [""] * cells
    for piece in coverage_pieces(ranges, total, cells):
        looks[piece.start : piece.start + piece.cells] = [piece.look] * piece.cells
    for cell, look in enumerate(looks):
        members = set(range(cell * total // cells, (cell + 1) * total // cells))
        have = members & covered
        assert look == ("full" if have == members else "some" if have else "")


@given(st.lists(st.tuples(st.integers(0, 10**30), st.integers(1, 10**28)), max_size=300))
def test_a_bar_never_has_more_than_200_pieces_and_they_lie_in_order_within_it(starts: list[tuple[int, int]]) -> None:
    ranges: list[tuple[int, int]] = []
    end = -1
    for gap, length in starts:
        lo = end + 2 + gap
        end = lo + length
        ranges.append((lo, end))
    pieces = coverage_pieces(ranges, end + 1) if ranges else []
    assert len(pieces) <= 200
    after = 0
    for piece in pieces:
        assert piece.start >= after and piece.cells > 0
        after = piece.start + piece.cells
    assert after <= 200


def test_bytes_beyond_the_size_are_left_out() -> None:
    assert coverage_pieces([[0, 1156]], 1156) == [(0, 200, "full")]
    assert coverage_pieces([[2000, 3000]], 1156) == []


@given(st.text())
def test_visible_text_holds_no_character_that_hides_or_reorders(text: str) -> None:
    shown = words.visible(text)
    assert not {"\x00", "\x1b", "\n", "\u202e", "\u2066", "\ud800"} & set(shown)
    shown.encode("utf-8")


@given(st.text(max_size=500), st.integers(10, 200))
def test_an_excerpt_is_never_longer_than_asked(text: str, length: int) -> None:
    short = words.excerpt(text, length)
    assert len(short) <= length
    assert short == text or short[: length // 2] == text[: length // 2]


@given(st.integers(0, 10**60))
def test_a_size_is_never_said_to_be_larger_than_it_is(size: int) -> None:
    number, unit = words.size_text(size).split(" ")
    units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    if "e" not in number:
        assert float(number) * 1000.0 ** units.index(unit) <= size * (1 + 1e-12)
