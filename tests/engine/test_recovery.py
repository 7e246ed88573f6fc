"""Partitions are taken over with patience."""

from __future__ import annotations

import asyncio

import faust
import pytest
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from app.engine.recovery import PatientRecovery, Tables

TIMEOUT_S = 0.05


async def late() -> None:
    await asyncio.sleep(4 * TIMEOUT_S)


@pytest.fixture
def app() -> faust.App:
    return faust.App("patient", broker="memory://", store="memory://", TableManager="app.engine.recovery:Tables")


def recovery_of(app: faust.App) -> Recovery:
    assert isinstance(app.tables, Tables)
    return app.tables.recovery


async def test_an_answer_of_the_broker_that_comes_late_is_waited_for(app: faust.App) -> None:
    recovery = recovery_of(app)
    assert isinstance(recovery, PatientRecovery)
    await recovery._wait(late(), timeout=TIMEOUT_S)


async def test_the_engines_own_recovery_would_end_there_so_ours_is_needed(app: faust.App) -> None:
    with pytest.raises(ServiceStopped):
        await Recovery(app, app.tables)._wait(late(), timeout=TIMEOUT_S)


async def test_a_rebalance_ends_the_waiting(app: faust.App) -> None:
    recovery = recovery_of(app)
    asyncio.get_running_loop().call_later(TIMEOUT_S, recovery.signal_recovery_start.set)
    with pytest.raises(RebalanceAgain):
        await recovery._wait(asyncio.sleep(60), timeout=60)


async def test_an_error_of_the_broker_gets_out(app: faust.App) -> None:
    async def refused() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await recovery_of(app)._wait(refused(), timeout=TIMEOUT_S)
