"""What arrived of a file, and how surely: all hits of a delivery put together, now that the size is known, or is not."""

from __future__ import annotations

from typing import NamedTuple

from app.domain import byteranges
from app.domain.byteranges import Ranges
from app.domain.proof import HEADER_ALLOWANCE_BYTES, Claim, Measure, most_sent, row_of
from app.domain.records import HitFlag
from app.domain.tallies import ENDED, Mark, Tally

__all__ = ["Arrivals", "arrivals_of"]


class Arrivals(NamedTuple):
    """Which bytes arrived, and how surely: each of the first three holds the one before it."""

    received: Ranges
    sent: Ranges
    """With what is doubtful: the last bytes before the end of responses that broke."""
    answered: Ranges
    """With what may have been sent."""
    cut_hi: int
    """Last byte announced by a response that was cut, or -1."""
    is_encoded: bool = False
    is_placeless: bool = False
    """Any byte may be there."""
    is_contradicted: bool = False
    """A response ended as it should, with fewer bytes than it announced."""
    is_reached: bool = False
    """A response sent all, and broke."""
    is_changed: bool = False
    """A 200 sent more than the file has: it was another file."""

    def within(self, total: int) -> Arrivals:
        """Of a file of so many bytes; the very same tuples where all lies within."""
        received, sent, answered = (byteranges.clip(some, total) for some in self[:3])
        return self._replace(received=received, sent=sent, answered=answered)


def arrivals_of(tally: Tally, total: int | None, in_flight_bytes: int) -> Arrivals:
    """Put together from all hits, now that the size of the file is known, or is not."""
    marks, answered, cut_hi = tally.marks, tally.answered, tally.cut_hi
    whole: Ranges = ((0, total - 1),) if total else ()
    received, broken = tally.ranges, list(tally.broken)
    is_encoded, is_reached = bool(marks & Mark.ENCODED), bool(marks & Mark.REACHED)
    is_compressible, is_contradicted = bool(marks & Mark.COMPRESSIBLE), bool(marks & Mark.CONTRADICTED)
    is_changed = total is not None and max(tally.start_sent, tally.start_aborted) > most_sent(total)
    of_start = int(HitFlag.ENDED) if marks & Mark.START_ENDED else 0
    for body, flags in ((tally.start_sent, of_start), (tally.start_aborted, int(HitFlag.ABORTED))):
        if body < 0 or (total is not None and body > most_sent(total)):
            continue
        if total is None:
            if body and not is_compressible:
                broken.append((0, body - 1))
            continue
        claim = row_of(flags, Measure.ENOUGH if body >= total else Measure.FEWER, is_compressible).claim
        if claim == Claim.ALL:
            received = byteranges.union(received, whole)
        elif claim == Claim.NO_POSITIONS:
            is_encoded = True
        elif claim == Claim.CONTRADICTED:
            is_contradicted = True
        else:
            cut_hi = max(cut_hi, total - 1)
            if body >= total:
                is_reached, answered = True, byteranges.union(answered, whole)
            if min(body, total - 1) > 0:
                broken.append((0, min(body, total - 1) - 1))
    if marks & Mark.WHOLE:
        received = byteranges.union(received, whole)
    if marks & ENDED and total is None and tally.start_sent > 0:
        received = byteranges.union(received, ((0, tally.start_sent - 1),))
    if marks & Mark.ANSWERED_WHOLE:
        answered = byteranges.union(answered, whole)
    if marks & Mark.ANSWERED_BROKEN and total is not None:
        cut_hi = max(cut_hi, total - 1)
        if total > 1:
            answered = byteranges.union(answered, ((0, total - 2),))
    doubtful_bytes = in_flight_bytes + (HEADER_ALLOWANCE_BYTES - 1 if marks & Mark.HEADERS_COUNTED else 0)
    sent = received
    if broken:
        sent = byteranges.union(received, byteranges.normalise(broken))
        surely = [(lo, hi - doubtful_bytes) for lo, hi in broken if hi - doubtful_bytes >= lo]
        received = byteranges.union(received, byteranges.normalise(surely))
    is_placeless = bool(marks & (Mark.BYTES_ONLY | Mark.FRAGMENTED)) or is_encoded or is_contradicted or is_changed
    is_placeless |= total is None and is_compressible and bool(marks & (Mark.START | Mark.START_ABORTED))
    answered = byteranges.union(sent, answered)
    return Arrivals(received, sent, answered, cut_hi, is_encoded, is_placeless, is_contradicted, is_reached, is_changed)
