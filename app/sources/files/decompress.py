"""Streaming decompression that hands out everything good before it complains.

The standard file objects raise at a cut-off end before they return what they had decoded; these do not. Memory is bounded
whatever the input: output is asked for in pieces, and where the library cannot limit its output (zstd) the input pieces are
small.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from app.errors import InputError

__all__ = ["MAGIC_BYTES", "Decompressed", "RawStream", "compression_of"]

MAGIC_BYTES = 6
"""This many first bytes tell the compression."""

_MAGICS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_INPUT_BYTES = 32 << 10
_ZSTD_INPUT_BYTES = 256
"""Four input bytes can mean a block of 128 KiB: a piece of this size unpacks to 8 MiB at worst."""
_XZ_MEMORY_BYTES = 256 << 20
_ZSTD_WINDOW_BYTES = 128 << 20


class RawStream(Protocol):
    """What the compressed bytes are read from."""

    def read(self, size: int, /) -> bytes: ...


def compression_of(first_bytes: bytes) -> str | None:
    """gzip, bzip2, xz or zstd by the magic bytes, or None.

    >>> compression_of(b"BZh91AY")
    'bzip2'
    >>> compression_of(b"10.0.0.1 - -")
    """
    return next((name for magic, name in _MAGICS.items() if first_bytes.startswith(magic)), None)


class _Member(Protocol):
    """One compressed member: a gzip member, a bzip2 or xz stream, a zstd frame."""

    eof: bool
    rest: bytes
    """Input that was given and is not consumed yet; after `eof`, what stands behind the member."""

    def decode(self, data: bytes, size: int) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)
        self.eof = False
        self.rest = b""

    def decode(self, data: bytes, size: int) -> bytes:
        out = self._inflate.decompress(data, size)
        self.eof = self._inflate.eof
        self.rest = self._inflate.unused_data if self.eof else self._inflate.unconsumed_tail
        return out


class _Limited:
    """bzip2 and xz: both libraries keep unconsumed input themselves."""

    rest = b""

    def __init__(self, decoder: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._decoder = decoder
        self.eof = False

    def decode(self, data: bytes, size: int) -> bytes:
        out = self._decoder.decompress(data, size)
        self.eof = self._decoder.eof
        if self.eof:
            self.rest = self._decoder.unused_data
        return out


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
        self.eof = False
        self.rest = b""

    def decode(self, data: bytes, size: int) -> bytes:
        out = self._decoder.decompress(data)
        self.eof = self._decoder.eof
        self.rest = self._decoder.unused_data if self.eof else b""
        return out


_MEMBERS: dict[str, Callable[[], _Member]] = {
    "gzip": _Gzip,
    "bzip2": lambda: _Limited(bz2.BZ2Decompressor()),
    "xz": lambda: _Limited(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)),
    "zstd": _Zstd,
}


def _damages() -> tuple[type[Exception], ...]:
    import zstandard

    # bz2 reports bad data as OSError or ValueError, and has no error of its own
    return (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, ValueError, EOFError)


class Decompressed:
    """The decompressed bytes of `raw`, member after member.

    Raises InputError when the input is cut off or damaged, after all that could be decoded was handed out.
    """

    def __init__(self, raw: RawStream, compression: str, name: str) -> None:
        self._raw = raw
        self._compression = compression
        self._name = name
        self._member: _Member | None = None
        self._members = 0
        self._input = b""
        self._output = b""
        self._taken = 0
        self._read_bytes = 0
        self._piece_bytes = _ZSTD_INPUT_BYTES if compression == "zstd" else _INPUT_BYTES
        self._damages = _damages()

    def read(self, size: int, /) -> bytes:
        """Up to `size` decompressed bytes; b"" only at the end."""
        parts: list[bytes] = []
        wanted = size
        while wanted:
            try:
                part = self._some(wanted)
            except InputError:
                if not parts:
                    raise
                break  # it comes again at the next call: the members stay as they are
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, size: int) -> bytes:
        if self._taken < len(self._output):
            part = self._output[self._taken : self._taken + size]
            self._taken += len(part)
            return part
        while self._member is not None or self._next_member():
            out = self._decode(size)
            if out:
                self._output, self._taken = out, min(size, len(out))
                return out if len(out) <= size else out[:size]
        return b""

    def _next_member(self) -> bool:
        """Starts the next member; False at a clean end. Zero bytes between members are padding."""
        while True:
            if self._members:
                self._input = self._input.lstrip(b"\0")
            if self._input or not self._fill():
                break
        while 0 < len(self._input) < MAGIC_BYTES and self._fill():
            pass
        if not self._input:
            return False
        if self._members and compression_of(self._input) != self._compression:
            raise self._damaged(f"something that is no {self._compression} data follows the end")
        self._member = _MEMBERS[self._compression]()
        self._members += 1
        return True

    def _fill(self) -> bool:
        piece = self._raw.read(self._piece_bytes)
        self._read_bytes += len(piece)
        self._input += piece
        return bool(piece)

    def _decode(self, size: int) -> bytes:
        member = self._member
        assert member is not None
        ended = not self._input and not self._fill()
        try:
            out = member.decode(self._input, size)
        except self._damages as error:
            raise self._damaged(str(error)) from None
        self._input = member.rest
        if member.eof:
            self._member = None
        elif ended and not out:
            raise InputError(
                f"{self._name} is cut off at byte {self._read_bytes} ({self._compression} data without their end): "
                f"the whole lines before were read; give it again once it is whole"
            )
        return out

    def _damaged(self, why: str) -> InputError:
        at = max(0, self._read_bytes - len(self._input))
        return InputError(
            f"{self._name} is damaged near byte {at} ({self._compression}: {why}): the lines before were read; make a new copy"
        )
