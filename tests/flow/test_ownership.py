"""A worker that lost a partition while it held messages of it sends nothing that it would compute without the state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.merge_ranges import RangeMerging
from app.engine.counting import EventCounting
from app.engine.faust_app import App, make_app
from app.engine.partition import MemoryPart
from app.engine.reading import TakenMessage
from app.flows.votes import VOTES
from tables.byte_ranges import byte_ranges
from tables.vote_counts import vote_counts
from tests.engine.world import World


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    world = World(tmp_path)
    world.outside.register_transport(world.outside.settings)
    yield make_app("weblogs", world.outside)  # nothing is started, so a send would raise
    world.close()


@pytest.mark.parametrize("case", ["given up", "taking over", "read before"])
async def test_messages_of_a_partition_that_is_not_ours_in_this_generation_are_left_alone(app: App, case: str) -> None:
    app.consumer_generation_id = 7
    app.rebalancing = case == "taking over"
    event = SimpleNamespace(message=SimpleNamespace(partition=1, generation_id=6 if case == "read before" else 7))
    tables = byte_ranges(app), vote_counts(app)
    for table in tables:
        if case != "given up":
            table.parts[1] = MemoryPart()
    message = TakenMessage(1, 0, 0.0, b"never looked at", {}, event, True)
    assert await RangeMerging(app, tables[0]).merge([message]) is False
    assert await EventCounting(app, VOTES, tables[1]).count("votes@1", [message]) is False


async def test_the_same_messages_of_a_partition_that_is_ours_are_looked_at(app: App) -> None:
    app.consumer_generation_id, app.rebalancing = 7, False
    table = byte_ranges(app)
    table.parts[1] = MemoryPart()
    event = SimpleNamespace(message=SimpleNamespace(partition=1, generation_id=7))
    with pytest.raises(Exception, match=r"has no topic weblogs_tokens"):
        await RangeMerging(app, table).merge([TakenMessage(1, 0, 0.0, b"never looked at", {}, event, True)])
