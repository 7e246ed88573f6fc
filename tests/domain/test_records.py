"""How records are named, and that the wire gives back what it was given."""

from __future__ import annotations

import json
import math
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.entries import Entry
from app.domain.records import Delivery, Hit, Reject, delivery_id, id_of_given, key_hash, key_text, raw_ids, short_id
from app.domain.tallies import Mark, Part
from app.domain.watermarks import Advance, Clock, source_number
from app.domain.windows import WINDOWS, Rules
from app.messages.headers import pack_positions, unpack_positions
from app.messages.records import decode_deliveries, decode_rejects, encode_deliveries, encode_rejects
from app.messages.state_values import key_bytes, pack_clock, pack_entry, unpack_clock, unpack_entry
from app.messages.tokens import HitGroup, TokenMessage, decode_tokens, encode_tokens, hits_of
from tests.domain.hits import delivery_of, hit
from tests.properties import examples

FAST = settings(deadline=None, max_examples=examples(80))
HUGE = 10**40

SOURCES = st.text(max_size=40)
HOSTILE = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "-",
            '"',
            "\\",
            "<script>",
            "\0",
            "\x7f",
            "a_b",
            "\u2028",
            "\\ud800",
            "'; DROP TABLE keys; --",
            "\U0001f600",
            "﷽" * 50,
        ]
    ),
).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
TIMES = st.floats(-1e11, 1e12, allow_nan=False)
NUMBERS = st.one_of(st.integers(0, 2**70), st.integers(0, HUGE), st.sampled_from([0, 2**63 - 1, 2**63, 2**64, HUGE]))
MAYBE = st.one_of(st.none(), NUMBERS)


@FAST
@given(SOURCES, st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=60))
def test_no_two_positions_of_a_source_share_an_id(source: str, positions: list[int]) -> None:
    short, raw = short_id(source), raw_ids(source)
    assert len({short(position) for position in positions}) == len(positions)
    assert len({raw(position) for position in positions}) == len(positions)


@FAST
@given(SOURCES, st.integers(0, HUGE))
def test_a_raw_id_is_32_hex_digits_that_begin_with_the_short_id(source: str, position: int) -> None:
    raw = raw_ids(source)(position)
    assert len(raw) == 32 and raw == raw.lower()
    assert int(raw, 16) < 2**128
    assert int(raw[:16], 16) == short_id(source)(position)


def test_the_ids_of_a_source_are_fixed_for_ever() -> None:
    """Stores hold them: another function would count every line of a log read again twice."""
    assert raw_ids("0123456789abcdef0123456789abcdef")(0) == "bd9e45bdde650b4fc6248b18ab237609"
    assert raw_ids("weblogs@1/0")(83886080)[:8] == "a6d89068"


def test_lines_of_many_sources_do_not_meet() -> None:
    ids = {short_id(f"source {source}")(position) for source in range(300) for position in range(0, 10_000, 100)}
    assert len(ids) == 300 * 100


def test_consecutive_positions_spread_over_the_whole_range() -> None:
    short = short_id("a log")
    high = {short(position) >> 60 for position in range(0, 100_000, 97)}
    assert len(high) == 16


@FAST
@given(st.text(max_size=30), st.text(max_size=30))
def test_given_ids_are_told_apart_from_one_another_and_from_key_hashes(one: str, other: str) -> None:
    assert (id_of_given(one) == id_of_given(other)) == (one == other)
    assert id_of_given(one) != key_hash(one)


@FAST
@given(st.tuples(HOSTILE, HOSTILE, HOSTILE, TIMES), st.tuples(HOSTILE, HOSTILE, HOSTILE, TIMES))
def test_no_two_deliveries_share_an_id(one: tuple[str, str, str, float], other: tuple[str, str, str, float]) -> None:
    assert (delivery_id(*one) == delivery_id(*other)) == (one == other)


@FAST
@given(HOSTILE, HOSTILE, HOSTILE, st.floats())
def test_an_id_is_the_hash_of_the_parts_as_json_whatever_is_in_them(
    address: str, agent: str, request: str, start: float
) -> None:
    written = json.dumps([address, agent, request, start + 0.0])
    assert delivery_id(address, agent, request, start) == blake2b(written.encode(), digest_size=16).hexdigest()


def test_keys_that_join_alike_share_a_hash_and_no_id() -> None:
    one, other = ("a_b", "c", "d"), ("a", "b_c", "d")
    assert key_hash(key_text(*one)) == key_hash(key_text(*other))
    assert delivery_id(*one, 0.0) != delivery_id(*other, 0.0)
    assert key_bytes(one) != key_bytes(other)


def test_a_window_start_is_one_number_however_it_is_written() -> None:
    assert delivery_id("a", "b", "c", 5) == delivery_id("a", "b", "c", 5.0)
    assert delivery_id("a", "b", "c", -0.0) == delivery_id("a", "b", "c", 0.0)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_lone_surrogates_have_names_too(text: str) -> None:
    assert len({key_hash(text), delivery_id(text, text, text, 0.0), id_of_given(text), raw_ids(text)(0)}) == 4
    assert 0 <= source_number(text) < 2**63


# -- through the wire

ROWS = st.tuples(
    TIMES, HOSTILE | st.none(), HOSTILE | st.none(), HOSTILE | st.none(), HOSTILE | st.none(), st.integers(0, 599), MAYBE, MAYBE, MAYBE, MAYBE,
    st.integers(0, 3), st.dictionaries(HOSTILE, HOSTILE, max_size=2), st.just("0" * 32), NUMBERS, HOSTILE | st.none(),
)  # fmt: skip
ADVANCES = st.builds(
    Advance, TIMES | st.just(math.inf), TIMES | st.just(-math.inf), st.floats(0, 1e12), st.booleans(), st.booleans()
)


@FAST
@given(
    TIMES,
    st.lists(st.tuples(HOSTILE, st.integers(0, 2**63 - 1), HOSTILE, ADVANCES, st.lists(ROWS, max_size=3)), max_size=3),
    st.booleans(),
)
def test_token_messages_come_back_as_they_were(now: float, groups: list[tuple[Any, ...]], tick: bool) -> None:
    message = TokenMessage(now, [HitGroup.of(*group) for group in groups], tick)
    again = decode_tokens(encode_tokens(message)[0])
    assert again == message
    assert [group.advance for group in again.groups] == [group[3] for group in groups]
    hits = [Hit._make(one) for one in hits_of(again)]
    rows = [(source, row) for source, _, _, _, some in groups for row in some]
    assert [(one.source, (*one[:13], one.position, one.logged_request)) for one in hits] == rows


@FAST
@given(ADVANCES, ADVANCES)
def test_a_group_that_goes_on_tells_of_both_parts(first: Advance, later: Advance) -> None:
    group = HitGroup.of("", 1, "", first, [])
    group.advance_to(later)
    assert group.advance == Advance(
        min(first.lowest, later.lowest),
        max(first.highest, later.highest),
        max(first.disorder_s, later.disorder_s),
        later.ended,
        first.unordered or later.unordered,
    )


@FAST
@given(st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE, st.just("0" * 32), HOSTILE, NUMBERS, TIMES), max_size=3))
def test_rejects_come_back_as_they_were(rows: list[tuple[Any, ...]]) -> None:
    rejects = [Reject(*row) for row in rows]
    assert [one for value in encode_rejects(rejects) for one in decode_rejects(value)] == rejects


@FAST
@given(
    st.tuples(HOSTILE, HOSTILE, HOSTILE),
    st.lists(st.tuples(NUMBERS, NUMBERS).map(sorted), min_size=1, max_size=4),
    MAYBE,
    TIMES,
)
def test_deliveries_come_back_as_they_were(
    key: tuple[Any, ...], ends: list[list[int]], size: int | None, time: float
) -> None:
    found = delivery_of(*(hit(*pair, time=time) for pair in ends), size=size)._replace(
        ip_address=key[0], user_agent=key[1], request=key[2]
    )
    (value,) = encode_deliveries([found, found._replace(superseded_by=time, reason=None)])
    again = decode_deliveries(value)
    assert again[0] == found
    assert type(again[0]) is Delivery
    assert again[1].superseded_by == time


@FAST
@given(st.tuples(HOSTILE, HOSTILE, HOSTILE), st.tuples(HOSTILE, HOSTILE, HOSTILE))
def test_no_two_keys_share_their_bytes(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (key_bytes(one) == key_bytes(other)) == (one == other)
    assert not key_bytes(one).startswith(b"\0")


PARTS = st.builds(
    lambda time, hit_id, lo, more, sent, total, marks, cut: Part(time, hit_id, lo, lo + more, sent, total, marks, cut),
    st.floats(0, 1e9), st.integers(0, 2**64 - 1), NUMBERS, NUMBERS, NUMBERS, NUMBERS | st.just(-1), st.integers(0, 63), NUMBERS | st.just(-1),
)  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS)
@FAST
@given(
    parts=st.lists(PARTS, min_size=1, max_size=6, unique_by=lambda part: part.hit_id),
    sources=st.none() | st.lists(st.integers(0, 2**63)),
    now=TIMES,
)
def test_entries_come_back_from_the_changelog_as_they_were(
    window: str, parts: list[Part], sources: list[int] | None, now: float
) -> None:
    rules = Rules(window)
    entry = Entry()
    entry.merge(parts, rules)
    entry.touched, entry.sources = now, None if sources is None else tuple(sources)
    entry.floor, entry.evicted_last, entry.evicted_hits = min(part.time for part in parts), -5.5, 3
    entry.recut(rules) if window == "first_touch" else None
    again = unpack_entry(pack_entry(entry), rules)
    for name in set(Entry.__slots__) - {"tallies"}:
        assert getattr(again, name) == getattr(entry, name), name
    assert [(tally.pack(), tally.known) for tally in again.tallies] == [
        (tally.pack(), tally.known) for tally in entry.tallies
    ]
    assert pack_entry(again) == pack_entry(entry)
    again.merge(parts, rules)
    assert pack_entry(again) == pack_entry(entry), "and takes in the same hits as known"


@FAST
@given(
    TIMES | st.just(-math.inf),
    st.floats(0, 1e12),
    st.booleans(),
    st.booleans(),
    TIMES,
    st.integers(-1, 2**63),
    TIMES | st.just(-math.inf),
)
def test_clocks_come_back_as_they_were(
    highest: float, disorder: float, ended: bool, unordered: bool, touched: float, position: int, closed: float
) -> None:
    clock = Clock()
    values = {"highest": highest, "disorder_s": disorder, "ended": ended, "unordered": unordered}
    values |= {"touched": touched, "position": position, "closed": closed}
    assert values.keys() == set(Clock.__slots__)
    for name, value in values.items():
        setattr(clock, name, value)
    again = unpack_clock(pack_clock(clock))
    assert {name: getattr(again, name) for name in values} == values


@FAST
@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_positions_come_back_from_their_header(positions: list[int]) -> None:
    assert list(unpack_positions(pack_positions(positions))) == positions
    assert pack_positions(positions) == b"".join(position.to_bytes(8, "little") for position in positions)


@pytest.mark.parametrize("length", [1, 7, 9])
def test_positions_of_a_broken_length_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="multiple"):
        unpack_positions(b"x" * length)


def test_marks_are_bits_of_their_own() -> None:
    bits = [value for name, value in vars(Mark).items() if name.isupper()]
    assert sum(bits) == 2 ** len(bits) - 1
