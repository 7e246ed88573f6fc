"""Stores against one another, and against doubles; and how often `check` reads them for that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.checking import remade_deliveries
from app.checking.reconciliation import CheckRun, check_stores
from app.checking.report import CheckReport, Difference
from app.checking.store_digests import Ids
from app.domain.counted import Sum
from app.domain.records import Hit
from app.flows.requests import REQUESTS
from app.stores import open_store
from app.stores.contract import Store
from app.transports.broker_view import open_view
from tests.checking.world import TOPICS, World, some_lines


class CountedReads:
    """Reads that count what is read, and give the first hits twice."""

    def __init__(self, reads: Any, doubled: int) -> None:
        self._reads, self._doubled = reads, doubled
        self.read: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reads, name)

    async def all_hits(self) -> AsyncIterator[Hit]:
        self.read["hit"] += 1
        left = self._doubled
        async for each in self._reads.all_hits():
            yield each
            if left:
                left -= 1
                yield each

    def all_rejects(self) -> Any:
        self.read["reject"] += 1
        return self._reads.all_rejects()

    def all_deliveries(self, superseded: bool = False) -> Any:
        self.read["delivery"] += 1
        return self._reads.all_deliveries(superseded)


class DoublingMending:
    """Of a store whose schema forbids no doubles."""

    def __init__(self, mending: Any) -> None:
        self._mending = mending
        self.holds_no_doubles = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mending, name)


class Other(Store):
    """A store as `check` sees it: by another name, with records that stand in it twice, and with a count of what is read."""

    def __init__(self, store: Store, name: str, doubled: int = 0) -> None:
        self.counted = CountedReads(store.reads, doubled)
        mending: Any = DoublingMending(store.mending)
        reads: Any = self.counted
        super().__init__(name, store.writes, reads=reads, mending=mending, ledgers=store.ledgers)

    @property
    def read(self) -> Counter[str]:
        return self.counted.read


@pytest.fixture
def worlds(tmp_path: Path) -> list[World]:
    made = [World(tmp_path / name) for name in ("one", "other")]
    for world in made:
        world.send(some_lines())
        world.reject(5, 6, 7)
    return made


def checked(worlds: list[World], doubled: int = 0, log: bool = True) -> tuple[list[Difference], list[Other]]:
    """The stores of some worlds against the topics of the first, and against one another."""
    found: list[Difference] = []

    async def check() -> list[Other]:
        stores = [Other(open_store("sqlite", world.settings), world.folder.name, doubled) for world in worlds]
        for store in stores:
            await store.open()
        view = open_view(worlds[0].settings)
        assert view is not None
        with closing(view) as reader:
            await check_stores(CheckRun(worlds[0].settings, reader if log else None), stores, CheckReport(found.append))
        for store in stores:
            await store.close()
        return stores

    with worlds[0].log() as topics:
        for world in worlds:
            topics.register_group(f"weblogs-{world.folder.name}", TOPICS)
            topics.commit(
                f"weblogs-{world.folder.name}", {key: end for key, end in topics.ends().items() if key[0] in TOPICS}
            )
    return found, asyncio.run(check())


def test_level_stores_are_read_once_for_every_kind_of_record(worlds: list[World]) -> None:
    found, stores = checked(worlds)
    assert found == []
    assert [store.read for store in stores] == [{"hit": 1, "reject": 1, "delivery": 1}] * 2


def test_without_a_log_stores_are_compared_with_one_another(worlds: list[World]) -> None:
    assert checked(worlds, log=False)[0] == []
    worlds[1].sql("DELETE FROM hits WHERE hit_no = 3")
    worlds[1].sql("UPDATE rejects SET detail = 'else' WHERE reject_no = 2")
    found, _ = checked(worlds, log=False)
    assert {(each.store, each.record, each.kind) for each in found if each.record != "count"} >= {
        ("other", "hit", "apart"), ("other", "reject", "apart"),
    }  # fmt: skip


def test_with_a_log_and_past_its_retention_what_is_apart_is_named(worlds: list[World]) -> None:
    for world in worlds:
        world.trim()
    assert checked(worlds)[0] == []
    worlds[1].sql("UPDATE hits SET status = 500 WHERE hit_no = 3")
    worlds[1].sql("DELETE FROM deliveries WHERE delivery_no = 2")
    kinds = {(each.record, each.kind) for each in checked(worlds)[0]}
    assert ("hit", "apart") in kinds and ("delivery", "apart") in kinds


@pytest.mark.parametrize("log", [True, False])
def test_sums_of_requests_that_differ_between_stores_are_named(worlds: list[World], log: bool) -> None:
    with worlds[0].log() as topics:
        topics.create_topic(REQUESTS.reduced, 2)
    sums = [Sum("hour", "", 3600, 0, 0, requests, 10 * requests, 0) for requests in (1, 2)]
    for world in worlds:
        assert world.with_store(lambda store: store.ledgers.write_sums(REQUESTS, sums[:1])) == []
    assert checked(worlds, log=log)[0] == []
    worlds[1].with_store(lambda store: store.ledgers.write_sums(REQUESTS, sums[1:]))
    assert [(each.store, each.record, each.kind) for each in checked(worlds, log=log)[0]] == [
        ("other", "request sum", "apart")
    ]


@pytest.mark.parametrize("log", [True, False])
def test_what_stands_there_twice_is_named_once(worlds: list[World], log: bool) -> None:
    found, _ = checked(worlds[:1], doubled=3, log=log)
    assert sorted((each.record, each.kind) for each in found) == [("hit", "doubled")] * 3


def test_stores_with_more_keys_than_may_be_merged_at_once_are_checked_all_the_same(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remade_deliveries, "MOST_KEYS", 3)
    found, stores = checked(worlds[:1])
    assert found == []
    assert stores[0].read["hit"] > 1
    worlds[0].sql("UPDATE deliveries SET ranges = '0-1' WHERE delivery_no = 3")
    assert [(each.record, each.kind) for each in checked(worlds[:1])[0]] == [("delivery", "altered")]


@given(st.lists(st.integers(0, 2**128 - 1) | st.integers(0, 3), max_size=12), st.integers(0, 14))
def test_ids_are_told_to_differ_only_where_they_do(numbers: list[int], most: int) -> None:
    ids = Ids(most)
    for number in numbers:
        ids.add(number)
    if ids.surely_differ:
        assert len(set(numbers)) == len(numbers)
    elif len(numbers) <= most:
        assert len({number % 2**64 for number in numbers}) < len(numbers)
