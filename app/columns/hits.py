"""Hits of one source as columns: from lines or from a message, and on to a message or to their deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.columns.blocks import Extras, LineColumns
from app.columns.groups import Groups
from app.columns.keys import KeyNames, ListedKeys, TextKeys
from app.columns.parts import added
from app.domain.key_hits import Key
from app.domain.records import HitFlag, short_id_factors
from app.domain.windows import Rules
from app.messages.packed_hits import PackedHits

__all__ = ["HitColumns"]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Positions = NDArray[np.uint64]


_PROTOCOL = int(HitFlag.HTTP2)


class HitColumns(NamedTuple):
    """Hits in the order of their source, a value a hit."""

    names: KeyNames
    codes: Ints
    """Numbers of the keys."""
    times: Floats
    positions: Positions
    statuses: Ints
    lo: Ints
    hi: Ints
    """lo 0 and hi -1 if a hit names no range."""
    sent: Ints | None
    """Bytes of the body, -1 if a hit does not name them; None if no hit does. So is the next."""
    total: Ints | None
    """Size of the whole file."""
    flags: Ints | None
    """HitFlag; None if no hit has one."""
    extras: Extras | None = None
    """Optional fields; None if no hit has some, or if nobody asks for them here."""

    @classmethod
    def of_lines(cls, blocks: Sequence[LineColumns]) -> HitColumns:
        """The hits in some blocks of one format."""
        keys = TextKeys(blocks)
        times, positions, lo, hi, statuses = (
            np.concatenate(some)
            for some in zip(
                *[(block.times, block.positions, block.lo, block.hi, block.statuses) for block in blocks], strict=True
            )
        )
        told = [(block.sent, block.total) for block in blocks if block.sent is not None and block.total is not None]
        sent, total = (np.concatenate(some) for some in zip(*told, strict=True)) if told else (None, None)
        flags = None
        if any(block.flags is not None for block in blocks):
            flags = np.concatenate(
                [np.zeros(len(block.times), np.int64) if block.flags is None else block.flags for block in blocks]
            )
        extras = blocks[0].extras if len(blocks) == 1 else None  # several are merged, and never become a message
        return cls(keys, keys.codes, times, positions, statuses, lo, hi, sent, total, flags, extras)

    @classmethod
    def from_message(cls, blocks: Sequence[PackedHits]) -> HitColumns:
        """The hits in some blocks of one source."""
        names, codes = _listed(blocks)
        told, flagged = any(block.sent for block in blocks), any(block.flags for block in blocks)
        return cls(
            names,
            codes,
            np.concatenate([np.frombuffer(block.times, "<f8") for block in blocks]),
            np.concatenate([np.frombuffer(block.positions, "<u8") for block in blocks]),
            np.concatenate([np.frombuffer(block.statuses, "<u2") for block in blocks]).astype(np.int64),
            np.concatenate([np.frombuffer(block.lo, "<i8") for block in blocks]),
            np.concatenate([np.frombuffer(block.hi, "<i8") for block in blocks]),
            _told([(block.sent, len(block)) for block in blocks], "<i8", -1) if told else None,
            _told([(block.total, len(block)) for block in blocks], "<i8", -1) if told else None,
            _told([(block.flags, len(block)) for block in blocks], "<u2", 0) if flagged else None,
        )

    def by_partition(self, partition_of: Callable[[Key], int]) -> dict[int, HitColumns]:
        """The hits that belong to each partition; their keys are listed."""
        codes, key_of = np.unique(self.codes, return_inverse=True)
        named = self.names.named(codes)
        methods = self.names.methods(named, codes)
        place_of = np.array([partition_of(key) for key in named], np.int64)
        places = place_of[key_of]
        found = {}
        for partition in np.unique(place_of).tolist():
            rows = np.flatnonzero(places == partition)
            here = np.flatnonzero(place_of == partition)
            number_of = np.zeros(len(codes), np.int64)
            number_of[here] = np.arange(len(here))
            its = here.tolist()
            names = ListedKeys([named[number] for number in its], [methods[number] for number in its])
            found[partition] = HitColumns(
                names,
                number_of[key_of[rows]],
                self.times[rows],
                self.positions[rows],
                self.statuses[rows],
                self.lo[rows],
                self.hi[rows],
                None if self.sent is None else self.sent[rows],
                None if self.total is None else self.total[rows],
                None if self.flags is None else self.flags[rows],
                None if self.extras is None else self.extras.of(rows),
            )
        return found

    def to_message(self) -> PackedHits:
        """As a message holds them."""
        names = self.names
        if isinstance(names, ListedKeys):
            keys, methods, numbers = names.keys, names.all_methods, self.codes
        else:
            codes, numbers = np.unique(self.codes, return_inverse=True)
            keys = names.named(codes)
            methods = names.methods(keys, codes)
        return PackedHits(
            keys,
            methods,
            numbers.astype("<u4").tobytes(),
            self.times.astype("<f8").tobytes(),
            self.positions.astype("<u8").tobytes(),
            self.statuses.astype("<u2").tobytes(),
            self.lo.astype("<i8").tobytes(),
            self.hi.astype("<i8").tobytes(),
            b"" if self.sent is None else self.sent.astype("<i8").tobytes(),
            b"" if self.total is None else self.total.astype("<i8").tobytes(),
            b"" if self.flags is None or not self.flags.any() else self.flags.astype("<u2").tobytes(),
            *([], b"") if self.extras is None else _packed(self.extras),
        )

    @property
    def counting(self) -> Bools:
        """Which hits count for a delivery, as parts.part_of says."""
        counts: Bools = (self.statuses == 206) | (self.statuses == 200)
        are_get = self.names.are_get(self.codes)
        return counts if are_get is None else counts & are_get

    @property
    def end(self) -> int:
        """The highest position."""
        return int(self.positions.max())

    def merged_before(self, position: int, closed: float) -> Bools | None:
        """Which hits are up to that position and that time, as Clock.was_merged says."""
        if position < 0:
            return None
        merged: Bools = (self.positions <= np.uint64(position)) & (self.times <= closed)
        return merged

    def groups(self, source: str, rules: Rules, leave_out: Bools | None = None) -> Groups:
        """By key, what counts and is not to be left out. `source`: what the raw ids are made from."""
        counts = self.counting if leave_out is None else self.counting & ~leave_out
        codes = np.where(counts, self.codes, -1)
        lo, hi, flags, details = self.lo, self.hi, self.flags, None
        if flags is not None and not (flags & ~_PROTOCOL).any():
            flags = None  # a protocol alone changes nothing of what bytes prove
        if self.sent is not None or flags is not None or not bool((hi >= lo)[counts].all()):
            if self.sent is None or self.total is None:
                sent = total = np.full(len(codes), -1)
            else:
                sent, total = self.sent, self.total
            lo, hi, details = added(
                lo, hi, sent, total, self.statuses, flags, partial(self.names.are_compressible, self.codes)
            )
        factors = short_id_factors(source)
        return Groups(self.names, codes, self.times, self.positions, lo, hi, factors, rules, details)


def _listed(blocks: Sequence[PackedHits]) -> tuple[ListedKeys, Ints]:
    """The keys of some blocks, each once, and the number of each hit's key. A key has one method."""
    codes = [np.frombuffer(block.key, "<u4") for block in blocks]
    if len(blocks) == 1:
        return ListedKeys(blocks[0].keys, blocks[0].methods), codes[0].astype(np.int64)
    numbers: dict[Key, int] = {}
    method_of: dict[Key, str | None] = {}
    found = []
    for block, its in zip(blocks, codes, strict=True):
        found.append(np.array([numbers.setdefault(key, len(numbers)) for key in block.keys], np.int64)[its])
        method_of.update(zip(block.keys, block.methods, strict=True))
    return ListedKeys(list(numbers), [method_of[key] for key in numbers]), np.concatenate(found)


def _packed(extras: Extras) -> tuple[list[dict[str, str]], bytes]:
    """Those that hits have, each once, and the number of each hit's."""
    used, numbers = np.unique(extras.codes, return_inverse=True)
    all_extras = [extras.all_extras[code] for code in used.tolist()]
    return (all_extras, numbers.astype("<u4").tobytes()) if any(all_extras) else ([], b"")


def _told(columns: Sequence[tuple[bytes, int]], form: str, absent: int) -> Ints:
    """A column that some blocks, of this many hits, may lack."""
    told: Any = [np.frombuffer(packed, form) if packed else np.full(count, absent) for packed, count in columns]
    return np.concatenate(told).astype(np.int64)
