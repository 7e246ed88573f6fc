"""The algebra of byte ranges against its model, a set of integers."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import byteranges as br
from app.domain.byteranges import Ranges
from tests.properties import examples
from tests.together import together

HUGE = 10**40
FAST = settings(deadline=None, max_examples=examples(60))

pairs = st.tuples(st.integers(0, 60), st.integers(0, 25)).map(lambda two: (two[0], two[0] + two[1]))
values = st.lists(pairs, max_size=12).map(br.normalise)
huge_pairs = st.tuples(st.integers(0, HUGE), st.integers(0, HUGE)).map(lambda two: (two[0], two[0] + two[1]))


def bytes_of(ranges: Ranges) -> set[int]:
    return {byte for lo, hi in ranges for byte in range(lo, hi + 1)}


def ranges_of(model: set[int]) -> Ranges:
    """The normalised value of a set of integers, byte by byte."""
    runs: list[list[int]] = []
    for byte in sorted(model):
        if runs and runs[-1][1] == byte - 1:
            runs[-1][1] = byte
        else:
            runs.append([byte, byte])
    return tuple((lo, hi) for lo, hi in runs)


def is_normal(ranges: Ranges) -> bool:
    return all(0 <= lo <= hi for lo, hi in ranges) and all(a[1] + 1 < b[0] for a, b in pairwise(ranges))


@FAST
@given(st.lists(pairs, max_size=20))
def test_normalise_is_the_set_of_all_bytes(some: list[tuple[int, int]]) -> None:
    assert br.normalise(some) == ranges_of(bytes_of(tuple(some)))


@settings(deadline=None, max_examples=examples(120))
@given(values, pairs)
def test_add_is_the_union_with_one_range(held: Ranges, pair: tuple[int, int]) -> None:
    added = br.add(held, *pair)
    assert added == ranges_of(bytes_of(held) | bytes_of((pair,)))


@FAST
@given(values, pairs)
def test_add_gives_the_very_same_object_where_nothing_changes(held: Ranges, pair: tuple[int, int]) -> None:
    assert (br.add(held, *pair) is held) == (bytes_of((pair,)) <= bytes_of(held))


@FAST
@given(st.lists(pairs, max_size=40), st.randoms(use_true_random=False))
def test_adding_in_any_order_gives_one_value(some: list[tuple[int, int]], random: Random) -> None:
    forward: Ranges = ()
    for pair in some:
        forward = br.add(forward, *pair)
        assert is_normal(forward)
    random.shuffle(some)
    shuffled: Ranges = ()
    for pair in some:
        shuffled = br.add(shuffled, *pair)
    assert forward == shuffled == br.normalise(some)


@FAST
@given(values, values)
def test_union_and_intersection_are_those_of_sets(a: Ranges, b: Ranges) -> None:
    assert br.union(a, b) == br.union(b, a) == ranges_of(bytes_of(a) | bytes_of(b))
    assert br.intersect(a, b) == br.intersect(b, a) == ranges_of(bytes_of(a) & bytes_of(b))


def test_union_of_two_long_values_is_that_of_sets() -> None:
    a, b = tuple((n, n + 1) for n in range(0, 400, 5)), tuple((n, n + 2) for n in range(0, 400, 7))
    assert br.union(a, b) == ranges_of(bytes_of(a) | bytes_of(b))


@FAST
@given(values)
def test_covered_counts_bytes(held: Ranges) -> None:
    assert br.covered(held) == len(bytes_of(held))


@settings(deadline=None, max_examples=examples(120))
@given(values, st.integers(0, 90), st.integers(-1, 90))
def test_missing_is_the_difference_from_the_asked_part(held: Ranges, lo: int, hi: int) -> None:
    assert br.missing(held, lo, hi) == ranges_of(set(range(lo, hi + 1)) - bytes_of(held))


@settings(deadline=None, max_examples=examples(120))
@given(values, pairs)
def test_contains_is_the_subset_test(held: Ranges, pair: tuple[int, int]) -> None:
    assert br.contains(held, *pair) == (bytes_of((pair,)) <= bytes_of(held)) == (not br.missing(held, *pair))


@FAST
@given(values, st.integers(0, 90))
def test_clip_keeps_what_lies_within_the_file(held: Ranges, size: int) -> None:
    clipped = br.clip(held, size)
    assert clipped == ranges_of(bytes_of(held) & set(range(size)))
    assert (clipped is held) == (clipped == held)


@FAST
@given(values, st.randoms(use_true_random=False))
def test_what_is_printed_is_read_back_in_any_order(held: Ranges, random: Random) -> None:
    parts = br.to_text(held).split(", ")
    random.shuffle(parts)
    assert br.parse(",".join(parts)) == held
    assert br.parse(br.to_text(held)) == held


@FAST
@given(st.lists(huge_pairs, max_size=8), huge_pairs)
def test_integers_may_have_any_size(some: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    """The model of sets again, on the elementary intervals between all ends."""
    ends = sorted({end for lo, hi in [*some, asked] for end in (lo, hi + 1)})
    cells = [(lo, hi - 1) for lo, hi in pairwise(ends)]
    held = br.normalise(some)
    inside = [cell for cell in cells if any(lo <= cell[0] and cell[1] <= hi for lo, hi in some)]
    asked_cells = [cell for cell in cells if asked[0] <= cell[0] and cell[1] <= asked[1]]
    assert is_normal(held)
    assert br.covered(held) == sum(hi - lo + 1 for lo, hi in inside)
    assert br.covered(br.intersect(held, (asked,))) == sum(hi - lo + 1 for lo, hi in inside if (lo, hi) in asked_cells)
    assert br.covered(br.missing(held, *asked)) == sum(hi - lo + 1 for lo, hi in asked_cells if (lo, hi) not in inside)
    assert br.contains(held, *asked) == (set(asked_cells) <= set(inside))
    assert br.add(held, *asked) == br.normalise([*some, asked])
    assert br.parse(br.to_text(held)) == held


@together(
    ("held", "after"),
    [
        (((0, 50),), ((0, 50), (100, 200))),
        (((50, 150),), ((50, 200),)),
        (((150, 250),), ((100, 250),)),
        (((260, 300),), ((100, 200), (260, 300))),
        (((50, 250),), ((50, 250),)),
        (((120, 180),), ((100, 200),)),
        (((0, 99),), ((0, 200),)),
        (((201, 300),), ((100, 300),)),
        (((0, 98),), ((0, 98), (100, 200))),
        (((202, 300),), ((100, 200), (202, 300))),
        (((0, 98), (202, 300)), ((0, 98), (100, 200), (202, 300))),
        (((0, 99), (201, 300)), ((0, 300),)),
        (((0, 120), (180, 300)), ((0, 300),)),
    ],
)
def test_a_range_meets_held_ones_in_every_way(held: Ranges, after: Ranges) -> None:
    assert br.add(held, 100, 200) == br.union(held, ((100, 200),)) == br.union(((100, 200),), held) == after


def test_a_range_within_a_longer_one_changes_nothing() -> None:
    held = ((0, 1000),)
    assert br.add(held, 10, 20) is held


@pytest.mark.parametrize("pair", [(-1, 5), (5, 4), (-3, -1)])
def test_a_pair_that_is_no_range_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"no byte range: {pair[0]}-{pair[1]}"):
        br.normalise([(0, 3), pair])


@together("text", ["5", "a-b", "1-2;3-4", "-5", "5-", "1-2,,3-4", "٣-4", "1--2", "²-3", "9-1", "0-4,"])
def test_text_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no byte range"):
        br.parse(text)


@pytest.mark.parametrize("text", ["", "  "])
def test_no_text_is_no_bytes(text: str) -> None:
    assert br.parse(text) == ()
