"""The agents of the flow, each on a stream and a state: what they send, write and acknowledge, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from agents.merge_ranges import MAX_BATCH_BYTES, RangeMerging
from agents.select_monitored import select_monitored
from agents.tokenize_lines import LineTokenizing
from app.domain.usage.records import UsageRecord, sealed
from app.engine.counting import EventCounting
from app.engine.partition import MemoryPart
from app.engine.reading import or_end
from app.engine.state_forms import NumberedState, StateForms
from app.flows.deliveries import LINES, REDUCED, REJECTS, TOKENS
from app.flows.usage import MONITORED_TOPIC, USAGE_TOPIC
from app.flows.votes import VOTES, Vote
from app.messages.events import decode_counted
from app.messages.records import decode_deliveries, decode_rejects
from app.messages.tokens import decode_tokens
from app.messages.usage import decode_usage, encode_usage
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED
from app.settings import Settings
from tests.engine.world import Ended, Stream, World, event

HIT = b'10.0.0.1 - - [01/Jan/2020:00:00:%02d +0000] "GET /f HTTP/1.1" 200 100 "-" "agent"\n'
FORMS = StateForms(newest=1)


class SmallTable:
    """The table's writes into parts in memory; `taken` is False where the partitions are another worker's by then."""

    name = "small"

    def __init__(self, world: World) -> None:
        self.parts = {partition: MemoryPart() for partition in range(2)}
        self.taken = True
        self.sent_before: list[int] = []
        self._world = world

    def state_for(self, event: Any) -> NumberedState:
        return NumberedState(self.parts[event.message.partition], FORMS, "the state small")

    async def write(self, event: Any, changes: Any) -> bool:
        self.sent_before.append(len(self._world.sent(REDUCED)) + len(self._world.sent(VOTES.reduced)))
        if self.taken:
            self.parts[event.message.partition].apply(FORMS.numbered(changes), 1)
        return self.taken


@pytest.fixture
def table(world: World) -> Any:
    return SmallTable(world)


async def run(world: World, agent: Any, *events: Any) -> Stream:
    stream = Stream(events)
    await or_end(world.outside, "agent", agent.run)(stream)
    return stream


async def tokens_of(world: World) -> list[Any]:
    """Events with the tokens that the tokenizer has sent, all of the partition that has the hits."""
    values = [(place, value) for place in range(2) for value in world.sent(TOKENS, place)]
    return [
        event(number, value, place, topic=TOKENS)
        for place in range(2)
        for number, value in enumerate(value for at, value in values if at == place)
    ]


async def test_lines_become_tokens_and_rejects_before_they_are_acknowledged(world: World) -> None:
    stream = await run(world, LineTokenizing(world.app), event(0, HIT % 1 + b"no hit\n", topic=LINES))
    found = [group for value in world.sent(TOKENS) for group in decode_tokens(value).groups]
    assert sum(group.count for group in found) == 1
    (rejects,) = map(decode_rejects, world.sent(REJECTS))
    assert [reject.line for reject in rejects] == ["no hit"]
    assert stream.acked == [(0, 0)]
    assert (world.counters.lines, world.counters.hits, sum(world.counters.rejects.values())) == (2, 1, 1)


async def test_lines_whose_tokens_cannot_be_sent_are_not_acknowledged(world: World) -> None:
    world.app.producer.failure = OSError("the log is away")
    stream = Stream([event(0, HIT % 1, topic=LINES)])
    with pytest.raises(Ended):
        await or_end(world.outside, "agent", LineTokenizing(world.app).run)(stream)
    ((why, code),) = world.ends.told
    assert "could not be sent: the log is away" in why and code == EXIT_CANNOT_GO_ON
    assert stream.acked == [] and world.counters.lines == 0


async def test_a_tick_goes_to_every_partition(world: World) -> None:
    await LineTokenizing(world.app).tick()
    assert [bool(decode_tokens(world.sent(TOKENS, place)[0]).tick) for place in range(2)] == [True, True]


async def test_hits_become_deliveries_that_are_sent_before_the_state_is_written(world: World, table: Any) -> None:
    await run(world, LineTokenizing(world.app), event(0, HIT % 1 + HIT % 2, topic=LINES))
    tokens = await tokens_of(world)
    stream = await run(world, RangeMerging(world.app, table), *tokens)
    records = [record for value in world.sent(REDUCED) for record in decode_deliveries(value)]
    assert [(record.request, record.hits) for record in records] == [("GET /f", 2)]
    assert min(table.sent_before) == 1
    assert len(stream.acked) == len(tokens)
    assert sum(part.entries for part in table.parts.values()) == 1
    assert sum(len(each.message.value) for each in tokens) < MAX_BATCH_BYTES


async def test_hits_that_come_again_give_the_same_deliveries(world: World, table: Any) -> None:
    await run(world, LineTokenizing(world.app), event(0, HIT % 1, topic=LINES))
    tokens = await tokens_of(world)
    for _ in range(2):
        await run(world, RangeMerging(world.app, table), *tokens)
    records = [decode_deliveries(value)[0] for value in world.sent(REDUCED)]
    assert {record[:4] for record in records} == {records[0][:4]} and all(
        record[4:] == records[0][4:] for record in records
    )


async def test_what_the_table_does_not_take_is_not_acknowledged(world: World, table: Any) -> None:
    await run(world, LineTokenizing(world.app), event(0, HIT % 1, topic=LINES))
    table.taken = False
    stream = await run(world, RangeMerging(world.app, table), *await tokens_of(world))
    assert stream.acked == [] and all(part.entries == 0 for part in table.parts.values())


async def test_a_state_of_an_unknown_form_ends_the_worker_and_asks_for_a_person(world: World, table: Any) -> None:
    for part in table.parts.values():
        part.apply([(b"\0rules", b"\2v")], 1)
    await run(world, LineTokenizing(world.app), event(0, HIT % 1, topic=LINES))
    with pytest.raises(Ended):
        await run(world, RangeMerging(world.app, table), *await tokens_of(world))
    ((why, code),) = world.ends.told
    assert why.startswith("the state small has form 2") and code == EXIT_REFUSED


async def test_votes_are_counted_once_and_what_is_no_vote_is_rejected(world: World, table: Any) -> None:
    counting = EventCounting(world.app, VOTES, table)
    value = b'[["a", 2, 1600000000.0], ["b"], ["a", 2, 1600000000.0]]'
    stream = await run(world, counting, event(0, value, topic=VOTES.name))
    (counted,) = (decode_counted(VOTES, value) for value in world.sent(VOTES.reduced))
    assert counted.events == [Vote("a", 2, 1600000000.0)]
    assert {one.resolution: (one.events, one.repeats) for one in counted.sums} == dict.fromkeys(
        ("kiosk", "window", "total", "second"), (1, 1)
    )
    (rejects,) = map(decode_rejects, world.sent(REJECTS))
    assert len(rejects) == 1
    assert stream.acked == [(0, 0)] and table.sent_before == [1]
    assert world.counters.events == {("votes", "bad"): 1, ("votes", "counted"): 1, ("votes", "repeats"): 1}


async def test_votes_that_come_again_after_the_state_was_written_count_nothing(world: World, table: Any) -> None:
    value = b'[["a", 2, 1600000000.0]]'
    for _ in range(2):
        await run(world, EventCounting(world.app, VOTES, table), event(0, value, topic=VOTES.name))
    assert len(world.sent(VOTES.reduced)) == 1


async def test_votes_under_other_rules_than_the_state_ask_for_a_person(world: World, table: Any) -> None:
    await run(world, EventCounting(world.app, VOTES, table), event(0, b'[["a", 2, 1.0]]', topic="votes"))
    other = Settings(data_dir=world.outside.settings.data_dir, vote_window=7, linger=0.0)
    world.app.outside = world.outside._replace(settings=other)
    with pytest.raises(Ended):
        await run(world, EventCounting(world.app, VOTES, table), event(0, b'[["b", 2, 1.0]]', topic="other"))
    ((why, code),) = world.ends.told
    assert "WEBLOGS_VOTE_WINDOW" in why and code == EXIT_REFUSED


def call(seq: int, user: str | None, *, monitored: bool, **fields: Any) -> UsageRecord:
    one = UsageRecord("request", "shop", "m1", "0" * 32, seq, 1.0, 7, "", user_id=user, monitored=monitored)
    return sealed(one._replace(**fields))


async def test_records_of_monitored_calls_go_on_in_their_partition_and_order_before_they_are_acknowledged(
    world: World,
) -> None:
    made = [call(seq, f"u{seq}", monitored=seq % 2 == 0) for seq in range(1, 9)]
    not_stored = [call(9, None, monitored=True), call(10, "u", monitored=True, uri="\ud800")]
    (first,), (second,) = encode_usage([*made[:5], *not_stored]), encode_usage(made[5:])
    messages = [event(0, first, 1, topic=USAGE_TOPIC), event(1, b"foreign", 1, topic=USAGE_TOPIC)]
    stream = Stream([*messages, event(2, second, 1, topic=USAGE_TOPIC)])
    await or_end(world.outside, "agent", select_monitored(world.app))(stream)
    assert world.sent(MONITORED_TOPIC, 0) == []
    found = [record for value in world.sent(MONITORED_TOPIC, 1) for record in decode_usage(value)]
    assert found == made[1::2]
    assert [reject.reason for value in world.sent(REJECTS) for reject in decode_rejects(value)] == ["foreign_message"]
    assert stream.acked == [(1, 0), (1, 1), (1, 2)]


async def test_records_that_cannot_be_sent_on_are_not_acknowledged(world: World) -> None:
    world.app.producer.failure = OSError("the log is away")
    (value,) = encode_usage([call(1, "u", monitored=True)])
    stream = Stream([event(0, value, topic=USAGE_TOPIC)])
    with pytest.raises(Ended):
        await or_end(world.outside, "agent", select_monitored(world.app))(stream)
    assert stream.acked == []
