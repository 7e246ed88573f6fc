"""How agents read: whole batches, in turn, none skipped.

Faust may skip messages at the start of a generation (its queues are cleared after a rebalance), and would then commit
past them. So every agent checks that offsets follow on one another from the committed one, and ends the process where
they do not: the next start reads them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import wraps
from typing import Any

from app.ending import EXIT_REFUSED, die
from app.errors import SettingsError

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_MESSAGES", "Turns", "batches", "by_partition", "or_end", "still_ours"]

MAX_BATCH_MESSAGES = 2000
MAX_BATCH_BYTES = 4 << 20


class Turns:
    """Which offset must come next, for each topic partition and generation."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._next: dict[Any, tuple[int, int]] = {}

    async def is_ours(self, event: Any) -> bool:
        """False for an event of an older generation: it will be read again. Ends the process at a hole."""
        message, app = event.message, self._app
        while app.rebalancing and message.generation_id == app.consumer_generation_id:  # noqa: ASYNC110 - Faust has no event for it
            await asyncio.sleep(0.02)
        generation = message.generation_id
        if generation != app.consumer_generation_id:
            return False
        seen, expected = self._next.get(message.tp, (None, 0))
        if seen != generation:
            expected = app.consumer._committed_offset.get(message.tp) or 0
            if message.offset > expected:  # asked only then: a broker answers after the fetch that is under way, seconds later
                expected = (await app.consumer.earliest_offsets(message.tp)).get(message.tp) or 0
        if message.offset > expected:
            die(
                f"messages {expected} to {message.offset - 1} of {message.topic}/{message.partition} were skipped; a restart reads them again"
            )
        self._next[message.tp] = (generation, message.offset + 1)
        return True


async def batches(app: Any, stream: Any, max_bytes: int = MAX_BATCH_BYTES) -> AsyncIterator[list[Any]]:
    """Events that wait together, of whatever partitions, in order within each; bounded in number and bytes.

    One message a batch when they come slowly, many when they come fast: one append to the log and one write to the state
    then serve them all. The caller acks each event by hand, last.
    """
    turns = Turns(app)
    quiet = stream.noack()
    queue = stream.channel.queue
    events = quiet.events().__aiter__()
    held: list[Any] = []
    size = 0
    async for event in events:
        if await turns.is_ours(event):
            held.append(event)
            size += len(event.message.value or b"")
        if held and (queue.empty() or size >= max_bytes or len(held) >= MAX_BATCH_MESSAGES):
            yield held
            held, size = [], 0


def by_partition(batch: Iterable[Any]) -> dict[int, list[Any]]:
    """The events of a batch by partition, in order within each."""
    found: dict[int, list[Any]] = {}
    for event in batch:
        found.setdefault(event.message.partition, []).append(event)
    return found


def still_ours(app: Any, event: Any) -> bool:
    """Whether the generation in which the event was read is still the present one."""
    return not app.rebalancing and event.message.generation_id == app.consumer_generation_id


def or_end(agent: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """An agent that ends the process with whatever error gets out of it.

    Faust would start the agent anew and count the message as done: it would be lost. A restart reads it again.
    """

    @wraps(agent)
    async def guarded(stream: Any) -> None:
        try:
            await agent(stream)
        except SettingsError as error:
            die(str(error), code=EXIT_REFUSED)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            die(f"the agent {agent.__name__} failed", error)

    return guarded
