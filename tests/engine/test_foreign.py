"""What no agent can read is a reject with its place, and the flow goes on; what a later version wrote ends the worker with 78."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.merge_ranges import RangeMerging
from agents.store_raw import store_raw
from agents.store_reduced import store_reduced
from agents.store_rejects import store_rejects
from agents.tokenize_lines import LineTokenizing
from app.domain.records import DAMAGED_STATE, FOREIGN, Delivery, Reject
from app.engine.counting import EventCounting
from app.engine.reading import or_end
from app.engine.storing import Storing
from app.flows.deliveries import LINES, REDUCED, REJECTS, TOKENS
from app.flows.spending import SPENDING
from app.flows.votes import VOTES
from app.messages.records import decode_deliveries, decode_rejects, encode_deliveries, encode_rejects
from app.process.exit import EXIT_REFUSED
from app.stores.contract import Store
from tests.engine.test_agents import HIT, SmallTable, run, tokens_of
from tests.engine.world import Ended, Stream, World, event

DEEP = b"[" * 100_000
GARBAGE = [
    b"",
    b"null",
    b"\x00\xff\xfe",
    b"[]",
    b"[1]",
    b"[0,[]]",
    b"[1,2,3]",
    b'{"a":1}',
    DEEP,
    b"[1," + DEEP,
    b"[1,[" + DEEP,
]
GARBAGE += [b"[1,[[" + b"9" * 5000 + b"]]]", b"[-1,[]]", b'[1,["\xff"]]', b"x" * (1 << 20)]


class Kept:
    """A store's writes, kept in lists."""

    def __init__(self) -> None:
        self.hits: list[Any] = []
        self.rejects: list[Reject] = []
        self.deliveries: list[Delivery] = []
        self.counted: list[Any] = []

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def ping(self) -> None: ...

    async def write_hits(self, hits: Any) -> list[Any]:
        self.hits += hits
        return []

    async def write_rejects(self, rejects: Any) -> list[Any]:
        self.rejects += rejects
        return []

    async def write_deliveries(self, deliveries: Any) -> list[Any]:
        self.deliveries += deliveries.values() if isinstance(deliveries, dict) else deliveries
        return []

    async def write_events(self, _kind: Any, events: Any) -> list[Any]:
        self.counted += events
        return []

    async def write_sums(self, _kind: Any, sums: Any) -> list[Any]:
        self.counted += sums
        return []


async def storing_of(world: World) -> tuple[Storing, Kept]:
    kept: Any = Kept()
    storing = Storing("small", world.app, Store("small", kept, ledgers=kept))
    await storing.open_until_there()
    return storing, kept


async def agents_of(world: World) -> dict[str, Callable[[Any], Any]]:
    """The agents by the topics that they read, several where several do."""
    storing, _ = await storing_of(world)
    table: Any = SmallTable(world)
    return {
        f"{TOKENS} merged": RangeMerging(world.app, table).run,
        f"{TOKENS} stored": store_raw(storing),
        REDUCED: store_reduced(storing),
        REJECTS: store_rejects(storing),
        VOTES.reduced: storing.counted(VOTES),
        SPENDING.reduced: storing.counted(SPENDING),
    }


@pytest.fixture
def table(world: World) -> Any:
    return SmallTable(world)


READERS = (f"{TOKENS} merged", f"{TOKENS} stored", REDUCED, REJECTS, VOTES.reduced, SPENDING.reduced)


def rejects_of(world: World) -> list[Reject]:
    return [reject for value in world.sent(REJECTS) for reject in decode_rejects(value)]


@pytest.mark.parametrize("reader", READERS)
async def test_foreign_messages_are_rejects_with_topic_partition_and_offset(world: World, reader: str) -> None:
    topic, agent = reader.split()[0], (await agents_of(world))[reader]
    stream = Stream([event(at, value, 1, topic=topic) for at, value in enumerate(GARBAGE)])
    await or_end(world.outside, "agent", agent)(stream)
    assert stream.acked == [(1, at) for at in range(len(GARBAGE))] and world.ends.told == []
    found = rejects_of(world)
    if topic == VOTES.reduced or topic == SPENDING.reduced:
        assert [reject.position for reject in found] == list(range(len(GARBAGE)))
    assert {(reject.reason, reject.source) for reject in found} == {(FOREIGN, f"{topic}@1/1")}
    assert all(f"message {reject.position} of {topic}/1 " in reject.detail for reject in found)
    assert len(found) >= len(GARBAGE) - 1
    assert world.counters.foreign[FOREIGN] == len(found)
    assert any("foreign_message" in problem for problem in world.counters.foreign_problems())


@pytest.mark.parametrize("reader", READERS)
async def test_a_newer_message_ends_the_worker_with_78(world: World, reader: str) -> None:
    topic, agent = reader.split()[0], (await agents_of(world))[reader]
    with pytest.raises(Ended):
        await or_end(world.outside, "agent", agent)(Stream([event(0, b"[99,[],[]]", 1, topic=topic)]))
    ((why, code),) = world.ends.told
    assert code == EXIT_REFUSED and why.startswith(f"message 0 of {topic}/1 has form 99; this program knows form ")
    assert rejects_of(world) == []


async def test_the_same_foreign_message_read_by_all_is_one_reject(world: World) -> None:
    agents = await agents_of(world)
    for reader in READERS[:2]:
        await or_end(world.outside, "agent", agents[reader])(Stream([event(0, b"x", 1, topic=TOKENS)]))
    assert len({reject.raw_id for reject in rejects_of(world)}) == 1 and len(rejects_of(world)) == 2


async def test_every_change_of_a_tokens_message_is_read_or_rejected(world: World, table: Any) -> None:
    """A key too many or too few, another type, in every place of rows and packed columns."""
    await run(
        world,
        LineTokenizing(world.app),
        event(0, HIT % 1 + HIT % 2, topic=LINES),
        event(1, HIT % 3 * 2000, topic=LINES),
    )
    values = [value for place in range(2) for value in world.sent(TOKENS, place)]
    changed = [json.dumps(each).encode() for value in values for each in changes(json.loads(value), limit=400)]
    stream = await run(
        world, RangeMerging(world.app, table), *[event(at, value, topic=TOKENS) for at, value in enumerate(changed)]
    )
    assert len(stream.acked) == len(changed) > 300 and world.ends.told == []
    assert world.counters.foreign[FOREIGN] > len(changed) / 3


def changes(value: Any, limit: int) -> list[Any]:
    """The value with one place of it changed, for each place."""
    found: list[Any] = []

    def walk(held: Any, rebuild: Callable[[Any], Any]) -> None:
        if len(found) >= limit:
            return
        wrong = "x" if not isinstance(held, str) else 5
        others: tuple[Any, ...] = (None, wrong, -(10**30), 1e300, [], True)
        found.extend(map(rebuild, others))
        if isinstance(held, list):
            found.extend((rebuild([*held, 1]), rebuild(held[:-1])))
            for at in range(min(16, len(held))):
                walk(held[at], lambda new, at=at: rebuild([*held[:at], new, *held[at + 1 :]]))  # type: ignore[misc]

    for at in range(1, len(value)):
        walk(value[at], lambda new, at=at: [*value[:at], new, *value[at + 1 :]])  # type: ignore[misc]
    return found


@pytest.mark.parametrize("garbage", [b"", b"\1", b"\1\xff\xff", b"garbage", b"\1[1,2,3]"])
async def test_a_damaged_state_of_a_delivery_is_put_aside_and_its_answer_says_that_hits_are_missing(
    world: World, table: Any, garbage: bytes
) -> None:
    await run(world, LineTokenizing(world.app), event(0, HIT % 1, topic=LINES))
    tokens = await tokens_of(world)
    await run(world, RangeMerging(world.app, table), *tokens)
    damaged = []
    for part in table.parts.values():
        for key in [key for key in part if key.startswith(b"[")]:
            part[key] = garbage
            damaged.append(key)
    before = len(world.sent(REDUCED))
    await run(world, RangeMerging(world.app, table), *tokens)
    (reject,) = rejects_of(world)
    assert reject.reason == DAMAGED_STATE and damaged[0].decode() in reject.line and "repair" in reject.detail
    records = [record for value in world.sent(REDUCED)[before:] for record in decode_deliveries(value)]
    assert [(record.verdict, record.reason) for record in records] == [("unknown", "fragmented")]
    await run(world, RangeMerging(world.app, table), *tokens)
    assert len(rejects_of(world)) == 1, "it is told once"


@pytest.mark.parametrize("name", [b"\0place", b"s", b"v"])
async def test_a_damaged_state_of_a_counter_is_put_aside(world: World, table: Any, name: bytes) -> None:
    vote = event(0, b'[["a",2,1600000000.0]]', topic=VOTES.name)
    await run(world, EventCounting(world.app, VOTES, table), vote)
    held = table.parts[0]
    for key in [key for key in held if key.startswith(name)]:
        held[key] = b"\1garbage!"
    again = event(1, b'[["a",2,1600000000.0],["b",2,1600000000.0]]', topic=VOTES.name)
    stream = await run(world, EventCounting(world.app, VOTES, table), vote, again)
    assert stream.acked == [(0, 0), (0, 1)] and world.ends.told == []
    found = rejects_of(world)
    assert found and {reject.reason for reject in found} == {DAMAGED_STATE}
    assert all("vote_counts/0" in reject.detail for reject in found)


async def test_a_sum_that_is_readable_again_is_told_once(world: World, table: Any) -> None:
    agent = EventCounting(world.app, VOTES, table)
    events = [event(number, b'[["b%d",2,1600000000.0]]' % number, topic=VOTES.name) for number in range(3)]
    await run(world, agent, events[0])
    for key in [key for key in table.parts[0] if key.startswith(b"s")]:
        table.parts[0][key] = b"\1x"
    for number in (2, 3):
        await run(world, agent, *events[:number])
    told = rejects_of(world)
    assert len({reject.raw_id for reject in told}) == len(told) > 0


def test_what_is_sent_is_still_read() -> None:
    reject = Reject(FOREIGN, "why", "line", "0" * 32, "s", 1, 1.0)
    assert [decode_rejects(value) for value in encode_rejects([reject])] == [[reject]]
    assert [decode_deliveries(value) for value in encode_deliveries([])] == [[]]
