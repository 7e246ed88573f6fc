"""Columns of hits as numbers."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from app.reports.hits import filled


@given(st.lists(st.none() | st.integers(0, 1 << 62), max_size=40), st.integers(0, 40), st.sampled_from([-1, 0]))
def test_a_column_is_filled_where_a_number_is_missing(values: list[int | None], begin: int, none: int) -> None:
    column = pa.array(values, pa.int64())[begin:]
    assert filled(column, none).tolist() == [none if value is None else value for value in values[begin:]]
