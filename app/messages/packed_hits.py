"""Hits that are alike, as columns in a message: they are most of all hits, and most of the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import msgspec

from app.domain.records import raw_ids
from app.messages.packing import pack_numbers, unpack_numbers

__all__ = ["PackedHits"]


class PackedHits(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Hits that are alike, as columns. A message of them is a third as large, and needs no work for each line.

    Each column holds a value a hit, little-endian, in the order of the source; the raw ids are those of their positions.
    """

    keys: list[tuple[str, str, str]]
    methods: list[str | None]
    """By key."""
    key: bytes
    """Number of the key, 32 bits."""
    times: bytes
    """UTC seconds, as 64-bit floats."""
    positions: bytes
    """64 bits, unsigned."""
    statuses: bytes
    """16 bits."""
    lo: bytes
    """64 bits; lo 0 and hi -1 are no range."""
    hi: bytes
    sent: bytes = b""
    """Bytes of the body, 64 bits, -1 if a hit names none; nothing at all if none of them does. So is the next."""
    total: bytes = b""
    """Size of the whole file."""
    flags: bytes = b""
    """HitFlag, 16 bits; nothing at all if no hit has one."""
    all_extras: list[dict[str, str]] = []
    """The optional fields of the hits, those that are alike once."""
    extras: bytes = b""
    """Number of a hit's optional fields in `all_extras`, 32 bits; nothing at all if no hit has some."""

    def __len__(self) -> int:
        return len(self.key) // 4

    def check(self) -> None:
        """Raises ValueError if the columns do not fit one another, or hold what is no key or no time."""
        import numpy as np  # who only writes messages does without

        count = len(self)
        widths = (self.key, 4), (self.times, 8), (self.positions, 8), (self.statuses, 2), (self.lo, 8), (self.hi, 8)
        told: tuple[tuple[bytes, int], ...] = ((self.sent, 8), (self.total, 8)) if self.sent or self.total else ()
        if self.flags:
            told += ((self.flags, 2),)
        if self.extras:
            told += ((self.extras, 4),)
        if not count or any(len(column) != width * count for column, width in (*widths, *told)):
            raise ValueError("its columns have different lengths")
        if len(self.methods) != len(self.keys) or np.frombuffer(self.key, "<u4").max() >= len(self.keys):
            raise ValueError("a hit names a key that is not there")
        if self.extras and np.frombuffer(self.extras, "<u4").max() >= len(self.all_extras):
            raise ValueError("a hit names optional fields that are not there")
        if not np.isfinite(np.frombuffer(self.times, "<f8")).all():
            raise ValueError("a time is no number")

    def hits(self, source: str) -> Iterator[tuple[Any, ...]]:
        """In the order of Hit."""
        identify = raw_ids(source)
        keys = [(*key, method) for key, method in zip(self.keys, self.methods, strict=True)]
        columns = map(unpack_numbers, "IdQHqq", (self.key, self.times, self.positions, self.statuses, self.lo, self.hi))
        told = (
            zip(unpack_numbers("q", self.sent), unpack_numbers("q", self.total), strict=True)
            if self.sent
            else repeat((-1, -1), len(self))
        )
        flagged = unpack_numbers("H", self.flags) if self.flags else repeat(0, len(self))
        extras_of = (
            map(self.all_extras.__getitem__, unpack_numbers("I", self.extras)) if self.extras else repeat({}, len(self))
        )
        for (number, time, position, status, lo, hi), (sent, total), flags, extras in zip(
            zip(*columns, strict=True), told, flagged, extras_of, strict=True
        ):
            sizes = None if sent < 0 else sent, None if total < 0 else total
            yield (
                time,
                *keys[number],
                status,
                *((lo, hi) if lo <= hi else (None, None)),
                *sizes,
                flags,
                extras,
                identify(position),
                source,
                position,
                None,
            )

    def bytes_alone(self, size_of: Callable[[PackedHits], int]) -> Iterator[int]:
        """What each hit takes in a block of its own. `size_of`: the bytes of a block in a message."""
        sizes: dict[tuple[int, int], int] = {}
        extras = unpack_numbers("I", self.extras) if self.extras else repeat(-1, len(self))
        for number, extra in zip(unpack_numbers("I", self.key), extras, strict=True):
            if (number, extra) not in sizes:
                sizes[number, extra] = size_of(self._like(number, extra)) + 1
            yield sizes[number, extra]

    def _like(self, number: int, extra: int) -> PackedHits:
        """One hit of a key with these extras, as large as any of them."""
        eight = bytes(8)
        more = (
            *((eight, eight) if self.sent else (b"", b"")),
            bytes(2) if self.flags else b"",
            *(([self.all_extras[extra]], bytes(4)) if self.extras else ()),
        )
        return PackedHits(
            [self.keys[number]], [self.methods[number]], bytes(4), eight, eight, bytes(2), eight, eight, *more
        )

    def part(self, begin: int, end: int) -> PackedHits:
        """The hits from `begin` up to, not including, `end`."""
        numbers = unpack_numbers("I", self.key)[begin:end]
        used = {number: place for place, number in enumerate(sorted(set(numbers)))}
        extras = unpack_numbers("I", self.extras)[begin:end]
        extras_used = {number: place for place, number in enumerate(sorted(set(extras)))}
        return PackedHits(
            [self.keys[number] for number in used],
            [self.methods[number] for number in used],
            pack_numbers("I", [used[number] for number in numbers]),
            self.times[8 * begin : 8 * end],
            self.positions[8 * begin : 8 * end],
            self.statuses[2 * begin : 2 * end],
            self.lo[8 * begin : 8 * end],
            self.hi[8 * begin : 8 * end],
            self.sent[8 * begin : 8 * end],
            self.total[8 * begin : 8 * end],
            self.flags[2 * begin : 2 * end],
            [self.all_extras[number] for number in extras_used],
            pack_numbers("I", [extras_used[number] for number in extras]),
        )
