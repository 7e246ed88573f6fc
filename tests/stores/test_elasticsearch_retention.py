"""Retention deletes by the time of ingest, whatever the times in the log; writers go on meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import StoreError
from app.stores.elasticsearch import searches
from app.stores.elasticsearch.retention import ElasticsearchRetention
from tests.stores import elastic, records
from tests.stores.records import delivery, hit, reject

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_only_what_was_ingested_long_enough_ago_goes() -> None:
    clock = Clock()
    async with elastic.opened(clock=clock) as store:
        for day in range(10):
            clock.now = day * DAY
            await store.writes.write_hits([hit(day * 10 + n, time=5e9, request=f"GET /{day}") for n in range(3)])
            await store.writes.write_rejects([reject(day * 10, reason=f"bad_{day % 2}")])
            await store.writes.write_deliveries([delivery(request=f"GET /{day}")])
        assert await store.retention.retain(9 * DAY, raw_days=3, reduced_days=7) == (6 * 4, 2)
        assert sorted({str(one.request) for one in [one async for one in store.reads.all_hits()]}) == [
            f"GET /{day}" for day in range(6, 10)
        ]
        assert sorted(one.request for one in [one async for one in store.reads.all_deliveries()]) == [
            f"GET /{day}" for day in range(2, 10)
        ]
        assert sorted([one.position async for one in store.reads.all_rejects()]) == [60, 70, 80, 90]
        assert await store.reads.counts() == await records.counted(store)
        assert await store.retention.retain(9 * DAY, raw_days=3, reduced_days=7) == (0, 0)


async def test_a_daily_index_of_which_all_is_old_is_dropped_and_one_of_which_some_is_old_is_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searches, "AT_ONCE", 10)
    clock = Clock()
    async with elastic.opened(clock=clock) as store:
        first, second = [hit(n) for n in range(100)], [hit(n, time=records.TIME + DAY) for n in range(100, 200)]
        await store.writes.write_hits(first + second[:50])
        clock.now = 5 * DAY
        await store.writes.write_hits(second[50:])
        names = [store.names.raw_index(one.time) for one in (first[0], second[0])]
        pattern = f"/{store.names.pattern('raw')}/_alias"
        assert set(names) < set(await store.connection.call("GET", pattern))
        assert await store.retention.retain(8 * DAY, raw_days=7, reduced_days=90) == (150, 0)
        left = await store.connection.call("GET", pattern)
        assert names[0] not in left and names[1] in left
        assert sorted([one async for one in store.reads.all_hits()]) == sorted(second[50:])
        assert await store.writes.write_hits(first[:1]) == []  # the index comes again with its mapping
        again = await store.connection.call("GET", f"/{names[0]}/_mapping")
        assert again[names[0]]["mappings"]["properties"]["ip_address"]["fields"]["ip"]["type"] == "ip"
        assert (await store.reads.counts()).hits == 51


async def test_a_late_hit_for_an_index_that_is_being_dropped_is_not_lost() -> None:
    clock = Clock()
    async with elastic.opened(clock=clock) as store:
        await store.writes.write_hits([hit(n) for n in range(50)])
        clock.now = 30 * DAY
        late = [hit(n) for n in range(1000, 1200)]

        async def write() -> None:
            for one in late:
                assert await store.writes.write_hits([one]) == []

        async def retain() -> None:
            for _ in range(5):
                await store.retention.retain(30 * DAY, raw_days=7, reduced_days=90)

        await asyncio.gather(write(), retain())
        assert sorted([one async for one in store.reads.all_hits()]) == sorted(late)


class Died(Exception):
    pass


async def test_a_write_block_that_a_dead_process_left_behind_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    async with elastic.opened(clock=clock) as store:
        await store.writes.write_hits([hit(1)])
        looks = 0
        look = ElasticsearchRetention._documents_all_old

        async def dying(self: ElasticsearchRetention, *args: Any) -> int | None:
            nonlocal looks
            looks += 1
            if looks == 2:
                raise Died
            return await look(self, *args)

        with monkeypatch.context() as patch, pytest.raises(Died):
            patch.setattr(ElasticsearchRetention, "_documents_all_old", dying)
            await store.retention.retain(30 * DAY, raw_days=7, reduced_days=90)
        writing = asyncio.create_task(store.writes.write_hits([hit(2)]))
        await store.retention.retain(0.0, raw_days=7, reduced_days=90)
        assert await writing == []
        assert (await store.reads.counts()).hits == 2
        await store._schema.create()  # as the next start does it: the form of the index is still there


@pytest.mark.parametrize("blocks", [{"write": False}, {"read_only_allow_delete": True}], ids=["lifted", "full disk"])
async def test_an_old_index_is_dropped_where_a_block_was_lifted_or_the_disk_is_full(blocks: dict[str, bool]) -> None:
    async with elastic.opened(clock=Clock()) as store:
        other = hit(2, time=records.TIME + DAY)
        await store.writes.write_hits([hit(1), other])
        index = store.names.raw_index(hit(1).time)
        named = {f"index.blocks.{name}": on for name, on in blocks.items()}
        await store.connection.call("PUT", f"/{index}/_settings", named)
        assert await store.retention.retain(30 * DAY, raw_days=7, reduced_days=90) == (2, 0)
        assert [one async for one in store.reads.all_hits()] == []


@pytest.mark.parametrize("block", ["write", "read_only"])
@pytest.mark.parametrize("now", [0.0, 30 * DAY], ids=["some is young", "all is old"])
async def test_an_index_that_an_operator_blocked_is_left_alone_and_said(
    block: str, now: float, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with elastic.opened(clock=clock) as store:
        other = hit(2, time=records.TIME + DAY)
        await store.writes.write_hits([hit(1), other])
        index = store.names.raw_index(hit(1).time)
        await store.connection.call("PUT", f"/{index}/_settings", {f"index.blocks.{block}": True})
        try:
            gone = await store.retention.retain(now, raw_days=7, reduced_days=90)
            told = await store.connection.call("GET", f"/{index}/_settings")
            assert told[index]["settings"]["index"]["blocks"] == {block: "true"}
            assert gone == (int(now > 0), 0)
            assert [one async for one in store.reads.all_hits()] == [hit(1)] + [other] * (now == 0)
            assert f"{index} is blocked ({block})" in caplog.text
            assert isinstance(store.retention, ElasticsearchRetention)
            with pytest.raises(StoreError, match=f"cannot delete .* blocked by: .*index {block.replace('_', '-')}"):
                await store.retention._searches.delete_found(index, {"match_all": {}})
        finally:
            await store.connection.call("PUT", f"/{index}/_settings", {f"index.blocks.{block}": None})


async def test_a_delivery_written_again_later_is_kept_from_then_on() -> None:
    clock = Clock()
    async with elastic.opened(clock=clock) as store:
        await store.writes.write_deliveries([delivery(8)])
        clock.now = 5 * DAY
        await store.writes.write_deliveries([delivery(16)])
        assert await store.retention.retain(6 * DAY, raw_days=2, reduced_days=2) == (0, 0)
        assert await store.retention.retain(8 * DAY, raw_days=2, reduced_days=2) == (0, 1)
