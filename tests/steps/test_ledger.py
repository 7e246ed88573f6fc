"""The state of a partition under restarts: killed between any two writes and read again, the sums are those of the messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.counted import CountingRules, Sum
from app.engine.partition import MemoryPart
from app.errors import SettingsError
from app.flows.votes import Vote, VoteRules, vote_buckets, vote_identities
from app.steps.ledger import Arrived, Ledger
from tests.properties import examples

HORIZON_S = 1000
TOPIC = "votes@1"


def rules_of(votes: VoteRules, horizon_s: int = HORIZON_S) -> CountingRules[Vote]:
    return CountingRules(
        horizon_s,
        lambda vote: vote_identities(vote, votes),
        lambda vote: vote_buckets(vote, votes),
        lambda _: 0,
        {"kiosk": votes.window_s, "window": votes.window_s, "second": 1},
        tuple(votes),
        "votes",
    )


class Stores:
    """What stores keep of sums: the highest version of each, added up by readers."""

    def __init__(self) -> None:
        self.sums: dict[tuple[Any, ...], Sum] = {}
        self.events: dict[str, Vote] = {}

    def write(self, events: Sequence[Vote], sums: Sequence[Sum]) -> None:
        for each in sums:
            known = self.sums.get(each[:5])
            if known is None or known.version < each.version:
                self.sums[each[:5]] = each
        for event in events:
            self.events.setdefault(event.vote_id, event)

    def read(self, resolution: str) -> dict[tuple[str, int], int]:
        found: Counter[tuple[str, int]] = Counter()
        for each in self.sums.values():
            if each.resolution == resolution and each.events:
                found[each.group, each.start] += each.events
        return dict(found)

    def repeats(self) -> int:
        return sum(each.repeats for each in self.sums.values() if each.resolution == "total")


def oracle(messages: Sequence[Arrived[Vote]], votes: VoteRules) -> tuple[dict[tuple[str, int], int], int]:
    """Votes by (candidate, window), and repeats, by the definition: an id counts again only the horizon after it counted."""
    now, repeats = 0, 0
    counted_at: dict[str, int] = {}
    found: Counter[tuple[str, int]] = Counter()
    for message in messages:
        now = max(now, int(message.timestamp))
        for vote in message.events:
            if vote.vote_id in counted_at and now < counted_at[vote.vote_id] + HORIZON_S:
                repeats += 1
            else:
                counted_at[vote.vote_id] = now
                second = int(vote.time // 1)
                found[str(vote.candidate_id), second - second % votes.window_s] += 1
    return dict(found), repeats


vote = st.builds(
    Vote,
    st.sampled_from([f"v{i}" for i in range(12)]),
    st.integers(1, 3),
    st.floats(-500, 9000),
    st.sampled_from([None, "k", "k/2"]),
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrived[Vote]]:
    """Messages whose clock mostly goes on, at times far, at times back."""
    steps = draw(
        st.lists(st.tuples(st.sampled_from([0, 1, 30, 400, 1100, -50]), st.lists(vote, max_size=6)), max_size=12)
    )
    now, found = 2000.0, []
    for offset, (step, events) in enumerate(steps):
        now += step
        found.append(Arrived(offset, now, events))
    return found


@settings(deadline=None, max_examples=examples(300))
@given(arrivals(), st.lists(st.integers(0, 9), max_size=60), st.sampled_from([1, 400, 1 << 20]))
def test_killed_anywhere_and_read_again_every_vote_counts_once_in_its_window(
    messages: list[Arrived[Vote]], fate: list[int], max_step_bytes: int
) -> None:
    """Fate at each step: 0 killed before the outputs, 1 after them, 2 after the changelog; else on, `fate` messages at once."""
    votes = VoteRules(window_s=60)
    stores, changelog = Stores(), MemoryPart()
    fates = iter(fate)
    committed = 0
    while committed < len(messages):
        state = MemoryPart()
        state.apply(list(changelog.items()), 0)
        ledger = Ledger(rules_of(votes), max_step_bytes)
        at = committed
        killed = False
        while at < len(messages) and not killed:
            some = messages[at : at + 1 + next(fates, 3) // 3]
            for step in ledger.steps(TOPIC, 0, state, some):
                what = next(fates, 9)
                killed = what <= 2
                if what == 0:
                    break
                stores.write(step.events, step.sums)
                if what == 1:
                    break
                changelog.apply(step.changes.items(), 0)
                if what == 2:
                    break
                state.apply(step.changes.items(), 0)
            if not killed:
                at += len(some)
                if next(fates, 9) > 3:  # else acked, and not committed
                    committed = at
        if not killed:
            committed = at
    expected, repeats = oracle(messages, votes)
    assert stores.read("window") == expected
    assert stores.repeats() == repeats
    by_candidate: Counter[str] = Counter()
    for (candidate, _), number in expected.items():
        by_candidate[candidate] += number
    assert stores.read("total") == {(candidate, 0): number for candidate, number in by_candidate.items()}
    assert sum(stores.read("kiosk").values()) == sum(stores.read("second").values()) == sum(expected.values())
    assert set(stores.events) == {each.vote_id for message in messages for each in message.events}


@settings(deadline=None, max_examples=examples(300))
@given(arrivals(), st.lists(st.integers(0, 40), max_size=40), st.sampled_from([1, 400, 1 << 20]))
def test_a_sum_that_is_damaged_in_the_state_loses_no_vote_and_doubles_none(
    messages: list[Arrived[Vote]], damages: list[int], max_step_bytes: int
) -> None:
    """Before each message, the sum with this number is overwritten by somebody."""
    stores, state = Stores(), MemoryPart()
    ledger = Ledger(rules_of(VoteRules(window_s=60)), max_step_bytes)
    told: Counter[bytes] = Counter()
    for message, damaged in zip(messages, [*damages, *[99] * len(messages)], strict=False):
        sums = sorted(name for name in state if name.startswith(b"s"))
        if damaged < len(sums) and state[sums[damaged]] != b"put aside":
            state[sums[damaged]] = b"garbage"
        for step in ledger.steps(TOPIC, 0, state, [message]):
            stores.write(step.events, step.sums)
            state.apply(step.changes.items(), 0)
            told.update(each.name for each in step.damages)
    expected, repeats = oracle(messages, VoteRules(window_s=60))
    assert stores.read("window") == expected
    assert sum(stores.read("total").values()) == sum(stores.read("second").values()) == sum(expected.values())
    assert stores.repeats() == repeats
    assert set(told.values()) <= {1}, "each is told once"


def test_what_is_over_leaves_the_state_and_totals_stay() -> None:
    ledger, state = Ledger(rules_of(VoteRules(window_s=60))), MemoryPart()
    for offset in range(200):
        now = 10_000.0 + offset * 30
        message = Arrived(offset, now, [Vote(f"{offset}-{i}", 1, now - i, "k") for i in range(50)])
        for step in ledger.steps(TOPIC, 0, state, [message]):
            state.apply(step.changes.items(), 0)
        assert len(state) < 50 * 2.5 * HORIZON_S / 30
    kept = [name for name in state if name.startswith(b"stotal")]
    assert [state[name].split()[0] for name in kept] == [b"10000"]


def test_a_topic_created_anew_is_counted_from_its_beginning_and_known_ids_stay_known() -> None:
    ledger, state = Ledger(rules_of(VoteRules())), MemoryPart()
    for topic, vote_id in (("votes@1", "a"), ("votes@1", "a"), ("votes@2", "a"), ("votes@2", "b")):
        offset = 0 if topic == "votes@2" and vote_id == "a" else 1 if vote_id == "b" else len(state) and 1
        for step in ledger.steps(topic, 0, state, [Arrived(offset, 5000.0, [Vote(vote_id, 1, 5000.0)])]):
            state.apply(step.changes.items(), 0)
    assert state[b"stotal 0 0 1"] == b"2 0 2"


def test_a_state_that_was_counted_by_other_rules_is_refused() -> None:
    state = MemoryPart()
    for step in Ledger(rules_of(VoteRules())).steps(TOPIC, 0, state, [Arrived(0, 1.0, [])]):
        state.apply(step.changes.items(), 0)
    for other in (
        rules_of(VoteRules(window_s=300)),
        rules_of(VoteRules(one_per_user=True)),
        rules_of(VoteRules(), horizon_s=7),
    ):
        with pytest.raises(SettingsError, match="the state was counted by"):
            list(Ledger(other).steps(TOPIC, 0, state, [Arrived(1, 1.0, [])]))
