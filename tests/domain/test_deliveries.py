"""The verdict table: was the file delivered whole?"""

from __future__ import annotations

import random
import sys
from typing import Any, SupportsIndex

import pytest

from app.domain import byteranges
from app.domain.deliveries import KEPT_IDS, STAGE_FINAL, STAGE_OPEN, STAGE_SUPERSEDED, describe, superseded, version
from app.domain.parts import part_of
from app.domain.proof import HEADER_ALLOWANCE_BYTES, Proof
from app.domain.records import Delivery, Parsed
from app.domain.tallies import MAX_HITS, Mark, Part, Tally
from tests.domain.hits import ABORTED, ENDED, HEADERS_COUNTED, KEY, delivery_of, hit, tally_of
from tests.together import together

Verdict = tuple[str, str | None, str]


def verdict_of(*hits: Parsed, size: int | None = None) -> Verdict:
    found = delivery_of(*hits, size=size)
    return found.verdict, found.reason, found.evidence


def partial(reason: str, evidence: str = "ranges") -> Verdict:
    return "partial", reason, evidence


COMPLETE = ("complete", None, "ranges")
RESUMED = ("complete", None, "resumed")
CUT = hit(0, 999, sent=600)

TABLE: dict[str, tuple[list[Parsed], int | None, Verdict]] = {
    # 1: hits name different totals
    "two totals": ([hit(0, 499, total=1000), hit(500, 999, total=1001)], None, ("unknown", "size_changed", "ranges")),
    "two totals beat wholeness": ([hit(0, 999, total=1000), hit(0, 1000, total=1001)], None, ("unknown", "size_changed", "ranges")),
    "a range beyond its own total": ([hit(0, 499, total=100)], None, ("unknown", "size_unknown", "bytes")),
    "a range beyond its own total and a known size": ([hit(0, 499, sent=500, total=100)], 500, ("unknown", "no_offsets", "bytes")),
    "a range beyond its own total beside all of it": ([hit(0, 1000, total=1000), hit(0, 1000, total=1001)], None, COMPLETE),
    "two totals beat a known size": ([hit(0, 9, total=10), hit(0, 9, total=11)], 10, ("unknown", "size_changed", "ranges")),
    "two totals of byte counts": ([hit(sent=5, total=10), hit(sent=5, total=11)], None, ("unknown", "size_changed", "ranges")),
    "a 200 that ended before the end of a range": (
        [hit(status=200, sent=1000, flags=ENDED), hit(0, 1499)], None, ("unknown", "size_changed", "ranges")
    ),
    "a 200 that ended where a range ends": ([hit(status=200, sent=1000, flags=ENDED), hit(0, 999)], None, COMPLETE),
    "a 200 that ended behind a range": ([hit(status=200, sent=1000, flags=ENDED), hit(0, 499)], None, COMPLETE),
    "a 200 that ended before all of the size": (
        [hit(status=200, sent=1000, flags=ENDED), hit(0, 1499, total=1500)], None, COMPLETE
    ),
    # 2: offsets and a total
    "all of it": ([hit(0, 499, total=1000), hit(500, 999, total=1000)], None, COMPLETE),
    "all of it, size from elsewhere": ([hit(0, 499), hit(500, 999)], 1000, COMPLETE),
    "more than all of it": ([hit(0, 1156)], 1156, COMPLETE),
    "a file of two bytes is no probe": ([hit(0, 1, total=2)], None, COMPLETE),
    "a file of one byte": ([hit(0, 0)], 1, COMPLETE),
    "the total of one hit counts for all": ([hit(0, 499), hit(500, 998, total=1000)], None, partial("end_missing")),
    "a total goes before a known size": ([hit(0, 499, total=500)], 9999, COMPLETE),
    "probe": ([hit(0, 1, total=1000)], None, partial("probe_only")),
    "half a probe": ([hit(0, 0, total=1000)], None, partial("probe_only")),
    "start missing": ([hit(500, 999, total=1000)], None, partial("start_missing")),
    "start missing goes before gap": ([hit(100, 199, total=1000), hit(300, 999, total=1000)], None, partial("start_missing")),
    "gap": ([hit(0, 199, total=1000), hit(300, 999, total=1000)], None, partial("gap")),
    "gap goes before end missing": ([hit(0, 199, total=1000), hit(300, 399, total=1000)], None, partial("gap")),
    "end missing": ([hit(0, 998, total=1000)], None, partial("end_missing")),
    "beyond the end only": ([hit(2000, 2999, total=1000)], None, ("unknown", "size_unknown", "bytes")),
    # 3: offsets, no total
    "one range from 0": ([hit(0, 499), hit(300, 999)], None, COMPLETE),
    "three bytes are no probe": ([hit(0, 2)], None, COMPLETE),
    "a probe of an unknown size": ([hit(0, 1)], None, partial("probe_only")),
    "probes": ([hit(0, 1), hit(0, 0), hit(1, 1)], None, partial("probe_only")),
    "one range not from 0": ([hit(718, 1795)], None, partial("start_missing")),
    "a probe and a later range": ([hit(0, 1), hit(500, 999)], None, partial("gap")),
    "two ranges": ([hit(0, 98), hit(100, 300)], None, partial("gap")),
    "two ranges, neither from 0": ([hit(10, 98), hit(100, 300)], None, partial("gap")),
    # announced is not delivered
    "cut": ([CUT], None, partial("cut_off")),
    "cut, size known": ([CUT], 1000, partial("cut_off")),
    "nothing sent": ([hit(0, 999, sent=0)], None, partial("cut_off")),
    "cut at the second byte is no probe": ([hit(0, 999, sent=2)], None, partial("cut_off")),
    "cut goes before start missing": ([hit(500, 999, sent=100)], 1000, partial("cut_off")),
    "cut goes before gap": ([CUT, hit(700, 1999)], None, partial("cut_off")),
    "cut, then resumed": ([CUT, hit(600, 999, sent=400)], None, RESUMED),
    "cut, then resumed in two": ([hit(600, 799), CUT, hit(800, 999)], None, RESUMED),
    "cut, then fetched anew": ([CUT, hit(0, 999, sent=1000)], 1000, COMPLETE),
    "cut, then resumed not far enough": ([CUT, hit(600, 998)], None, partial("cut_off")),
    "cut, resumed, the rest never asked for": ([CUT, hit(600, 999)], 2000, partial("end_missing")),
    "cut and aborted alike": ([hit(0, 99_999, flags=ABORTED)], None, partial("cut_off")),
    "a cut probe": ([hit(0, 1, sent=1)], None, partial("cut_off")),
    "a cut probe, repeated whole": ([hit(0, 1, sent=1), hit(0, 1, sent=2)], None, partial("probe_only")),
    "a cut probe, repeated whole, size known": ([hit(0, 1, sent=1), hit(0, 1, sent=2)], 1000, partial("probe_only")),
    "a 200 cut, then resumed": ([hit(status=200, sent=600), hit(600, 999, total=1000)], None, RESUMED),
    "a 200 cut": ([hit(status=200, sent=600)], 1000, partial("cut_off")),
    "a 200 of all bytes": ([hit(status=200, sent=1000)], 1000, COMPLETE),
    "a 200 of all bytes by its own length": ([hit(status=200, sent=1000, total=1000)], None, COMPLETE),
    "200s, no size": ([hit(status=200, sent=1000), hit(status=200, sent=1000)], None, ("unknown", "size_unknown", "bytes")),
    "a 200 that sent more than the ranges hold": ([hit(0, 499), hit(status=200, sent=999)], None, ("unknown", "size_unknown", "bytes")),
    # 4: byte counts, a total
    "fewer bytes than the file has": ([hit(sent=400), hit(sent=599)], 1000, partial("not_enough_bytes", "bytes")),
    "fewer bytes than the log's total": ([hit(sent=999, total=1000)], None, partial("not_enough_bytes", "bytes")),
    "as many bytes as the file has": ([hit(sent=400), hit(sent=600)], 1000, ("unknown", "no_offsets", "bytes")),
    "more bytes than the file has": ([hit(sent=5000)], 1000, ("unknown", "no_offsets", "bytes")),
    "a response without any count": ([hit(sent=10), hit()], 1000, ("unknown", "no_offsets", "bytes")),
    # 5: byte counts, no total
    "bytes of an unknown size": ([hit(sent=400)], None, ("unknown", "size_unknown", "bytes")),
    "nothing at all known": ([hit()], None, ("unknown", "size_unknown", "bytes")),
    "aborted without offsets": ([hit(sent=400, flags=ABORTED)], None, ("unknown", "size_unknown", "bytes")),
    # offsets of some hits, only counts of others: the ranges prove, else the counts decide
    "mixed, whole by ranges": ([hit(0, 999), hit(sent=5)], 1000, COMPLETE),
    "mixed, whole by ranges, no size": ([hit(0, 999), hit(sent=5)], None, COMPLETE),
    "mixed, not enough": ([hit(0, 499), hit(sent=100)], 1000, partial("not_enough_bytes", "bytes")),
    "mixed, enough": ([hit(0, 499), hit(sent=500)], 1000, ("unknown", "no_offsets", "bytes")),
    "mixed, no size": ([hit(500, 999), hit(sent=500)], None, ("unknown", "size_unknown", "bytes")),
    "mixed, two totals": ([hit(0, 9, total=10), hit(sent=5, total=7)], None, ("unknown", "size_changed", "ranges")),
}  # fmt: skip


@together("name", TABLE)
def test_every_row_of_the_table(name: str) -> None:
    hits, size, expected = TABLE[name]
    assert verdict_of(*hits, size=size) == expected
    assert verdict_of(*reversed(hits), size=size) == expected


def test_the_flags_say_what_to_know_besides_the_verdict() -> None:
    assert delivery_of(hit(0, 1156), size=1156).flags == ["beyond_size"]
    assert delivery_of(hit(0, 1155), size=1156).flags == []
    assert delivery_of(CUT).flags == ["cut_off"]
    assert delivery_of(hit(0, 9, sent=11, flags=HEADERS_COUNTED)).flags == ["headers_counted"]
    assert delivery_of(hit(0, 99, sent=10, flags=HEADERS_COUNTED | ABORTED), hit(0, 999), size=500).flags == [
        "beyond_size",
        "cut_off",
        "headers_counted",
    ]
    assert delivery_of(CUT, hit(600, 999)).flags == ["cut_off"], "resumed, but it was cut"


def test_a_size_smaller_than_the_ranges_clips_them() -> None:
    found = delivery_of(hit(0, 289), hit(289, 578), hit(578, 867), hit(867, 1156), size=1156)
    assert (found.ranges, found.covered_bytes, found.verdict, found.flags) == (
        [[0, 1155]],
        1156,
        "complete",
        ["beyond_size"],
    )


def test_a_range_is_cut_to_the_body_bytes_sent() -> None:
    found = delivery_of(hit(100, 199, sent=40), proof=Proof(0))
    assert (found.ranges, found.missing, found.bytes_sent) == ([[100, 139]], [[0, 99]], 40)
    found = delivery_of(hit(100, 199, sent=40))
    assert (found.ranges, found.missing, found.bytes_sent) == ([], [[0, 99]], 40), "in flight"
    assert delivery_of(hit(100, 199, sent=500)).ranges == [[100, 199]]
    nothing = delivery_of(hit(100, 199, sent=0))
    assert (nothing.ranges, nothing.missing, nothing.hits, nothing.bytes_sent) == ([], [], 1, 0)


@together(
    ("sent", "kept"),
    [
        (100_001, 100_000),
        (100_700, 100_000),
        (100_000, 100_000 - 8192),
        (99_999, 99_999 - 8192),
        (50_000, 50_000 - 8192),
        (8193, 1),
        (8192, 0),
        (100, 0),
        (0, 0),
    ],
)
def test_where_headers_are_counted_what_falls_short_is_cut_by_8_kib_more(sent: int, kept: int) -> None:
    assert HEADER_ALLOWANCE_BYTES == 8192
    found = delivery_of(hit(0, 99_999, sent=sent, flags=HEADERS_COUNTED), proof=Proof(0))
    assert found.covered_bytes == kept
    assert ("cut_off" in found.flags) == (sent <= 100_000), "heads are never 0 bytes"
    assert found.bytes_sent == sent


@pytest.mark.parametrize(
    ("sent", "missing"), [(None, [[99_999, 99_999]]), (50_000, [[50_000, 99_999]]), (0, [[0, 99_999]])]
)
def test_where_the_client_went_away_nothing_near_the_end_is_sure(sent: int | None, missing: list[list[int]]) -> None:
    found = delivery_of(hit(0, 99_999, sent=sent, flags=ABORTED))
    assert (found.covered_bytes, found.verdict, found.reason, found.flags) == (0, "partial", "cut_off", ["cut_off"])
    found = delivery_of(hit(0, 99_999, sent=sent, total=100_000, flags=ABORTED))
    assert (found.verdict, found.missing) == ("partial", missing)


@together(
    "one",
    [
        hit(0, 9, status=200)._replace(method="HEAD"),
        hit(0, 9, method=None),
        hit(0, 9, method="POST"),
        hit(0, 9, status=304),
        hit(0, 9, status=500),
        hit(0, 9, status=0),
        hit(0, 9)._replace(ip_address=None),
        hit(0, 9)._replace(user_agent=None),
        hit(0, 9)._replace(request=None),
    ],
)
def test_hits_that_are_no_delivery_do_not_count(one: Parsed) -> None:
    assert part_of(one, 1) is None


def test_200_counts_as_206_does() -> None:
    assert part_of(hit(0, 9, status=200), 1) == part_of(hit(0, 9, status=206), 1) is not None


def test_sums_and_times_are_those_of_the_distinct_hits() -> None:
    tally = Tally(5.0)
    parts = [
        part
        for number, one in enumerate([hit(0, 9, time=7.0), hit(sent=3, time=5.0), hit(5, 19, sent=12, time=9.0)])
        if (part := part_of(one, number))
    ]
    assert [tally.add(part) for part in (*parts, *parts)] == [True] * 3 + [False] * 3
    found = describe(KEY, tally, None)
    assert (found.bytes_sent, found.first, found.last, found.hits, found.window_start) == (
        10 + 3 + 12,
        5.0,
        9.0,
        3,
        5.0,
    )
    assert found.version == version(3, STAGE_OPEN) and not found.final and found.superseded_by is None


def test_no_sum_is_told_where_no_hit_names_bytes() -> None:
    assert delivery_of(hit()).bytes_sent is None
    assert delivery_of(hit(), hit(sent=0)).bytes_sent == 0


def test_the_smallest_100_ids_are_listed() -> None:
    tally = Tally(0.0)
    chance = random.Random(1)
    for number in (chance.randrange(2**64) for _ in range(500)):
        tally.add(Part(0.0, number, 0, 9, 10, -1, int(Mark.OFFSETS), -1))
    found = describe(KEY, tally, None)
    assert found.hit_ids == sorted(f"{number:016x}" for number in tally.ids)[:KEPT_IDS]
    assert (len(found.hit_ids), found.hits) == (100, 500)


def test_versions_grow_with_hits_first_and_with_the_stage_then() -> None:
    stages = (STAGE_OPEN, STAGE_FINAL, STAGE_SUPERSEDED)
    versions = [version(hits, stage) for hits in range(1, 50) for stage in stages]
    assert versions == sorted(set(versions))


def test_the_last_version_of_a_delivery_taken_in_says_by_which() -> None:
    found = superseded(delivery_of(hit(0, 9, time=5.0)), 2.0, 4)
    assert (found.superseded_by, found.version, found.final) == (2.0, version(4, STAGE_SUPERSEDED), False)


def test_integers_may_have_any_size() -> None:
    huge = 10**40
    found = delivery_of(hit(0, huge - 1, sent=huge), hit(huge, 2 * huge - 1), size=2 * huge)
    assert (found.verdict, found.covered_bytes, found.bytes_sent) == ("complete", 2 * huge, 2 * huge)


# -- hostile: more hits than are kept


def fragmented(found: Delivery) -> bool:
    return (found.verdict, found.reason, found.evidence, found.hits) == (
        "unknown",
        "fragmented",
        "ranges",
        MAX_HITS,
    ) and "fragmented" in found.flags


def test_ten_thousand_hits_are_kept_and_one_more_makes_a_delivery_unknown() -> None:
    hits = [hit(number, number) for number in range(MAX_HITS)]
    assert verdict_of(*hits, size=MAX_HITS) == COMPLETE
    assert fragmented(delivery_of(*hits, hit(0, MAX_HITS), size=MAX_HITS))
    assert fragmented(delivery_of(*hits, hit(0, 9, total=5), hit(0, 9, total=6))), "goes before all other rows"
    tally = tally_of([*hits, hit(0, 5)])
    before = tally.pack()
    assert tally.known == MAX_HITS + 1
    for number in range(50):
        assert not tally.add(Part(0.0, 10**9 + number, 5 * MAX_HITS, 6 * MAX_HITS, 9, -1, int(Mark.OFFSETS), -1))
    assert tally.pack() == before


class CountingRanges(tuple[Any, ...]):
    """A value of ranges that counts how often a pair of it is looked at."""

    looks = 0

    def __getitem__(self, at: SupportsIndex | slice[Any, Any, Any]) -> Any:
        if not isinstance(at, slice):
            CountingRanges.looks += 1
        return super().__getitem__(at)


def test_ten_thousand_one_byte_ranges_in_random_order_cost_no_quadratic_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every insertion looks at about log n of the ranges held, not at all of them."""
    add = byteranges.add
    monkeypatch.setattr(byteranges, "add", lambda ranges, lo, hi: add(CountingRanges(ranges), lo, hi))
    order = list(range(MAX_HITS))
    random.Random(2).shuffle(order)
    CountingRanges.looks = 0
    tally = tally_of([hit(3 * number, 3 * number) for number in order])
    assert len(tally.ranges) == MAX_HITS
    assert CountingRanges.looks < MAX_HITS * 40


def test_a_delivery_of_too_many_hits_stays_as_small_as_it_was() -> None:
    order = list(range(3 * MAX_HITS))
    random.Random(3).shuffle(order)
    tally = tally_of([hit(3 * number, 3 * number) for number in order])
    found = describe(KEY, tally, None)
    assert fragmented(found)
    assert len(tally.ids) == len(tally.ranges) == MAX_HITS
    assert sys.getsizeof(tally.ids) < 200_000
    held = {byte for lo, hi in tally.ranges for byte in range(lo, hi + 1)}
    assert held <= {3 * number for number in order}, "what it keeps is true"


def test_two_large_tallies_that_join_are_fragmented() -> None:
    one, other = (tally_of([]) for _ in range(2))
    for number in range(6000):
        one.add(Part(1.0, number, 2 * number, 2 * number, 1, -1, int(Mark.OFFSETS), -1))
        other.add(Part(2.0, 10**6 + number, 2 * number + 1, 2 * number + 1, 1, -1, int(Mark.OFFSETS), -1))
    known = one.known, other.known
    one.join(other)
    assert fragmented(describe(KEY, one, None))
    assert one.known > max(known)
    assert (one.first, one.last) == (1.0, 2.0)
