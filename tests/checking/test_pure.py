"""Marks, buckets, spans and shares: what is equal, what is covered, what is taken."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.checking.digests import Buckets, hit_bucket, hit_digest, mark_of
from app.checking.shares import Share, TooMany, by_shares
from app.checking.topic_spans import TopicSpans
from app.checking.verdicts import Latest, judge
from app.domain.records import Delivery, Hit
from app.domain.windows import Rules
from tests.steps.flow import BASE_S, Line, reduced
from tests.stores.records import deliveries, hits

items = st.tuples(
    st.tuples(st.integers(0, 3), st.integers(0, 1)), st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1)
)


@given(st.lists(items, max_size=30), st.randoms())
def test_checksums_do_not_depend_on_the_order_and_tell_every_change(records: list[Any], chance: random.Random) -> None:
    one, two = Buckets(), Buckets()
    for record in records:
        one.add(*record)
    shuffled = chance.sample(records, len(records))
    for record in shuffled:
        two.add(*record)
    assert one.differing(two) == set() and one.checksum == two.checksum
    if records:
        two.add(*records[0])
        assert one.differing(two) == {records[0][0]}, "a doubled record shows"


@given(hits())
def test_any_hit_has_a_digest_and_a_bucket(hit: Hit) -> None:
    assert hit_digest(hit) == hit_digest(hit._replace())
    assert hit_digest(hit) != hit_digest(hit._replace(status=hit.status + 1))
    hour, partition = hit_bucket(hit, 3)
    assert 0 <= hour <= 1 << 21 and 0 <= partition < 3


@given(deliveries())
def test_a_record_that_is_what_the_topic_says_is_no_finding(delivery: Delivery) -> None:
    mark = mark_of(delivery)
    stored = {delivery.window_start: mark}
    topic = {delivery.window_start: Latest(mark, frozenset((mark.digest,)))}
    pairs: Any = [tuple(pair) for pair in delivery.ranges]  # as some stores give them
    assert mark == mark_of(delivery._replace(ranges=pairs))
    if mark.sound:
        assert list(judge(stored, topic, [])) == []


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)), min_size=1, max_size=30),
    st.sampled_from(["last_touch", "first_touch", "day", "all"]),
)
def test_what_the_raw_hits_make_is_wanted_and_what_they_made_is_level(
    places: list[tuple[int, int]], window: str
) -> None:
    lines = [Line(BASE_S + 3600.0 * hour, 10 * at, 10 * at + 5, n) for n, (hour, at) in enumerate(places)]
    made = [record for records in reduced(lines, Rules(window)).values() for record in records]
    made = [record._replace(version=record.hits * 8) for record in made]
    lacking = list(judge({}, {}, made))
    assert [(each.kind, each.fix) for each in lacking] == [("missing", record) for record in made]
    stored = {record.window_start: mark_of(record) for record in made}
    assert list(judge(stored, {}, made)) == []
    assert list(judge(stored, {}, [], topic_is_whole=False)) == [], "deliveries outlive raw hits"


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 15)), max_size=20), st.integers(-5, 130))
def test_a_span_covers_what_lies_in_it(spans: list[tuple[int, int]], position: int) -> None:
    held = TopicSpans()
    for lo, length in spans:
        held.add("s", 0, lo, lo + length)
    assert held.covers("s", 0, position) == any(lo <= position <= lo + length for lo, length in spans)
    assert not held.covers("s", 1, position) and not held.covers("t", 0, position)


def test_too_many_spans_cover_everything_and_deny_nothing() -> None:
    held = TopicSpans(most=10)
    for at in range(0, 100, 3):
        held.add("s", 0, at, at)
    assert held.overflowed and held.covers("anything", 5, 7) and not held.denies("s", 0, 1)


def test_a_source_out_of_order_denies_nothing() -> None:
    held = TopicSpans()
    held.add("s", 0, 0, 100, ordered=False)
    assert held.covers("s", 0, 50) and not held.denies("s", 0, 50)


@given(st.sets(st.integers(0, 2**20 - 1), max_size=200), st.integers(1, 40))
def test_shares_take_every_number_once(numbers: set[int], most: int) -> None:
    async def work(share: Share) -> list[int]:
        found = [number for number in numbers if share.takes(number)]
        if len(found) > most:
            raise TooMany
        return found

    async def run() -> list[int]:
        return [number async for found in by_shares(work) for number in found]

    if most > 20 or len(numbers) < 50:
        taken = asyncio.run(run())
        assert sorted(taken) == sorted(numbers)
