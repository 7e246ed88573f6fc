"""Calls of functions of every kind: the decorated function does what it did, and each call has its two records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import pytest

from app.usage.functions import usage_of
from tests.usage.reading import calls_of, opened


def outcomes(log: Any) -> list[tuple[str | None, str | None]]:
    return [(answer.outcome, answer.detail) for _, answer in calls_of(log)]


def test_a_function_keeps_its_name_its_result_and_its_exception(tmp_path: Path) -> None:
    log = opened(tmp_path)

    @usage_of(log, user_of=lambda a, b: f"u{a}")
    def divided(a: int, b: int) -> float:
        """A docstring."""
        return a / b

    assert divided(6, b=3) == 2 and divided.__doc__ == "A docstring."
    with pytest.raises(ZeroDivisionError):
        divided(1, 0)
    found = calls_of(log)
    assert [(call.method, call.user_id, answer.outcome, answer.detail) for call, answer in found] == [
        ("CALL", "u6", "done", None),
        ("CALL", "u1", "exception", "ZeroDivisionError"),
    ]
    assert str(found[0][0].uri).endswith(
        "test_functions.test_a_function_keeps_its_name_its_result_and_its_exception.<locals>.divided"
    )


async def test_a_coroutine_ends_when_it_was_awaited(tmp_path: Path) -> None:
    log = opened(tmp_path)

    @usage_of(log)
    async def waits(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    assert await waits(0) == "done"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waits(10), 0.01)
    assert outcomes(log) == [("done", None), ("cancelled", "CancelledError")]


def test_a_generator_takes_and_gives_what_it_did_and_ends_when_it_is_read_or_left(tmp_path: Path) -> None:
    log = opened(tmp_path)

    @usage_of(log)
    def echo() -> Generator[str, str, str]:
        got = yield "first"
        try:
            got = yield got
        except LookupError:
            got = yield "caught"
        return got

    def read() -> Generator[str, str, str]:
        return (yield from echo())

    reading = read()
    assert (next(reading), reading.send("a"), reading.throw(LookupError())) == ("first", "a", "caught")
    with pytest.raises(StopIteration, match="z"):
        reading.send("z")
    left = echo()
    next(left)
    left.close()
    assert outcomes(log) == [("done", None), ("client_gone", "GeneratorExit")]


async def test_an_async_generator_takes_and_gives_what_it_did_and_ends_when_it_is_read_or_left(tmp_path: Path) -> None:
    log = opened(tmp_path)
    closed = []

    @usage_of(log)
    async def echo() -> AsyncGenerator[str, str]:
        try:
            got = yield "first"
            try:
                got = yield got
            except LookupError:
                yield "caught"
        finally:
            closed.append(True)

    reading = echo()
    assert [await anext(reading), await reading.asend("a"), await reading.athrow(LookupError())] == [
        "first",
        "a",
        "caught",
    ]
    with pytest.raises(StopAsyncIteration):
        await anext(reading)
    left = echo()
    await anext(left)
    await left.aclose()
    assert closed == [True, True]

    @usage_of(log)
    async def broken() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError

    with pytest.raises(LookupError):
        [number async for number in broken()]
    assert outcomes(log) == [("done", None), ("client_gone", "GeneratorExit"), ("exception", "LookupError")]
