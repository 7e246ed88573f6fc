"""The verdict: was the file delivered whole? From what one tally holds and the size of the file, where it is known.

What each hit adds says the table proof.ROWS. Then, by the first rule that fits:

| # | known | verdict | reason | evidence |
|---|---|---|---|---|
| 0 | more hits came than are kept | unknown | fragmented | ranges |
| 1 | hits name different totals, a 200 sent more than the file has, or bytes were sent beyond a 200 that ended | unknown | size_changed | ranges |
| 2 | all of the file surely was received | complete | | ranges |
| 3 | all of it was sent, some by responses that broke and were resumed | complete; strict: unknown | in_flight | resumed |
| 4 | no size, but a 200 that ended as it should, or one range from byte 0 to the last byte that anybody was sent | complete | | ranges |
| 5 | a response was encoded, or may have been | unknown | encoded | bytes |
| 6 | a response ended as it should, with fewer bytes than announced | unknown | ended_early | bytes |
| 7 | a response does not name its range: sum of bytes < size | partial | not_enough_bytes | bytes |
| 8 | the same, the sum reaches the size | unknown | no_offsets | bytes |
| 9 | 200s or counts, and no size | unknown | size_unknown | bytes |
| 10 | the rest may have arrived: a response that sent all broke | unknown | in_flight | ranges |
| 11 | the rest may have arrived: the log says what was answered | unknown | announced | ranges |
| 12 | something surely is missing | partial | probe_only, cut_off, start_missing, gap, end_missing | ranges |

A verdict by a learned size (sizes.LearnedSize) has the evidence `learned`, unless it is `resumed`. If more was sent than a learned size,
the size does not count. Beside a response without a range it makes nothing complete.
"""

from __future__ import annotations

from app.domain import byteranges
from app.domain.arrivals import Arrivals, arrivals_of
from app.domain.byteranges import Ranges
from app.domain.proof import HEADER_ALLOWANCE_BYTES, Proof, most_sent
from app.domain.records import Delivery, hex_ids
from app.domain.sizes import LearnedSize
from app.domain.tallies import ENDED, Mark, Tally

__all__ = [
    "KEPT_IDS", "NO_RANGES", "PROBE_HI", "STAGE_FINAL", "STAGE_OPEN", "STAGE_SUPERSEDED", "UNSURE", "describe", "holes", "superseded", "version",
]  # fmt: skip

KEPT_IDS = 100
"""How many hit ids a delivery record lists."""
PROBE_HI = 1
"""Players ask for bytes 0-1 first, to see whether the server knows ranges: no sign of a delivery."""

STAGE_OPEN, STAGE_FINAL, STAGE_SUPERSEDED = 0, 1, 7


Verdict = tuple[str, str | None, str]
"""Verdict, reason, evidence: one row of the table."""
_COMPLETE: Verdict = ("complete", None, "ranges")
_SIZE_UNKNOWN: Verdict = ("unknown", "size_unknown", "bytes")
_FLAG_NAMES = ((Mark.CUT, "cut_off"), (Mark.FRAGMENTED, "fragmented"), (Mark.HEADERS_COUNTED, "headers_counted"))
_FLAGGED = Mark.CUT | Mark.FRAGMENTED | Mark.HEADERS_COUNTED
UNSURE = ~(Mark.CUT | Mark.HEADERS_COUNTED | Mark.OFFSETS | Mark.SENT)
"""Marks beyond those of hits that prove their ranges."""
NO_RANGES = Mark.START | Mark.SENT | Mark.COMPRESSIBLE | Mark.BYTES_ONLY | Mark.NO_COUNT
"""Marks of responses that tell at most how much they sent."""
_FROM_START = Mark.START | Mark.START_ABORTED | ENDED | Mark.ANSWERED_WHOLE | Mark.ANSWERED_BROKEN
"""Marks of 200s that name no range."""
_PROOF = Proof()
_make = tuple.__new__


def version(hits: int, stage: int) -> int:
    """Of a reduced record: more knowledge is a higher version, and for the same knowledge the later stage is.

    >>> version(3, STAGE_OPEN) < version(3, STAGE_FINAL) < version(3, STAGE_SUPERSEDED) < version(4, STAGE_OPEN)
    True
    """
    return hits * 8 + stage


def describe(
    key: tuple[str, str, str], tally: Tally, size: int | None, stage: int = STAGE_OPEN, proof: Proof = _PROOF
) -> Delivery:
    """The record of a delivery. `size` is the size of the file in bytes from elsewhere; what the log names goes first."""
    marks = tally.marks
    is_learned = False
    if isinstance(size, LearnedSize):
        is_learned = tally.total_max < 0 and _sent_end(tally) <= size
        size = int(size) if is_learned else None
    total = (tally.total_max if tally.total_max >= 0 else size) if tally.total_min == tally.total_max else None
    found = None if is_learned else _shortcut(tally, total, proof.in_flight_bytes)
    ranges, missing, doubtful, (verdict, reason, evidence), flags, is_clipped = found or _in_full(
        tally, total, proof, is_learned
    )
    # in the order of the fields and past the constructor: records are made by the thousand
    return _make(
        Delivery,
        (
            *key,
            tally.start,
            tally.first,
            tally.last,
            list(map(list, ranges)),
            list(map(list, missing)) if missing else [],
            byteranges.covered(ranges),
            total,
            total is not None,
            verdict,
            evidence,
            reason,
            len(tally.ids),
            tally.sent if marks & Mark.SENT else None,
            _flags(flags, is_clipped) if flags & _FLAGGED or is_clipped else [],
            hex_ids(tally.ids[:KEPT_IDS]),
            stage == STAGE_FINAL,
            version(tally.known, stage),
            None,
            list(map(list, doubtful)) if doubtful else [],
        ),
    )


_Judged = tuple[Ranges, Ranges, Ranges, Verdict, int, bool]
"""What arrived, is missing, is doubtful; the verdict; marks; whether a range went beyond the size."""


def _shortcut(tally: Tally, total: int | None, in_flight_bytes: int) -> _Judged | None:
    """What `_in_full` gives, for nearly all: plain ranges, and plain responses that name none."""
    marks, kept = tally.marks, tally.ranges
    if tally.total_min != tally.total_max:
        return None
    if not marks & UNSURE:
        if not kept or not marks & Mark.OFFSETS or (total is not None and kept[-1][1] >= total):
            return None
        cut_hi = tally.cut_hi
        if cut_hi >= 0:
            marks |= Mark.CUT
        if len(kept) == 1 and not kept[0][0]:
            hi = kept[0][1]
            if hi == total - 1 if total is not None else hi > PROBE_HI and hi >= cut_hi:
                return kept, (), (), _COMPLETE, marks, False
        return kept, holes(kept, total), (), ("partial", _what_lacks(kept, cut_hi, total), "ranges"), marks, False
    if kept or marks & ~NO_RANGES:
        return None
    body = tally.start_sent
    if total is not None:
        return (((0, total - 1),), (), (), _COMPLETE, marks, False) if most_sent(total) >= body >= total > 0 else None
    if body <= 0 or marks & Mark.COMPRESSIBLE:
        return (), (), (), _SIZE_UNKNOWN, marks, False
    surely = max(0, body - in_flight_bytes)
    received: Ranges = ((0, surely - 1),) if surely else ()
    return received, (), ((surely, body - 1),) if surely < body else (), _SIZE_UNKNOWN, marks, False


def _in_full(tally: Tally, total: int | None, proof: Proof, is_learned: bool) -> _Judged:
    """The same of any delivery."""
    marks = tally.marks
    if not marks & UNSURE:
        kept = tally.ranges
        ranges = kept if total is None else byteranges.clip(kept, total)
        found = Arrivals(ranges, ranges, ranges, tally.cut_hi)
        is_clipped = ranges is not kept
    else:
        found = arrivals_of(tally, total, proof.in_flight_bytes)
        sent = found.sent
        if total is not None:
            found = found.within(total)
        is_clipped = found.sent is not sent
    if found.cut_hi >= 0:
        marks |= Mark.CUT
    missing, doubtful = _open(found, total)
    verdict = _judge(tally, found, total, proof.strict, is_learned)
    return found.received, missing, doubtful, verdict, marks, is_clipped


def _open(found: Arrivals, total: int | None) -> tuple[Ranges, Ranges]:
    """What surely is missing, and what may have arrived."""
    if found.answered is found.received and not found.is_placeless:
        return holes(found.received, total), ()
    end = total - 1 if total is not None else found.answered[-1][1] if found.answered else -1
    lacking = byteranges.missing(found.received, 0, end)
    if found.is_placeless:
        return (), lacking
    return byteranges.missing(found.answered, 0, end), byteranges.intersect(lacking, found.answered)


def holes(ranges: Ranges, total: int | None) -> Ranges:
    """What lacks of a file of `total` bytes; where that is not known, up to the last byte that was sent."""
    if total is not None:
        return byteranges.missing(ranges, 0, total - 1)
    if len(ranges) > 1:
        return byteranges.missing(ranges, 0, ranges[-1][1])
    return ((0, ranges[0][0] - 1),) if ranges and ranges[0][0] else ()


def _flags(marks: int, beyond_size: bool) -> list[str]:
    flags = ["beyond_size"] if beyond_size else []
    return flags + [name for mark, name in _FLAG_NAMES if marks & mark]


def superseded(delivery: Delivery, by: float, known_hits: int) -> Delivery:
    """The last version of a delivery that another one, starting at `by`, took in."""
    return delivery._replace(superseded_by=by, version=version(known_hits, STAGE_SUPERSEDED), final=False)


def _sent_end(tally: Tally) -> int:
    """The file has so many bytes at least: what was sent or announced of it ends there."""
    ranged = (hi for some in (tally.ranges[-1:], tally.broken, tally.answered[-1:]) for _, hi in some)
    end = max(*ranged, tally.cut_hi, -1, -1) + 1
    if tally.marks & Mark.HEADERS_COUNTED:  # what a 200 sent is more than the file
        return end
    return max(end, tally.start_sent, tally.start_aborted)


def _judge(tally: Tally, found: Arrivals, total: int | None, strict: bool, is_learned: bool) -> Verdict:
    if not is_learned:
        return _judged(tally, found, total, strict)
    verdict, reason, evidence = _judged(tally, found, total, strict, may_be_whole=not tally.marks & Mark.BYTES_ONLY)
    return verdict, reason, evidence if verdict == "unknown" or evidence == "resumed" else "learned"


def _judged(tally: Tally, found: Arrivals, total: int | None, strict: bool, may_be_whole: bool = True) -> Verdict:
    marks = tally.marks
    if marks & Mark.FRAGMENTED:
        return "unknown", "fragmented", "ranges"
    if tally.total_min != tally.total_max or (total == 0 and marks & Mark.OFFSETS):
        return "unknown", "size_changed", "ranges"
    if may_be_whole and _is_whole(tally, found, found.received, total):
        return _COMPLETE
    if found.is_changed or (total is None and _outgrown(tally, found)):
        return "unknown", "size_changed", "ranges"
    if may_be_whole and found.sent is not found.received and _is_whole(tally, found, found.sent, total):
        return ("unknown", "in_flight", "ranges") if strict else ("complete", None, "resumed")
    if found.is_encoded:
        return "unknown", "encoded", "bytes"
    if found.is_contradicted:
        return "unknown", "ended_early", "bytes"
    if total is None and marks & (Mark.BYTES_ONLY | _FROM_START):
        return _SIZE_UNKNOWN
    if marks & Mark.BYTES_ONLY:
        is_less = tally.sent < (total or 0)
        if marks & Mark.COMPRESSIBLE and is_less:
            return "unknown", "encoded", "bytes"
        if not marks & Mark.NO_COUNT and is_less:
            return "partial", "not_enough_bytes", "bytes"
        return "unknown", "no_offsets", "bytes"
    if found.answered is not found.sent and _is_whole(tally, found, found.answered, total):
        is_announced = marks & (Mark.ANSWERED | Mark.ANSWERED_WHOLE | Mark.ANSWERED_BROKEN) or not found.is_reached
        return "unknown", "announced" if is_announced else "in_flight", "ranges"
    return "partial", _what_lacks(found.answered, found.cut_hi, total), "ranges"


def _is_whole(tally: Tally, found: Arrivals, ranges: Ranges, total: int | None) -> bool:
    if total is not None:
        if not total:
            return bool(tally.marks & (_FROM_START | Mark.ENCODED)) and not found.is_changed
        return len(ranges) == 1 and ranges[0][0] == 0 and ranges[0][1] >= total - 1
    if _outgrown(tally, found):
        return False
    if tally.marks & ENDED:
        return True
    # without a size: one range from 0, unless it is a probe or ends before another response; a 200 shows no end
    if not tally.marks & Mark.OFFSETS or len(ranges) != 1 or ranges[0][0] != 0:
        return False
    ranged = max((hi for some in (tally.ranges[-1:], tally.broken, tally.answered[-1:]) for _, hi in some), default=-1)
    last = max(found.answered[-1][1], found.cut_hi, tally.start_sent - 1, tally.start_aborted - 1)
    return min(ranges[0][1], ranged) >= last and last > PROBE_HI


def _outgrown(tally: Tally, found: Arrivals) -> bool:
    """Whether something was sent beyond the end of a 200 that ended as it should: the two were not of one file."""
    if not tally.marks & Mark.START_ENDED:
        return False
    heads = HEADER_ALLOWANCE_BYTES if tally.marks & Mark.HEADERS_COUNTED else 0
    end = max(found.answered[-1][1] if found.answered else -1, found.cut_hi, tally.start_aborted - 1)
    # of responses without a place the sum alone is known: it is too much for as many of this size
    return end >= tally.start_sent + heads or tally.sent > len(tally.ids) * most_sent(tally.start_sent)


def _what_lacks(ranges: Ranges, cut_hi: int, total: int | None) -> str:
    cut = cut_hi >= 0 and not (len(ranges) == 1 and ranges[0][0] == 0 and ranges[0][1] >= cut_hi)
    if ranges and ranges[-1][1] <= PROBE_HI and not cut:
        return "probe_only"
    if cut:
        return "cut_off"
    if total is None:
        return "start_missing" if len(ranges) == 1 else "gap"
    if not ranges or ranges[0][0] > 0:
        return "start_missing"
    return "gap" if len(ranges) > 1 else "end_missing"
