"""What a reduction tells people at its end."""

from __future__ import annotations

from app.output.statistics import delivery_rows, hit_rows, table_lines
from app.reducing.job import Statistics
from app.words import unread_notes

__all__ = ["report_lines"]


def report_lines(statistics: Statistics) -> list[str]:
    """The lines, the hits, the deliveries, the bytes, the rate: a name and a number a line, details indented."""
    totals = statistics.totals
    told: list[tuple[str, int | str]] = [("lines", statistics.lines), ("  head lines", statistics.heads)]
    told += [(f"  {name}", number) for name, number in hit_rows(totals, statistics.counted - statistics.merged)]
    told += delivery_rows(totals)
    told += [
        ("seconds", f"{statistics.seconds:.2f}"),
        ("lines/s", f"{statistics.lines / statistics.seconds:,.0f}" if statistics.seconds > 0 else "-"),
    ]
    return table_lines(told) + [f"note: {note}" for note in (*statistics.notes, *unread_notes(statistics.unread))]
