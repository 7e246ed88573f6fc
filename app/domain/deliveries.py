"""The verdict: was the file delivered whole? From what one tally holds and the size of the file, where it is known.

By the first rule that fits:

| # | known | verdict | reason | evidence |
|---|---|---|---|---|
| 0 | more hits came than are kept | unknown | fragmented | ranges |
| 1 | hits name different totals | unknown | size_changed | ranges |
| 2 | offsets and a total | all of 0..total-1 there: complete; else partial | probe_only, cut_off, start_missing, gap, end_missing | ranges |
| 3 | offsets, no total | one range from 0: complete, size unknown; else partial | probe_only, cut_off, start_missing, gap | ranges |
| 4 | byte counts, a total | sum < total: partial; else unknown | not_enough_bytes, no_offsets | bytes |
| 5 | byte counts, no total | unknown | size_unknown | bytes |

Where some hits name offsets and others only counts, complete is still proved by ranges; short of that the counts decide,
because a response without offsets may have sent what the ranges lack.
"""

from __future__ import annotations

import sys
from array import array

from app.domain import byteranges
from app.domain.byteranges import Ranges
from app.domain.records import Delivery
from app.domain.tallies import Mark, Tally

__all__ = [
    "KEPT_IDS",
    "PROBE_HI",
    "STAGE_FINAL",
    "STAGE_OPEN",
    "STAGE_SUPERSEDED",
    "describe",
    "holes",
    "superseded",
    "version",
]

KEPT_IDS = 100
"""How many hit ids a delivery record lists."""
PROBE_HI = 1
"""Players ask for bytes 0-1 first, to see whether the server knows ranges: no sign of a delivery."""

STAGE_OPEN, STAGE_FINAL, STAGE_SUPERSEDED = 0, 1, 7


Verdict = tuple[str, str | None, str]
"""Verdict, reason, evidence: one row of the table."""
_COMPLETE: Verdict = ("complete", None, "ranges")
_FLAG_NAMES = ((Mark.CUT, "cut_off"), (Mark.FRAGMENTED, "fragmented"), (Mark.HEADERS_COUNTED, "headers_counted"))
_FLAGGED = Mark.CUT | Mark.FRAGMENTED | Mark.HEADERS_COUNTED
_make = tuple.__new__


def version(hits: int, stage: int) -> int:
    """Of a reduced record: more knowledge is a higher version, and for the same knowledge the later stage is.

    >>> version(3, STAGE_OPEN) < version(3, STAGE_FINAL) < version(3, STAGE_SUPERSEDED) < version(4, STAGE_OPEN)
    True
    """
    return hits * 8 + stage


def describe(key: tuple[str, str, str], tally: Tally, size: int | None, stage: int = STAGE_OPEN) -> Delivery:
    """The record of a delivery. `size` is the size of the file in bytes from elsewhere; what the log names goes first."""
    marks, kept = tally.marks, tally.ranges
    total = (tally.total_max if tally.total_max >= 0 else size) if tally.total_min == tally.total_max else None
    ranges = kept if total is None else byteranges.clip(kept, total)
    verdict, reason, evidence = _judge(tally, ranges, total)
    missing = holes(ranges, total)
    # in the order of the fields and past the constructor: records are made by the thousand
    return _make(
        Delivery,
        (
            *key,
            tally.start,
            tally.first,
            tally.last,
            list(map(list, ranges)),
            list(map(list, missing)),
            byteranges.covered(ranges),
            total,
            total is not None,
            verdict,
            evidence,
            reason,
            len(tally.ids),
            tally.sent if marks & Mark.SENT else None,
            _flags(marks, ranges is not kept) if marks & _FLAGGED or ranges is not kept else [],
            _hex(tally.ids[:KEPT_IDS]),
            stage == STAGE_FINAL,
            version(tally.known, stage),
            None,
        ),
    )


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


def _hex(ids: array[int]) -> list[str]:
    """Each as 16 hex digits; all at once, because records are made by the thousand."""
    if sys.byteorder == "little":
        ids.byteswap()
    return ids.tobytes().hex(",", ids.itemsize).split(",") if ids else []


def superseded(delivery: Delivery, by: float, known_hits: int) -> Delivery:
    """The last version of a delivery that another one, starting at `by`, took in."""
    return delivery._replace(superseded_by=by, version=version(known_hits, STAGE_SUPERSEDED), final=False)


def _judge(tally: Tally, ranges: Ranges, total: int | None) -> Verdict:
    marks = tally.marks
    if marks & Mark.FRAGMENTED:
        return "unknown", "fragmented", "ranges"
    if tally.total_min != tally.total_max:
        return "unknown", "size_changed", "ranges"
    if marks & Mark.OFFSETS:
        whole = (
            len(ranges) == 1
            and ranges[0][0] == 0
            and (ranges[0][1] >= total - 1 if total is not None else _proves_end(tally))
        )
        if whole:
            return _COMPLETE
        if not marks & Mark.BYTES_ONLY:
            return "partial", _what_lacks(tally, ranges, total), "ranges"
    if total is None:
        return "unknown", "size_unknown", "bytes"
    if not marks & Mark.NO_COUNT and tally.sent < total:
        return "partial", "not_enough_bytes", "bytes"
    return "unknown", "no_offsets", "bytes"


def _proves_end(tally: Tally) -> bool:
    """Without a size: one range from 0 is the whole file, unless it is a probe or stops where a response was cut."""
    hi = tally.ranges[0][1]
    return hi > PROBE_HI and hi >= tally.cut_hi


def _what_lacks(tally: Tally, ranges: Ranges, total: int | None) -> str:
    cut = tally.cut_hi >= 0 and not _mended(tally, ranges)
    if ranges and ranges[-1][1] <= PROBE_HI and not cut:
        return "probe_only"
    if cut:
        return "cut_off"
    if total is None:
        return "start_missing" if len(ranges) == 1 else "gap"
    if not ranges or ranges[0][0] > 0:
        return "start_missing"
    return "gap" if len(ranges) > 1 else "end_missing"


def _mended(tally: Tally, ranges: Ranges) -> bool:
    """Whether later responses sent all that a cut one had announced, as a client that resumes asks for it."""
    return len(ranges) == 1 and ranges[0][0] == 0 and ranges[0][1] >= tally.cut_hi
