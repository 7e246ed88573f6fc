"""What columns say that hits add is what the domain says of each hit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.columns.parts import added
from app.domain.parts import part_of
from app.domain.proof import may_be_compressed
from app.domain.records import HitFlag
from app.domain.tallies import Part
from tests.properties import examples

NUMBERS = st.integers(0, 40)
HITS = st.lists(
    st.builds(
        lambda request, status, lo, length, sent, total, flags: (
            0.0, "10.0.0.1", "agent", request, "GET", status, lo, None if lo is None else lo + length, sent, total, flags,
        ),
        st.sampled_from(["GET /a.html", "GET /a.mp4", "GET /"]),
        st.sampled_from([200, 206]),
        st.none() | NUMBERS,
        NUMBERS,
        st.none() | NUMBERS,
        st.none() | NUMBERS,
        st.sampled_from([0, int(HitFlag.ENDED)]) | st.integers(0, int(~HitFlag(0))),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


@settings(deadline=None, max_examples=examples(300))
@given(HITS)
def test_columns_add_what_each_hit_adds(hits: list[tuple[Any, ...]]) -> None:
    def column(at: int, absent: int) -> np.ndarray:
        return np.array([absent if hit[at] is None else hit[at] for hit in hits], np.int64)

    lo, hi, details = added(
        column(6, 0),
        column(7, -1),
        column(8, -1),
        column(9, -1),
        column(5, 0),
        column(10, 0) if any(hit[10] for hit in hits) else None,
        lambda: np.array([may_be_compressed(hit[3]) for hit in hits]),
    )
    found = [
        Part(0.0, 7, *fields)
        for fields in zip(lo.tolist(), hi.tolist(), *(one.tolist() for one in details), strict=True)
    ]
    assert found == [part_of(hit, 7) for hit in hits]
