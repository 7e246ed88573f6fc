"""Simulated votes and payments: the same for the same seed, and the truth is what counting by hand gives."""

from __future__ import annotations

from collections import Counter

import pytest

from simulator.spend import SimulatedSpend, SpendPlan
from simulator.votes import SimulatedVotes, VotePlan

PLAN = VotePlan(5000, 3, 1_600_000_000.0)


def test_votes_are_as_many_late_and_repeated_as_asked_and_the_truth_counts_each_once() -> None:
    simulated = SimulatedVotes(PLAN)
    sends = list(simulated.sends())
    truth = simulated.truth()
    distinct = {vote["vote_id"]: vote for vote in sends}
    assert len(distinct) == truth["votes"] == 5000
    assert truth["sent"] == len(sends) and truth["repeats"] == len(sends) - 5000
    assert 0.15 < truth["repeats"] / 5000 < 0.25
    assert truth["candidates"] == {
        str(one): number for one, number in sorted(Counter(vote["candidate_id"] for vote in distinct.values()).items())
    }
    windows = Counter((int(vote["vote_time"] // 600) * 600, vote["candidate_id"]) for vote in distinct.values())
    assert truth["windows"] == [[start, candidate, number] for (start, candidate), number in sorted(windows.items())]
    first = [vote["vote_time"] for vote in {vote["vote_id"]: vote for vote in reversed(sends)}.values()]
    assert max(first) - min(first) < 3600 + 300
    assert len({vote["kiosk_id"] for vote in sends}) == 300


def test_the_same_seed_gives_the_same_votes_and_another_others() -> None:
    assert list(SimulatedVotes(PLAN).sends()) == list(SimulatedVotes(PLAN).sends())
    assert list(SimulatedVotes(PLAN).sends()) != list(SimulatedVotes(PLAN._replace(seed=4)).sends())


def test_with_one_vote_a_user_the_first_one_sent_counts() -> None:
    simulated = SimulatedVotes(PLAN._replace(users=500, one_per_user=True))
    first: dict[str, int] = {}
    for vote in simulated.sends():
        first.setdefault(vote["user_id"], vote["candidate_id"])
    assert simulated.truth()["candidates"] == {
        str(one): number for one, number in sorted(Counter(first.values()).items())
    }


def test_payments_stay_in_their_range_and_every_resolution_has_all_cents() -> None:
    plan = SpendPlan(users=20, mean_gap_s=600, seed=2, begin=0.0, end=86_400.0, repeats=0.1)
    simulated = SimulatedSpend(plan)
    sends = list(simulated.sends())
    truth = simulated.truth()
    distinct = {(paid["user_id"], paid["transaction_id"]): paid for paid in sends}
    assert len(distinct) == truth["transactions"] < len(sends) == truth["sent"]
    assert all(0 <= paid["time"] < 86_400 and 2000 <= paid["cents"] <= 10_000 for paid in sends)
    assert truth["cents"] == sum(paid["cents"] for paid in distinct.values())
    for rows in truth["buckets"].values():
        assert sum(cents for _, _, cents in rows) == truth["cents"]
    gaps = 20 * 86_400 / truth["transactions"]
    assert 500 < gaps < 720
    assert list(SimulatedSpend(plan).sends()) == sends


@pytest.mark.parametrize(
    "values",
    [
        {"users": 0},
        {"users": 1.5},
        {"users": True},
        {"mean_gap_s": 0},
        {"repeats": 2},
        {"min_cents": 5, "max_cents": 4},
    ],
)
def test_a_bad_config_is_told(values: dict[str, object]) -> None:
    assert SpendPlan.problem(values)
    assert SpendPlan.problem({"users": 3, "min_cents": 4, "max_cents": 4}) is None
