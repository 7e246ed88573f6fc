"""Sums of groups are those of Python's integers, however many groups and however large the numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.reports.sums import as_numbers, counted_by, summed, total_of

_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 1 << 66) | st.integers(0, 9)), max_size=50
)


@given(_ROWS, st.sampled_from([6, 1 << 40, 1 << 61]))
def test_rows_with_the_same_codes_are_added_up_exactly(rows: list[tuple[int, int, int]], size: int) -> None:
    first, second, third = (np.array([row[at] for row in rows], np.int64) for at in (0, 1, 0))
    numbers = as_numbers([row[2] for row in rows])
    found, (sums,) = summed([first, second, third], [4, size, 1 << 20], [numbers])
    wanted = Counter[tuple[int, int]]()
    for one, other, number in rows:
        wanted[one, other] += number
    keys = list(zip(first[found].tolist(), second[found].tolist(), strict=True))
    assert len(set(keys)) == len(keys) == len({row[:2] for row in rows})
    assert {key: number for key, number in zip(keys, sums.tolist(), strict=True) if number} == +wanted
    assert total_of(numbers) == sum(wanted.values())
    assert counted_by(first, 4, numbers) == [sum(row[2] for row in rows if row[0] == code) for code in range(4)]
