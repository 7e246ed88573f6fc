"""Merging many hits of a key at a time gives what merging them one by one gives."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.entries import Entry
from app.domain.open_deliveries import entry_of
from app.domain.parts import part_of
from app.domain.records import Parsed
from app.domain.tallies import MAX_HITS, Part
from app.domain.watermarks import Advance
from app.domain.windows import WINDOWS, Rules
from tests.domain.hits import few_clients
from tests.domain.reducing import InBulk, OneByOne
from tests.properties import examples

_NUMBERS = st.integers(0, 40)
_HITS = few_clients(_NUMBERS, _NUMBERS, st.integers(30, 32))
_RULES = st.builds(Rules, st.sampled_from(WINDOWS), st.sampled_from([1.0, 7.0, 30.0]), st.sampled_from([0.0, 5.0]))


@settings(max_examples=examples(300))
@given(
    st.lists(_HITS, min_size=1, max_size=25),
    st.lists(st.integers(0, 24), max_size=40),
    _RULES,
    st.integers(1, 20),
    st.integers(1, 9),
)
def test_a_bulk_reduction_finishes_with_the_deliveries_of_a_plain_one(
    hits: list[tuple[Any, ...]], drawn: list[int], rules: Rules, waiting_hits: int, batch: int
) -> None:
    plain, bulk = OneByOne(rules), InBulk(rules, waiting_hits)
    for at in range(0, len(drawn), batch):
        for source in (0, 1):  # a line, and so its id, belongs to one source; it may come again
            chosen = [number % len(hits) for number in drawn[at : at + batch] if number % len(hits) % 2 == source]
            for reduction in (plain, bulk):
                reduction.add([hits[number] for number in chosen], chosen, source, Advance(unordered=True))
    assert bulk.counted == plain.counted
    assert sorted(bulk.finish()) == sorted(plain.finish())


@given(
    st.lists(st.tuples(_HITS, st.integers(0, 2**64 - 1)), min_size=1, max_size=20, unique_by=lambda line: line[1]),
    _RULES,
)
def test_an_entry_built_in_one_go_is_the_entry_merged_hit_by_hit(
    lines: list[tuple[tuple[Any, ...], int]], rules: Rules
) -> None:
    parts = [part for hit, hit_id in lines if (part := part_of(hit, hit_id))]
    if not parts:
        return
    one_by_one = Entry()
    for part in sorted(parts):
        one_by_one.merge([part], rules)
    built = entry_of(parts, rules)
    assert [tally.pack() for tally in built.tallies] == [tally.pack() for tally in one_by_one.tallies]
    assert built.parts == one_by_one.parts


def test_more_hits_than_a_delivery_keeps_are_fragmented_in_bulk_too() -> None:
    parts = [Part(float(number), number, number * 10, number * 10 + 4, 5, -1, 4, -1) for number in range(MAX_HITS + 50)]
    one_by_one = Entry()
    rules = Rules("all")
    one_by_one.merge(parts, rules)
    assert [tally.pack() for tally in entry_of(list(parts), rules).tallies] == [
        tally.pack() for tally in one_by_one.tallies
    ]


def test_deliveries_that_are_over_leave_a_bulk_reduction_at_a_sweep() -> None:
    bulk = InBulk(Rules("last_touch", 10.0, 5.0), 1000)
    hit = Parsed(0.0, "ip", "agent", "GET /a", "GET", 206, 0, 9, None, None, 0)
    late = Parsed(100.0, "ip", "agent", "GET /b", "GET", 206, 0, 9, None, None, 0)
    bulk.add([hit, late], [1, 2], 0, Advance(0.0, 100.0))
    assert [(one.request, one.final) for one in bulk.sweep()] == [("GET /a", True)]
    assert [(one.request, one.final) for one in bulk.finish()] == [("GET /b", False)]
