"""How agents read: whole batches, in turn, none skipped. What the transport bundled is taken apart here.

Faust may skip messages at the start of a generation (its queues are cleared after a rebalance), and would then commit
past them. So every agent checks that offsets follow on one another from the committed one, and ends the process where
they do not: the next start reads them again. What the log itself has deleted no start reads again: that is told (app.engine.losses).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from app.engine.losses import end_if_made_anew, is_hole_of_log, tell_losses
from app.engine.outside import Outside
from app.errors import LogError, StoreError, UnknownForm, WeblogsError
from app.process.exit import EXIT_CANNOT_GO_ON, EXIT_REFUSED
from app.transports.bundles import Bundle

__all__ = [
    "MAX_BATCH_BYTES",
    "MAX_BATCH_MESSAGES",
    "Agent",
    "TakenMessage",
    "Turns",
    "acknowledge",
    "batches",
    "by_partition",
    "or_end",
    "pass_by",
    "still_ours",
]

MAX_BATCH_MESSAGES = 2000
log = logging.getLogger(__name__)
MAX_BATCH_BYTES = 4 << 20
Agent = Callable[[Any], Awaitable[None]]
"""Reads a stream until it ends."""
LITTLE_BYTES = 64 << 10
"""With less than this an agent waits for more, WEBLOGS_LINGER seconds at most."""
BUSY_LINGER_S = 0.05
"""This long, or WEBLOGS_LINGER if that is longer, waits an agent that has more than a little, but not enough: messages come fast then, and
the next are on their way."""


class TakenMessage(NamedTuple):
    """One message."""

    partition: int
    offset: int
    timestamp: float
    """When the log took it, UTC seconds."""
    value: bytes
    headers: Any
    """As the transport carries them."""
    event: Any
    """Faust's, that brought it; maybe others with it."""
    is_last: bool
    """Of its event."""


class Turns:
    """Which offset must come next, for each topic partition and generation."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._next: dict[Any, tuple[int, int]] = {}

    async def is_ours(self, event: Any) -> bool:
        """False for an event of an older generation: it will be read again.

        What the log has deleted unread is told, and reading goes on behind it; at any other hole the process ends.
        """
        message, app = event.message, self._app
        while app.rebalancing and message.generation_id == app.consumer_generation_id:  # noqa: ASYNC110 - Faust has no event for it
            await asyncio.sleep(0.02)
        generation = message.generation_id
        if generation != app.consumer_generation_id:
            return False
        first = message.value[0].offset if isinstance(message.value, Bundle) else message.offset
        seen, expected = self._next.get(message.tp, (None, 0))
        if seen != generation:
            expected = app.consumer._committed_offset.get(message.tp) or 0
        elif first < expected:  # read again after a seek, or another topic of that name
            await end_if_made_anew(app, [app])
        if first > expected:  # asked only then: a broker answers after the fetch that is under way
            start = (await app.consumer.earliest_offsets(message.tp)).get(message.tp) or 0
            if start > expected:
                await tell_losses(app, [(message.tp, expected, min(start, first))])
                expected = min(start, first)
        if first > expected and not await is_hole_of_log(app, message.tp, expected, first):
            app.outside.die(
                f"messages {expected} to {first - 1} of {message.topic}/{message.partition} were skipped; a restart reads them again"
            )
        self._next[message.tp] = app.next_offsets[message.tp] = (generation, message.offset + 1)
        return True


async def batches(
    app: Any, stream: Any, max_bytes: int = MAX_BATCH_BYTES, enough_bytes: int = LITTLE_BYTES
) -> AsyncIterator[list[TakenMessage]]:
    """Messages that wait together, of whatever partitions, in order within each; bounded in number and bytes.

    A batch below `enough_bytes` waits once for more.

    One message a batch when they come slowly, many when they come fast: one append to the log and one write to the state
    then serve them all. The caller acknowledges what it is done with, last.
    """
    turns = Turns(app)
    linger_s = app.outside.settings.linger
    waited = False
    quiet = stream.noack()
    queue = stream.channel.queue
    events = quiet.events().__aiter__()
    held: list[TakenMessage] = []
    size = 0
    async for event in events:
        if await turns.is_ours(event):
            for taken in _taken(event):
                held.append(taken)
                size += len(taken.value)
                if not taken.is_last and (size >= max_bytes or len(held) >= MAX_BATCH_MESSAGES):
                    yield held
                    held, size, waited = [], 0, False
        if held and queue.empty() and size < enough_bytes and not waited and linger_s:
            await asyncio.sleep(linger_s if size < LITTLE_BYTES else max(linger_s, BUSY_LINGER_S))
            waited = True
        if held and (queue.empty() or size >= max_bytes or len(held) >= MAX_BATCH_MESSAGES):
            yield held
            held, size, waited = [], 0, False


def _taken(event: Any) -> Iterable[TakenMessage]:
    message = event.message
    value, partition = message.value, message.partition
    if not isinstance(value, Bundle):
        return (TakenMessage(partition, message.offset, message.timestamp, value or b"", message.headers, event, True),)
    last = len(value) - 1
    return [
        TakenMessage(partition, offset, timestamp, single or b"", headers, event, number == last)
        for number, (offset, timestamp, single, headers) in enumerate(value)
    ]


async def acknowledge(stream: Any, done: Iterable[TakenMessage]) -> None:
    """In order. An event that brought several messages counts as done with the last of them."""
    for taken in done:
        if taken.is_last:
            await stream.ack(taken.event)


def pass_by(app: Any) -> Agent:
    """An agent that takes every message, and does nothing with it."""

    async def run(stream: Any) -> None:
        async for batch in batches(app, stream):
            await acknowledge(stream, batch)

    return run


def by_partition(batch: Iterable[TakenMessage]) -> dict[int, list[TakenMessage]]:
    """The messages of a batch by partition, in order within each."""
    found: dict[int, list[TakenMessage]] = {}
    for taken in batch:
        found.setdefault(taken.partition, []).append(taken)
    return found


def still_ours(app: Any, event: Any) -> bool:
    """Whether the generation in which the event was read is still the present one."""
    return not app.rebalancing and event.message.generation_id == app.consumer_generation_id


def is_stopping(stream: Any) -> bool:
    """Whether an ordered stop is under way, which may close the state before an agent is through."""
    return bool(getattr(getattr(stream, "app", None), "should_stop", False))


def or_end(outside: Outside, name: str, agent: Agent) -> Agent:
    """An agent that ends the process with whatever error gets out of it.

    Faust would start the agent anew and count the message as done: it would be lost. A restart reads it again. What a person has to
    change first (a setting, a state or a message of an unknown form) ends it with EXIT_REFUSED.
    """

    async def guarded(stream: Any) -> None:
        try:
            await agent(stream)
        except WeblogsError as error:
            passes = isinstance(error, LogError | StoreError) and not isinstance(error, UnknownForm)
            outside.die(str(error), code=EXIT_CANNOT_GO_ON if passes else EXIT_REFUSED)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if is_stopping(stream):
                log.info("the agent %s was stopped while it worked; its messages are read again: %s", name, error)
                return
            outside.die(f"the agent {name} failed", error)

    guarded.__name__ = guarded.__qualname__ = name
    return guarded
