"""What was read for a report: the lines, the hits, the rejects, the period, the zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.reports.zones import offset_text
from app.words import counted_text, unread_notes, visible

__all__ = ["Facts", "Moment", "local_time"]

Moment = tuple[float, int]
"""UTC seconds, and the offset from UTC of the zone that it is told in."""
_MOST_ZONES = 4


@dataclass
class Facts:
    """Grows while inputs are read; of one stretch or of all inputs."""

    lines: int = 0
    heads: int = 0
    hits: int = 0
    counted: int = 0
    """Hits that the filters let through, or that are in deliveries."""
    rejects: Counter[str] = field(default_factory=Counter)
    zones_s: Counter[int] = field(default_factory=Counter)
    """Hits by the offset from UTC that their lines write."""
    first: Moment | None = None
    last: Moment | None = None
    """Of what is counted."""
    beyond: int = 0
    """Numbers too large for 64 bits."""
    unread: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def add(self, other: Facts) -> None:
        """What was found in another stretch."""
        self.lines += other.lines
        self.heads += other.heads
        self.hits += other.hits
        self.counted += other.counted
        self.beyond += other.beyond
        self.rejects.update(other.rejects)
        self.zones_s.update(other.zones_s)
        self.unread.update(other.unread)
        for name in ("notes", "errors", "inputs"):
            getattr(self, name).extend(getattr(other, name))
        self.span(other.first, other.last)

    def span(self, first: Moment | None, last: Moment | None) -> None:
        """Make the period wide enough."""
        if first is not None and (self.first is None or first < self.first):
            self.first = first
        if last is not None and (self.last is None or last > self.last):
            self.last = last

    def zone_text(self, zone: str) -> str:
        """The zone that was asked for, or those of the log, the commonest first."""
        if zone:
            return zone
        shown = self.zones_s.most_common(_MOST_ZONES)
        if len(shown) < 2:
            return f"the log's, {offset_text(shown[0][0] if shown else 0)}"
        told = ", ".join(f"{offset_text(offset)} in {counted_text(count, 'hit')}" for offset, count in shown)
        more = len(self.zones_s) - len(shown)
        return f"the log's, line by line: {told}" + (f", and {more:,} others" if more else "")

    def head(
        self, zone: str, filters: Sequence[tuple[str, str | int]], lists: list[str]
    ) -> list[tuple[str, str | int]]:
        """The rows that a report begins with."""
        rows: list[tuple[str, str | int]] = [("input", ", ".join(map(visible, self.inputs)))]
        rows += [("lines", self.lines), ("  head lines", self.heads), ("  hits", self.hits)]
        rows.append(("  rejects", self.rejects.total()))
        rows += [(f"    {visible(reason)}", count) for reason, count in sorted(self.rejects.items())]
        rows.append(("hits counted here", self.counted))
        rows += filters
        if self.first is not None and self.last is not None:
            rows.append(("period", f"{local_time(self.first)} to {local_time(self.last)}"))
        rows.append(("zone", self.zone_text(zone)))
        rows += [("list", name) for name in lists]
        rows += [("note", visible(note)) for note in (*self.notes, *unread_notes(self.unread))]
        if self.beyond:
            rows.append(
                ("note", f"left out of all sums, as too large for 64 bits: {counted_text(self.beyond, 'number')}")
            )
        return rows


def local_time(moment: Moment) -> str:
    """On the clock of its zone, to the second.

    >>> local_time((0.0, 19800))
    '1970-01-01 05:30:00 +05:30'
    """
    time, offset = moment
    try:
        at = datetime.fromtimestamp(time // 1, UTC) + timedelta(seconds=offset)
    except (OverflowError, ValueError, OSError):
        return f"{time:g} s"
    return f"{at:%Y-%m-%d %H:%M:%S} {offset_text(offset)}"
