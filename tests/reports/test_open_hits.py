"""Deliveries that columns merge and judge are those of hits that are merged and judged one by one."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.key_hits import key_hits, take_parts
from app.domain.open_deliveries import OpenDeliveries, SizeOf
from app.domain.proof import Proof
from app.domain.records import HitFlag, short_id
from app.domain.sizes import LearnedSize
from app.domain.tallies import Part
from app.domain.watermarks import Advance
from app.domain.windows import WINDOWS, Rules
from app.reports import open_hits
from app.reports import shares as shares_of
from app.reports.batches import rows_batch
from app.reports.hit_order import CLASSES, HitOrder, class_of, classes_of
from app.reports.hits import PLAIN_NAMES, in_log_order, put_together, rows_table
from app.reports.open_hits import Judging, OpenHits
from app.reports.shares import SharedWork
from tests.domain.hits import FLAGS
from tests.properties import examples
from tests.reports.logs import delivered

Hits = list[tuple[Any, ...]]
PLAIN_FLAGS = (0, 0, 0, int(HitFlag.HTTP2), int(HitFlag.HEADERS_COUNTED), int(HitFlag.ANNOUNCED))
TIMES, REQUESTS = st.integers(0, 60).map(float), st.sampled_from(["GET /a.mp4", "GET /b.mp4", "GET /c.mp4"])
CLIENTS = st.sampled_from([f"10.0.0.{number}" for number in range(3)])
ODD: st.SearchStrategy[tuple[Any, ...]] = st.builds(
    lambda time, client, request, method, status, lo, length, has_range, sent, total, flags: (
        time, client, "agent", request, method, status, lo if has_range else None, lo + length if has_range else None,
        sent, total, flags, {},
    ),
    TIMES, CLIENTS | st.none(), st.sampled_from(["GET /c.mp4", "GET /d.html"]), st.sampled_from(["GET", "GET", "GET", "HEAD"]), st.sampled_from([206, 206, 200, 404]),
    st.integers(0, 30), st.integers(0, 20), st.booleans(), st.none() | st.integers(0, 40) | st.just(1 << 62),
    st.none() | st.just(40), st.sampled_from([*PLAIN_FLAGS, *FLAGS]),
)  # fmt: skip
RANGED: st.SearchStrategy[tuple[Any, ...]] = st.builds(
    lambda time, client, request, lo, length, lacking, total: (
        time, client, "agent", request, "GET", 206, lo, lo + length - 1, max(0, length - lacking), total, 0, {},
    ),
    TIMES, CLIENTS, REQUESTS, st.sampled_from([0, 0, 0, 1, 2, 10, 20]), st.sampled_from([1, 2, 3, 10, 20, 40]),
    st.sampled_from([0, 0, 0, 1, 5]), st.sampled_from([None, None, 31, 40]),
)  # fmt: skip
FROM_START: st.SearchStrategy[tuple[Any, ...]] = st.builds(
    lambda time, client, request, sent: (time, client, "agent", request, "GET", 200, None, None, sent, None, 0, {}),
    TIMES, CLIENTS, st.sampled_from(["GET /c.mp4", "GET /d.html"]), st.sampled_from([None, 0, 1, 4, 31, 40, 20_000]),
)  # fmt: skip
HIT = RANGED | RANGED | FROM_START | ODD
TABLES = st.lists(st.lists(HIT, min_size=1, max_size=12), min_size=1, max_size=4)
SIZES = st.sampled_from([None, None, 31, LearnedSize(31), 1 << 60])


def no_zone(_: Any, times: Any) -> Any:
    return np.zeros(len(times), np.int64)


def always(size: int | None) -> SizeOf:
    return lambda request, at: size


def by_columns(tables: list[Hits], sources: list[str], judging: Judging, shares: int = 1) -> list[tuple[Any, ...]]:
    """`shares`: of keys, of which each is merged by itself when the last table comes."""
    hits, found, position = OpenHits(judging, True, shares), list[tuple[Any, ...]](), 0
    for at, (rows, source) in enumerate(zip(tables, sources, strict=True)):
        positions = list(range(position, position + len(rows)))
        position += len(rows)
        half = len(rows) // 2
        some = [
            rows_table(rows[of], positions[of], PLAIN_NAMES, no_zone, source)[0]
            for of in (slice(half), slice(half, None))
            if rows[of]
        ]
        is_last = at == len(tables) - 1
        others = [deepcopy(hits) for _ in range(shares if is_last else 1)]
        for share, its in enumerate(others):
            with pytest.MonkeyPatch.context() as patch:
                # as in a process of its own, with what it has of this one
                patch.setattr(shares_of, "shared", lambda *given, share=share: SharedWork.of(*given).read(share))
                patch.setattr(open_hits, "_SHARED_ROWS", 0)
                patch.setattr(shares_of, "_ROWS_AT_ONCE", 3)
                for batch in its.take([in_log_order(put_together([table])) for table in some], is_last):
                    found += delivered(batch)
        hits = others[0]
    return sorted(found, key=repr)


def one_by_one(tables: list[Hits], sources: list[str], judging: Judging) -> list[tuple[Any, ...]]:
    merging, order, found, position = OpenDeliveries(*judging), HitOrder(), [], 0
    for at, (rows, source) in enumerate(zip(tables, sources, strict=True)):
        number = sources.index(source)
        if at and source != sources[at - 1]:
            merging.clocks.observe(sources.index(sources[at - 1]), Advance(ended=True), 0.0)
        parts: dict[Any, list[Part]] = {}
        take_parts(parts, rows, map(short_id(source), range(position, position + len(rows))))
        position += len(rows)
        merging.merge(map(order.note, key_hits(parts)), number)
        times = np.array([row[0] for row in rows])
        disorder_s = float((np.maximum.accumulate(times) - times).max())
        merging.clocks.observe(number, Advance(float(times.min()), float(times.max()), disorder_s), 0.0)
        over = merging.sweep()
        if at == len(tables) - 1:
            over += merging.finish()
        for one in over:
            order.turn_to(one)
            found += delivered(rows_batch([one], [class_of(one.user_agent, one.hits, order.ranges)]))
    return sorted(found, key=repr)


@settings(deadline=None, max_examples=examples(600))
@given(
    TABLES,
    st.integers(0, 4),
    st.sampled_from(WINDOWS),
    st.sampled_from([15.0, 40.0, 86400.0]),
    SIZES,
    st.booleans(),
    st.sampled_from([0, 5]),
    st.integers(1, 3),
)
def test_columns_give_the_deliveries_of_hits_taken_one_by_one(
    tables: list[Hits],
    of_first: int,
    window: str,
    length_s: float,
    size: int | None,
    in_time: bool,
    in_flight: int,
    shares: int,
) -> None:
    """Of every evidence, encoding, break, doubt, size and window; of lines in and out of the order of time, from one source or two."""
    if in_time:
        ordered = iter(sorted((hit for rows in tables for hit in rows), key=lambda hit: hit[0]))
        tables = [[next(ordered) for _ in rows] for rows in tables]
    sources = ["a" if at < of_first else "b" for at in range(len(tables))]
    scale = 7200.0 if window == "day" else 1.0
    tables = [[(hit[0] * scale, *hit[1:]) for hit in rows] for rows in tables]
    judging = Judging(Rules(window, length_s, 5.0, Proof(in_flight)), lambda request, at: size)
    assert by_columns(tables, sources, judging, shares) == one_by_one(tables, sources, judging)


RANGE = st.just((-1, -1)) | st.builds(lambda lo, length: (lo, lo + length - 1), st.integers(0, 6), st.integers(0, 4))


@settings(deadline=None, max_examples=examples(1000))
@given(st.lists(st.tuples(st.booleans(), st.lists(RANGE, min_size=1, max_size=6)), min_size=1, max_size=5))
def test_columns_tell_the_class_of_each_delivery(some: list[tuple[bool, list[tuple[int, int]]]]) -> None:
    """Of ranges in any order, some without a place, some without bytes."""
    group = np.repeat(np.arange(len(some)), [len(ranges) for _, ranges in some])
    lo, hi = np.array([pair for _, ranges in some for pair in ranges], np.int64).T
    hits = np.array([len(ranges) for _, ranges in some], np.int64)
    found = classes_of(np.array([is_crawler for is_crawler, _ in some]), hits, group, lo, hi)
    agents = ["Googlebot/2.1" if is_crawler else "agent" for is_crawler, _ in some]
    assert [list(CLASSES)[place] for place in found.tolist()] == [
        class_of(agent, len(ranges), [(lo, hi) for lo, hi in ranges if hi >= lo])
        for agent, (_, ranges) in zip(agents, some, strict=True)
    ]


@pytest.mark.long
def test_columns_judge_all_ways_to_fetch_a_file_of_four_bytes_as_rows_do() -> None:
    """Up to three ranges of it, and up to two that lack their last byte; the size is known from the lines, from elsewhere, or not."""
    whole = [(lo, hi, hi - lo + 1) for hi in range(4) for lo in range(hi + 1)]
    some = [*whole, *((lo, hi, sent - 1) for lo, hi, sent in whole)]
    ways = [*product(some), *product(some, some), *product(whole, whole, whole)]
    for total, size in ((4, None), (None, 4), (None, None)):
        rows: Hits = [
            (float(time), "10.0.0.1", "agent", f"GET /{number}.mp4", "GET", 206, lo, hi, sent, total, 0, {})
            for number, way in enumerate(ways)
            for time, (lo, hi, sent) in enumerate(way)
        ]
        judging = Judging(Rules("last_touch", 60.0, 5.0, Proof(0)), always(size))
        assert by_columns([rows], ["a"], judging) == one_by_one([rows], ["a"], judging)


@settings(deadline=None, max_examples=examples(30))
@given(st.permutations(range(6)))
def test_rows_of_a_file_of_hits_may_stand_in_any_order_within_a_table(order: list[int]) -> None:
    rows: Hits = [(float(at), "10.0.0.1", "agent", "GET /a.mp4", "GET", 206, at, at, 1, 6, 0, {}) for at in order]
    table, _ = rows_table(rows, order, PLAIN_NAMES, no_zone, "a")
    [batch] = OpenHits(Judging(), is_ordered=True).take([in_log_order(put_together([table]))], is_last=True)
    assert delivered(batch) == [
        ("10.0.0.1", "agent", "GET /a.mp4", 0.0, 5.0, 6, 6, 6, 6, 0, "complete", None, [(0, 5)], "resumed")
    ]
