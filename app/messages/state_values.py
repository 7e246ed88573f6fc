"""What the changelog and the state of `byte_ranges` hold.

The key of a delivery is the JSON list of its three fields, that of a clock a name that begins with NUL. An entry is MessagePack, the
state holds one for each open delivery and it is half as large as JSON; a clock is JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from app.domain.entries import Entry
from app.domain.tallies import Part, Tally
from app.domain.watermarks import Clock
from app.domain.windows import Rules

__all__ = ["entry_of_form_1", "key_bytes", "key_of_bytes", "pack_clock", "pack_entry", "unpack_clock", "unpack_entry"]

_encode = msgspec.json.Encoder().encode


def key_bytes(key: Sequence[str]) -> bytes:
    """The changelog key of a delivery key; no two keys share one."""
    return _encode(tuple(key))


key_of_bytes = msgspec.json.Decoder(tuple[str, str, str]).decode
"""The other way round."""


def _finite(time: float) -> float | None:
    """JSON has no infinity."""
    return None if math.isinf(time) else time


def _or_before_all(time: float | None) -> float:
    return -math.inf if time is None else time


_PackedUnproved = tuple[list[int], list[int], int, int]
_PackedTally = tuple[
    float, float | None, float | None, list[int], bytes, int, int, int, int, int, _PackedUnproved | None
]
_PackedCut = tuple[float | None, int, float | None, float | None]
_PackedEntry = tuple[float, list[int] | None, list[_PackedTally], _PackedCut | None, list[Part]]
_pack = msgspec.msgpack.Encoder().encode
_decode_entry = msgspec.msgpack.Decoder(_PackedEntry).decode
_decode_large_entry = msgspec.json.Decoder(_PackedEntry).decode
_JSON = b"["[0]
"""No MessagePack array begins with it."""


def pack_entry(entry: Entry) -> bytes:
    """An entry as the changelog and the state hold it: MessagePack, or JSON if an integer has more than 64 bits."""
    cut: _PackedCut | None = None
    if entry.evicted_hits or not entry.floor == entry.evicted_last == entry.lost == -math.inf:
        cut = (_finite(entry.floor), entry.evicted_hits, _finite(entry.evicted_last), _finite(entry.lost))
    tallies = [tally.pack() for tally in entry.tallies] if not entry.parts else ()
    packed = (entry.touched, entry.sources, tallies, cut, entry.parts)
    try:
        return _pack(packed)
    except OverflowError:
        return _encode(packed)


def entry_of_form_1(value: bytes) -> bytes:
    """A packed entry of form 1 as one of form 2: its tallies know nothing of bytes that are not proved."""
    large = value[0] == _JSON
    touched, sources, tallies, *rest = msgspec.json.decode(value) if large else msgspec.msgpack.decode(value)
    packed = (touched, sources, [(*tally, None) for tally in tallies], *rest)
    return _encode(packed) if large else _pack(packed)


def unpack_entry(value: bytes, rules: Rules) -> Entry:
    """From what pack_entry gave, under the same rules."""
    entry = Entry()
    decode = _decode_large_entry if value[0] == _JSON else _decode_entry
    entry.touched, sources, tallies, cut, parts = decode(value)
    entry.sources = None if sources is None else tuple(sources)
    if cut is not None:
        floor, entry.evicted_hits, evicted_last, lost = cut
        entry.floor, entry.evicted_last, entry.lost = (
            _or_before_all(floor),
            _or_before_all(evicted_last),
            _or_before_all(lost),
        )
    if parts:
        entry.parts = parts
        entry.recut(rules)
    else:
        entry.tallies = [Tally.unpack(tally) for tally in tallies]
    return entry


_PackedClock = tuple[float | None, float, bool, bool, float, int, float | None]
_decode_clock = msgspec.json.Decoder(_PackedClock).decode


def pack_clock(clock: Clock) -> bytes:
    """A source's clock as the changelog holds it."""
    times = _finite(clock.highest), clock.disorder_s, clock.ended, clock.unordered, clock.touched
    return _encode((*times, clock.position, _finite(clock.closed)))


def unpack_clock(value: bytes) -> Clock:
    """From what pack_clock gave."""
    clock = Clock()
    highest, clock.disorder_s, clock.ended, clock.unordered, clock.touched, clock.position, closed = _decode_clock(
        value
    )
    clock.highest, clock.closed = _or_before_all(highest), _or_before_all(closed)
    return clock
