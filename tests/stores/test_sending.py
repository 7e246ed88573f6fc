"""Batches on their way to a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.stores.sending import Lanes, portions


async def batches(*given: int) -> AsyncIterator[int]:
    for each in given:
        yield each


async def test_batches_hold_at_most_so_many_bytes_and_items() -> None:
    for largest, sizes in [(35, [3, 3, 3, 1]), (5, [1] * 10), (1000, [4, 4, 2])]:
        items = [bytes([n]) * 10 for n in range(10)]
        made = [portion async for portion in portions(items, len, largest, 4)]
        assert [len(portion) for portion in made] == sizes
        assert [item for portion in made for item in portion] == items


async def test_no_more_batches_are_under_way_than_there_are_lanes_whoever_sends_them() -> None:
    lanes, under_way, most, done = Lanes(3), 0, 0, 0

    async def deliver(batch: int) -> None:
        nonlocal under_way, most, done
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        done += batch

    await asyncio.gather(lanes.send(batches(1, 2, 3, 4), deliver), lanes.send(batches(5, 6, 7, 8), deliver))
    assert (most, done) == (3, 36)


async def test_the_first_failure_is_raised_when_the_others_have_ended_and_no_batch_follows() -> None:
    lanes, ended = Lanes(2), []

    async def deliver(batch: int) -> None:
        if batch == 1:
            raise ValueError("the first")
        await asyncio.sleep(0)
        ended.append(batch)

    with pytest.raises(ValueError, match="the first"):
        await lanes.send(batches(0, 1, 2, 3, 4, 5), deliver)
    assert ended == [0]
    await lanes.send(batches(6, 7, 8), deliver)  # all lanes are free again
    assert ended == [0, 6, 7, 8]


@pytest.mark.parametrize("count", [2, 3], ids=["all are under way", "one waits for a lane"])
async def test_a_call_that_is_cancelled_ends_its_batches_and_leaves_all_lanes_free(count: int) -> None:
    lanes, never, some = Lanes(2), asyncio.Event(), range(1, count + 1)

    delivered = []

    async def wait(batch: int) -> None:
        await never.wait()
        delivered.append(batch)

    with lanes.call():
        call = asyncio.create_task(lanes.send(batches(*some), wait))
        ended = asyncio.create_task(lanes.ended())
        await asyncio.sleep(0.01)
        lanes.renew()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not ended.done()
    await lanes.ended()
    ended.cancel()
    never.set()
    await asyncio.sleep(0.01)
    assert delivered == []
    await lanes.send(batches(*some), wait)
    assert delivered == [*some]


async def test_a_batch_that_was_cancelled_was_not_delivered() -> None:
    async def cancelled(batch: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Lanes(2).send(batches(1), cancelled)
