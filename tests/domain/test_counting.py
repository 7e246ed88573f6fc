"""Counting: each event once, in the buckets of its time, whatever comes again or in another order."""

from __future__ import annotations

import doctest
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import counted as counted_events
from app.domain import counting
from app.domain.counting import Counting
from app.flows import registry
from app.flows import spending as spending_flow
from app.flows import votes as votes_flow
from app.flows.spending import Transaction, spend_buckets, spend_identities
from app.flows.votes import Vote, VoteRules, vote_buckets, vote_identities
from tests.properties import examples

FAST = settings(deadline=None, max_examples=examples(150))
RULES = VoteRules()
HORIZON_S = 100_000
NOW = 50_000

votes = st.builds(
    Vote,
    st.sampled_from([f"vote-{i}" for i in range(30)]),
    st.integers(1, 3),
    st.floats(0, 5000),
    st.sampled_from([None, "hall", "foyer"]),
    st.sampled_from([None, "u1", "u10", "u2"]),
)


def counted(given_votes: list[Vote], rules: VoteRules) -> Counting:
    found = Counting(HORIZON_S, lambda _: None, lambda _: None)
    for vote in given_votes:
        found.take(vote_identities(vote, rules), vote_buckets(vote, rules), 0, NOW)
    return found


def test_the_examples_of_the_texts_hold() -> None:
    for module in (counted_events, counting, registry, spending_flow, votes_flow):
        assert doctest.testmod(module).failed == 0


@FAST
@given(st.lists(votes, max_size=40))
def test_each_vote_id_counts_once_where_it_came_first(cast: list[Vote]) -> None:
    first = {vote.vote_id: vote for vote in reversed(cast)}
    found = counted(cast, RULES)
    totals = {key[1]: counts[0] for key, counts in found.sums.items() if key[0] == "total" and counts[0]}
    assert totals == Counter(str(vote.candidate_id) for vote in first.values())
    windows = {key[1:3]: counts[0] for key, counts in found.sums.items() if key[0] == "window" and counts[0]}
    assert windows == Counter((str(vote.candidate_id), int(vote.time) // 600 * 600) for vote in first.values())
    seconds = {key[2]: counts[0] for key, counts in found.sums.items() if key[0] == "second" and counts[0]}
    assert seconds == Counter(int(vote.time) for vote in first.values())
    assert sum(counts[2] for key, counts in found.sums.items() if key[0] == "total") == len(cast) - len(first)


@FAST
@given(st.lists(votes, max_size=30, unique_by=lambda vote: vote.vote_id), st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_change_what_distinct_votes_count(cast: list[Vote], shuffle: Random) -> None:
    again = [*cast, *cast]
    shuffle.shuffle(again)
    one = {key: counts[:2] for key, counts in counted(cast, RULES).sums.items()}
    assert {key: counts[:2] for key, counts in counted(again, RULES).sums.items()} == one


@FAST
@given(st.lists(votes, max_size=40))
def test_with_one_vote_a_user_neither_a_user_nor_a_vote_id_counts_twice(cast: list[Vote]) -> None:
    rules = VoteRules(one_per_user=True)
    seen: set[str] = set()
    expected: Counter[str] = Counter()
    for vote in cast:
        names = {f"v{vote.vote_id}"} | ({f"u{vote.user_id}"} if vote.user_id else set())
        if not names & seen:
            seen |= names
            expected[str(vote.candidate_id)] += 1
    totals = {key[1]: counts[0] for key, counts in counted(cast, rules).sums.items() if key[0] == "total" and counts[0]}
    assert totals == expected


@FAST
@given(
    st.lists(
        st.builds(
            Transaction,
            st.sampled_from(list("abcdef")),
            st.sampled_from(["u1", "u10"]),
            st.floats(0, 200_000),
            st.integers(-500, 10_000),
        ),
        max_size=40,
    )
)
def test_every_resolution_of_spending_adds_up_to_the_cent_and_users_stay_apart(paid: list[Transaction]) -> None:
    found = Counting(HORIZON_S, lambda _: None, lambda _: None)
    for each in paid:
        found.take(spend_identities(each), spend_buckets(each), each.cents, NOW)
    first = {(each.user_id, each.transaction_id): each for each in reversed(paid)}
    for user in ("u1", "u10"):
        true = sum(each.cents for each in first.values() if each.user_id == user)
        for resolution in ("minute", "hour", "day", "total"):
            assert sum(counts[1] for key, counts in found.sums.items() if key[:2] == (resolution, user)) == true
