"""The body of a request, read and decompressed within bounds."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator

from aiohttp import web

from app.web.service.answers import ApiError

__all__ = ["MAX_GZIP_MEMBERS", "BodyBudget", "HeldBody", "read_body"]

MAX_GZIP_MEMBERS = 10_000
"""A body of more members is hostile: each costs a fresh decompressor."""

READ_TIMEOUT_S = 60.0
"""A client that needs longer for a body gives its place to others."""


class BodyBudget:
    """Bytes that all bodies in flight may hold together; full means `503`, try again."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = limit_bytes

    def take(self, size_bytes: int) -> None:
        if size_bytes > self.left_bytes:
            raise ApiError(
                503, "Too many bodies are being received at once; send this one again.", {"Retry-After": "1"}
            )
        self.left_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        self.left_bytes += size_bytes


class HeldBody:
    """A body and its share of the budget; a context manager, so that the share is always given back."""

    def __init__(self, budget: BodyBudget, limit_bytes: int) -> None:
        self._budget = budget
        self._limit = limit_bytes
        self._parts: list[bytes] = []
        self.size = 0

    def __enter__(self) -> HeldBody:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.clear()
        self._budget.give_back(self.size)
        self.size = 0

    @property
    def room(self) -> int:
        """Bytes that may still come, at least 0."""
        return self._limit - self.size

    def add(self, part: bytes) -> None:
        if len(part) > self.room:
            raise too_large(self._limit)
        self._budget.take(len(part))
        self.size += len(part)
        self._parts.append(part)

    def joined(self) -> bytes:
        self._parts[:] = [b"".join(self._parts)]
        return self._parts[0]


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(
        413,
        f"The body is larger than {limit_bytes} bytes after decompression; send it in parts (WEBLOGS_WEB_MAX_BODY_BYTES).",
    )


async def read_body(request: web.Request, held: HeldBody, limit_bytes: int) -> bytes:
    """The whole body, decompressed if its Content-Encoding says gzip.

    Never holds more than `limit_bytes` of it. Raises ApiError: 413 too large, 415 another encoding, 400 broken gzip, 408
    too slow, 503 too many at once; 400 the client is gone.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise ApiError(
            415,
            f"Content-Encoding {encoding[:40]!r} is not taken; send the lines plain or with gzip.",
            {"Accept-Encoding": "gzip"},
        )
    if request.content_length is not None and request.content_length > limit_bytes:
        raise too_large(limit_bytes)
    gunzip = Gunzip() if encoding.endswith("gzip") else None
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for part in _received(request, limit_bytes):
                for piece in gunzip.feed(part, lambda: held.room + 1) if gunzip else (part,):
                    held.add(piece)
    except TimeoutError:
        raise ApiError(408, f"The body did not arrive within {READ_TIMEOUT_S:g} s.") from None
    except ConnectionError:  # nobody is there any more to read the answer
        raise ApiError(400, "The body was cut off.") from None
    if gunzip:
        gunzip.check_ended()
    return held.joined()


async def _received(request: web.Request, limit_bytes: int) -> AsyncIterator[bytes]:
    received = 0
    async for part in request.content.iter_any():
        received += len(part)
        if received > limit_bytes:
            raise too_large(limit_bytes)
        yield part


class Gunzip:
    """gzip as it arrives, several members in a row as RFC 1952 allows them, zero padding after the last."""

    def __init__(self) -> None:
        self.members = 0
        self._inflate: zlib._Decompress | None = None

    def feed(self, part: bytes, room: Callable[[], int]) -> Iterator[bytes]:
        """Decompressed pieces, each of at most `room()` bytes, asked anew and never below 1."""
        while part:
            if self._inflate is None:
                part = part.lstrip(b"\0") if self.members else part
                if not part:
                    return
                self._start_member()
            assert self._inflate is not None
            try:
                piece = self._inflate.decompress(part, min(room(), 1 << 20))
            except zlib.error as error:
                raise ApiError(400, f"The body is no valid gzip: {error}.") from None
            if piece:
                yield piece
            part = self._inflate.unconsumed_tail
            if self._inflate.eof:
                part, self._inflate = self._inflate.unused_data, None

    def _start_member(self) -> None:
        self.members += 1
        if self.members > MAX_GZIP_MEMBERS:
            raise ApiError(400, f"The body has more than {MAX_GZIP_MEMBERS} gzip members; compress it in one.")
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def check_ended(self) -> None:
        """Raises ApiError where the last member was cut off."""
        if self._inflate is not None:
            raise ApiError(400, "The body is no valid gzip: it ends in the middle.")
