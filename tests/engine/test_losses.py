"""What the log has deleted unread is told once, kept in the topic of progress, and no reason to end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from faust.types import TP

from app.engine.losses import named_topic, note_read, tell_losses
from app.flows.registry import progress_topic
from app.messages.progress import GroupProgress, Loss
from tests.engine.test_reading import read
from tests.engine.world import NOW, Ended, Stream, World, event

PLACE = TP("t", 0)


def kept(world: World) -> GroupProgress:
    progress = GroupProgress()
    for value in world.sent(progress_topic("weblogs")):
        progress.take(value, "here")
    return progress


async def test_messages_deleted_before_the_first_one_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.app.consumer._committed_offset[PLACE] = 4
    world.app.consumer.earliest[PLACE] = 12
    assert await read(world, Stream([event(12, b"a"), event(13, b"b")])) == [[(0, 12), (0, 13)]]
    (loss,) = kept(world).unacknowledged
    assert loss == Loss("weblogs", "t", 0, 4, 11, NOW) and loss.messages == 8
    assert world.counters.losses == {loss.name: loss}
    (record,) = caplog.records
    assert (
        record.levelno == logging.ERROR
        and "Messages 4 to 11 of t/0 (8) were not read by group weblogs" in record.message
    )


async def test_messages_deleted_while_they_were_read_are_told(world: World) -> None:
    world.app.consumer.earliest[PLACE] = 9
    world.app.consumer._committed_offset[PLACE] = 9
    stream = Stream([event(9, b"a"), event(20, b"b")])
    world.app.consumer.earliest[PLACE] = 20
    world.app.consumer._committed_offset[PLACE] = 9
    assert await read(world, stream) == [[(0, 9), (0, 20)]]
    assert [loss[3:5] for loss in kept(world).unacknowledged] == [(10, 19)]


async def test_a_hole_beyond_what_was_deleted_still_ends_the_process(world: World) -> None:
    world.app.consumer.earliest[PLACE] = 12
    with pytest.raises(Ended):
        await read(world, Stream([event(15, b"a")]))
    assert "messages 12 to 14 of t/0 were skipped" in world.ends.told[0][0]
    assert [loss[3:5] for loss in kept(world).unacknowledged] == [(0, 11)]


async def test_offsets_that_begin_again_in_a_topic_made_anew_end_the_process_before_its_lines_are_read(
    world: World,
) -> None:
    """They would have the ids of the lines before. A message that merely comes twice is read."""
    again = [event(0, b"a"), event(1, b"b"), event(0, b"a")]
    assert sum(len(batch) for batch in await read(world, Stream(again))) == 3
    world.app.anew = ["t"]
    with pytest.raises(Ended):
        await read(world, Stream(again))
    assert "a topic was deleted and made anew under this worker: t." in world.ends.told[0][0]
    assert world.app.consumer.begun_anew == ["t"]


async def test_one_answer_names_the_topic_of_all_that_had_come_when_it_was_asked_for_and_of_nothing_later(
    world: World,
) -> None:
    """What comes after the answer may stand in another topic of the same name."""
    buffer = Stream([]).channel.queue

    async def asked_for(taken: int, coming: int) -> int:
        """Take some and name their topic, while others come."""
        for _ in range(taken):
            buffer.get_nowait()
        before = world.app.asked
        naming = asyncio.ensure_future(named_topic(world.app, "t", buffer))
        await asyncio.sleep(0)  # it asks now, if it does
        for offset in range(coming):
            buffer.put_nowait(event(offset, b"a"))
        assert await naming == "t@1"
        return world.app.asked - before

    for offset in range(4):
        buffer.put_nowait(event(offset, b"a"))
    assert await asked_for(1, coming=3) == 1
    assert [await asked_for(1, coming=0) for _ in range(6)] == [0, 0, 0, 1, 0, 0]
    assert await asked_for(0, coming=2) == 0
    buffer.clear()
    buffer.put_nowait(event(9, b"a"))
    assert await asked_for(1, coming=0) == 1


@pytest.mark.parametrize(("broker", "told"), [("kafka://h:1", []), ("sqlite:///log.db", [(1, 1)])])
async def test_where_the_log_itself_has_no_message_reading_goes_on(
    tmp_path: Path, broker: str, told: list[tuple[int, int]]
) -> None:
    """Else the process would end there at each start."""
    world = World(tmp_path, broker=broker)
    world.app.empty.add(("t", 0, 1, 2))
    assert await read(world, Stream([event(0, b"a"), event(2, b"b")])) == [[(0, 0), (0, 2)]]
    assert world.ends.told == [] and [loss[3:5] for loss in kept(world).losses.values()] == told
    world.close()


async def test_a_loss_is_told_once_and_again_where_it_grows(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for end in (5, 5, 7):
        await tell_losses(world.app, [(PLACE, 0, end)])
    assert [record.getMessage().partition(" of ")[0] for record in caplog.records] == [
        "Messages 0 to 4",
        "Messages 0 to 6",
    ]
    assert [loss[3:5] for loss in kept(world).losses.values()] == [(0, 6)]


async def test_what_was_read_is_marked(world: World) -> None:
    await note_read(world.app, [(PLACE, 3)])
    await note_read(world.app, [(PLACE, 8)])
    assert kept(world).marks == {("weblogs", "t", 0): 8}


def test_a_message_that_is_none_of_ours_is_passed_over() -> None:
    progress = GroupProgress()
    for value in (b"", b"garbage", b"[1]", b'[1,["a"],null]', b"{}"):
        progress.take(value, "here")
    assert (progress.marks, progress.losses) == ({}, {})
