"""The one loop of pauses: the first try at once, then longer and longer, never longer than asked for."""

from __future__ import annotations

import asyncio

import pytest

from app.process.pauses import pauses


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


async def first(count: int, first_s: float, longest_s: float) -> list[float]:
    told: list[float] = []
    async for pause_s in pauses(first_s, longest_s):
        told.append(pause_s)
        if len(told) == count:
            break
    return told


async def test_the_first_try_waits_for_nothing(slept: list[float]) -> None:
    assert await first(1, 0.5, 10.0) == [0.5] and slept == []


async def test_pauses_double_up_to_the_longest(slept: list[float]) -> None:
    assert await first(7, 0.5, 10.0) == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_what_is_slept_is_about_what_was_told(slept: list[float]) -> None:
    told = await first(200, 0.5, 10.0)
    assert len(slept) == 199
    assert all(0.8 * one <= real <= 1.2 * one for one, real in zip(told, slept, strict=False))
    assert len(set(slept[10:])) > 100, "many who failed together do not come back together"
