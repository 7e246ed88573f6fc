"""What the tests of sources share: log lines, a log in memory that keeps the producer's promises, and checks on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.errors import LogFull
from app.flows.deliveries import LINES as TOPIC
from app.messages.headers import Headers, unpack_positions
from app.transports.messages import Message


def line(number: int) -> bytes:
    """One line of the common format; no two numbers give the same."""
    return b'203.0.113.%d - - [31/Jul/2020:16:46:07 +0000] "GET /file-%d HTTP/1.1" 200 %d\n' % (
        number % 250,
        number,
        number,
    )


def log(count: int, first: int = 0) -> bytes:
    return b"".join(line(number) for number in range(first, first + count))


class MemoryLog:
    """Keeps messages in a list; takes a group whole or not at all, as the real log does."""

    def __init__(self, partitions: int = 4) -> None:
        self._partitions = partitions
        self.messages: list[Message] = []
        self.appends: list[int] = []
        """Messages in each append."""
        self.full_for = 0
        """So many appends are refused from now on."""

    def partitions(self, topic: str) -> int:
        assert topic == TOPIC
        return self._partitions

    def append(self, messages: Sequence[Message]) -> None:
        if self.full_for:
            self.full_for -= 1
            raise LogFull("the log is full")
        assert all(0 <= message.partition < self._partitions for message in messages)
        self.messages.extend(messages)
        self.appends.append(len(messages))

    def close(self) -> None:
        pass

    def lines(self) -> list[tuple[str, int, bytes]]:
        """(source, position, line without newline) of every line that was sent, repeats included."""
        return [each for message in self.messages for each in lines_of(message)]

    def texts(self) -> list[bytes]:
        return [text for _, _, text in self.lines()]

    def sources(self) -> set[str]:
        return {message.headers[Headers.SOURCE].decode() for message in self.messages}

    def ended(self) -> list[str]:
        return [message.headers[Headers.SOURCE].decode() for message in self.messages if Headers.END in message.headers]


def lines_of(message: Message) -> list[tuple[str, int, bytes]]:
    headers = message.headers
    if Headers.END in headers:
        assert message.value == b""
        return []
    source, position = headers[Headers.SOURCE].decode(), int(headers[Headers.POSITION])
    texts = (message.value or b"").removesuffix(b"\n").split(b"\n")
    if Headers.POSITIONS in headers:
        return [
            (source, place, text)
            for place, text in zip(unpack_positions(headers[Headers.POSITIONS]), texts, strict=True)
        ]
    found = []
    for text in texts:
        found.append((source, position, text))
        position += len(text) + 1
    return found


def sent_once(log_: MemoryLog, expected: bytes) -> bool:
    """Every line of `expected` arrived exactly once."""
    return Counter(log_.texts()) == Counter(expected.splitlines())
