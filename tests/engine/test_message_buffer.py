"""What waits for an agent is bounded in bytes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from mode.utils.queues import FlowControlEvent

from app.engine.faust_app import MESSAGE_BYTES, MessageBuffer
from app.transports.bundles import Bundle, Bundled

LIMIT = 64 * MESSAGE_BYTES


def event(value: object) -> SimpleNamespace:
    return SimpleNamespace(message=SimpleNamespace(value=value))


def put(buffer: MessageBuffer, value: object) -> None:
    buffer.put_nowait_enhanced(event(value), on_pressure_high=lambda: None, on_pressure_drop=lambda: None)


def buffer_of(limit_bytes: int) -> MessageBuffer:
    return MessageBuffer(limit_bytes, flow_control=FlowControlEvent())


@given(st.lists(st.none() | st.integers(0, 3 * LIMIT) | st.lists(st.integers(0, LIMIT), min_size=1, max_size=4)))
def test_what_it_holds_is_counted_whatever_goes_in_and_out(sizes: list[int | list[int] | None]) -> None:
    async def run() -> None:
        buffer, held = buffer_of(LIMIT), list[int]()
        for size in sizes:
            if size is None:
                if held:
                    buffer.get_nowait()
                    held.pop(0)
            elif isinstance(size, int):
                put(buffer, bytes(size))
                held.append(MESSAGE_BYTES + size)
            else:
                put(buffer, Bundle(Bundled(0, 0.0, bytes(each), None) for each in size))
                held.append(MESSAGE_BYTES + sum(size))
            assert buffer.qsize() == sum(held) and buffer.full() == (sum(held) >= LIMIT)
            assert buffer.empty() == (not held)
        buffer.clear()
        assert buffer.qsize() == 0 and buffer.empty()

    asyncio.run(run())


def test_small_messages_fill_it_by_their_bytes_and_one_large_message_fills_it_alone() -> None:
    async def run() -> None:
        small, large = buffer_of(LIMIT), buffer_of(LIMIT)
        for _ in range(60):
            put(small, b"x" * 10)
        put(large, bytes(LIMIT))
        assert not small.full() and large.full()

    asyncio.run(run())


def test_a_partition_is_paused_near_the_limit_and_goes_on_when_little_is_left() -> None:
    async def run() -> None:
        buffer, told = buffer_of(LIMIT), list[str]()

        def high() -> None:
            told.append("full")

        def drop() -> None:
            told.append("room")

        for _ in range(8):
            buffer.put_nowait_enhanced(event(bytes(LIMIT // 8)), on_pressure_high=high, on_pressure_drop=drop)
        assert told == ["full"]
        for _ in range(8):
            buffer.get_nowait()
        assert told == ["full", "room"]

    asyncio.run(run())
