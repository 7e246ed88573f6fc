"""What one hit adds to a delivery: the table proof.ROWS, applied to the fields of a line."""

from __future__ import annotations

from typing import Any

from app.domain.proof import Claim, Measure, may_be_compressed, row_of
from app.domain.records import HitFlag
from app.domain.tallies import Mark, Part

__all__ = ["part_of"]

_ABORTED, _ENDED, _HTTP2, _PLAIN = map(int, (HitFlag.ABORTED, HitFlag.ENDED, HitFlag.HTTP2, HitFlag.PLAIN))
_ENCODED, _PLACELESS, _HEADERS_COUNTED = map(int, (HitFlag.ENCODED, HitFlag.PLACELESS, HitFlag.HEADERS_COUNTED))
_WHOLE_RANGE = Mark.OFFSETS | Mark.SENT
_make = tuple.__new__  # a named tuple's own constructor takes twice as long


def part_of(hit: tuple[Any, ...], hit_id: int) -> Part | None:
    """What a hit (a tuple in the order of Parsed, more fields may follow) adds; None for one that does not count.

    Only GET with 200 or 206 and all three parts of the key count. What of it counts says the table proof.ROWS.
    """
    time, ip_address, user_agent, request, method, status, lo, hi, sent, total, flags = hit[:11]
    if (
        (status != 206 and status != 200)
        or method != "GET"
        or request is None
        or ip_address is None
        or user_agent is None
    ):
        return None
    if total is None:
        total = -1
    elif hi is not None and hi >= total:  # the line contradicts itself: neither its range nor its size is believed
        lo, hi, total = None, None, -1
    if lo is not None and hi is not None:
        length = hi - lo + 1
        if not flags and (sent is None or sent >= length):
            return _make(Part, (time, hit_id, lo, hi, length if sent is None else sent, total, _WHOLE_RANGE, -1))
        fields = _ranged(request, lo, hi, sent, flags)
    elif status == 200:
        if not flags and sent is not None:
            marks = Mark.START | Mark.SENT | (Mark.COMPRESSIBLE if may_be_compressed(request) else 0)
            return _make(Part, (time, hit_id, 0, sent - 1, sent, total, marks, -1))
        fields = _from_start(request, sent, flags)
    else:
        fields = _without_positions(request, sent, flags, bool(flags & _ENCODED))
    first, last, bytes_sent, marks, cut_hi = fields
    if flags & _HEADERS_COUNTED:
        marks |= Mark.HEADERS_COUNTED
    if flags & _ENCODED:  # the size that it names may be that of the encoded file
        total = -1
    return _make(Part, (time, hit_id, first, last, bytes_sent, total, marks, cut_hi))


def _may_be_encoded(request: str, flags: int) -> bool:
    return not flags & _PLAIN and may_be_compressed(request)


def _body(sent: int, flags: int) -> int:
    """Bytes of the body at most: response heads are never 0 bytes."""
    return sent - 1 if flags & _HEADERS_COUNTED and sent else sent


def _ranged(request: str, lo: int, hi: int, sent: int | None, flags: int) -> tuple[int, int, int, int, int]:
    """First and last byte, bytes sent, marks and cut_hi of a hit that names its range."""
    length = hi - lo + 1
    body = length if sent is None else min(length, _body(sent, flags))
    measure = Measure.NO_COUNT if sent is None else Measure.ENOUGH if body >= length else Measure.FEWER
    claim = row_of(flags, measure, measure == Measure.FEWER and _may_be_encoded(request, flags)).claim
    bytes_sent = length if sent is None else sent
    if claim == Claim.ALL:
        return lo, hi, bytes_sent, _WHOLE_RANGE, -1
    if claim == Claim.SENT:
        if body >= length:
            return lo, hi - 1, bytes_sent, _WHOLE_RANGE | Mark.CUT | Mark.BROKEN | Mark.REACHED, hi
        return lo, lo + body - 1, bytes_sent, _WHOLE_RANGE | Mark.CUT | Mark.BROKEN, hi
    if claim == Claim.ANSWERED:
        # over HTTP/2 servers call whole responses aborted, too
        last = hi - 1 if flags & (_ABORTED | _HTTP2) == _ABORTED else hi
        last = min(last, lo + body - 1)
        cut = flags & _ABORTED or last < hi
        marks = _WHOLE_RANGE | Mark.ANSWERED | (Mark.CUT if cut else 0)
        return lo, last, bytes_sent, marks, hi if last < hi else -1
    if claim == Claim.CONTRADICTED:
        return 0, -1, bytes_sent, Mark.SENT | Mark.CONTRADICTED, -1
    return _without_positions(request, sent, flags, not flags & _PLACELESS)


def _without_positions(request: str, sent: int | None, flags: int, is_encoded: bool) -> tuple[int, int, int, int, int]:
    marks = Mark.NO_COUNT if sent is None else Mark.SENT
    if flags & _ABORTED:
        marks |= Mark.CUT
    if is_encoded:
        marks |= Mark.ENCODED
    else:
        marks |= Mark.BYTES_ONLY | (Mark.COMPRESSIBLE if _may_be_encoded(request, flags) else 0)
    return 0, -1, sent or 0, marks, -1


def _from_start(request: str, sent: int | None, flags: int) -> tuple[int, int, int, int, int]:
    """The same of a 200 that names no range: bytes 0 to the last of the file, which is known later."""
    claim = row_of(flags, Measure.NO_LENGTH_NO_COUNT if sent is None else Measure.NO_LENGTH, False).claim
    if claim == Claim.NO_POSITIONS:
        return _without_positions(request, sent, flags, bool(flags & _ENCODED))
    marks = (Mark.NO_COUNT if sent is None else Mark.SENT) | (Mark.CUT if flags & _ABORTED else 0)
    if claim == Claim.ANSWERED:
        is_broken = flags & (_ABORTED | _HTTP2) == _ABORTED
        return 0, -1, sent or 0, marks | (Mark.ANSWERED_BROKEN if is_broken else Mark.ANSWERED_WHOLE), -1
    if sent is None:
        return 0, -1, 0, marks | Mark.WHOLE, -1
    if _may_be_encoded(request, flags):
        marks |= Mark.COMPRESSIBLE
    elif claim == Claim.ALL:
        marks |= Mark.START_ENDED
    marks |= Mark.START_ABORTED if flags & _ABORTED and not flags & _ENDED else Mark.START
    return 0, _body(sent, flags) - 1, sent, marks, -1
