"""From the body of a POST to the topic `weblogs`: durable before the answer, many requests in one write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.errors import LogError
from app.flows.deliveries import LINES
from app.settings import Settings
from app.transports.messages import Message
from app.web.deliveries.posted import posted_values, source_of_key
from app.web.service.group_commit import GroupCommit

if TYPE_CHECKING:
    from app.transports.producers import MessageProducer

__all__ = ["Intake", "LogIntake"]


class Intake(Protocol):
    """Where posted lines go."""

    async def append(self, lines: bytes, key: str | None) -> None:
        """Returns once the lines are durable; raises LogFull or LogError. Lines sent again under a `key` count once."""
        ...


class _Posted(NamedTuple):
    lines: bytes
    key: str | None


class LogIntake:
    """An Intake upon a blocking producer, which one thread alone uses."""

    def __init__(self, producer: MessageProducer, settings: Settings) -> None:
        self._producer = producer
        self._settings = settings
        self._commit = GroupCommit(self._write, "intake")
        self._turns = count()

    async def append(self, lines: bytes, key: str | None) -> None:
        """Returns once `lines` are durable. Raises LogFull when the log takes no more now, LogError when it cannot be written."""
        if self._commit.closed:
            raise LogError("The worker is shutting down and takes no more lines; send them again in a moment.")
        await self._commit.append(_Posted(lines, key))

    async def close(self) -> None:
        """Waits for what was accepted. The producer stays open: it belongs to the caller."""
        await self._commit.close()

    def _messages(self, lines: bytes, key: str | None) -> list[Message]:
        turn = next(self._turns) if key is None else int(source_of_key(key), 16)
        partition = turn % self._producer.partitions(LINES)
        now = time.time()
        return [
            Message(LINES, partition, None, value, headers, now)
            for value, headers in posted_values(lines, key, self._settings)
        ]

    def _write(self, group: Sequence[_Posted]) -> None:
        """In the thread: cut, append, return when all of it is durable."""
        self._producer.append([message for posted in group for message in self._messages(posted.lines, posted.key)])
