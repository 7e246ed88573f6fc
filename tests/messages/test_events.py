"""Messages of votes and spending: any bytes give events or reasons, and what is too large is cut into messages that add up."""

from __future__ import annotations

import doctest
import json

from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from app.domain.counted import Sum
from app.flows.registry import COUNTED
from app.flows.spending import SPENDING, Transaction
from app.flows.votes import VOTES, Vote
from app.messages import events as wire_events
from app.messages import names as people
from app.messages.events import CountedMessage, decode_counted, encode_counted, gathered, read_events
from tests.properties import examples

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


def test_the_examples_of_the_texts_hold() -> None:
    assert doctest.testmod(wire_events).failed == doctest.testmod(people).failed == 0


@limits(deadline=None, max_examples=examples(200))
@given(st.one_of(st.binary(max_size=80), st.lists(values, max_size=4).map(lambda value: json.dumps(value).encode())))
def test_any_message_gives_events_or_reasons(value: bytes) -> None:
    for kind in COUNTED:
        events, bad = read_events(kind, value)
        assert all(why and isinstance(text, str) for _, why, text in bad)
        if not bad:
            assert isinstance(json.loads(value), list) and len(events) == len(json.loads(value))


def test_the_good_ones_of_a_message_are_kept_and_the_bad_ones_told_by_their_place() -> None:
    events, bad = read_events(VOTES, json.dumps([["a", 1, 5.0], ["b", "x", 5.0], ["c", 2, 6, "hall"]]).encode())
    assert events == [Vote("a", 1, 5.0), Vote("c", 2, 6.0, "hall")]
    assert [index for index, _, _ in bad] == [1]
    assert read_events(SPENDING, b'[["t", "u", 1, 2.5]]').bad[0][0] == 0


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from([1, 200, 5000]))
def test_what_is_too_large_for_a_message_is_cut_and_comes_back_whole(votes: int, sums: int, max_bytes: int) -> None:
    events = [Vote(f"v{i}", 1, float(i), None, None, "x" * i) for i in range(votes)]
    counted = [Sum("window", str(i), 600, 0, 0, 1, 0, 0) for i in range(sums)]
    found = gathered(decode_counted(VOTES, value) for value in encode_counted(events, counted, max_bytes))
    assert found == (events, counted)


def test_of_several_versions_of_a_sum_the_highest_is_taken() -> None:
    older, newer = Sum("total", "u", 0, 0, 0, 1, 5, 0), Sum("total", "u", 0, 0, 0, 2, 9, 0)
    paid = Transaction("t", "u", 1.0, 5)
    for order in ([older, newer], [newer, older]):
        assert gathered([CountedMessage([paid], [order[0]]), CountedMessage([], [order[1]])]) == ([paid], [newer])
    (value,) = encode_counted([paid], [newer])
    assert decode_counted(SPENDING, value) == CountedMessage([paid], [newer])
