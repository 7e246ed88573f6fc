"""The table: changelog first, then the state; nothing for partitions that are not ours; lost ones are dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from app.engine.faust_app import make_app
from app.engine.partition import MemoryPart, StatePart
from app.engine.state_forms import NumberedState, StateForms
from app.engine.table import BatchTable, add_table
from app.errors import LogError
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED
from tests.engine.world import GENERATION, Consumer, Ended, Ends, World, event

PARTITIONS = 2


class TableConsumer(Consumer):
    """Knows no end offsets: the changelog tells them."""

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)


@pytest.fixture
async def make_table(tmp_path: Path) -> AsyncIterator[Callable[..., BatchTable]]:
    made: list[tuple[World, BatchTable]] = []

    def make(make_part: Callable[[int, str], StatePart] = lambda partition, log: MemoryPart()) -> BatchTable:
        world = World(tmp_path)
        outside = world.outside._replace(parts_of=lambda table, settings: make_part)
        outside.register_transport(outside.settings)
        app: Any = make_app("w", outside)
        app.consumer_generation_id, app.rebalancing, app.consumer = GENERATION, False, TableConsumer()
        table = add_table(app, "counts", lambda *_: make_part, StateForms(newest=1))
        made.append((world, table))
        return table

    yield make
    for world, table in made:
        if table._changelog is not None:
            await table._changelog.close()
        world.close()


def ends_of(table: BatchTable) -> Ends:
    """How its worker was told to end."""
    ends = table.app.outside.die
    assert isinstance(ends, Ends)
    return ends


def tps(table: BatchTable, *partitions: int) -> set[TP]:
    return {TP(table.changelog_topic_name, partition) for partition in partitions}


def state_of(table: BatchTable) -> NumberedState:
    """That of partition 0."""
    state = table.state_for(event(0, b""))
    assert state is not None
    return state


async def owned(table: BatchTable, *partitions: int, beside: tuple[int, ...] = ()) -> None:
    """After a rebalance that gave these partitions, and others to stand by for."""
    assigned = tps(table, *partitions, *beside)
    await table.on_rebalance(assigned, set(), assigned, GENERATION)
    await table.on_recovery_completed(tps(table, *partitions), tps(table, *beside))


async def test_a_write_stands_in_the_changelog_and_in_the_state(make_table: Callable[..., BatchTable]) -> None:
    table = make_table()
    await owned(table, 0)
    assert await table.write(event(0, b""), {b"k": b"v", b"\0place": b"p"})
    state = table.state_for(event(0, b""))
    assert state is not None and dict(state.items()) == {b"k": b"v", b"\0place": b"p"}
    assert table.entries == 1
    again = make_table()
    await owned(again, 0)
    assert dict(state_of(again).items()) == {b"k": b"v", b"\0place": b"p"}
    assert again.recovered == 2


async def test_nothing_is_fetched_before_the_streams_are_cleared(make_table: Callable[..., BatchTable]) -> None:
    table = make_table()
    await owned(table, 0)
    assert table.app.consumer.stopped == 1


@pytest.mark.parametrize("case", ["given up", "taking over", "read before"])
async def test_of_a_partition_that_is_not_ours_nothing_is_computed_or_written(
    make_table: Callable[..., BatchTable], case: str
) -> None:
    table = make_table()
    await owned(table, 0)
    message = event(0, b"")
    if case == "given up":
        await table.on_rebalance(set(), tps(table, 0), set(), GENERATION)
    elif case == "taking over":
        table.app.rebalancing = True
    else:
        message = event(0, b"", generation=GENERATION - 1)
    assert table.state_for(message) is None
    assert not await table.write(message, {b"k": b"v"})
    end = await table._changelog.end_offset(0)
    assert end == 0 and ends_of(table).told == []


async def test_a_lost_partition_is_closed_and_forgotten(make_table: Callable[..., BatchTable]) -> None:
    closed: list[int] = []

    class Closing(MemoryPart):
        def __init__(self, partition: int) -> None:
            super().__init__()
            self.partition = partition

        def close(self) -> None:
            closed.append(self.partition)

    table = make_table(lambda partition, log: Closing(partition))
    await owned(table, 0, 1)
    await table.on_rebalance(tps(table, 1), tps(table, 0), set(), GENERATION)
    assert closed == [0] and set(table.parts) == {1}


async def test_the_older_owner_of_a_partition_ends_at_its_next_write(make_table: Callable[..., BatchTable]) -> None:
    older, newer = make_table(), make_table()
    await owned(older, 0)
    await owned(newer, 0)
    with pytest.raises(Ended):
        await older.write(event(0, b""), {b"k": b"old"})
    ((why, code),) = ends_of(older).told
    assert "took no write" in why and "newer owner" in why and code == EXIT_CANNOT_GO_ON
    assert state_of(older).get(b"k") is None
    assert await newer.write(event(0, b""), {b"k": b"new"})


async def test_a_late_end_of_a_recovery_takes_no_partition_from_its_new_owner(
    make_table: Callable[..., BatchTable],
) -> None:
    older, newer = make_table(), make_table()
    await owned(newer, 0)
    lock = older._locks[0]
    await lock.acquire()

    async def late() -> None:
        older.app.consumer_generation_id = GENERATION + 1
        lock.release()

    import asyncio

    await asyncio.gather(owned(older, 0), late())
    assert older.parts == {} and await newer.write(event(0, b""), {b"k": b"v"})


async def test_a_partition_stood_by_for_is_read_along_and_taken_over(make_table: Callable[..., BatchTable]) -> None:
    owner, beside = make_table(), make_table()
    await owned(owner, 0)
    await owner.write(event(0, b""), {b"k": b"v"})
    await owned(beside, beside=(0,))
    assert beside.parts == {} and beside.entries == 0
    part = beside._standby[0]
    await owned(beside, 0)
    assert beside.parts[0] is part and state_of(beside).get(b"k") == b"v"


async def test_a_state_ahead_of_its_changelog_is_read_anew(make_table: Callable[..., BatchTable]) -> None:
    def ahead(partition: int, log: str) -> StatePart:
        part = MemoryPart()
        part.apply([(b"lost", b"\1v")], 99)
        return part

    table = make_table(ahead)
    await owned(table, 0)
    assert dict(state_of(table).items()) == {}


@pytest.mark.parametrize(("value", "told"), [(b"\0v", "form 0"), (b"\2v", "form 2"), (b"[1]", "no form number")])
async def test_a_changelog_of_an_unknown_form_ends_the_worker_and_asks_for_a_person(
    make_table: Callable[..., BatchTable], value: bytes, told: str
) -> None:
    writer, table = make_table(), make_table()
    await owned(writer, 0)
    await writer._changelog.append(0, [(b"\0rules", value)])
    with pytest.raises(Ended):
        await owned(table, 0)
    ((why, code),) = ends_of(table).told
    by_rules = ", by its rules," if told == "no form number" else ""
    assert (
        why.startswith(f"the state counts/0{by_rules} has {told}; this program knows form 1") and code == EXIT_REFUSED
    )


async def test_foreign_records_of_a_changelog_do_not_end_the_worker(make_table: Callable[..., BatchTable]) -> None:
    writer, table = make_table(), make_table()
    await owned(writer, 0)
    await writer._changelog.append(0, [(b"", b"no key"), (b"k", b"garbage"), (b"good", b"\1v")])
    await owned(table, 0)
    assert ends_of(table).told == []
    state = table.state_for(event(0, b""))
    assert state is not None and dict(state.items()) == {b"k": b"", b"good": b"v"}
    assert "1 records of w-counts-changelog/0 have no key" in table.app.outside.counters.foreign_problems()[0]


async def test_a_changelog_that_cannot_be_read_ends_the_worker_to_be_started_again(
    make_table: Callable[..., BatchTable],
) -> None:
    def broken(partition: int, log: str) -> StatePart:
        raise LogError("the disk is gone")

    table = make_table(broken)
    with pytest.raises(Ended):
        await owned(table, 0)
    ((why, code),) = ends_of(table).told
    assert "could not be read from its changelog: the disk is gone" in why and code == EXIT_CANNOT_GO_ON


async def test_faust_finds_nothing_to_recover(make_table: Callable[..., BatchTable]) -> None:
    table = make_table()
    await owned(table, 0)
    assert table.persisted_offset(TP(table.changelog_topic_name, 0)) == -1
    looked_at: object = table.apply_changelog_batch(["never looked at"])  # type: ignore[func-returns-value]  # the rule
    assert looked_at is None
