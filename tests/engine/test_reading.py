"""How agents read: whole batches, in turn, none skipped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from app.engine import reading
from app.engine.reading import acknowledge, batches, by_partition, or_end, still_ours
from app.errors import LogError, SettingsError, StoreError, UnknownForm
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED
from tests.engine.world import GENERATION, Ended, Stream, World, bundle, event


async def read(world: World, stream: Stream, **options: Any) -> list[list[tuple[int, int]]]:
    """(partition, offset) of what each batch holds."""
    return [[(one.partition, one.offset) for one in batch] async for batch in batches(world.app, stream, **options)]


async def test_what_waits_together_is_one_batch(world: World) -> None:
    stream = Stream([event(0, b"a"), event(0, b"b", partition=1), event(1, b"c")])
    assert await read(world, stream) == [[(0, 0), (1, 0), (0, 1)]]


async def test_what_comes_slowly_is_a_batch_by_itself(world: World) -> None:
    assert await read(world, Stream([event(0, b"a"), event(1, b"b")], one_by_one=True)) == [[(0, 0)], [(0, 1)]]


async def test_a_batch_ends_at_its_bytes(world: World) -> None:
    stream = Stream([event(number, b"12345") for number in range(5)])
    assert await read(world, stream, max_bytes=10) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(0, 4)]]


async def test_a_batch_ends_at_its_messages_within_a_bundle_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BATCH_MESSAGES", 2)
    stream = Stream([event(4, bundle(0, *[b"x"] * 5)), event(5, b"y")])
    assert await read(world, stream) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(0, 4), (0, 5)]]


async def test_a_bundle_is_acknowledged_with_its_last_message(world: World) -> None:
    stream = Stream([event(2, bundle(0, b"a", b"b", b"c"))])
    (batch,) = [batch async for batch in batches(world.app, stream)]
    await acknowledge(stream, batch[:2])
    assert stream.acked == []
    await acknowledge(stream, batch[2:])
    assert stream.acked == [(0, 2)]


async def test_little_is_waited_for_once(tmp_path: Path) -> None:
    world = World(tmp_path, linger=0.01)
    began = asyncio.get_running_loop().time()
    assert await read(world, Stream([event(0, b"a")])) == [[(0, 0)]]
    assert asyncio.get_running_loop().time() - began >= 0.01
    world.close()


@pytest.mark.parametrize(
    "events",
    [
        [event(1, b"b")],
        [event(0, b"a"), event(2, b"c")],
        [event(0, b"a"), event(3, bundle(2, b"c", b"d"))],
    ],
    ids=["at the start", "between messages", "before a bundle"],
)
async def test_a_hole_in_the_offsets_ends_the_process(world: World, events: list[Any]) -> None:
    with pytest.raises(Ended):
        await read(world, Stream(events))
    ((why, code),) = world.ends.told
    assert "were skipped; a restart reads them again" in why and code == EXIT_CANNOT_GO_ON


async def test_reading_goes_on_where_the_group_committed(world: World) -> None:
    world.app.consumer._committed_offset[TP("t", 0)] = 40
    assert await read(world, Stream([event(40, b"a")])) == [[(0, 40)]]
    with pytest.raises(Ended):
        await read(world, Stream([event(41, b"a")]))


async def test_what_the_log_has_trimmed_is_no_hole(world: World) -> None:
    world.app.consumer.earliest[TP("t", 0)] = 12
    assert await read(world, Stream([event(12, b"a")])) == [[(0, 12)]]


async def test_messages_that_come_again_are_no_hole(world: World) -> None:
    again = [event(0, b"a"), event(1, b"b"), event(0, b"a"), event(1, b"b")]
    assert await read(world, Stream(again)) == [[(0, 0), (0, 1), (0, 0), (0, 1)]]


async def test_messages_of_an_older_generation_are_left_for_the_next_reading(world: World) -> None:
    stream = Stream([event(0, b"a", generation=GENERATION - 1), event(0, b"a")])
    assert await read(world, stream) == [[(0, 0)]]
    assert stream.acked == []


async def test_in_a_rebalance_a_message_waits_for_its_end(world: World) -> None:
    world.app.rebalancing = True
    task = asyncio.ensure_future(read(world, Stream([event(0, b"a")])))
    await asyncio.sleep(0.03)
    assert not task.done()
    world.app.consumer_generation_id = GENERATION + 1
    assert await task == []


def test_an_event_is_ours_within_its_generation_only(world: World) -> None:
    assert still_ours(world.app, event(0, b""))
    assert not still_ours(world.app, event(0, b"", generation=GENERATION - 1))
    world.app.rebalancing = True
    assert not still_ours(world.app, event(0, b""))


async def test_the_partitions_of_a_batch_keep_their_order(world: World) -> None:
    stream = Stream([event(0, b"a", 1), event(0, b"b"), event(1, b"c", 1)])
    (batch,) = [batch async for batch in batches(world.app, stream)]
    parts = by_partition(batch)
    assert {key: [one.value for one in part] for key, part in parts.items()} == {1: [b"a", b"c"], 0: [b"b"]}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("set it back"), EXIT_REFUSED),
        (UnknownForm("the state x/0", 2, 1), EXIT_REFUSED),
        (LogError("the log is away"), EXIT_CANNOT_GO_ON),
        (StoreError("the store is away"), EXIT_CANNOT_GO_ON),
        (ValueError("a mistake"), EXIT_CANNOT_GO_ON),
        (KeyboardInterrupt(), EXIT_CANNOT_GO_ON),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
async def test_an_error_of_an_agent_ends_the_process(world: World, error: BaseException, code: int) -> None:
    async def agent(_stream: Any) -> None:
        raise error

    guarded = or_end(world.outside, "an_agent", agent)
    assert guarded.__name__ == "an_agent"
    with pytest.raises(Ended):
        await guarded(Stream([]))
    assert [told for _, told in world.ends.told] == [code]


async def test_a_cancelled_agent_ends_no_process(world: World) -> None:
    async def agent(_stream: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await or_end(world.outside, "an_agent", agent)(Stream([]))
    assert world.ends.told == []
