"""From chunks to the messages of the topic `weblogs`."""

from __future__ import annotations

import time
from hashlib import blake2b

from app.flows.deliveries import LINES
from app.messages.headers import HEADERS_FORM, Headers, pack_positions
from app.sources.files.chunks import Chunk
from app.sources.replay.source import Source
from app.transports.producers import Message

__all__ = ["Labels", "partition_of"]


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
