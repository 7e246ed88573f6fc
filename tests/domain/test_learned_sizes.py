"""Sizes are learned from what servers name and from what clients agree on, whatever the order of the lines."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.deliveries import describe
from app.domain.proof import Proof
from app.domain.records import Delivery, HitFlag, Parsed
from app.domain.sizes import DatedSize, LearnedSize, SizeWitnesses, size_at
from tests.domain.hits import KEY, tally_of

DAY_S = 86400.0
FILE = "GET /film.mp4"


def sent(client: int, count: int | None, day: float = 0.0, flags: int = 0, **fields: Any) -> Parsed:
    """A 200 that sent so many bytes."""
    hit = Parsed(day * DAY_S + client, f"10.0.0.{client}", "VLC", FILE, "GET", 200, None, None, count, None, flags)
    return hit._replace(**fields)


def test_a_range_beyond_its_own_size_tells_no_size() -> None:
    witnesses = SizeWitnesses()
    witnesses.take([sent(1, 500, status=206, lo=0, hi=499, total_bytes=100)])
    assert dict(witnesses.sizes()) == {}


def ranged(client: int, total: int | None, day: float = 0.0) -> Parsed:
    """A 206 that names the size of the file."""
    return sent(client, 10, day, status=206, lo=0, hi=9, total_bytes=total)


def learned(*hits: Parsed) -> dict[float, int | None]:
    """Day to the size from then on, of the only file."""
    witnesses = SizeWitnesses()
    witnesses.take(hits)
    found = dict(witnesses.sizes())
    assert found.keys() <= {FILE}
    return {one.since / DAY_S: one.size for one in found.get(FILE, ())}


def test_two_clients_that_agree_on_the_most_tell_the_size_and_one_alone_does_not() -> None:
    assert learned(sent(1, 1000), sent(2, 1000)) == {0: 1000}
    assert learned(sent(1, 1000), sent(1, 1000)) == {}
    assert learned(sent(1, 1000)) == {}


def test_what_agrees_is_said_with_number_and_share() -> None:
    witnesses = SizeWitnesses()
    witnesses.take([sent(1, 1000), sent(2, 1000), sent(3, 999), ranged(4, 10)._replace(request="GET /b")])
    assert {request: [one.how for one in sizes] for request, sizes in witnesses.sizes()} == {
        "GET /b": ["learned: the log names it to 1 client"],
        FILE: ["learned: 2 of 3 clients were sent as many (66 %)"],
    }


def test_a_cut_off_download_never_makes_a_smaller_size() -> None:
    assert learned(sent(1, 1000), sent(2, 1000), sent(3, 400), sent(4, 7)) == {0: 1000}
    assert learned(sent(1, 1000), sent(2, 1000), sent(3, 400, day=1), sent(3, 999, day=2)) == {0: 1000}
    assert learned(sent(1, 1000), sent(2, 400), sent(3, 400)) == {}


def test_more_than_all_others_agree_on_is_a_contradiction_not_a_size() -> None:
    assert learned(sent(1, 1000), sent(2, 1000), sent(3, 1001)) == {}
    assert learned(sent(1, 1000), sent(2, 1000), sent(3, 1001, day=1)) == {0: 1000, 1: None}


def test_a_file_that_clients_see_in_two_sizes_within_a_day_has_none() -> None:
    assert learned(sent(1, 1000), sent(2, 1000), sent(3, 700), sent(4, 700)) == {}


def test_a_replaced_file_has_two_sizes_with_the_days_from_which_they_hold() -> None:
    old, new = [sent(1, 1000), sent(2, 1000, day=1)], [sent(3, 700, day=3), sent(4, 700, day=3)]
    assert learned(*old, *new) == {0: 1000, 3: 700}
    larger = [sent(3, 1500, day=3), sent(4, 1500, day=4)]
    assert learned(*old, *larger) == {0: 1000, 3: 1500}


def test_clients_agree_from_one_day_to_the_next() -> None:
    assert learned(sent(1, 1000), sent(2, 1000, day=5)) == {0: 1000}


def test_a_size_that_a_line_names_needs_nobody_else_and_two_of_them_are_none() -> None:
    assert learned(ranged(1, 1000)) == {0: 1000}
    assert learned(sent(1, 0, total_bytes=0)) == {0: 0}
    assert learned(ranged(1, 1000), sent(2, 600), sent(3, 600)) == {0: 1000}
    assert learned(ranged(1, 1000), ranged(2, 1001)) == {}
    assert learned(ranged(1, 1000), sent(2, 1001)) == {}
    assert learned(ranged(1, 1000), ranged(1, 1200, day=2)) == {0: 1000, 2: 1200}


@pytest.mark.parametrize(
    "flag", [HitFlag.ABORTED, HitFlag.ENCODED, HitFlag.ANNOUNCED, HitFlag.HEADERS_COUNTED, HitFlag.PLACELESS]
)
def test_hits_whose_bytes_are_not_those_of_the_file_tell_no_size(flag: HitFlag) -> None:
    assert learned(sent(1, 1000, flags=flag), sent(2, 1000, flags=flag)) == {}


@pytest.mark.parametrize(
    "fields",
    [{"status": 404}, {"method": "HEAD"}, {"ip_address": None}, {"user_agent": None}, {"bytes_sent": None}, {"time": 1e300}],
)  # fmt: skip
def test_hits_that_are_no_downloads_by_a_client_tell_no_size(fields: dict[str, Any]) -> None:
    assert learned(sent(1, 1000, **fields), sent(2, 1000, **fields)) == {}


def test_that_two_clients_were_sent_nothing_does_not_make_the_file_empty() -> None:
    assert learned(sent(1, 0), sent(2, 0)) == {}


hits = st.builds(
    lambda client, count, day, flags, total: sent(client, count, day, flags, total_bytes=total),
    st.integers(0, 3),
    st.sampled_from([0, 400, 700, 1000]),
    st.integers(0, 3),
    st.sampled_from([0, 0, 0, int(HitFlag.ABORTED), int(HitFlag.ENCODED)]),
    st.sampled_from([None, None, None, None, 1000]),
)


@given(st.lists(hits, max_size=25), st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_and_any_split_of_the_lines_learns_the_same(
    some: list[Parsed], chance: random.Random, parts: int
) -> None:
    witnesses = SizeWitnesses()
    mixed = [*some, *some[:3]]
    chance.shuffle(mixed)
    for part in range(parts):
        witnesses.take(mixed[part::parts])
    one = SizeWitnesses()
    one.take(some)
    assert list(witnesses.sizes()) == list(one.sizes())


@given(st.lists(hits.filter(lambda hit: hit.total_bytes is None), max_size=25), st.integers(0, 3), st.integers(1, 999))
def test_a_download_more_that_was_cut_off_makes_no_size_smaller(some: list[Parsed], day: int, count: int) -> None:
    file = [sent(8, 1000, day), sent(9, 1000, day)]
    before, after = learned(*file, *some), learned(*file, *some, sent(7, count, day))
    sizes = [DatedSize(since, size) for since, size in sorted(before.items())]
    cut = [DatedSize(since, size) for since, size in sorted(after.items())]
    for at in range(4):
        found = size_at(cut, at)
        assert found in (None, size_at(sizes, at))


def judged(size: int | None, *some: Parsed) -> Delivery:
    return describe(KEY, tally_of(some), size)


def test_a_verdict_by_a_learned_size_says_so() -> None:
    whole, cut = sent(1, 1000), sent(1, 400)
    assert judged(1000, whole)[11:14] == ("complete", "ranges", None)
    assert judged(LearnedSize(1000), whole)[11:14] == ("complete", "learned", None)
    assert judged(LearnedSize(1000), cut)[11:14] == ("partial", "learned", "cut_off")
    assert type(judged(LearnedSize(1000), cut).total_bytes) is int


def test_a_size_that_the_delivery_names_itself_goes_before_a_learned_one() -> None:
    found = judged(LearnedSize(1000), sent(1, 400, total_bytes=400))
    assert (found.verdict, found.evidence, found.total_bytes) == ("complete", "ranges", 400)


def test_a_learned_size_that_the_delivery_contradicts_is_none() -> None:
    for more in (sent(2, 1500), ranged(2, None)._replace(lo=1400, hi=1499, bytes_sent=100)):
        found = judged(LearnedSize(1000), sent(1, 1000), more)
        assert (found.verdict, found.total_bytes) == ("unknown", None)


def test_beside_a_206_that_names_no_range_a_learned_size_makes_nothing_whole() -> None:
    found = judged(LearnedSize(1000), sent(1, 1000), sent(2, 100, status=206))
    assert (found.verdict, found.reason) == ("unknown", "no_offsets")
    assert judged(1000, sent(1, 1000), sent(2, 100, status=206)).verdict == "complete"


def test_a_resumed_download_says_that_first() -> None:
    some = [
        sent(1, 600, status=206, lo=0, hi=999),
        sent(2, 500, status=206, lo=500, hi=999),
    ]
    found = describe(KEY, tally_of(some), LearnedSize(1000), proof=Proof(1000))
    assert (found.verdict, found.evidence) == ("complete", "resumed")
