"""How a store's agents write: until the store has it, and acknowledged only then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.store_raw import store_raw
from agents.store_reduced import store_reduced
from agents.store_rejects import store_rejects
from agents.store_votes import store_votes
from app.domain.counted import CountedKind, Sum
from app.domain.records import Reject
from app.engine import storing as storing_module
from app.engine.reading import or_end
from app.engine.storing import Storing
from app.errors import StoreError, StoreRefused, StoreUnreachable, UnknownStoreForm
from app.flows.deliveries import REJECTS
from app.flows.votes import Vote
from app.messages.events import encode_counted
from app.messages.records import decode_rejects, encode_deliveries, encode_rejects
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED
from tests.engine.world import Ended, Stream, World, event


class SmallStore:
    """The writes of the contract, in lists. `faults` are raised first, one at each call."""

    name = "small"

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.refuses: list[tuple[Any, str]] = []
        self.written: list[tuple[str, list[Any]]] = []
        self.opened = 0
        self.writes = self.ledgers = self

    def _take(self, kind: str, records: Sequence[Any]) -> list[tuple[Any, str]]:
        if self.faults:
            raise self.faults.pop(0)
        self.written.append((kind, list(records)))
        refused, self.refuses = self.refuses, []
        return refused

    async def open(self) -> None:
        self.opened += 1
        if self.faults:
            raise self.faults.pop(0)

    async def write_hits(self, records: Sequence[Any]) -> list[tuple[Any, str]]:
        return self._take("hits", records)

    async def write_rejects(self, records: Sequence[Any]) -> list[tuple[Any, str]]:
        return self._take("rejects", records)

    async def write_deliveries(self, records: Sequence[Any]) -> list[tuple[Any, str]]:
        return self._take("deliveries", records)

    async def write_events(self, kind: CountedKind[Any], records: Sequence[Any]) -> list[tuple[Any, str]]:
        return self._take(kind.events_table, records)

    async def write_sums(self, kind: CountedKind[Any], records: Sequence[Any]) -> list[tuple[Any, str]]:
        return self._take(kind.sums_table, records)


def reject(position: int) -> Reject:
    return Reject("bad_columns", "why", f"line {position}", f"{position:032x}", "s", position, 0.0)


def rejects_event(offset: int, *positions: int) -> Any:
    return event(offset, encode_rejects([reject(position) for position in positions])[0], topic=REJECTS)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE_S", "FIRST_OPEN_PAUSE_S", "LONGEST_PAUSE_S"):
        monkeypatch.setattr(storing_module, name, 0.001)


@pytest.fixture
def store() -> SmallStore:
    return SmallStore()


def storing_of(world: World, store: SmallStore) -> Storing:
    return Storing("small", world.app, store)  # type: ignore[arg-type]  # nothing is read of it


@pytest.fixture
async def storing(world: World, store: SmallStore) -> Storing:
    made = storing_of(world, store)
    assert await made.open_until_there()
    return made


async def run(world: World, agent: Any, stream: Stream) -> None:
    await or_end(world.outside, "agent", agent)(stream)


async def test_a_batch_is_written_then_acknowledged(world: World, storing: Storing, store: SmallStore) -> None:
    stream = Stream([rejects_event(0, 1, 2), rejects_event(1, 3)])
    await run(world, store_rejects(storing), stream)
    assert store.written == [("rejects", [reject(1), reject(2), reject(3)])]
    assert stream.acked == [(0, 0), (0, 1)]


async def test_while_a_store_fails_its_batch_is_written_again(
    world: World, storing: Storing, store: SmallStore
) -> None:
    store.faults = [StoreError("busy"), StoreUnreachable("away"), StoreError("busy")]
    stream = Stream([rejects_event(0, 1)])
    await run(world, store_rejects(storing), stream)
    assert store.written == [("rejects", [reject(1)])] and stream.acked == [(0, 0)]
    assert world.counters.store_problems == {} and world.counters.store_retries == {"small": 3}


async def test_while_a_store_is_away_its_problem_is_told_and_nothing_is_acknowledged(
    world: World, storing: Storing, store: SmallStore
) -> None:
    store.faults = [StoreUnreachable("away")] * 10_000
    stream = Stream([rejects_event(0, 1)])
    task = asyncio.ensure_future(run(world, store_rejects(storing), stream))
    while not world.counters.store_problems:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.001)
    assert world.counters.store_problems == {"small": "away"} and stream.acked == []
    store.faults.clear()
    await task
    assert world.counters.store_problems == {} and stream.acked == [(0, 0)]


async def test_what_a_store_refuses_for_good_goes_to_the_rejects(
    world: World, storing: Storing, store: SmallStore
) -> None:
    vote = Vote("a", 1, 5.0)
    store.refuses = [(vote, "too long")]
    stream = Stream([event(0, encode_counted([vote], [])[0])])
    await run(world, store_votes(storing), stream)
    (value,) = world.sent(REJECTS, 0)
    (refused,) = decode_rejects(value)
    assert world.counters.store_refused == {"small": 1}
    assert refused.reason == "refused_by_small" and "too long" in refused.detail
    assert stream.acked == [(0, 0)]


async def test_a_refused_reject_is_not_rejected_again(world: World, storing: Storing, store: SmallStore) -> None:
    store.refuses = [(reject(1), "too long")]
    stream = Stream([rejects_event(0, 1)])
    await run(world, store_rejects(storing), stream)
    assert world.sent(REJECTS) == [] and stream.acked == [(0, 0)]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ValueError("a mistake"), EXIT_CANNOT_GO_ON),
        (UnknownStoreForm("the store small", 2, 1), EXIT_REFUSED),
    ],
    ids=["a mistake", "an unknown form"],
)
async def test_a_fault_that_waiting_does_not_mend_ends_the_process_and_acknowledges_nothing(
    world: World, storing: Storing, store: SmallStore, fault: Exception, code: int
) -> None:
    store.faults = [fault]
    stream = Stream([rejects_event(0, 1)])
    with pytest.raises(Ended):
        await run(world, store_rejects(storing), stream)
    ((why, told),) = world.ends.told
    assert str(fault) in why and told == code and stream.acked == []


async def test_what_is_refused_and_cannot_be_sent_on_ends_the_process(
    world: World, storing: Storing, store: SmallStore
) -> None:
    store.refuses = [(Vote("a", 1, 5.0), "too long")]
    world.app.producer.failure = OSError("the log is away")
    stream = Stream([event(0, encode_counted([Vote("a", 1, 5.0)], [])[0])])
    with pytest.raises(Ended):
        await run(world, store_votes(storing), stream)
    assert stream.acked == []


async def test_a_store_is_opened_again_until_it_is_there(world: World, store: SmallStore) -> None:
    store.faults = [StoreUnreachable("away")] * 3
    storing = storing_of(world, store)
    assert not await storing.open_until_there(once=True)
    assert world.counters.store_problems == {"small": "away"}
    assert await storing.open_until_there()
    assert store.opened == 4 and world.counters.store_problems == {}


async def test_a_store_that_lets_nobody_in_is_not_asked_again(world: World, store: SmallStore) -> None:
    store.faults = [StoreRefused("wrong password")]
    storing = storing_of(world, store)
    with pytest.raises(StoreRefused):
        await storing.open_until_there()
    assert store.opened == 1


async def test_nothing_is_written_before_the_store_is_open(world: World, store: SmallStore) -> None:
    storing = storing_of(world, store)
    stream = Stream([rejects_event(0, 1)])
    task = asyncio.ensure_future(run(world, store_rejects(storing), stream))
    await asyncio.sleep(0.01)
    assert store.written == [] and stream.acked == []
    await storing.open_until_there()
    await task
    assert stream.acked == [(0, 0)]


async def test_a_rate_limit_cuts_a_batch_into_portions(tmp_path: Path, store: SmallStore) -> None:
    world = World(tmp_path, store_rate=1000.0)
    storing = storing_of(world, store)
    await storing.open_until_there()
    positions = range(1, 1051)
    began = asyncio.get_running_loop().time()
    await run(world, store_rejects(storing), Stream([rejects_event(0, *positions)]))
    assert [record.position for _, records in store.written for record in records] == list(positions)
    assert len(store.written) > 1
    assert asyncio.get_running_loop().time() - began >= 0.5
    world.close()


@pytest.mark.parametrize(
    ("store_raw_is", "agent"), [("rejected", store_raw), ("none", store_rejects)], ids=["hits", "rejects"]
)
async def test_what_is_not_to_be_kept_is_acknowledged_unwritten(
    tmp_path: Path, store: SmallStore, store_raw_is: str, agent: Any
) -> None:
    world = World(tmp_path, store_raw=store_raw_is)
    storing = storing_of(world, store)
    stream = Stream([event(0, b"never looked at")])
    await run(world, agent(storing), stream)
    assert store.written == [] and stream.acked == [(0, 0)]
    world.close()


async def test_of_many_sums_of_a_bucket_the_newest_is_written_after_the_events(
    world: World, storing: Storing, store: SmallStore
) -> None:
    old, new = (Sum("total", "1", 0, 0, 0, events, 0, 0) for events in (1, 2))
    votes = [Vote("a", 1, 5.0), Vote("b", 1, 5.0)]
    values = [encode_counted(votes[:1], [old])[0], encode_counted(votes[1:], [new])[0]]
    await run(world, store_votes(storing), Stream([event(0, values[0]), event(1, values[1])]))
    assert store.written == [("votes", votes), ("vote_sums", [new])]


async def test_the_agent_of_deliveries_passes_a_message_without_any(
    world: World, storing: Storing, store: SmallStore
) -> None:
    stream = Stream([event(0, encode_deliveries([])[0])])
    await run(world, store_reduced(storing), stream)
    assert store.written == [] and stream.acked == [(0, 0)]
