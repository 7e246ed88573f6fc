"""What holds for votes and spending in every store: each rule is checked on a store that is open and has none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from app.domain.counted import Sum
from app.domain.usage.records import UsageRecord, is_intact, sealed
from app.flows.registry import COUNTED
from app.flows.spending import SPENDING, Transaction
from app.flows.usage import MONITORED
from app.flows.votes import VOTES, Vote
from app.stores.contract import Store
from app.stores.ledger_contract import Top

HOSTILE = "O'Hara\n\"é😀\0/ "
CAST = [
    Vote("a", 2, 1_600_000_000.25, "hall", "u1", "yes"),
    Vote("b", 1, 1_600_000_600.0),
    Vote(HOSTILE, 9007199254740991, -1.5, HOSTILE, HOSTILE, HOSTILE),
    Vote("c", 2, 1_600_000_601.0, "", "", ""),
]
PAID = [
    Transaction("1", "u1", 1_600_000_000.0, 2000),
    Transaction("2", "u1", 1_600_000_000.0, 2000),
    Transaction("1", "u10", 1_600_000_000.5, 777),
    Transaction("3", "u1", 1_600_086_400.0, -50),
    Transaction(HOSTILE, HOSTILE, 1_600_000_000.0, 10**12),
]


def total(user: str, cents: int, partition: int = 0, events: int = 1) -> Sum:
    return Sum("total", user, 0, partition, 0, events, cents, 0)


async def votes_come_back_once(store: Store) -> None:
    """By vote id; one that comes again with other fields changes nothing."""
    assert await store.ledgers.write_events(VOTES, CAST) == []
    assert await store.ledgers.write_events(VOTES, [CAST[1], Vote("a", 3, 5.0)]) == []
    found = [vote async for vote in store.ledgers.all_events(VOTES)]
    assert sorted(found) == sorted(CAST)


async def transactions_come_back_once_by_user_and_time(store: Store) -> None:
    """Two in one second both stay; no user sees another's."""
    ledgers = store.ledgers
    assert await ledgers.write_events(SPENDING, PAID) == []
    assert await ledgers.write_events(SPENDING, PAID[:3]) == []
    assert sorted([each async for each in ledgers.all_events(SPENDING)]) == sorted(PAID)
    for user in ("u1", "u10", HOSTILE, "u"):
        own = sorted((each for each in PAID if each.user_id == user), key=lambda each: (each.time, each.transaction_id))
        assert await ledgers.events(SPENDING, user, -1e11, 1e11, 100) == own
        assert await ledgers.spent(SPENDING, user, -1e11, 1e11) == (sum(each.cents for each in own), len(own))
    assert await ledgers.events(SPENDING, "u1", 1_600_000_000.0, 1_600_086_400.0, 100) == PAID[:2]
    assert await ledgers.events(SPENDING, "u1", 1_600_000_000.25, 1_600_086_400.25, 100) == [PAID[3]]
    assert await ledgers.events(SPENDING, "u1", -1e11, 1e11, 1) == PAID[:1]
    assert await ledgers.spent(SPENDING, "u1", 1_600_000_000.0, 1_600_086_400.0) == (4000, 2)


def call(seq: int, user: str, time: float = 1_600_000_000.0, **fields: Any) -> UsageRecord:
    one = UsageRecord("request", "shop", "m1", "0" * 32, seq, time, 7, "", user_id=user, monitored=True)
    return sealed(one._replace(**fields))


CALLS = [
    call(1, "u1", uri="/cart?" + "x" * 50_000, body=HOSTILE, status=200, duration_us=1 << 40),
    call(2, "u1", 1_600_000_000.0),
    call(3, "u10", 1_600_000_000.5, start_id="f" * 32),
    call(3, HOSTILE, -1.5, address=HOSTILE),
    call(4, "u1", 1_600_086_400.0, monitored=False),
]


async def records_of_calls_come_back_exactly_once_by_user_and_time(store: Store) -> None:
    """By producer and number; the checksum of each still holds."""
    ledgers = store.ledgers
    assert await ledgers.write_events(MONITORED, CALLS) == []
    assert await ledgers.write_events(MONITORED, CALLS[:3]) == []
    found = [each async for each in ledgers.all_events(MONITORED)]
    assert sorted(found, key=str) == sorted(CALLS, key=str) and all(map(is_intact, found))
    for user in ("u1", "u10", HOSTILE, "u"):
        own = sorted((each for each in CALLS if each.user_id == user), key=lambda each: (each.time, each.seq))
        assert await ledgers.events(MONITORED, user, -1e11, 1e11, 100) == own
    assert await ledgers.events(MONITORED, "u1", 1_600_000_000.0, 1_600_086_400.0, 100) == CALLS[:2]
    assert await ledgers.events(MONITORED, "u1", -1e11, 1e11, 1) == CALLS[:1]


async def records_of_calls_are_mended_removed_and_dropped(store: Store) -> None:
    ledgers = store.ledgers
    altered = call(1, "u1", uri="/altered")
    assert await ledgers.write_events(MONITORED, [altered, *CALLS[1:]]) == []
    await ledgers.mend_events(MONITORED, CALLS[:1])
    assert await ledgers.events(MONITORED, "u1", -1e11, 1e11, 100) == [CALLS[0], CALLS[1], CALLS[4]]
    await ledgers.remove_events(MONITORED, CALLS[:1])
    assert await ledgers.events(MONITORED, "u1", -1e11, 1e11, 100) == [CALLS[1], CALLS[4]]
    await ledgers.drop()
    assert [each async for each in ledgers.all_events(MONITORED)] == []


async def the_highest_version_of_a_sum_stays(store: Store) -> None:
    versions = [
        Sum("window", "2", 600, 0, 0, 1, 0, 0),
        Sum("window", "2", 600, 0, 0, 1, 0, 5),
        Sum("window", "2", 600, 0, 0, 3, 0, 1),
    ]
    for order in permutations(range(3)):
        await store.ledgers.drop()
        for at in order:
            assert await store.ledgers.write_sums(VOTES, [versions[at]]) == []
        assert await store.ledgers.sums(VOTES, None, "window", 0, 1000) == [versions[2]]
    await store.ledgers.drop()
    assert await store.ledgers.write_sums(VOTES, [*versions[::-1], versions[0]]) == []
    assert await store.ledgers.sums(VOTES, None, "window", 0, 1000) == [versions[2]]


async def sums_are_found_by_their_start(store: Store) -> None:
    """From inclusive, to exclusive; partitions and shares stand apart."""
    day = 86_400
    windows = [
        Sum("window", group, start, partition, share, 1 + share, 0, 0)
        for group in ("1", "2")
        for start in (-600, 0, 600, day - 600, day, 3 * day)
        for partition in (0, 7)
        for share in (0, 900_000)
    ]
    kiosks = [
        Sum("kiosk", f"{one}/{kiosk}", start, 0, 0, 1, 0, 2)
        for one in (1, 10, 2)
        for kiosk in ("", "a/b", HOSTILE)
        for start in (0, day)
    ]
    seconds = [Sum("second", "", start, 3, 0, 1, 0, 0) for start in range(day - 5, day + 5)]
    totals = [Sum("total", str(one), 0, 0, 0, 2, 0, 0) for one in (1, 2, 10)]
    ledgers = store.ledgers
    assert await ledgers.write_sums(VOTES, [*windows, *kiosks, *seconds, *totals]) == []
    assert sorted([each async for each in ledgers.all_sums(VOTES)]) == sorted([*windows, *kiosks, *seconds, *totals])
    for begin, end in ((-1000, 4 * day), (0, day), (0.5, day + 0.5), (600, 601), (day, day)):
        expected = [each for each in windows if begin <= each.start < end]
        assert sorted(await ledgers.sums(VOTES, None, "window", begin, end)) == sorted(expected)
    assert sorted(await ledgers.sums(VOTES, None, "second", day - 2, day + 2)) == [
        each for each in seconds if day - 2 <= each.start < day + 2
    ]
    assert sorted(await ledgers.sums(VOTES, None, "total", 0, 1)) == sorted(totals)
    assert sorted(await ledgers.sums(VOTES, "1", "kiosk", 0, day)) == sorted(
        each for each in kiosks if each.group.startswith("1/") and not each.start
    )


async def spending_is_found_by_user_and_the_top_is_added_up(store: Store) -> None:
    ledgers = store.ledgers
    hours = [
        Sum("hour", user, start, 0, 0, 1, start, 0)
        for user in ("u1", "u10", HOSTILE)
        for start in (-3600, 0, 3600, 90_000)
    ]
    totals = [
        total("u1", 500),
        total("u1", 20, partition=3),
        total("u10", 519, events=2),
        total("a", 519),
        total(HOSTILE, 10**15),
    ]
    assert await ledgers.write_sums(SPENDING, [*hours, *totals]) == []
    for user in ("u1", HOSTILE, "u"):
        expected = [each for each in hours if each.group == user and 0 <= each.start < 90_000]
        assert sorted(await ledgers.sums(SPENDING, user, "hour", 0, 90_000)) == sorted(expected)
    assert sorted([each async for each in ledgers.all_sums(SPENDING)]) == sorted([*hours, *totals])
    assert await ledgers.top(SPENDING, 4) == [
        Top(HOSTILE, 10**15, 1),
        Top("u1", 520, 2),
        Top("a", 519, 1),
        Top("u10", 519, 2),
    ]
    assert len(await ledgers.top(SPENDING, 2)) == 2


async def names_are_kept_and_replaced(store: Store) -> None:
    ledgers = store.ledgers
    assert await ledgers.names("candidates") == {}
    await ledgers.put_names("candidates", {"1": "Ada", "2": HOSTILE * 20})
    await ledgers.put_names("candidates", {"1": "Grace"})
    await ledgers.put_names("users", {HOSTILE: "x" * 256})
    assert await ledgers.names("candidates") == {"1": "Grace", "2": HOSTILE * 20}
    assert await ledgers.names("users") == {HOSTILE: "x" * 256}


async def dropping_leaves_candidates_and_users(store: Store) -> None:
    ledgers = store.ledgers
    await ledgers.put_names("candidates", {"1": "Ada"})
    await ledgers.write_events(VOTES, CAST)
    await ledgers.write_events(SPENDING, PAID)
    await ledgers.write_sums(VOTES, [Sum("window", "2", 600, 0, 0, 1, 0, 0)])
    await ledgers.write_sums(SPENDING, [total("u1", 5)])
    await ledgers.drop()
    left: list[Sequence[Any]] = [each async for each in ledgers.all_events(VOTES)]
    left += [each async for each in ledgers.all_events(SPENDING)]
    for kind in COUNTED:
        left += [each async for each in ledgers.all_sums(kind)]
    assert left == []
    assert await ledgers.top(SPENDING, 5) == []
    assert await ledgers.names("candidates") == {"1": "Ada"}


RULES = (
    votes_come_back_once,
    transactions_come_back_once_by_user_and_time,
    records_of_calls_come_back_exactly_once_by_user_and_time,
    records_of_calls_are_mended_removed_and_dropped,
    the_highest_version_of_a_sum_stays,
    sums_are_found_by_their_start,
    spending_is_found_by_user_and_the_top_is_added_up,
    names_are_kept_and_replaced,
    dropping_leaves_candidates_and_users,
)
