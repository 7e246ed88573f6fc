"""Hits read line by line and gathered as columns give the deliveries that merging them one by one gives."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.columns.parts import MAX_BYTE
from app.domain.lines import ReadLines
from app.domain.open_deliveries import OpenDeliveries
from app.domain.records import Parsed, short_id
from app.domain.watermarks import Advance
from app.domain.windows import WINDOWS, Rules
from app.reducing.stretch_hits import StretchHits, stretch_hits
from tests.domain.hits import few_clients
from tests.domain.reducing import OneByOne
from tests.properties import examples

SOURCE = "a source"
NUMBERS = st.one_of(st.integers(0, 40), st.integers(0, 40), st.sampled_from([MAX_BYTE - 1, MAX_BYTE, 1 << 62, 1 << 70]))
HITS = few_clients(NUMBERS, st.integers(0, 40), NUMBERS)
RULES = st.builds(
    Rules, st.sampled_from(WINDOWS), st.sampled_from([1.0, 7.0, 30.0, 86400.0]), st.sampled_from([0.0, 5.0])
)


def rows(hits: list[tuple[Any, ...]], positions: list[int]) -> ReadLines:
    return ReadLines(hits, positions, [], 0, math.inf, -math.inf, 0.0)


def both(
    chunks: list[list[tuple[Any, ...]]], rules: Rules, again: bool = False
) -> tuple[OneByOne, OpenDeliveries, list[StretchHits]]:
    """The chunks, perhaps twice, merged hit by hit and gathered in one go each."""
    plain, by_key, found, end = OneByOne(rules), OpenDeliveries(rules), [], 0
    placed = []
    for hits in chunks:
        placed.append((hits, list(range(end, end + len(hits)))))
        end += len(hits)
    for hits, positions in placed * (1 + again):
        plain.add(hits, map(short_id(SOURCE), positions), 0, Advance(unordered=True))
        found.append(stretch_hits([rows(hits, positions)], SOURCE, rules, as_columns=True))
        by_key.merge(found[-1].by_key(), 0)
    return plain, by_key, found


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.lists(HITS, max_size=12), min_size=1, max_size=4), RULES, st.booleans())
def test_rows_as_columns_give_the_same_deliveries(
    chunks: list[list[tuple[Any, ...]]], rules: Rules, again: bool
) -> None:
    plain, by_key, found = both(chunks, rules, again)
    assert sum(some.counted for some in found) == plain.counted
    assert sorted(by_key.finish()) == sorted(plain.finish())


def test_numbers_too_large_for_columns_are_merged_one_by_one() -> None:
    hit = Parsed(0.0, "10.0.0.1", "agent", "GET /a", "GET", 206, MAX_BYTE, MAX_BYTE + 9, None, None, 0)
    plain, by_key, [some] = both([[hit]], Rules())
    assert some.columns is None and some.counted == 1
    assert list(by_key.finish()) == list(plain.finish())


def test_what_counts_for_no_delivery_makes_no_columns() -> None:
    plain, by_key, [some] = both(
        [[(0.0, "10.0.0.1", "agent", "GET /a", "GET", 404, None, None, None, None, 0, {})]], Rules()
    )
    assert some.columns is None and some.counted == 0
    assert list(by_key.finish()) == list(plain.finish()) == []
