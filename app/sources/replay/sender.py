"""From chunks to the messages of the topic `weblogs`: made, sent in groups at the pace asked for; a checkpoint moves when its group is durable."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import TIMEOUT_MAX, Event
from typing import Protocol

from app.errors import LogFull, LogUnreachable
from app.flows.deliveries import LINES
from app.messages.headers import HEADERS_FORM, Headers, pack_positions
from app.process.crash_points import crash_point
from app.sources.files.chunks import Chunk
from app.sources.replay.source import Source
from app.transports.messages import Message

__all__ = ["Appends", "Labels", "Pace", "ReplaySender", "Stopped", "partition_of"]

_GROUP_MESSAGES = 1000
_GROUP_BYTES = 1 << 20
_GROUP_AGE_S = 0.05
_FULL_WAIT_S = (0.05, 2.0)
"""First and longest wait for a full log."""
_FULL_SAID_EVERY_S = 30.0


class Appends(Protocol):
    """The part of a producer that is used here."""

    def partitions(self, topic: str) -> int: ...

    def append(self, messages: Sequence[Message]) -> None:
        """Returns when all are durable. Raises LogFull, where nothing was taken, LogUnreachable or another LogError."""
        ...


class Stopped(Exception):
    """Somebody asked to stop; what was not acknowledged is sent again next time."""


class ReplaySender:
    """Groups messages up to 1,000, 1 MiB or 50 ms, whatever comes first."""

    def __init__(self, producer: Appends, stop: Event, say: Callable[[str], None]) -> None:
        self.producer = producer
        self._stop = stop
        self._say = say
        self._group: list[Message] = []
        self._bytes = 0
        self._since = 0.0
        self._acknowledge: dict[object, Callable[[], None]] = {}

    def add(self, message: Message, source: object, acknowledge: Callable[[], None]) -> bool:
        """Takes a message; `acknowledge` is called once it and all before it are durable, unless a later one of the
        same source is, too. True if the group was sent. Raises LogError, Stopped."""
        if not self._group:
            self._since = time.monotonic()
        self._group.append(message)
        self._bytes += len(message.value or b"")
        self._acknowledge[source] = acknowledge
        if self._bytes >= _GROUP_BYTES or len(self._group) >= _GROUP_MESSAGES or self.age_s >= _GROUP_AGE_S:
            self.flush()
            return True
        return False

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._since if self._group else 0.0

    def flush(self) -> None:
        """Sends what is held and moves the checkpoints on."""
        if not self._group:
            return
        group, acknowledge = self._group, self._acknowledge
        self._group, self._bytes, self._acknowledge = [], 0, {}
        self._append(group)
        crash_point("replay_sent")
        for call in acknowledge.values():
            call()
        crash_point("replay_checkpoint")

    def _append(self, group: list[Message]) -> None:
        wait_s, longest_s = _FULL_WAIT_S
        started = time.monotonic()
        say_at = started
        while True:
            try:
                self.producer.append(group)
            except (
                LogFull,
                LogUnreachable,
            ) as trouble:  # lines that arrived all the same are repeats, which count once
                if time.monotonic() >= say_at:
                    self._say(f"waiting: {trouble}")
                    say_at = time.monotonic() + _FULL_SAID_EVERY_S
            else:
                break
            if self._stop.wait(wait_s):
                raise Stopped
            wait_s = min(2 * wait_s, longest_s)
        if say_at > started:
            self._say(f"the log takes messages again after {time.monotonic() - started:.0f} s")


class Pace:
    """Spaces lines evenly at `rate` lines a second; 0 is full speed."""

    _BEHIND_S = 1.0

    def __init__(self, rate: float, stop: Event) -> None:
        self._rate = rate
        self._stop = stop
        self._next = time.monotonic()

    @property
    def lines_per_message(self) -> int:
        """Lines in a message, so that about twenty messages a second flow; 0 at full speed."""
        return max(1, int(self._rate / 20)) if self._rate else 0

    def wait(self, lines: int, sender: ReplaySender) -> None:
        """Before this many lines are sent. What the sender holds goes out first, rather than to grow old."""
        if not self._rate:
            return
        now = time.monotonic()
        # somebody who was held up does not make up for it by a burst
        self._next = max(self._next, now - self._BEHIND_S)
        ahead_s = min(self._next - now, TIMEOUT_MAX)
        self._next += lines / self._rate
        if ahead_s <= 0:
            return
        if sender.age_s + ahead_s > _GROUP_AGE_S:
            sender.flush()
        if self._stop.wait(ahead_s):
            raise Stopped


def partition_of(source_id: str, partitions: int) -> int:
    """One partition for all lines of a source.

    >>> partition_of("00ff", 1)
    0
    """
    return int.from_bytes(blake2b(source_id.encode(), digest_size=8).digest(), "big") % partitions


class Labels:
    """What all messages of one source have in common."""

    def __init__(self, source: Source, partitions: int, *, unordered: bool = False) -> None:
        self._key = source.id.encode()
        self._partition = partition_of(source.id, partitions)
        self._headers = {
            Headers.FORM: b"%d" % HEADERS_FORM,
            Headers.SOURCE: self._key,
            Headers.NAME: source.name.encode("utf-8", "surrogateescape"),
            Headers.FORMAT: source.format.name.encode(),
        }
        if source.format_options.bytes:
            self._headers[Headers.BYTES] = source.format_options.bytes.encode()
        if source.format_options.heads:
            self._headers[Headers.HEADS] = source.format_options.heads.encode()
        if source.format_options.doubted:
            self._headers[Headers.DOUBTED] = source.format_options.doubted.encode()
        if unordered:
            self._headers[Headers.UNORDERED] = b"1"
        self._head: tuple[str, ...] = ()
        self._head_bytes = b""

    def message(self, chunk: Chunk) -> Message:
        headers = {**self._headers, Headers.POSITION: b"%d" % chunk.position}
        if chunk.head:
            if chunk.head is not self._head:
                self._head, self._head_bytes = chunk.head, "\n".join(chunk.head).encode()
            headers[Headers.HEAD] = self._head_bytes
        if chunk.positions is not None:
            headers[Headers.POSITIONS] = pack_positions(chunk.positions)
        if chunk.too_long:
            headers[Headers.TOO_LONG] = b"%d" % chunk.too_long
        return self._of(chunk.data, headers)

    def end(self, position: int) -> Message:
        """Says that the source is read to its end."""
        return self._of(b"", {**self._headers, Headers.POSITION: b"%d" % position, Headers.END: b"1"})

    def _of(self, value: bytes, headers: dict[str, bytes]) -> Message:
        return Message(LINES, self._partition, self._key, value, headers, time.time())
