"""A range of spending is put together whole, from few buckets."""

from __future__ import annotations

import doctest
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import times
from app.domain.times import parse_time
from app.flows import spending
from app.flows.spending import pieces
from tests.together import together

moments = st.one_of(st.integers(-400_000, 400_000).map(float), st.floats(-400_000, 400_000))


def test_the_examples_of_the_texts_hold() -> None:
    assert doctest.testmod(spending).failed == doctest.testmod(times).failed == 0


@given(moments, moments)
def test_the_pieces_of_a_range_follow_on_one_another_and_are_aligned(one: float, other: float) -> None:
    begin, end = min(one, other), max(one, other)
    found = pieces(begin, end)
    if begin == end:
        assert found == []
        return
    assert (found[0].begin, found[-1].end) == (begin, end)
    assert all(before.end == after.begin for before, after in pairwise(found))
    for resolution, first, last in found:
        assert first < last
        if resolution is not None:
            length_s = {"minute": 60, "hour": 3600, "day": 86400}[resolution]
            assert first % length_s == last % length_s == 0
        else:
            assert last - first < 120
    assert len(found) <= 7


@together("text", ["", "x", "-", "-5", "--1h", "2020-01-01T00:00:00", "1e400", "9" * 20, "-1x", "nan", "inf", "٣"])
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    if text == "-5":
        assert parse_time(text, 0.0) == -5.0
        return
    with pytest.raises(ValueError, match="write ISO 8601 with a zone"):
        parse_time(text, 0.0)
