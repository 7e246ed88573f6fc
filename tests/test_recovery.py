"""Partitions are taken over with patience."""

from __future__ import annotations

import asyncio

import faust
import pytest
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from app.recovery import PatientRecovery

TIMEOUT_S = 0.05


async def late() -> None:
    await asyncio.sleep(4 * TIMEOUT_S)


@pytest.fixture
def app() -> faust.App:
    return faust.App("patient", broker="memory://", store="memory://", TableManager="app.recovery:Tables")


async def test_an_answer_of_the_broker_that_comes_late_is_waited_for(app: faust.App) -> None:
    recovery = app.tables.recovery
    assert isinstance(recovery, PatientRecovery)
    await recovery._wait(late(), timeout=TIMEOUT_S)


async def test_the_engines_own_recovery_would_end_there_so_ours_is_needed(app: faust.App) -> None:
    with pytest.raises(ServiceStopped):
        await Recovery(app, app.tables)._wait(late(), timeout=TIMEOUT_S)


async def test_a_rebalance_ends_the_waiting(app: faust.App) -> None:
    recovery = app.tables.recovery
    asyncio.get_running_loop().call_later(TIMEOUT_S, recovery.signal_recovery_start.set)
    with pytest.raises(RebalanceAgain):
        await recovery._wait(asyncio.sleep(60), timeout=60)


async def test_an_error_of_the_broker_gets_out(app: faust.App) -> None:
    async def refused() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await app.tables.recovery._wait(refused(), timeout=TIMEOUT_S)


class Consumer:
    """As much of a consumer as tells whether its flow stands still."""

    def __init__(self, flow_active: bool = False, is_rejoining: bool = False, partitions: int = 2) -> None:
        self.flow_active, self.is_rejoining = flow_active, is_rejoining
        self._partitions = set(range(partitions))

    def assignment(self) -> set[int]:
        return self._partitions


async def looks_of(app: faust.App, consumer: Consumer, monkeypatch: pytest.MonkeyPatch, *, at_work: int = 0) -> bool:
    """Whether partitions are taken over once more, with the recovery waiting for a rebalance."""
    monkeypatch.setattr("app.recovery._LOOK_EVERY_S", 0.001)
    recovery = app.tables.recovery
    app._consumer = consumer
    app.consumer_generation_id = 7
    recovery.taking_over = at_work
    waiting = asyncio.create_task(recovery.wait_for_stopped(recovery.signal_recovery_start))
    looking = asyncio.create_task(PatientRecovery._take_up_again.fun(recovery))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    looking.cancel()
    waiting.cancel()
    await asyncio.gather(looking, waiting, return_exceptions=True)
    app._consumer = None
    assert not done or recovery._generation_id == 7
    return bool(done)


async def test_partitions_that_stand_still_with_nobody_at_work_are_taken_over_once_more(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await looks_of(app, Consumer(), monkeypatch)


@pytest.mark.parametrize(
    ("consumer", "at_work"),
    [(Consumer(flow_active=True), 0), (Consumer(is_rejoining=True), 0), (Consumer(partitions=0), 0), (Consumer(), 1)],
    ids=["the flow goes on", "a rebalance is under way", "it has none", "the tables are at work"],
)
async def test_partitions_are_not_taken_over_twice_where(
    app: faust.App, monkeypatch: pytest.MonkeyPatch, consumer: Consumer, at_work: int
) -> None:
    assert not await looks_of(app, consumer, monkeypatch, at_work=at_work)
